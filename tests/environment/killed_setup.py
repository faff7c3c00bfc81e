"""The long run of set-up: kills it at random moments of a real build, repeats it, and uses what came of it.

    python tests/environment/killed_setup.py [KILLS]

Clones the project into a temporary folder, with a home folder of its own, so that everything is fetched and built. 20 kills
if none are given; each comes 5 to 60 seconds after the start, and ends the script alone or all that it started, or asks the
script to end. At last set-up has to succeed, then once more and, like the lesson, without a network. About 25 minutes. Needs
rustup, and root for the part without a network.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def kill(process, how):
    if how == "the script":
        process.kill()
    elif how == "all of it":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.send_signal(signal.SIGTERM)
    process.wait()


def main(kills):
    with tempfile.TemporaryDirectory(prefix="svertka-set-up-") as folder:
        clone = Path(folder) / "svertka"
        home = Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
        own = ("LIBTORCH", "LD_LIBRARY_PATH", "CARGO_HOME", "CARGO_TARGET_DIR", "XDG_CACHE_HOME")
        environment = {name: value for name, value in os.environ.items() if name not in own and "SVERTKA" not in name}
        environment["HOME"] = str(home)
        environment.setdefault("RUSTUP_HOME", os.path.expanduser("~/.rustup"))

        def start(*command):
            return subprocess.Popen(
                [str(part) for part in command],
                cwd=clone,
                env=environment,
                start_new_session=True,
                stdout=(Path(folder) / "log").open("a"),
                stderr=subprocess.STDOUT,
            )

        def finish(what, *command):
            begin = time.monotonic()
            status = start(*command).wait()
            print(f"{what}: status {status} after {time.monotonic() - begin:.0f} s", flush=True)
            if status != 0:
                sys.exit((Path(folder) / "log").read_text()[-3000:])

        setup = clone / "environment" / "setup"
        done = 0
        while done < kills:
            process = start(setup)
            seconds = random.uniform(5, 60)
            how = random.choice(["the script", "all of it", "asked to end"])
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                kill(process, how)
                done += 1
                print(f"kill {done} after {seconds:.0f} s: {how}", flush=True)
            else:
                print(f"ended by itself: status {status}; once more without what was built", flush=True)
                if status != 0:
                    sys.exit((Path(folder) / "log").read_text()[-3000:])
                shutil.rmtree(clone / "target")
        finish("set-up", setup)
        finish("set-up again", setup)
        finish("set-up without a network", *ALONE, setup)
        notebook = clone / "notebooks" / "lesson.en.ipynb"
        finish("the lesson without a network", *ALONE, clone / "environment" / "lesson", "--run", notebook)
        left = [path for path in (clone / "environment", clone / "target", home) for path in path.rglob("*.part")]
        print("left behind:", left or "nothing")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
