"""A class on one machine: JupyterHub's settings. environment/class/run starts JupyterHub with them, and each can be overruled
on its command line: `--JupyterHub.active_server_limit=5`.
"""

import os
import stat
import sys
from pathlib import Path

from jupyterhub.auth import LocalAuthenticator
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

c = get_config()  # noqa: F821 - JupyterHub brings it
HERE = Path(__file__).resolve().parent
# The hub's secrets and its memory, in a folder that only root can enter.
HUB = Path(os.environ["SVERTKA_CLASS_HUB"])
GIB = 1 << 30

# What a learner's server is.
load_subconfig(str(HERE / "learners.py"))  # noqa: F821

# --- where it listens ------------------------------------------------------------------------------------------------------

# Only this machine reaches it. For a class: --ip=0.0.0.0 with --ssl-key and --ssl-cert, since passwords come this way.
c.JupyterHub.ip = "127.0.0.1"
c.JupyterHub.port = 8000

c.JupyterHub.cookie_secret_file = str(HUB / "cookie_secret")
c.JupyterHub.db_url = f"sqlite:///{HUB / 'hub.sqlite'}"
c.ConfigurableHTTPProxy.pid_file = str(HUB / "proxy.pid")

# --- who gets in -----------------------------------------------------------------------------------------------------------

LEARNERS = "svertka-class"  # a group of this machine


class ClassPassword(LocalAuthenticator, SharedPasswordAuthenticator):
    """One password for all, and any name: one that is new becomes a user of this machine.

    Whoever knows the password can come in by any other learner's name, but by none that this machine has for other purposes.
    """

    def check_allowed(self, username, authentication=None):
        try:
            self._getpwnam(username)
        except KeyError:
            return True
        return self.check_allowed_groups(username, authentication)


def class_password(file):
    """The password in a file's first line."""
    if stat.S_IMODE(os.stat(file).st_mode) & 0o077:
        sys.exit(f"jupyterhub_config.py: others can read {file}: chmod 600 {file}")
    return Path(file).read_text(encoding="utf-8").partition("\n")[0]


# environment/class/run --password FILE
if os.environ.get("SVERTKA_CLASS_PASSWORD"):
    c.JupyterHub.authenticator_class = ClassPassword
    c.ClassPassword.user_password = class_password(os.environ["SVERTKA_CLASS_PASSWORD"])
    c.ClassPassword.allowed_groups = {LEARNERS}
    c.ClassPassword.username_pattern = "[a-z][a-z0-9_-]{0,30}"
    c.ClassPassword.create_system_users = True
    c.ClassPassword.add_user_cmd = ["useradd", "--create-home", "--shell=/bin/bash", f"--groups={LEARNERS}"]
    # For nobody else to look into.
    c.ClassPassword.add_user_cmd += ["--key=HOME_MODE=0700"]
else:
    # The users of this machine, by their own passwords. `c.PAMAuthenticator.allowed_groups = {"class"}` instead of the next
    # line lets in a group alone.
    c.JupyterHub.authenticator_class = "pam"
    c.PAMAuthenticator.allow_all = True
    c.PAMAuthenticator.blocked_users = {"root"}

# --- what a learner may take -----------------------------------------------------------------------------------------------

# So many servers at once as there is memory for, of 1 GB each beside 2 GB for all else; whoever comes later is told to wait.
memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
c.JupyterHub.active_server_limit = max(1, (memory - 2 * GIB) // GIB)
# A learner who logs out gives back the memory; the notebooks stay.
c.JupyterHub.shutdown_on_logout = True

if Path("/run/systemd/system").is_dir():
    # The limit of learners.py holds for all that a learner runs: what takes most of it ends, the server goes on.
    c.JupyterHub.spawner_class = "systemd"
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.unit_extra_properties = {"OOMPolicy": "continue"}
else:
    # It holds for each process of a learner's.
    c.JupyterHub.spawner_class = "localprocess"
