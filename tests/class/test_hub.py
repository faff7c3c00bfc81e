"""Three learners on one hub: each works, none sees or disturbs another."""

import re
import stat
from pathlib import Path

import load
import pytest
import requests
from conftest import NAMES, OTHER, PLAIN, PROJECT, VISITORS, as_user, open_lesson


def home(name):
    return Path(f"~{name}").expanduser()


# --- each works ------------------------------------------------------------------------------------------------------------


def test_three_at_once_do_what_a_browser_does(hub):
    measured = load.load(hub, VISITORS, 0.02)
    assert measured["disk, worked"] <= 20, measured
    for name in VISITORS:
        # They have logged out: nothing runs, of the kernels' folders nothing is left, and the rest is small.
        assert load.processes(name) == []
        left = [path.name for path in (home(name) / ".cache/svertka/kernel").iterdir()]
        assert left == ["lock"] or all(one == "lock" or one.startswith("dead-") for one in left), left
        assert load.disk(name) <= 20


def test_a_learners_notebooks_are_never_overwritten(hub, learners):
    anna = learners[0]
    mine = {"type": "file", "format": "text", "content": "mine"}
    anna.call("PUT", "contents/notebooks/exercises.en.ipynb", json=mine)
    anna.call("DELETE", "contents/notebooks/exercises.ru.ipynb")
    anna.log_out()
    open_lesson(anna)
    notebooks = home(anna.name) / "svertka/notebooks"
    assert (notebooks / "exercises.en.ipynb").read_text() == "mine"
    # What was removed comes again.
    assert (notebooks / "exercises.ru.ipynb").read_bytes() == (PROJECT / "notebooks/exercises.ru.ipynb").read_bytes()


def test_the_digits_of_the_lessons_end_are_there(learners):
    said = learners[0].run("datasets::mnist()?.train.0.size()[0] >= 4000")
    assert (said.status, said.text.splitlines()[-1:]) == ("ok", ["true"]), said.text


# --- none sees another -----------------------------------------------------------------------------------------------------


def test_kernels_run_as_their_users(learners):
    for learner in learners:
        said = learner.run('println!("{}", std::fs::read_to_string("/proc/self/status")?);').text
        user = load.user_number(learner.name)
        assert re.search(rf"^Uid:\t{user}\t{user}\t{user}\t{user}$", said, re.MULTILINE), said
        assert not re.search(r"^Groups:.*\b0\b", said, re.MULTILINE), said


def test_no_learner_reads_what_is_anothers(learners):
    anna, boris = learners[0].name, learners[1].name
    secret = [home(anna) / "svertka/notebooks/lesson.en.ipynb"]
    secret += (home(anna) / ".cache/svertka/runtime").glob("kernel-*.json")
    secret += (home(anna) / ".cache/svertka/runtime").glob("jpserver-*.json")
    secret += (home(anna) / ".cache/svertka/kernel").glob("run-*/Cargo.toml")
    assert len(secret) == 4, secret
    # The tokens with which a server and the hub know each other are in there.
    secret += [Path(f"/proc/{process}/environ") for process in load.processes(anna)]
    for path in secret:
        assert as_user(anna, "cat", path).returncode == 0, path
        assert as_user(boris, "cat", path).returncode != 0, path
        assert as_user(boris, "ls", path.parent).returncode != 0 or str(path).startswith("/proc"), path
    # Also where a learner opens the home folder to all, the notebooks stay theirs.
    home(anna).chmod(0o755)
    for path in secret:
        assert as_user(boris, "cat", path).returncode != 0, path


def test_no_learner_reaches_anothers_server(hub, learners):
    anna, boris = learners[:2]
    for path in ("api/contents/notebooks/lesson.en.ipynb", "api/kernels", "lab"):
        answer = boris.browser.get(f"{anna.base}/{path}")
        assert answer.status_code in (403, 404), (path, answer.status_code)
        assert requests.get(f"{anna.base}/{path}", allow_redirects=False).status_code in (302, 403), path


def test_the_hubs_secrets_are_roots(hub, learners):
    place = hub.place / "hub"
    names = {path.name for path in place.iterdir()}
    assert {"cookie_secret", "hub.sqlite", "proxy.pid"} <= names
    for path in (place, *place.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 and path.stat().st_uid == 0, path
    password = hub.place / "password"
    for secret in (password, place / "cookie_secret", place / "hub.sqlite", Path(f"/proc/{hub.process.pid}/environ")):
        assert as_user(NAMES[0], "cat", secret).returncode != 0, secret


def test_no_learner_changes_what_another_runs(learners):
    writable = as_user(NAMES[0], "find", PROJECT, "-writable", "!", "-type", "l")
    assert writable.stdout == "", writable.stdout[:500]
    # Whoever can open a file can lock it, and keep others waiting.
    for lock in ("target/kernel/lock", "target/setup/lock"):
        assert as_user(NAMES[0], "cat", PROJECT / lock).returncode != 0, lock


# --- who gets in -----------------------------------------------------------------------------------------------------------


def test_only_this_machine_reaches_the_hub(hub):
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"]
    assert f"0100007F:{hub.port:04X}" in listening
    everywhere = Path("/proc/net/tcp6").read_text() if Path("/proc/net/tcp6").exists() else ""
    assert f"00000000:{hub.port:04X}" not in "".join(listening) + everywhere


@pytest.mark.parametrize("name", ["root", "daemon", OTHER])
def test_the_classs_password_opens_no_other_user_of_the_machine(hub, name):
    assert load.Learner(hub, name).log_in().status_code == 403


def test_a_wrong_password_opens_nothing(hub):
    assert load.Learner(hub, NAMES[0]).log_in("not the password").status_code == 403


# --- when there is no more memory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, says",
    [
        ("let t = Tensor::zeros([900_000_000], (Kind::Float, Device::Cpu));", "can't allocate memory"),
        ("let mut all = Vec::new(); loop { all.push(vec![1u8; 1 << 20]); }", "memory allocation of 1048576 bytes failed"),
    ],
)
def test_a_learner_who_takes_too_much_is_told_and_no_other_is_hurt(hub, learners, code, says):
    anna, boris, vera = learners
    for other in (boris, vera):
        assert other.run("let kept: i32 = 7;").status == "ok"
    cell = anna.run(code)
    assert cell.status == "error" and says in cell.text, cell.text
    assert "frame #" not in cell.text
    assert anna.run("1 + 1").text == "2"
    for other in (boris, vera):
        assert other.run("kept").text == "7"
    assert hub.answers()


def test_whoever_comes_when_it_is_full_is_told(hub, learners):
    late = load.Learner(hub, VISITORS[0])
    assert late.log_in().status_code == 302
    page = late.browser.get(f"{hub.address}/hub/spawn/{late.name}")
    assert page.status_code == 429 and "limit" in page.text.lower()
    assert load.processes(late.name) == []


# --- PAM -------------------------------------------------------------------------------------------------------------------


def test_by_default_users_of_the_machine_come_in_by_their_own_passwords(users):
    with load.Hub(PLAIN, shared=False) as hub:
        other = load.Learner(hub, OTHER)
        assert other.log_in("not the password").status_code == 403
        assert other.log_in("their own word").status_code == 302
        other.start()
        assert other.call("GET", "contents/notebooks/lesson.ru.ipynb")["type"] == "notebook"
        other.log_out()
        assert load.Learner(hub, "svertka-nobody-knows").log_in("their own word").status_code == 403
