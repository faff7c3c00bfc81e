"""Tries out a class: so many learners at once, each doing what a browser does for them, and a table of what that takes.

    environment/.venv/bin/python environment/class/load.py [--fraction F] [LEARNERS…]

As root, beside no other hub of this checkout's: it starts one of its own, for users that it makes and removes again. Each learner
logs in, opens the lesson, runs its first three code cells with one epoch, or with the fraction F of it, interrupts a long
training, restarts the kernel, runs the first cell again and logs out.
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import requests
import websocket

PROJECT = Path(__file__).resolve().parents[2]
NAMES = "svertka-load-"
# How long anything may take on a machine that is busy with ten trainings.
PATIENCE = 1800


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Hub:
    """A hub as environment/class/run starts it, with its secrets in a folder of their own; `shared`: with a password for all."""

    def __init__(self, *options, environment=None, shared=True):
        self.folder = tempfile.TemporaryDirectory(prefix="svertka-hub-")
        self.place = Path(self.folder.name)
        self.password = secrets.token_urlsafe(12)
        password = self.place / "password"
        password.touch(mode=0o600)
        password.write_text(self.password + "\n")
        port, hub_port, proxy_port = free_ports(3)
        self.port, self.address = port, f"http://127.0.0.1:{port}"
        self.log = self.place / "log"
        command = [PROJECT / "environment/class/run", *(["--password", password] if shared else [])]
        command += [f"--port={port}", f"--JupyterHub.hub_port={hub_port}"]
        command += [f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{proxy_port}", *options]
        variables = {**os.environ, "SVERTKA_CLASS_HUB": str(self.place / "hub"), **(environment or {})}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=variables
            )

    def __enter__(self):
        try:
            wait_for(self.answers, "the hub did not start", PATIENCE)
        except RuntimeError:
            self.__exit__()
            raise RuntimeError(f"the hub did not start: {self.said()[-2000:]}") from None
        return self

    def said(self):
        return self.log.read_text()

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("it has ended")
        try:
            return requests.get(f"{self.address}/hub/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def wait_for(condition, otherwise, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.2)
    raise RuntimeError(f"{otherwise} within {seconds} s")


@dataclass
class Cell:
    """What one cell gave."""

    status: str
    seconds: float
    messages: list = field(default_factory=list)

    @property
    def text(self):
        parts = []
        for message in self.messages:
            content = message["content"]
            parts.append(content.get("text") or content.get("evalue") or content.get("data", {}).get("text/plain") or "")
        return "".join(parts)


class Learner:
    """A learner with a browser."""

    def __init__(self, hub, name):
        self.hub, self.name = hub, name
        self.browser = requests.Session()
        self.base = f"{hub.address}/user/{name}"
        self.socket = None

    def token(self, path):
        """What a page of the hub's or of the server's has to send back with each request."""
        found = [cookie.value for cookie in self.browser.cookies if cookie.name == "_xsrf" and cookie.path == path]
        return found[0] if found else ""

    def log_in(self, password=None):
        self.browser.get(f"{self.hub.address}/hub/login").raise_for_status()
        form = {"username": self.name, "password": password or self.hub.password, "_xsrf": self.token("/hub/")}
        return self.browser.post(f"{self.hub.address}/hub/login", data=form, allow_redirects=False)

    def start(self):
        """Starts the server and waits as the hub's page does; leaves the browser where the lesson opens."""
        page = self.browser.get(f"{self.hub.address}/hub/spawn/{self.name}")
        if page.status_code >= 400:
            raise RuntimeError(f"{self.name}: {page.status_code}: {page.text}")
        if "/hub/spawn-pending/" in page.url:
            self.wait_for_server()
        lab = self.browser.get(f"{self.base}/lab")
        lab.raise_for_status()

    def wait_for_server(self):
        url = f"{self.hub.address}/hub/api/users/{self.name}/server/progress"
        headers = {"Referer": f"{self.hub.address}/hub/spawn-pending/{self.name}", "Accept": "text/event-stream"}
        with self.browser.get(url, params={"_xsrf": self.token("/hub/")}, headers=headers, stream=True) as events:
            events.raise_for_status()
            for line in events.iter_lines(decode_unicode=True):
                event = json.loads(line[5:]) if line.startswith("data:") else {}
                if event.get("ready"):
                    return
                if event.get("failed"):
                    raise RuntimeError(f"{self.name}: {event}")
        raise RuntimeError(f"{self.name}: the server is not ready")

    def call(self, method, path, **keywords):
        """A request to the learner's own server."""
        headers = {"X-XSRFToken": self.token(f"/user/{self.name}/")}
        answer = self.browser.request(method, f"{self.base}/api/{path}", headers=headers, **keywords)
        if not answer.ok:
            raise RuntimeError(f"{self.name}: {method} {path}: {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def open(self, notebook):
        """Opens a notebook: its code cells by their ids, and a kernel that is ready."""
        content = self.call("GET", f"contents/notebooks/{notebook}")["content"]
        session = {"path": f"notebooks/{notebook}", "type": "notebook", "name": notebook}
        session["kernel"] = {"name": content["metadata"]["kernelspec"]["name"]}
        self.kernel = self.call("POST", "sessions", json=session)["kernel"]["id"]
        self.connect()
        self.run("")
        return {cell["id"]: cell["source"] for cell in content["cells"] if cell["cell_type"] == "code"}

    def connect(self):
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.browser.cookies)
        self.session = uuid.uuid4().hex
        address = self.base.replace("http", "ws", 1)
        url = f"{address}/api/kernels/{self.kernel}/channels?session_id={self.session}"
        self.socket = websocket.create_connection(url, cookie=cookies, origin=self.hub.address, timeout=PATIENCE)

    def send(self, code):
        message = {
            "header": {
                "msg_id": uuid.uuid4().hex,
                "msg_type": "execute_request",
                "session": self.session,
                "username": self.name,
                "version": "5.3",
                "date": "",
            },
            "parent_header": {},
            "metadata": {},
            "content": {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "user_expressions": {}},
            "channel": "shell",
            "buffers": [],
        }
        self.socket.send(json.dumps(message))
        return message["header"]["msg_id"]

    def run(self, code, shown=None):
        """Runs a cell; `shown` is called at what it shows."""
        begin = time.monotonic()
        request = self.send(code)
        cell = Cell("", 0)
        idle = False
        while not (idle and cell.status):
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "execute_reply":
                cell.status = content["status"]
            elif kind == "status":
                idle = content["execution_state"] == "idle"
            else:
                cell.messages.append(message)
                if shown and kind in ("stream", "display_data", "update_display_data"):
                    shown()
        cell.seconds = time.monotonic() - begin
        return cell

    def interrupt(self):
        self.call("POST", f"kernels/{self.kernel}/interrupt")

    def restart(self):
        self.socket.close()
        self.call("POST", f"kernels/{self.kernel}/restart")
        self.connect()
        self.run("")

    def log_out(self):
        """The hub then stops the server: this waits until nothing of the learner's runs."""
        if self.socket:
            self.socket.close()
        self.browser.get(f"{self.hub.address}/hub/logout").raise_for_status()
        wait_for(lambda: not processes(self.name), f"{self.name}'s processes did not end")


