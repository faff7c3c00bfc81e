"""What a learner's server is, for any JupyterHub: environment/class/run takes this, and so does The Littlest JupyterHub.

README.md says how, and how Zero to JupyterHub on Kubernetes says the same.
"""

import os
from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub brings it

# Copies the notebooks, then becomes the learner's own JupyterLab. It runs as the learner.
c.Spawner.cmd = [str(Path(__file__).resolve().with_name("learner"))]
# The language of the lesson that opens, and of what svertka says.
language = "en" if os.environ.get("SVERTKA_LANG", "ru").startswith("en") else "ru"
c.Spawner.default_url = f"/lab/tree/notebooks/lesson.{language}.ipynb"
c.Spawner.environment = {"SVERTKA_LANG": language}
if os.environ.get("SVERTKA_DATA"):
    c.Spawner.environment["SVERTKA_DATA"] = os.environ["SVERTKA_DATA"]

# A learner with the lesson's largest network takes 1 GB at the peak (README.md has a table). With systemd's spawner this is for
# all that a learner runs; without, for each of their processes.
c.Spawner.mem_limit = "2G"
# A first start on a busy machine takes its time.
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120
