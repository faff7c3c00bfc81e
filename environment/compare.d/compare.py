"""Runs the lesson's work in svertka and in Keras, turn about, and tells how they compare. `environment/compare` calls it.

Prints a table and writes it with all that was measured to target/compare.json; with --seeds, the accuracies over several
seeds to target/compare-seeds.json; with --beside, the CNN's training beside others to target/compare-beside.json.
"""

import argparse
import contextlib
import gzip
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "environment" / "compare.d"
FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
NAMES = {"svertka": "svertka", "kernel": "svertka in its kernel", "keras": "Keras", "pytorch": "PyTorch"}
# Each part of the table, and how much of Keras's time svertka may take.
PARTS = {
    "load": 0.6,
    "dense fit": 0.3,
    "cnn fit": 0.8,
    "evaluate": 0.5,
    "activation grid": 0.3,
    "last fit": 0.65,
    "lesson": 0.75,
}
TRAININGS = ["dense fit", "cnn fit", "last fit"]


# --- the data -----------------------------------------------------------------------------------------------------------

def find_data(name):
    """The folder that svertka itself would take `name` from, or None."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
    places = [cache / "svertka", Path("/usr/share/datasets")]
    if os.environ.get("SVERTKA_DATA"):
        places.insert(0, Path(os.environ["SVERTKA_DATA"]))
    for place in places:
        folder = place / name
        if all((folder / file).is_file() or (folder / f"{file}.gz").is_file() for file in FILES):
            return folder
    return None


def gather_data(folder):
    """Puts the same gzipped files before all: links in `folder`. Returns the subfolder of the handwritten digits."""
    shutil.rmtree(folder, ignore_errors=True)
    digits = "mnist" if find_data("mnist") else "mnist-sample"
    for name in ("fashion-mnist", digits):
        source = find_data(name)
        if source is None:
            sys.exit(f"compare: {name} is missing: run environment/setup, or name its folder in SVERTKA_DATA (README.md)")
        (folder / name).mkdir(parents=True)
        for file in FILES:
            target = folder / name / f"{file}.gz"
            if (source / f"{file}.gz").is_file():
                target.symlink_to((source / f"{file}.gz").resolve())
            else:
                target.write_bytes(gzip.compress((source / file).read_bytes(), 6))
    return digits


# --- one run ------------------------------------------------------------------------------------------------------------

class Failed(Exception):
    pass


def run(side, command, environment, log="lesson"):
    """Runs one lesson to its end. Returns its parts by name, with `lesson` from the process's start and its peak memory."""
    log_path = ROOT / "target" / "compare" / f"{side}-{log}.log"
    print(f"  {NAMES[side]}: ", end="", flush=True)
    begin = time.perf_counter()
    parts = {}
    with open(log_path, "w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, errors="replace", cwd=ROOT
        )
        try:
            for line in process.stdout:
                log.write(line)
                if not line.startswith('{"part"'):
                    continue
                part = json.loads(line)
                parts.setdefault(part["part"], []).append(part)
                if part["part"] in PARTS:
                    print(f"{part['part']} {part['seconds']:.1f} s, ", end="", flush=True)
            # wait4 tells what this one process took.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.terminate()
                process.wait()
    seconds = time.perf_counter() - begin
    if process.returncode != 0:
        print("failed", flush=True)
        raise Failed(f"the lesson in {NAMES[side]} failed (status {process.returncode}): see {log_path}")
    if "lesson" not in parts:
        parts["lesson"] = [{"seconds": seconds, "peak_mb": usage.ru_maxrss / 1024}]
    print(f"{parts['lesson'][0]['seconds']:.1f} s in all", flush=True)
    return parts