def user_number(name):
    return int(subprocess.run(["id", "-u", name], check=True, capture_output=True, text=True).stdout)


def processes(name):
    """The numbers of a user's processes."""
    user = user_number(name)
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == user and "State:\tZ" not in (entry / "status").read_text():
                found.append(int(entry.name))
    return found


def memory(name):
    """What a user's processes take, in MB: what several of them share counts once."""
    total = 0
    for process in processes(name):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE).group(1))
    return total / 1024


def disk(name):
    """What lies in a user's home folder, in MB."""
    told = subprocess.run(["du", "-sk", Path(f"~{name}").expanduser()], capture_output=True, text=True)
    return int(told.stdout.split()[0]) / 1024


def remove_users(names):
    """Removes users with all that is theirs, if they are there."""
    for name in names:
        if subprocess.run(["id", name], capture_output=True).returncode == 0:
            for process in processes(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            wait_for(lambda name=name: not processes(name), f"{name}'s processes did not end", 60)
            subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


def short(source, fraction):
    """Whatever a cell's training is, one epoch on a fraction of the images."""
    epoch = "Fit::epochs(1)" + (f".fraction({fraction})" if fraction < 1 else "")
    return re.sub(r"Fit::epochs\(\d+\)", epoch, source)


def check(cell, what):
    if cell.status != "ok":
        raise RuntimeError(f"{what}: {cell.text[-500:]}")
    return cell.seconds


def session(learner, fraction, measured):
    """All that one learner does; what it took, by name, goes into `measured`."""
    begin = time.monotonic()
    answer = learner.log_in()
    if answer.status_code != 302:
        raise RuntimeError(f"{learner.name}: no login: {answer.status_code}")
    learner.start()
    measured["server"] = time.monotonic() - begin
    cells = learner.open("lesson.en.ipynb")
    measured["ready"] = time.monotonic() - begin
    measured["memory, ready"] = memory(learner.name)
    measured["disk, ready"] = disk(learner.name)
    sources = list(cells.values())
    for number, source in enumerate(sources[:3], 1):
        measured[f"cell {number}"] = check(learner.run(short(source, fraction)), f"{learner.name}, cell {number}")
    measured["disk, worked"] = disk(learner.name)
    measured["interrupt"] = interrupt(learner)
    begin = time.monotonic()
    learner.restart()
    measured["restart"] = time.monotonic() - begin
    check(learner.run(sources[0]), f"{learner.name}, the first cell again")
    learner.log_out()
    measured["disk, left"] = disk(learner.name)


def interrupt(learner):
    """Interrupts a training that would take an hour; how long its end takes."""
    asked = []

    def shown():
        if not asked:
            asked.append(time.monotonic())
            learner.interrupt()

    training = "model.fit(&training_images, &training_labels, Fit::epochs(500))?;"
    check(learner.run(training, shown), f"{learner.name}, a training that is interrupted")
    return time.monotonic() - asked[0]


def watch(names, ended, peaks):
    """Notes the largest memory of each user, and of all together."""
    while not ended.wait(1):
        now = {name: memory(name) for name in names}
        for name, megabytes in (*now.items(), ("all", sum(now.values()))):
            peaks[name] = max(peaks.get(name, 0), megabytes)


def load(hub, names, fraction):
    """Learners of these names at once: the lines of the table by their own names."""
    learners = [Learner(hub, name) for name in names]
    for learner in learners:
        # Their users must be there before anyone asks what they take.
        learner.log_in()
    measured = [{} for _ in learners]
    faults, peaks, ended = [], {}, threading.Event()

    def one(learner, results):
        try:
            session(learner, fraction, results)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is told when all are done
            faults.append(f"{learner.name}: {fault}")

    watcher = threading.Thread(target=watch, args=([learner.name for learner in learners], ended, peaks))
    watcher.start()
    threads = [threading.Thread(target=one, args=pair) for pair in zip(learners, measured, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    watcher.join()
    if faults:
        raise RuntimeError("\n".join(faults))
    table = {name: statistics.median(one[name] for one in measured) for name in measured[0]}
    table["ready, the last"] = max(one["ready"] for one in measured)
    table["memory, at the peak"] = max(peaks[learner.name] for learner in learners)
    table["memory, all at the peak"] = peaks["all"]
    return table


LINES = {
    "server": ("own server after the login", "s"),
    "ready": ("kernel ready after the login", "s"),
    "ready, the last": ("… the last learner's", "s"),
    "cell 1": ("cell 1, the crate", "s"),
    "cell 2": ("cell 2, dense net, one epoch", "s"),
    "cell 3": ("cell 3, CNN, one epoch", "s"),
    "interrupt": ("interrupt, until the cell has ended", "s"),
    "restart": ("restart, until the kernel is ready", "s"),
    "memory, ready": ("memory of a learner, kernel ready", "MB"),
    "memory, at the peak": ("memory of a learner, at the peak", "MB"),
    "memory, all at the peak": ("memory of all learners, at the peak", "MB"),
    "disk, ready": ("disk of a learner, kernel ready", "MB"),
    "disk, worked": ("disk of a learner, after three cells", "MB"),
    "disk, left": ("disk of a learner, logged out", "MB"),
}


def print_table(columns):
    print("| learners at once | " + " | ".join(str(number) for number in columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for name, (text, unit) in LINES.items():
        digits = 0 if unit == "MB" else 1
        values = " | ".join(f"{table[name]:,.{digits}f} {unit}" for table in columns.values())
        print(f"| {text} | {values} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("learners", nargs="*", type=int, default=[1, 3, 10])
    parser.add_argument("--fraction", type=float, default=1.0)
    arguments = parser.parse_args()
    names = [f"{NAMES}{one}" for one in range(1, max(arguments.learners) + 1)]
    columns = {}
    try:
        for number in arguments.learners:
            remove_users(names)
            with Hub(f"--JupyterHub.active_server_limit={number}", environment={"SVERTKA_LANG": "en"}) as hub:
                columns[number] = load(hub, names[:number], arguments.fraction)
                print(f"{number}: {json.dumps(columns[number])}", file=sys.stderr)
    finally:
        remove_users(names)
    print_table(columns)


if __name__ == "__main__":
    main()
