"""Starts a hub as a teacher does, with `environment/class/run`, for users of this machine that are made and removed again."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "environment" / "class"))
import load

NAMES = ["svertka-test-anna", "svertka-test-boris", "svertka-test-vera"]
# They come for one test and go.
VISITORS = ["svertka-test-dina", "svertka-test-egor", "svertka-test-zoya"]
# One that the machine has for other purposes, with a password of its own.
OTHER = "svertka-test-other"
# systemd's spawner, which a hub takes where there is systemd, is another story: these tests are of the one without.
PLAIN = "--JupyterHub.spawner_class=localprocess"


def pytest_collection_modifyitems(items):
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() != 0:
        why = "a hub starts servers as other users: only root can"
    elif subprocess.run([*stranger, "test", "-x", PROJECT], check=False).returncode != 0:
        why = f"other users can't read {PROJECT}"
    else:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def users():
    """No such users before and after; the one of the machine's own is made."""
    everyone = [*NAMES, *VISITORS, OTHER]
    load.remove_users(everyone)
    try:
        subprocess.run(["useradd", "--create-home", OTHER], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine lets no users be made: {error}")
    subprocess.run(["chpasswd"], input=f"{OTHER}:their own word", text=True, check=True)
    yield
    load.remove_users(everyone)


@pytest.fixture(scope="session")
def hub(users):
    """A hub with a password for all and room for three, by a teacher whose own folder has not all of the data."""
    with tempfile.TemporaryDirectory(prefix="svertka-data-") as data:
        os.chmod(data, 0o755)
        # A place for it, and nothing in it.
        Path(data, "fashion-mnist").mkdir(mode=0o755)
        own = {"SVERTKA_LANG": "en", "SVERTKA_DATA": os.environ.get("SVERTKA_DATA", data)}
        with load.Hub("--JupyterHub.active_server_limit=3", PLAIN, environment=own) as hub:
            yield hub


@pytest.fixture(scope="module")
def learners(hub):
    """Three learners, each with the lesson open in a kernel that is ready."""
    learners = [load.Learner(hub, name) for name in NAMES]
    with ThreadPoolExecutor() as pool:
        list(pool.map(open_lesson, learners))
    yield learners
    for learner in learners:
        learner.log_out()


def open_lesson(learner):
    assert learner.log_in().status_code == 302
    learner.start()
    learner.cells = learner.open("lesson.en.ipynb")
    assert learner.run(learner.cells["setup"]).status == "ok"


def as_user(name, *command):
    """Runs a command as a user, with nothing but their rights."""
    become = ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", "env", "--chdir=/"]
    return subprocess.run([*become, *command], capture_output=True, text=True)
