"""A notebook in the browser, used as a person uses it: by its keys, its buttons and its looks."""

import json
import re
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

PROJECT = Path(__file__).resolve().parents[2]
SCREENSHOTS = PROJECT / "target" / "browser"
# Seconds that a cell may take. The machine may have other work.
PATIENCE = 180
expect.set_options(timeout=30_000)

# Notes in `window.looks` what a cell shows, in every frame in which that has changed.
WATCH = """index => {
    const cell = document.querySelector(`.jp-Notebook .jp-Cell[data-windowed-list-index="${index}"]`);
    window.looks = [];
    window.watching = true;
    let last = '';
    const look = () => {
        const outputs = [...cell.querySelectorAll('.jp-OutputArea-child')];
        const bars = [...cell.querySelectorAll('.jp-OutputArea-output [role="progressbar"] > div')];
        const pictures = [...cell.querySelectorAll('.jp-OutputArea-output img')];
        const seen = {
            running: cell.querySelector('.jp-InputPrompt').textContent.includes('*'),
            outputs: outputs.length,
            height: Math.round(cell.querySelector('.jp-Cell-outputArea')?.getBoundingClientRect().height ?? 0),
            bars: bars.map(bar => [outputs.findIndex(output => output.contains(bar)), bar.getBoundingClientRect().width,
                                   bar.closest('.jp-OutputArea-output').textContent]),
            pictures: pictures.map(picture => picture.complete ? picture.src.slice(-200) + picture.src.length : ''),
        };
        const text = JSON.stringify(seen);
        if (text != last) {
            last = text;
            window.looks.push({...seen, time: performance.now()});
        }
        if (window.watching) requestAnimationFrame(look);
    };
    look();
}"""


def edit(source, target, changes):
    """Copies a notebook, without outputs and with a text in some cells replaced."""
    notebook = json.loads(source.read_text())
    changes = dict(changes)
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        cell["outputs"] = []
        cell["execution_count"] = None
        if cell["id"] in changes:
            old, new = changes.pop(cell["id"])
            text = "".join(cell["source"])
            assert old in text, f"{source.name}, cell {cell['id']}: no {old}"
            cell["source"] = text.replace(old, new)
    assert not changes, f"{source.name} has no cells {list(changes)}"
    target.write_text(json.dumps(notebook, ensure_ascii=False, indent=1))


class Notebook:
    def __init__(self, page, file):
        self.page = page
        cells = json.loads((PROJECT / "notebooks" / file).read_text())["cells"]
        self.ids = [cell["id"] for cell in cells]
        self.kinds = [cell["cell_type"] for cell in cells]
        expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(len(cells), timeout=60_000)

    def wait_for_kernel(self):
        # As the bar at the bottom tells; the sign above the notebook says so before there is a kernel.
        expect(self.page.get_by_text("Rust (svertka) | Idle")).to_be_visible(timeout=PATIENCE * 1000)

    def index(self, cell):
        return self.ids.index(cell) if isinstance(cell, str) else cell

    def cell(self, cell):
        """By its id in the notebook, or by its place."""
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{self.index(cell)}"]')

    def outputs(self, cell):
        return self.cell(cell).locator(".jp-OutputArea-child .jp-OutputArea-output")

    def text(self, cell):
        return "\n".join(self.outputs(cell).all_inner_texts())

    def click(self, cell):
        """Clicks beside the cell's text: the cell is chosen, and keys are commands."""
        self.cell(cell).locator(".jp-InputPrompt").click()

    def start(self, cell):
        self.click(cell)
        self.page.keyboard.press("Shift+Enter")
        expect(self.prompt(cell)).to_have_text(re.compile(r"\[(\*|\d+)\]:"))

    def prompt(self, cell):
        return self.cell(cell).locator(".jp-InputPrompt")

    def wait(self, cell):
        """Until the cell has run; an error in it ends the test."""
        expect(self.prompt(cell)).to_have_text(re.compile(r"\[\d+\]:"), timeout=PATIENCE * 1000)
        # The number comes with the reply, which may overtake the last outputs.
        self.wait_for_kernel()
        expect(self.cell(cell).locator('[data-mime-type="application/vnd.jupyter.stderr"]')).to_have_count(0)

    def run(self, cell):
        self.start(cell)
        self.wait(cell)

    @contextmanager
    def watched(self, cell):
        """Runs the cell, and notes what it shows. The notes are complete when the block has ended."""
        looks = []
        self.click(cell)
        self.page.evaluate(WATCH, self.index(cell))
        self.page.keyboard.press("Shift+Enter")
        expect(self.prompt(cell)).to_have_text(re.compile(r"\[(\*|\d+)\]:"))
        yield looks
        self.wait(cell)
        looks += self.page.evaluate("() => { window.watching = false; return window.looks }")

    def type_at_end(self, text):
        """Makes a new last cell with this text, and gives its place."""
        self.click(len(self.ids) - 1)
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("b")
        self.ids.append("")
        self.kinds.append("code")
        place = len(self.ids) - 1
        expect(self.cell(place)).to_have_class(re.compile("jp-mod-active"))
        self.page.keyboard.press("Enter")
        for number, line in enumerate(text.splitlines()):
            if number:
                self.page.keyboard.press("Enter")
            self.page.keyboard.type(line)
        assert self.source(place) == text
        return place

    def source(self, cell):
        return "\n".join(self.cell(cell).locator(".cm-line").all_inner_texts())

    def wait_for_bar(self, cell):
        """Until it is seen, and somewhat filled."""
        bar = self.cell(cell).get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile("[1-9]"), timeout=PATIENCE * 1000)

    def screenshot(self, name, cell=None):
        """Of the window, with the end of this cell in view."""
        if cell is not None:
            outputs = self.outputs(cell)
            end = outputs.last if outputs.count() else self.cell(cell)
            # JupyterLab measures cells as they come into view, and may move them once more.
            for _ in range(3):
                end.scroll_into_view_if_needed()
                self.page.wait_for_timeout(200)
            expect(end).to_be_in_viewport()
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