def sides(options, data, digits):
    """For each side its command and its environment."""
    plain = {key: value for key, value in os.environ.items() if key not in ("LD_LIBRARY_PATH", "LIBTORCH", "MPLBACKEND")}
    plain["TF_CPP_MIN_LOG_LEVEL"] = "2"
    plain["KERAS_BACKEND"] = "tensorflow"
    own = {**os.environ, "SVERTKA_DATA": str(data), "SVERTKA_LANG": "en", "SVERTKA_DEVICE": "cpu"}
    python = ["--data", str(data), "--digits", digits, "--epochs", options.epochs]
    found = {"svertka": ([str(options.example), "--epochs", options.epochs], own)}
    if options.kernel_python:
        notebook = ROOT / "notebooks" / "lesson.en.ipynb"
        command = [str(options.kernel_python), "-B", str(HERE / "lesson_kernel.py"), str(notebook), "--epochs", options.epochs]
        found["kernel"] = (command, own)
    found["keras"] = ([sys.executable, "-B", str(HERE / "lesson_keras.py"), *python], plain)
    if options.pytorch_python:
        found["pytorch"] = ([str(options.pytorch_python), "-B", str(HERE / "lesson_pytorch.py"), *python], plain)
    return found


# --- the table ----------------------------------------------------------------------------------------------------------

def median(runs, part, field="seconds"):
    values = [run[part][0][field] for run in runs if part in run and field in run[part][0]]
    return statistics.median(values) if values else None


def gather_parts(runs):
    """The medians of all runs, as target/compare.json holds them."""
    parts = []
    for name, target in PARTS.items():
        part = {"name": name}
        for side in ("svertka", "keras", "pytorch"):
            if side in runs:
                part[f"{side}_seconds"] = median(runs[side], name)
        part["ratio"] = part["svertka_seconds"] / part["keras_seconds"]
        part["target"] = target
        for side in ("svertka", "keras", "pytorch"):
            if side not in runs:
                continue
            part[f"{side}_runs"] = [run[name][0]["seconds"] for run in runs[side]]
            for field in ("train_accuracy", "test_accuracy", "peak_mb"):
                value = median(runs[side], name, field)
                if value is not None:
                    part[f"{side}_{field}"] = value
        parts.append(part)
    lesson, grid = parts[-1], parts[-3]
    lesson["peak_ratio"] = lesson["svertka_peak_mb"] / lesson["keras_peak_mb"]
    if "kernel" in runs:
        lesson["svertka_kernel_seconds"] = median(runs["kernel"], "lesson")
        lesson["svertka_kernel_runs"] = [run["lesson"][0]["seconds"] for run in runs["kernel"]]
        lesson["svertka_kernel_ratio"] = lesson["svertka_kernel_seconds"] / lesson["keras_seconds"]
        peaks = [run["lesson"][0]["peaks_mb"] for run in runs["kernel"]]
        lesson["svertka_kernel_peaks_mb"] = {part: statistics.median(run[part] for run in peaks) for part in peaks[0]}
        lesson["svertka_kernel_start_seconds"] = median(runs["kernel"], "kernel")
        lesson["svertka_kernel_cells"] = [
            {
                "first_line": cell["first_line"],
                "seconds": statistics.median(run["cell"][number]["seconds"] for run in runs["kernel"]),
            }
            for number, cell in enumerate(runs["kernel"][0]["cell"])
        ]
        for number, cell in enumerate(runs["kernel"][0]["cell"]):
            if cell.get("grid"):
                grid["svertka_kernel_seconds"] = lesson["svertka_kernel_cells"][number]["seconds"]
    return parts


