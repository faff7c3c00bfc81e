"""Starts JupyterLab as the learner does, with `environment/lesson`, and opens it in Chromium.

The notebooks in the browser are copies in a temporary folder, with less to train. Their kernels work in the checkout's own
`notebooks/` all the same, so that `:dep svertka = { path = ".." }` means the crate that set-up has built. JupyterLab's
settings, layout and signatures are kept apart from the learner's.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from pages import PROJECT, SCREENSHOTS, Notebook, edit

# What each cell has instead, to be quick: the same calls, fewer images. By notebook, by cell.
QUICKER = {
    "lesson.ru.ipynb": {
        "dense-net": ("Fit::epochs(5)", "Fit::epochs(9)"),
        "convolutional-net": ("Fit::epochs(5)", "Fit::epochs(3).fraction(0.02)"),
        "digits": ("Fit::epochs(10)", "Fit::epochs(2).fraction(0.05)"),
    },
    "exercises.ru.ipynb": {
        "lesson-net": ("Fit::epochs(3).fraction(0.2)", "Fit::epochs(2).fraction(0.02)"),
        "try-1": ("Fit::epochs(3).fraction(0.2)", "Fit::epochs(2).fraction(0.02)"),
    },
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keeps what the page looked like when a test failed."""
    report = yield
    if report.failed and "page" in item.fixturenames and "page" in item.funcargs:
        item.funcargs["page"].screenshot(path=SCREENSHOTS / f"failed-{item.name}.png")
    return report


@pytest.fixture(scope="module")
def lab():
    """What a running JupyterLab tells of itself. A new one for each file: it remembers which notebooks were open."""
    with tempfile.TemporaryDirectory(prefix="svertka-browser-") as folder:
        folder = Path(folder)
        copies = folder / "root" / "notebooks"
        copies.mkdir(parents=True)
        for source in (PROJECT / "notebooks").glob("*.ipynb"):
            edit(source, copies / source.name, QUICKER.get(source.name, {}))
        # Beside what environment/lesson sets: where the pages come from, and that no browser is opened.
        config = {
            "ServerApp": {"open_browser": False},
            "FileContentsManager": {"root_dir": str(folder / "root")},
            "NotebookNotary": {"db_file": ":memory:"},
        }
        (folder / "config").mkdir()
        (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
        variables = {
            **os.environ,
            "JUPYTER_CONFIG_PATH": str(folder / "config"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        }
        # The notebook's language, as environment/lesson takes it.
        variables.pop("SVERTKA_LANG", None)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        with (SCREENSHOTS / "jupyterlab.log").open("a") as log:
            server = subprocess.Popen(
                [PROJECT / "environment" / "lesson"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
            )
            try:
                yield address(server)
            finally:
                stop(server)


def address(server):
    # The script becomes the server, which writes down where it is under its own number.
    about = PROJECT / "environment" / ".jupyter" / "runtime" / f"jpserver-{server.pid}.json"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        if about.exists() and (text := about.read_text()):
            return json.loads(text)
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: see {SCREENSHOTS / 'jupyterlab.log'}")


def stop(server):
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def browser():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Chromium is missing: run environment/setup --browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            headless=True,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser, lab):
    """An empty page in a window as large as a small laptop's, which remembers nothing of the other tests."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.strangers = []
    page.troubles = []

    def request(request):
        if not request.url.startswith((lab["url"], "data:", "blob:", lab["url"].replace("http", "ws", 1))):
            page.strangers.append(request.url)

    page.on("request", request)
    page.on("pageerror", lambda trouble: page.troubles.append(str(trouble)))
    yield page
    context.close()


@pytest.fixture(scope="module")
def lesson(page, lab):
    """The lesson, as it opens by itself at the address that JupyterLab tells."""
    page.goto(f"{lab['url']}?token={lab['token']}")
    notebook = Notebook(page, "lesson.ru.ipynb")
    # Nobody is left to guess for what JupyterLab waits.
    expect(page.get_by_text("Rust (svertka) | Starting")).to_be_visible(timeout=60_000)
    notebook.wait_for_kernel()
    return notebook


@pytest.fixture(scope="module")
def exercises(page, lab):
    page.goto(f"{lab['url']}lab/tree/notebooks/exercises.ru.ipynb?token={lab['token']}")
    notebook = Notebook(page, "exercises.ru.ipynb")
    notebook.wait_for_kernel()
    return notebook
