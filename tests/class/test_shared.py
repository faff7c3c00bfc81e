"""A kernel of one user's from another user's installation, which that user can't change."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import OTHER, PROJECT

KERNEL = PROJECT / "target/release/svertka-kernel"
PROTECTED = Path("/proc/sys/fs/protected_hardlinks")
WARM = PROJECT / "target/kernel/warm"


@contextlib.contextmanager
def hard_links_protected(value):
    before = PROTECTED.read_text()
    try:
        PROTECTED.write_text(value)
    except OSError as error:
        pytest.skip(f"this machine doesn't let {PROTECTED} be set: {error}")
    try:
        yield
    finally:
        PROTECTED.write_text(before)


def command(code, user=OTHER):
    """Runs a cell as the user whose own the installation is not."""
    home = Path(f"~{user}").expanduser()
    libtorch = PROJECT / "environment/libtorch"
    variables = {
        "HOME": home,
        "PATH": f"{PROJECT}/target/class/rust/bin:/usr/local/bin:/usr/bin:/bin",
        "SVERTKA_PROJECT": PROJECT,
        "SVERTKA_LANG": "en",
        "LIBTORCH": libtorch,
        "LD_LIBRARY_PATH": libtorch / "lib",
    }
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "--ignore-environment"]
    return [*become, *(f"{name}={value}" for name, value in variables.items()), KERNEL, "--run", code]


def copies():
    return Path(f"~{OTHER}").expanduser() / ".cache/svertka/kernel"


def is_gone(folder):
    end = time.monotonic() + 20
    while time.monotonic() < end and folder.exists():
        time.sleep(0.1)
    return not folder.exists()


@pytest.mark.parametrize("protected", ["0", "1"])
def test_a_copy_holds_links_and_goes(hub, protected):
    with hard_links_protected(protected):
        code = 'println!("ready"); std::thread::sleep(std::time::Duration::from_secs(600));'
        process = subprocess.Popen(command(code), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")
        assert process.stdout.readline() == "ready\n"
    (folder,) = copies().glob("run-*[0-9]")
    rlib = next((WARM / "target").glob("*/debug/deps/libtch-*.rlib"))
    own = folder / rlib.relative_to(WARM)
    if protected == "1" or os.stat(folder).st_dev != rlib.stat().st_dev:
        assert own.is_symlink() and own.readlink() == rlib
    else:
        assert not own.is_symlink() and own.stat().st_ino == rlib.stat().st_ino
    # What is not linked is little, and nobody else's to read.
    own_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not is_link(path))
    assert own_bytes < 12e6, own_bytes
    assert copies().stat().st_mode & 0o077 == 0
    process.terminate()
    process.wait()
    assert rlib.exists()
    # The next start takes away what one that was killed has left.
    subprocess.run(command("1 + 1"), check=True, cwd="/", capture_output=True)
    assert is_gone(folder)


def is_link(path):
    return path.is_symlink() or path.stat().st_nlink > 1


def test_an_installation_on_a_read_only_file_system_serves(hub):
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>/dev/null && exec "$@"'
    told = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, PROJECT, *command('println!("{}", svertka::prelude::versions());')],
        capture_output=True,
        text=True,
        cwd="/",
    )
    if "unshare failed" in told.stderr or "mount:" in told.stderr:
        pytest.skip(f"nothing can be mounted here: {told.stderr.strip()}")
    assert told.returncode == 0 and told.stdout.startswith("svertka "), told


def test_an_installation_that_is_out_of_date_is_said_to_be(hub):
    stamp = WARM / "svertka-stamp"
    right = stamp.read_text()
    before = {path: path.stat().st_mtime_ns for path in (WARM / "Cargo.toml", WARM / "target")}
    try:
        stamp.write_text("another\n" + right.partition("\n")[2])
        told = subprocess.run(command("1 + 1"), capture_output=True, text=True, cwd="/")
    finally:
        stamp.write_text(right)
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1 and "only whoever set it up can finish that" in told.stderr
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_crate_that_is_not_there_is_refused_in_one_line(hub):
    told = subprocess.run(command(':dep roman = "0.1"'), capture_output=True, text=True, cwd="/")
    assert told.returncode == 1 and "environment/class/run --crate roman" in told.stderr, told.stderr