def table(parts, epochs):
    """Markdown, as the README shows it."""
    epochs = dict(zip(TRAININGS, epochs.split(",")))
    pytorch = "pytorch_seconds" in parts[0]
    heading = ["part", "svertka", "Keras", "svertka / Keras", "at most"] + ["PyTorch"] * pytorch
    rows = [heading, ["---"] + ["---:"] * (len(heading) - 1)]

    def row(name, own, keras, target, other, form):
        ratio = f"{own / keras:.2f}" if target is not None else ""
        cells = [name, form(own), form(keras), ratio, f"{target:.2f}" if target is not None else ""]
        rows.append(cells + [form(other) if other is not None else ""] * pytorch)

    def clock(seconds):
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"

    for part in parts:
        name = part["name"]
        number = epochs.get(name)
        label = f"{name}, {number} epoch{'s' * (number != '1')}" if number else name
        if name == "lesson":
            label = "lesson, the crate alone"
        row(label, part["svertka_seconds"], part["keras_seconds"], part["target"], part.get("pytorch_seconds"), clock)
    lesson = parts[-1]
    if "svertka_kernel_seconds" in lesson:
        row("lesson, in the kernel", lesson["svertka_kernel_seconds"], lesson["keras_seconds"], PARTS["lesson"], None, clock)

    def memory(megabytes):
        return f"{megabytes:,.0f} MB"

    row("peak memory, the crate alone", lesson["svertka_peak_mb"], lesson["keras_peak_mb"], 0.5,
        lesson.get("pytorch_peak_mb"), memory)
    if "svertka_kernel_peaks_mb" in lesson:
        cells = lesson["svertka_kernel_peaks_mb"]["cells"]
        row("peak memory, the process of the cells", cells, lesson["keras_peak_mb"], 0.5, None, memory)
    for part in parts:
        for field, name in (("train_accuracy", "training"), ("test_accuracy", "test")):
            if part["name"] in TRAININGS:
                row(f"{part['name'].removesuffix(' fit')}: {name} accuracy", part[f"svertka_{field}"],
                    part[f"keras_{field}"], None, part.get(f"pytorch_{field}"), "{:.4f}".format)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def machine():
    processor = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {"processor": processor, "cores": len(os.sched_getaffinity(0))}


def write(name, content):
    """To a sibling first, so that what lies there is always whole."""
    path = ROOT / "target" / name
    sibling = path.with_name(f".{name}.{os.getpid()}")
    sibling.write_text(json.dumps(content, indent=2) + "\n")
    sibling.replace(path)
    return path


def compare(options, commands, digits):
    runs = {side: [] for side in commands}
    for number in range(options.runs):
        print(f"run {number + 1} of {options.runs}", flush=True)
        # Alternating: who came first comes last in the next run.
        order = list(commands) if number % 2 == 0 else list(reversed(commands))
        for side in order:
            command, environment = commands[side]
            runs[side].append(run(side, command, environment))
    parts = gather_parts(runs)
    text = table(parts, options.epochs)
    versions = {"keras": runs["keras"][0]["import"][0]["keras"], "python": platform.python_version()}
    if "pytorch" in runs:
        versions["pytorch"] = runs["pytorch"][0]["import"][0]["pytorch"]
    path = write("compare.json", {
        "machine": machine(),
        "versions": versions,
        "runs": options.runs,
        "epochs": options.epochs,
        "digits": digits,
        "parts": parts,
    })
    print(f"\n{text}\n")
    print("Batches of 32; medians of the runs. `load` is Fashion-MNIST twice, from the same gzipped files, as the lesson")
    print("does; svertka also checks their SHA-256, the others check nothing. `lesson` is from the start of the process")
    print("(or of the kernel, with all compiling) to the last output.")
    if digits != "mnist":
        print("The last net was trained on the sample of MNIST: the full set is not on this machine.")
    print(path)


# --- over several seeds ---------------------------------------------------------------------------------------------------

def compare_seeds(options, commands):
    """The CNN's accuracies with seeds 1, 2, …: is svertka's mean within the spread of Keras's?"""
    chosen = ["svertka", "keras"]
    results = {side: {"train_accuracy": [], "test_accuracy": [], "seconds": []} for side in chosen}
    for seed in range(1, options.seeds + 1):
        print(f"seed {seed} of {options.seeds}", flush=True)
        for side in chosen if seed % 2 else reversed(chosen):
            command, environment = commands[side]
            part = run(side, [*command, "--only-cnn", "--seed", str(seed)], environment)["cnn fit"][0]
            for field, values in results[side].items():
                values.append(part[field])
    print(f"\n| seed | {' | '.join(f'{NAMES[side]}, training | {NAMES[side]}, test' for side in chosen)} |")
    print("| --- " + "| ---: | ---: " * len(chosen) + "|")

    def row(name, value):
        cells = (f"{value(results[side][field]):.4f}" for side in chosen for field in ("train_accuracy", "test_accuracy"))
        print(f"| {name} | {' | '.join(cells)} |")

    for seed in range(options.seeds):
        row(seed + 1, lambda values: values[seed])
    row("mean", statistics.mean)
    row("least", min)
    row("most", max)
    if options.seeds > 1:
        row("standard deviation", statistics.stdev)
    keras = results["keras"]["test_accuracy"]
    mean = statistics.mean(results["svertka"]["test_accuracy"])
    within = min(keras) <= mean <= max(keras)
    print(f"\nsvertka's mean test accuracy, {mean:.4f}, is {'within' if within else 'outside'} Keras's spread, ", end="")
    print(f"{min(keras):.4f} to {max(keras):.4f}.")
    epochs = int(options.epochs.split(",")[1])
    print(write("compare-seeds.json", {"machine": machine(), "epochs": epochs, "seeds": options.seeds, "sides": results}))


