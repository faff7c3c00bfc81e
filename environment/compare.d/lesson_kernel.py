"""Runs the lesson's notebook in svertka's kernel, as a learner does with "Run All", with a clock around each cell.

    python lesson_kernel.py NOTEBOOK --epochs 5,5,10

Prints a JSON line for the kernel's start, for each code cell and for the whole. `compare.py` runs it, with the Python of
environment/.venv.
"""

import argparse
import asyncio
import json
import re
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

options = argparse.ArgumentParser()
options.add_argument("notebook", type=Path)
options.add_argument("--epochs", required=True, help="of the dense net, the CNN and the last net")
options = options.parse_args()


def tell(part, seconds, **more):
    print(json.dumps({"part": part, "seconds": seconds, **more}), flush=True)


class Memory(threading.Thread):
    """The most memory, in bytes, that was taken by the kernel, by the process in which the cells run, by one compiler, and
    by all of them together."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peaks = {"kernel": 0, "cells": 0, "compiler": 0, "together": 0}
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.2):
            sizes = []
            for kernel in psutil.Process().children():
                sizes += [self.note("kernel", kernel)]
                # The cells run in a process of the kernel's own program; all else that it starts compiles.
                for process in children(kernel):
                    sizes += [self.note("cells" if name(process) == name(kernel) else "compiler", process)]
            self.peaks["together"] = max(self.peaks["together"], sum(sizes))

    def note(self, part, process):
        try:
            size = process.memory_info().rss
        except psutil.NoSuchProcess:
            return 0
        self.peaks[part] = max(self.peaks[part], size)
        return size


def children(process):
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def name(process):
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


async def main():
    notebook = nbformat.read(options.notebook, as_version=4)
    epochs = iter(options.epochs.split(","))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r"Fit::epochs\(\d+\)", lambda _: f"Fit::epochs({next(epochs)})", cell.source)
    assert next(epochs, None) is None, "the notebook has fewer trainings than --epochs has numbers"

    memory = Memory()
    memory.start()
    client = NotebookClient(
        notebook, timeout=3600, startup_timeout=300, resources={"metadata": {"path": str(options.notebook.parent)}}
    )
    begin = time.perf_counter()
    async with client.async_setup_kernel():
        await client.kc.execute("", silent=True, reply=True, timeout=300)
        tell("kernel", time.perf_counter() - begin)
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            cell_begin = time.perf_counter()
            await client.async_execute_cell(cell, index)
            first_line = cell.source.strip().splitlines()[0]
            grid = {"grid": True} if "activation_grid(" in cell.source else {}
            tell("cell", time.perf_counter() - cell_begin, first_line=first_line, **grid)
        seconds = time.perf_counter() - begin
        memory.ended.set()
        memory.join()
    tell("lesson", seconds, peaks_mb={part: size / 2**20 for part, size in memory.peaks.items()})


asyncio.run(main())
