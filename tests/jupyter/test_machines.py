"""Another machine, another day: what a kernel compiles against is what Cargo.lock says, whatever has changed since set-up."""

import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import conftest
import kernels
import pytest

NAME = "svertka-elsewhere"


def use(project):
    return f':dep svertka = {{ path = "{project}" }}\nuse svertka::prelude::*;'


def link_or_copy(source, target):
    """What the compiler made of the dependencies is never rewritten."""
    name = Path(source).name
    ours = name.startswith(("libctx", "ctx", "libsvertka", "libcode_"))
    if name.endswith((".rlib", ".rmeta", ".so", ".a", ".o")) and not ours:
        try:
            return os.link(source, target)
        except OSError:
            pass
    return shutil.copy2(source, target)


def checkout(folder):
    """A copy of the project with a build folder that only wants what differs."""
    for name in ("src", "examples", "benches", ".cargo", "environment/kernel"):
        shutil.copytree(kernels.PROJECT / name, folder / name)
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy2(kernels.PROJECT / name, folder / name)
    shutil.copytree(
        kernels.BUILD / "warm",
        folder / "target/kernel/warm",
        copy_function=link_or_copy,
        ignore=shutil.ignore_patterns("bin", "incremental", "svertka-stamp", "svertka-kept*"),
    )
    return folder


def warm(project):
    environment = os.environ | {"SVERTKA_PROJECT": str(project), "LIBTORCH": str(conftest.libtorch())}
    environment["LD_LIBRARY_PATH"] = f"{conftest.libtorch()}/lib"
    subprocess.run([kernels.BINARY, "--warm"], env=environment, check=True, timeout=300)
    kernels.install(NAME, project, conftest.libtorch())