# --- beside others --------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def other_work(what):
    """Something else that the machine does meanwhile: `busy`, a loop; `build`, the crate compiled over and over."""
    build = f"""
        while rm -rf {ROOT}/target/compare/build; do
            cargo build --locked --quiet --target-dir {ROOT}/target/compare/build || exit
        done
    """
    commands = {"busy": ["bash", "-c", "while :; do :; done"], "build": ["bash", "-c", build]}
    if what not in commands:
        yield
        return
    process = subprocess.Popen(commands[what], cwd=ROOT, start_new_session=True)
    try:
        yield
        if process.poll() is not None:
            raise Failed(f"what should have run beside it ({what}) ended with status {process.returncode}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def compare_beside(options, commands):
    """The CNN's training and evaluation alone and beside other work: seconds, the mean where several train at once."""
    at_once = int(options.beside) if options.beside.isdigit() else 1
    chosen, parts = ["svertka", "keras"], {"cnn fit": "training", "evaluate": "evaluation"}
    seconds = {side: {part: {"alone": [], "beside": []} for part in parts} for side in chosen}

    def train(side, number):
        command, environment = commands[side]
        told = run(side, [*command, "--only-cnn"], environment, f"beside-{number}")
        return [told[part][0]["seconds"] for part in parts]

    def keep(side, when, trained):
        for part, times in zip(parts, zip(*trained)):
            seconds[side][part][when].append(statistics.mean(times))

    for number in range(options.runs):
        print(f"run {number + 1} of {options.runs}", flush=True)
        for side in chosen if number % 2 == 0 else reversed(chosen):
            keep(side, "alone", [train(side, 0)])
            with other_work(options.beside), ThreadPoolExecutor(at_once) as pool:
                keep(side, "beside", list(pool.map(train, [side] * at_once, range(at_once))))
    print("\n|  | svertka | Keras | svertka / Keras |\n|---|---:|---:|---:|")
    for part, name in parts.items():
        medians = [{when: statistics.median(times) for when, times in seconds[side][part].items()} for side in chosen]
        for when in ("alone", "beside"):
            own, keras = (median[when] for median in medians)
            print(f"| {name}, {when} | {own:.2f} s | {keras:.2f} s | {own / keras:.2f} |")
        own, keras = (median["beside"] / median["alone"] for median in medians)
        print(f"| {name}, beside / alone | {own:.2f} | {keras:.2f} |  |")
    print(write("compare-beside.json", {"machine": machine(), "beside": options.beside, "epochs": options.epochs, "sides": seconds}))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--example", type=Path, required=True, help="the built examples/lesson.rs")
    options.add_argument("--kernel-python", type=Path, help="a Python with nbclient and svertka's kernel")
    options.add_argument("--pytorch-python", type=Path, help="a Python in which `import torch` works")
    options.add_argument("--epochs", default="5,5,10")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--seeds", type=int)
    options.add_argument("--beside", help="busy, build, or how many train at once")
    options = options.parse_args()
    (ROOT / "target" / "compare").mkdir(parents=True, exist_ok=True)
    data = ROOT / "target" / "compare" / "data"
    digits = gather_data(data)
    commands = sides(options, data, digits)
    try:
        if options.seeds:
            compare_seeds(options, commands)
        elif options.beside:
            compare_beside(options, commands)
        else:
            compare(options, commands, digits)
    except Failed as failure:
        sys.exit(f"compare: {failure}")
    except KeyboardInterrupt:
        sys.exit("compare: interrupted")


main()
