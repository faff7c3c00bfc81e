"""A small client: starts kernels, runs cells, keeps every message with the time at which it came."""

import json
import os
import queue
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client.manager import KernelManager

PROJECT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SVERTKA_KERNEL_BINARY", PROJECT / "target/release/svertka-kernel"))
BUILD = PROJECT / "target" / "kernel"
NAME = "svertka-test"
USE = f":dep svertka = {{ path = \"{PROJECT}\" }}\nuse svertka::prelude::*;"


def install(name, project, libtorch):
    """Installs a kernelspec for a checkout, where JUPYTER_PATH says."""
    spec = {
        "argv": [str(BINARY), "{connection_file}"],
        "display_name": "Rust (svertka)",
        "language": "rust",
        "interrupt_mode": "message",
        "env": {
            "SVERTKA_PROJECT": str(project),
            "LIBTORCH": str(libtorch),
            "LD_LIBRARY_PATH": str(libtorch / "lib"),
        },
    }
    place = Path(os.environ["JUPYTER_PATH"]) / "kernels" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "kernel.json").write_text(json.dumps(spec))


@dataclass
class Cell:
    """What one cell gave: its reply and what came on iopub, each with seconds since the request."""

    reply: dict
    messages: list = field(default_factory=list)
    seconds: float = 0.0

    def of(self, kind):
        return [message["content"] for _, message in self.messages if message["msg_type"] == kind]

    def stream(self, name):
        return "".join(part["text"] for part in self.of("stream") if part["name"] == name)

    @property
    def out(self):
        return self.stream("stdout")

    @property
    def err(self):
        return self.stream("stderr")

    @property
    def status(self):
        return self.reply["status"]

    @property
    def error(self):
        errors = self.of("error")
        assert len(errors) == 1, self.messages
        return errors[0]

    @property
    def result(self):
        results = self.of("execute_result")
        return results[0]["data"]["text/plain"] if results else None

    def time_of(self, kind):
        return [seconds for seconds, message in self.messages if message["msg_type"] == kind]


class Kernel:
    """A running kernel and one client of it."""

    def __init__(self, cwd=None, env=None, log=None, name=NAME, started=True):
        self.began = time.monotonic()
        self.manager = KernelManager(kernel_name=name)
        environment = dict(os.environ, **(env or {}))
        keywords = {"stderr": log} if log else {}
        self.manager.start_kernel(cwd=str(cwd or PROJECT), env=environment, **keywords)
        self.client = self.connect(started)
        self.ready = time.monotonic() - self.began

    def connect(self, started=True):
        """A client. The kernel tells at once what it is; if `started`, this waits until it runs cells."""
        client = self.manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=120)
        if started:
            client.execute_interactive("", silent=True, timeout=120, output_hook=lambda message: None)
        return client

    @property
    def pid(self):
        return self.manager.provisioner.pid

    @property
    def folder(self):
        return BUILD / f"run-{self.pid}"

    def send(self, code, **keywords):
        return self.client.execute(code, **keywords)

    def collect(self, request, timeout=60, seen=None):
        """Waits for the cell's end; calls `seen(message)` for each message as it comes."""
        began = time.monotonic()
        messages = []
        while True:
            left = timeout - (time.monotonic() - began)
            assert left > 0, f"no end after {timeout} s: {messages[-5:]}"
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            messages.append((time.monotonic() - began, message))
            if seen:
                seen(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=10)
            if reply["parent_header"].get("msg_id") == request:
                return Cell(reply["content"], messages, time.monotonic() - began)

    def run(self, code, timeout=60, seen=None, **keywords):
        return self.collect(self.send(code, **keywords), timeout, seen)

    def ok(self, code, **keywords):
        cell = self.run(code, **keywords)
        assert cell.status == "ok", cell.reply
        return cell

    def interrupt(self):
        self.manager.interrupt_kernel()

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)


def descendants(pid):
    """The living processes below a process."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            state, parent = stat.rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents.setdefault(int(parent), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(parents.get(one, []))
    return found[1:]


def memory(pid):
    """A process's resident memory in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def lives(pid):
    """Whether a process runs. One that has ended counts as gone, also when nobody has asked for its end yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=10):
    """Waits until the condition holds, and returns whether it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
