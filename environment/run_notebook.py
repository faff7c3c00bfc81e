"""Executes a notebook from top to bottom, without a browser.

    python run_notebook.py NOTEBOOK FOLDER [--kernel NAME] [--short | --long-cells-short]

Shows each cell's number, its seconds and its output while it runs. Leaves the executed notebook and an HTML page of it in
FOLDER, also when a cell failed; the run stops at that cell and the exit status is 1. A cell tagged `raises-exception` may
fail. evcxr's stock kernel reports a panic and an error returned by `?` as success: with it, what a cell writes to stderr
counts as its failure.

With --short each training is one epoch on a twentieth of the images: a quick run of every cell, whose results say little.
With --long-cells-short only those in cells tagged `long` are.
"""

import argparse
import asyncio
import os
import re
import resource
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter

CELL_SECONDS = 3600
START_SECONDS = 300
UPDATE_SECONDS = 5
# Lines on stderr that are no failure of the stock kernel's cells: libtorch's and rustc's warnings.
HARMLESS = ("[W", "warning:", "Warning:")


class LiveClient(NotebookClient):
    """Executes a notebook and prints what comes out of it as it comes."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        # For each display that the cell redraws: the lines last printed, and its newest text if that was not printed.
        self.printed, self.newest = {}, {}
        self.last_update = 0.0

    def process_message(self, msg, cell, cell_index):
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            show(content["text"])
        elif kind == "error":
            show("\n".join(content["traceback"]) or content["evalue"])
        elif kind in ("display_data", "execute_result", "update_display_data"):
            text = content["data"].get("text/plain") or f"({', '.join(content['data'])})"
            name = content.get("transient", {}).get("display_id")
            if name is None:
                show(text)
            else:
                self.newest[name] = text
                # A progress bar is redrawn ten times a second: once in a while will do here.
                if kind == "display_data" or time.monotonic() - self.last_update >= UPDATE_SECONDS:
                    self.last_update = time.monotonic()
                    self.show_newest()
        return super().process_message(msg, cell, cell_index)

    def show_newest(self):
        """Prints what is new in the displays."""
        for name, text in self.newest.items():
            lines = text.rstrip("\n").split("\n")
            known = self.printed.get(name, [])
            show("\n".join(line for line in lines if line not in known))
            self.printed[name] = lines
        self.newest.clear()


def show(text):
    if not text:
        return
    for line in text.rstrip("\n").split("\n"):
        print(f"      {line}", flush=True)


def stock_failure(cell):
    """What the stock kernel does not tell by its status: the text on stderr, or nothing."""
    text = "".join(output["text"] for output in cell.outputs if output.output_type == "stream" and output.name == "stderr")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(HARMLESS)]
    return "\n".join(lines)


def shorten(source):
    """Whatever a cell's training is, one epoch on a twentieth of the images."""
    return re.sub(r"Fit::epochs\(\d+\)(\.fraction\([\d.]+\))?", "Fit::epochs(1).fraction(0.05)", source)


def may_fail(cell):
    return "raises-exception" in cell.metadata.get("tags", [])


async def execute(notebook, folder, kernel):
    """Runs the cells until one fails; gives the failure's text, or nothing."""
    options = {"kernel_name": kernel} if kernel else {}
    client = LiveClient(
        notebook,
        timeout=CELL_SECONDS,
        startup_timeout=START_SECONDS,
        resources={"metadata": {"path": str(folder)}},
        **options,
    )
    begin = time.monotonic()
    async with client.async_setup_kernel():
        info = (await client.kc.kernel_info(reply=True, timeout=START_SECONDS))["content"]
        # svertka's kernel tells that at once; a cell waits until it has started.
        await client.kc.execute("", silent=True, reply=True, timeout=START_SECONDS)
        stock = info["implementation"].startswith("evcxr")
        notebook.metadata["language_info"] = info["language_info"]
        print(f"kernel {info['implementation']} ready in {time.monotonic() - begin:.1f} s", flush=True)
        code_cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        for number, index in enumerate(code_cells, 1):
            cell = notebook.cells[index]
            first_line = next((line for line in cell.source.splitlines() if line.strip()), "")
            print(f"[{number}/{len(code_cells)}] {first_line}", flush=True)
            begin = time.monotonic()
            failure = ""
            try:
                await client.async_execute_cell(cell, index)
            except CellExecutionError as error:
                failure = f"{error.ename}: {error.evalue}"
            except (CellTimeoutError, DeadKernelError) as error:
                return f"cell {number}: {error}"
            client.show_newest()
            if stock and not failure and not may_fail(cell):
                failure = stock_failure(cell)
            print(f"      {time.monotonic() - begin:.1f} s", flush=True)
            if failure:
                return f"cell {number} failed: {failure}"
    return ""


def write(path, text):
    """To a sibling first, so that what lies there is always whole."""
    sibling = path.with_name(f".{path.name}.{os.getpid()}")
    sibling.write_text(text, encoding="utf-8")
    sibling.replace(path)


def largest_child():
    """Megabytes of the largest process that this one has waited for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kernel", help="the kernel's name, if not the notebook's own")
    parser.add_argument("--short", action="store_true", help="train for one epoch on a part of the images")
    parser.add_argument("--long-cells-short", action="store_true", help="… in cells tagged `long` alone")
    arguments = parser.parse_args()
    notebook = nbformat.read(arguments.notebook, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if arguments.short or (arguments.long_cells_short and "long" in cell.metadata.get("tags", [])):
                cell.source = shorten(cell.source)
    before = largest_child()
    begin = time.monotonic()
    try:
        failure = asyncio.run(execute(notebook, arguments.notebook.resolve().parent, arguments.kernel))
    except (NoSuchKernel, RuntimeError) as error:
        failure = f"the kernel did not start: {error}"
    arguments.folder.mkdir(parents=True, exist_ok=True)
    executed = arguments.folder / arguments.notebook.name
    page = executed.with_suffix(".html")
    write(executed, nbformat.writes(notebook) + "\n")
    write(page, HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": executed.stem}})[0])
    took = f"{time.monotonic() - begin:.0f} s in all"
    largest = largest_child()
    # environment/lesson becomes this program after set-up, whose compilers may have been larger: then nothing is known.
    if largest > before:
        took += f"; the largest process took {largest:.0f} MB"
    print(f"{executed}\n{page}\n{took}")
    if failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
