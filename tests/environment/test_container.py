"""The ways in with one click: the container's image, dev containers, Binder, VS Code. What the image does is tests/bare/run's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = PROJECT / "environment"
CONTAINERFILE = ENVIRONMENT / "Containerfile"
STEPS = ENVIRONMENT / "container/steps"
START = ENVIRONMENT / "container/start"
IMAGE = Path("/opt/svertka")


def instructions(name):
    lines = re.sub(r"\\\n", "", CONTAINERFILE.read_text()).splitlines()
    return [line.split(None, 1)[1] for line in lines if line.split(None, 1)[:1] == [name]]


def with_comments(path):
    """JSON as VS Code writes it: a line may be a comment."""
    return json.loads(re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.M))


# --- the image


def test_the_image_is_made_by_the_steps_in_their_order():
    steps = re.search(r"steps (\w+(?: \| \w+)+)", STEPS.read_text())[1].split(" | ")
    called = re.findall(r"steps (\w+)", "\n".join(instructions("RUN")))
    assert called == steps
    # Nothing is done in the Containerfile itself.
    assert not re.sub(r"(bash )?\S*/steps \w+|&&|\s", "", "\n".join(instructions("RUN")))
    for step in steps:
        assert re.search(rf"^{step}\(\) \{{$", STEPS.read_text(), re.M), step


def test_a_step_that_is_not_known_says_which_are():
    result = subprocess.run([STEPS, "nonsense"], capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and "steps system | rust | build | trim" in result.stderr


def test_the_image_has_a_fixed_base_and_a_user_who_is_not_root():
    stages = [stage.split() for stage in instructions("FROM")]
    names = [stage[2] for stage in stages if len(stage) > 1]
    assert stages[0][0] == "debian:trixie-slim" and all(stage[0] in names for stage in stages[1:])
    for copied in instructions("COPY"):
        assert not copied.startswith("--from") or re.match(r"--from=(\w+) ", copied)[1] in names
    # Kubernetes lets a number be no root; Binder gives both by these names.
    assert instructions("USER") == ["${NB_UID}"]
    assert set(instructions("ARG")) == {"NB_USER=jovyan", "NB_UID=1000"}
    assert str(IMAGE / START.relative_to(PROJECT)) in json.loads(instructions("ENTRYPOINT")[0])


def test_versions_stand_in_the_projects_other_places_alone():
    for path in (CONTAINERFILE, STEPS):
        assert not re.findall(r"(?<![\d.])\d+\.\d+(?![.\d])", re.sub(r"#.*", "", path.read_text())), path
    assert 'toolchain install "$rust_version"' in STEPS.read_text()


def test_what_the_image_adds_agrees_with_jupyterlabs_packages():
    def pinned(name):
        return dict(re.findall(r"^([\w.-]+)==(\S+)", (ENVIRONMENT / f"requirements/{name}.txt").read_text(), re.M))

    lab, container = pinned("lab"), pinned("container")
    assert {"jupyterhub", "notebook"} <= set(container)
    shared = set(lab) & set(container)
    assert shared and all(lab[name] == container[name] for name in shared)


def test_what_git_ignores_is_not_sent_to_the_builder():
    ignored = [line.strip("/") for line in (PROJECT / ".gitignore").read_text().split()]
    left_out = (PROJECT / ".dockerignore").read_text().split()
    assert {name if "/" in name or name == "target" else f"**/{name}" for name in ignored} <= set(left_out)


def start(home, *command):
    return subprocess.run([START, *command], env=os.environ | {"HOME": str(home)}, capture_output=True, text=True, timeout=20)


def test_the_learner_gets_notebooks_once(tmp_path):
    assert start(tmp_path, "echo", "one two").stdout == "one two\n"
    lesson = tmp_path / "notebooks/lesson.en.ipynb"
    assert lesson.read_bytes() == (PROJECT / "notebooks/lesson.en.ipynb").read_bytes()
    lesson.write_text("mine")
    (tmp_path / "notebooks/lesson.ru.ipynb").unlink()
    start(tmp_path, "true")
    assert lesson.read_text() == "mine" and not (tmp_path / "notebooks/lesson.ru.ipynb").exists()


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path):
    file = tmp_path / "file"
    file.touch()
    result = start(file, "sh", "-c", "exit 7")
    assert result.returncode == 7


# --- who takes the image


def test_the_dev_container_is_the_image():
    described = with_comments(PROJECT / ".devcontainer/devcontainer.json")
    here = PROJECT / ".devcontainer"
    assert (here / described["build"]["dockerfile"]).resolve() == CONTAINERFILE
    assert (here / described["build"]["context"]).resolve() == PROJECT
    assert f"NB_USER={described['remoteUser']}" in instructions("ARG")
    # Where VS Code finds kernels, whatever Python the opened folder names.
    assert "--from=build /usr/local/share/jupyter /usr/local/share/jupyter" in instructions("COPY")
    for name in described["customizations"]["codespaces"]["openFiles"]:
        assert (PROJECT / name).is_file()


def test_the_image_is_built_each_week_and_when_its_files_change():
    workflow = yaml.safe_load((PROJECT / ".github/workflows/container.yml").read_text())
    # YAML takes the word `on` for a truth.
    assert "schedule" in workflow[True]
    for path in workflow[True]["pull_request"]["paths"]:
        assert list(PROJECT.glob(path.removesuffix("/**"))), path
    (job,) = workflow["jobs"].values()
    runs = "\n".join(step.get("run", "") for step in job["steps"])
    # As the README says it.
    (build,) = re.findall(r"^docker build .+$", runs, re.M)
    assert f"\n{build}\n" in (PROJECT / "README.md").read_text()
    (notebook,) = re.findall(r"\S+\.ipynb", runs)
    assert (PROJECT / notebook).is_file()


def test_binder_takes_the_containerfile():
    pytest.importorskip("repo2docker")
    read = subprocess.run(
        [sys.executable, "-B", "-m", "repo2docker", "--no-build", "--debug", "--user-id", "1000", "--user-name", "jovyan", "."],
        cwd=PROJECT, capture_output=True, text=True, timeout=120,
    )
    assert read.returncode == 0, read.stderr
    assert CONTAINERFILE.read_text() in read.stdout + read.stderr
    # Of what is not in .binder Binder takes nothing: it is all in that one file.
    assert [path.name for path in (PROJECT / ".binder").iterdir()] == ["Dockerfile"]


def test_vs_code_finds_the_kernel_and_the_kernelspec_is_enough(tmp_path):
    settings = with_comments(PROJECT / ".vscode/settings.json")
    interpreter = settings["python.defaultInterpreterPath"].replace("${workspaceFolder}", str(PROJECT))
    # There the extension looks for what belongs to an interpreter.
    specs = KernelSpecManager(kernel_dirs=[f"{interpreter}/share/jupyter/kernels"], ensure_native_kernel=False)
    # Nothing of what environment/lesson sets.
    bare = {name: os.environ[name] for name in ("HOME", "PATH", "CARGO_HOME", "RUSTUP_HOME") if name in os.environ}
    manager = KernelManager(kernel_name="svertka", kernel_spec_manager=specs, connection_file=str(tmp_path / "connection"))
    notebook = tmp_path / "notebooks"
    notebook.mkdir()
    manager.start_kernel(env=bare, cwd=str(notebook))
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        shown = []
        # A copy of a notebook, far from the project.
        code = ':dep svertka = { path = ".." }\nuse svertka::prelude::*;\nversions()'
        reply = client.execute_interactive(code, timeout=180, output_hook=lambda message: shown.append(str(message["content"])))
        assert reply["content"]["status"] == "ok", shown
        assert "libtorch" in "".join(shown) and "Compiling" not in "".join(shown)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