def packages(lock):
    return set(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', lock.read_text(), re.M))


class Watched(kernels.Kernel):
    """A kernel that notes which crates are compiled."""

    def __init__(self, folder, name=NAME, **keywords):
        self.calls = folder / "calls"
        wrapper = folder / "rustc-wrapper"
        wrapper.write_text(f'#!/bin/sh\necho "$*" >>"{self.calls}"\nexec "$@"\n')
        wrapper.chmod(0o755)
        env = {"RUSTC_WRAPPER": str(wrapper)} | keywords.pop("env", {})
        super().__init__(env=env, name=name, **keywords)

    def compiled(self):
        calls = [call.split() for call in self.calls.read_text().splitlines()]
        self.calls.write_text("")
        names = {call[call.index("--crate-name") + 1] for call in calls if "--crate-name" in call}
        # Cargo asks rustc about itself under the name `___`.
        return names - {"___"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout whose lock names an older release of a small crate than the registry has, built for that."""
    folder = checkout(tmp_path_factory.mktemp("elsewhere") / "папка с пробелом")
    lock = folder / "Cargo.lock"
    found = re.search(r'name = "colorous"\nversion = "([\d.]+)"', lock.read_text())
    assert found
    subprocess.run(
        ["cargo", "update", "--quiet", "colorous", "--precise", "1.0.14"], cwd=folder, check=True, timeout=60
    )
    assert ("colorous", "1.0.14") in packages(lock) and found.group(1) != "1.0.14"
    warm(folder)
    return folder


@pytest.mark.slow
def test_a_newer_crate_in_the_registry_changes_nothing(project, tmp_path):
    locked = packages(project / "Cargo.lock")
    versions = {}
    for name, version in locked:
        versions.setdefault(name, set()).add(version)
    kernel = Watched(tmp_path, cwd=tmp_path)
    try:
        folder = project / f"target/kernel/run-{kernel.pid}"

        def differ():
            return {(name, version) for name, version in packages(folder / "Cargo.lock") if version not in versions.get(name, {version})}

        assert kernel.compiled() == {"ctx"}
        kernel.ok(use(project))
        assert kernel.compiled() == {"ctx"}
        assert ("colorous", "1.0.14") in packages(folder / "Cargo.lock") and not differ()
        cell = kernel.ok(':dep hex = "0.4"\nhex::encode([1u8, 255])', timeout=120)
        assert cell.result == '"01ff"'
        assert kernel.compiled() == {"hex", "ctx"}
        assert ("colorous", "1.0.14") in packages(folder / "Cargo.lock") and not differ()
        assert any(name == "hex" for name, _ in packages(folder / "Cargo.lock"))
        kernel.ok("1 + 1")
        assert kernel.compiled() == {"ctx"}
    finally:
        kernel.stop()


def test_a_new_kernel_compiles_no_dependency_again(tmp_path):
    kernel = Watched(tmp_path, name=kernels.NAME)
    try:
        kernel.ok(kernels.USE)
        kernel.ok("1 + 1")
        assert kernel.compiled() == {"ctx"}
    finally:
        kernel.stop()


SETTINGS = """
[build]
rustflags = ["--cfg", "of_the_user"]
incremental = false
[profile.dev]
opt-level = 1
[profile.dev.package."*"]
debug = true
[env]
CXXFLAGS = "-O0"
"""


@pytest.mark.slow
@pytest.mark.parametrize("linker, script", [("lld", "exit 1"), ("mold", 'shift\nexec "$@"')])
def test_another_linker_on_the_path_changes_nothing(linker, script, tmp_path):
    """evcxr takes one that it finds, and tries out lld with a cell of its own more: nobody listened to that one."""
    program = tmp_path / linker
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    kernel = Watched(tmp_path, name=kernels.NAME, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert kernel.ok(use(kernels.PROJECT) + "\n1 + 1").result == "2"
    assert kernel.compiled() <= {"ctx"}
    kernel.stop()


def test_the_users_settings_change_nothing(project, tmp_path):
    """Variables, cargo's settings in the home folder, above the project and beside the notebook, evcxr's beside it."""
    home, notebooks, above = tmp_path / "home", tmp_path / "notebooks", project.parent
    for folder in (home, notebooks, above):
        (folder / ".cargo").mkdir(parents=True)
        (folder / ".cargo/config.toml").write_text(SETTINGS)
    (notebooks / "evcxr.toml").write_text('[evcxr]\nopt_level = "0"\n')
    (notebooks / "rust-toolchain.toml").write_text('[toolchain]\nchannel = "1.2.3"\n')
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    for name in ("registry", "git"):
        if (cargo / name).exists():
            (home / ".cargo" / name).symlink_to(cargo / name)
    variables = {
        "HOME": str(home),
        "RUSTFLAGS": "--cfg of_the_user",
        "CARGO_ENCODED_RUSTFLAGS": "--cfg\x1fof_the_user",
        "CARGO_BUILD_RUSTFLAGS": "--cfg of_the_user",
        "CARGO_BUILD_TARGET": "wasm32-unknown-unknown",
        "CARGO_PROFILE_DEV_OPT_LEVEL": "3",
        "CARGO_PROFILE_DEV_DEBUG": "true",
        "CARGO_INCREMENTAL": "0",
        "CARGO_TARGET_DIR": str(tmp_path / "target"),
        "CC": "gcc",
        "CXX": "g++",
        "CXXFLAGS": "-O3",
        "CFLAGS": "-O3",
    }
    kernel = Watched(tmp_path, cwd=notebooks, env=variables)
    try:
        kernel.ok(use(project))
        assert kernel.ok("let n: i64 = std::env::current_dir()?.read_dir()?.count() as i64;\nn").result == "3"
        assert kernel.compiled() == {"ctx"}
    finally:
        kernel.stop()
        shutil.rmtree(above / ".cargo")


class Refuses(http.server.BaseHTTPRequestHandler):
    """A proxy that lets nobody through."""

    def do_CONNECT(self):
        self.send_error(403)

    do_GET = do_CONNECT

    def log_message(self, *_):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("proxy", ["refuses", "is not there"])
def test_without_the_registry_a_crate_is_refused_in_one_line_and_the_kernel_goes_on(proxy):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        if proxy == "is not there":
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        names = ["CARGO_HTTP_PROXY", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        kernel = kernels.Kernel(env=dict.fromkeys(names, address) | {"NO_PROXY": "", "no_proxy": ""})
        try:
            kernel.ok("let x: i32 = 5;")
            cell = kernel.run(':dep seldom-heard-of = "0.1"\nx + 1')
            assert cell.status == "error"
            assert len(cell.reply["evalue"].splitlines()) == 1
            assert "`seldom-heard-of` can't be added: its registry can't be reached" in cell.reply["evalue"]
            assert cell.seconds < 20
            assert kernel.ok("x + 1").result == "6"
        finally:
            kernel.stop()
            server.shutdown()


@pytest.mark.slow
def test_a_kernel_without_the_standard_librarys_sources_says_so(project, tmp_path):
    """And asks no rustup for them, which rust-analyzer would do by itself."""
    sysroot = Path(subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip())
    toolchain = tmp_path / "toolchains" / "mine"
    for part in ("bin", "lib"):
        shutil.copytree(
            sysroot / part,
            toolchain / part,
            symlinks=True,
            ignore=lambda folder, _: ["src"] if folder.endswith("lib/rustlib") else [],
            copy_function=shutil.copy2 if sysroot.stat().st_dev != tmp_path.stat().st_dev else os.link,
        )
    home, asked = tmp_path / "home", tmp_path / "asked"
    (home / ".cargo/bin").mkdir(parents=True)
    rustup = home / ".cargo/bin/rustup"
    rustup.write_text(f'#!/bin/sh\necho "$*" >>"{asked}"\nexit 1\n')
    rustup.chmod(0o755)
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    (home / ".cargo/registry").symlink_to(cargo / "registry")
    env = {"SVERTKA_RUSTC": str(toolchain / "bin/rustc"), "HOME": str(home), "SVERTKA_LANG": "RU"}
    kernel = kernels.Kernel(env=env, name=NAME)
    try:
        flood = kernel.ok('for _ in 0..90_000 { println!("{}", "x".repeat(100)); }')
        assert flood.err == "\n[Вывод ячейки обрезан здесь, после 8 МБ.]\n"
        cell = kernel.run("let numbers = [1, 2].iter().map(|n| n + 1).collect::<Vec<i32>>();")
        assert cell.status == "error" and cell.reply["ename"] == "rust-src"
        assert cell.reply["evalue"].endswith("перезапустите ядро: rustup component add rust-src --toolchain mine")
        assert len(cell.reply["evalue"].splitlines()) == 1
        assert kernel.ok("1 + 1").result == "2"
        assert not asked.exists(), asked.read_text()
    finally:
        kernel.stop()


@pytest.mark.slow
def test_a_project_that_was_moved_is_built_anew_once(project, tmp_path):
    """And the first cell tells it while it waits."""
    moved = project.rename(project.with_name("moved"))
    kernels.install(NAME, moved, conftest.libtorch())
    kernel = Watched(tmp_path, cwd=tmp_path, started=False)
    assert kernel.ready < 10
    try:
        cell = kernel.ok(use(moved) + "\nversions().svertka.len() > 0", timeout=300)
        assert cell.result == "true"
        told = [content["data"]["text/plain"] for content in cell.of("display_data") + cell.of("update_display_data")]
        assert told and all(text.startswith("Rust or svertka has changed since set-up") for text in told)
        assert any("Compiling svertka 0.1.0" in text for text in told), told
        assert len(cell.of("display_data")) == 1
        assert "tch" not in kernel.compiled()
    finally:
        kernel.stop()
    kernel = Watched(tmp_path, cwd=tmp_path)
    try:
        cell = kernel.ok(use(moved))
        assert not cell.of("display_data")
        assert kernel.compiled() == {"ctx"}
    finally:
        kernel.stop()
