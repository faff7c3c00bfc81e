"""Measures a kernel, for the notes: run it with the Python of environment/.venv.

    python tests/jupyter/measure.py cells [KERNEL]      the seconds from the kernel's start to each result of the lesson's
                                                        first five cells, with an epoch a training, three times
    python tests/jupyter/measure.py messages [KERNEL]   the messages of a training cell, each with its second
    python tests/jupyter/measure.py memory [KERNEL]     the kernel's memory: ready, after 200 cells, and after an hour idle
    python tests/jupyter/measure.py soak [KERNEL]       an hour of training, evaluating, drawing, saving and loading: memory,
                                                        open files and threads of the kernel and the cells' process

KERNEL is the name of a kernelspec, `svertka` if none is given.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from jupyter_client.manager import start_new_kernel

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = PROJECT / "notebooks"
IDLE_SECONDS = 3600
SOAK_SECONDS = 3600


class Kernel:
    def __init__(self, name):
        self.begin = time.monotonic()
        self.manager, self.client = start_new_kernel(startup_timeout=300, kernel_name=name, cwd=str(NOTEBOOKS))
        # It tells at once what it is; a cell waits until it has started.
        self.run("")

    def seconds(self):
        return time.monotonic() - self.begin

    def run(self, code, hook=lambda message: None):
        reply = self.client.execute_interactive(code, timeout=1200, output_hook=hook)["content"]
        if reply["status"] != "ok":
            sys.exit(f"failed: {reply.get('evalue')}")

    def processes(self):
        """The kernel and the cells' process."""
        kernel = psutil.Process(self.manager.provisioner.pid)
        return [kernel, *kernel.children(recursive=True)]

    def memory(self):
        """Megabytes of each."""
        return [process.memory_info().rss / 2**20 for process in self.processes()]

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


def lesson():
    cells = nbformat.read(NOTEBOOKS / "lesson.en.ipynb", as_version=4).cells
    return [re.sub(r"Fit::epochs\(\d+\)", "Fit::epochs(1)", cell.source) for cell in cells if cell.cell_type == "code"]


def cells(name):
    for _ in range(3):
        kernel = Kernel(name)
        times = [kernel.seconds()]
        for cell in lesson()[:5]:
            kernel.run(cell)
            times.append(kernel.seconds())
        print("ready, then five cells:", ", ".join(f"{seconds:.1f} s" for seconds in times), flush=True)
        kernel.stop()


def messages(name):
    kernel = Kernel(name)
    kernel.run(lesson()[0])
    begin = time.monotonic()

    def show(message):
        content = message["content"]
        text = content.get("data", {}).get("text/plain") or content.get("text") or content.get("execution_state", "")
        print(f"{time.monotonic() - begin:7.2f} s  {message['msg_type']:20}  {text.strip().splitlines()[-1:]}"[:160])

    kernel.run(lesson()[1].replace("epochs(1)", "epochs(3).plot()"), show)
    kernel.stop()


def memory(name):
    kernel = Kernel(name)

    def tell(when):
        print(f"{when}: {', '.join(f'{megabytes:.0f} MB' for megabytes in kernel.memory())}", flush=True)

    kernel.run(lesson()[0])
    tell("ready")
    times = []
    for number in range(200):
        begin = time.monotonic()
        kernel.run(f"let value_{number % 20} = {number}; value_{number % 20} + 1")
        times.append(time.monotonic() - begin)
        if number % 50 == 49:
            tell(f"after {number + 1} cells")
    print(f"a cell took {sorted(times)[100]:.2f} s (median), {max(times):.2f} s at most", flush=True)
    time.sleep(IDLE_SECONDS)
    tell("an hour later")
    kernel.stop()


# A learner's rounds with the lesson's CNN. Ten in a cell: each compiled cell stays mapped, 0.1 MB of its own and 2 MB
# that the system can read again from its file, and here it is what the rounds leave behind that counts.
ROUNDS = """
for _ in 0..10 {
    model.fit(&training_images, &training_labels, Fit::epochs(1))?;
    println!("{}", model.evaluate(&test_images, &test_labels)?);
    for filter in 0..8 {
        activation_grid(&model, &test_images, [0, 23, 28], filter)?.show()?;
    }
    model.save("FILE")?;
    model = Sequential::load("FILE")?;
}
"""


def soak(name):
    kernel = Kernel(name)

    def tell(when):
        # First without, then with what the system can read again from files: the program, the libraries, the cells.
        each = []
        for process in kernel.processes():
            info = process.memory_info()
            each.append(
                f"{process.name()} {(info.rss - info.shared) / 2**20:.1f} of {info.rss / 2**20:.0f} MB, "
                f"{process.num_fds()} files, {process.num_threads()} threads"
            )
        print(f"{when}: {'; '.join(each)}; {os.listdir(folder)}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        rounds = ROUNDS.replace("FILE", f"{folder}/model.safetensors")
        for cell in [*lesson()[:3], rounds]:
            kernel.run(cell)
        tell("after ten rounds")
        begin = time.monotonic()
        number = 10
        while time.monotonic() - begin < SOAK_SECONDS:
            kernel.run(rounds)
            number += 10
            tell(f"{time.monotonic() - begin:4.0f} s later, after {number}")
    kernel.stop()


if __name__ == "__main__":
    measures = {"cells": cells, "messages": messages, "memory": memory, "soak": soak}
    arguments = sys.argv[1:]
    if not 1 <= len(arguments) <= 2 or arguments[0] not in measures:
        sys.exit(__doc__)
    measures[arguments[0]](*(arguments[1:] or ["svertka"]))
