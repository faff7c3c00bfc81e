"""Makes the README's picture of the explorer: a page that `.save` wrote, used for a moment in Chromium.

    environment/setup --browser
    environment/.venv/bin/python environment/explorer_picture.py network.html notebooks/explorer.png

The page is that of the lesson's CNN, with `.names(class_names).labels(&test_labels)`, saved by a cell at the lesson's end.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# As wide as a README shows it, and twice as sharp.
WIDTH, HEIGHT = 1000, 970
# The filter to which the image means most in every layer, and the brightest pixel of what the second convolution makes of it.
LIVELY = """() => {
    const {app} = explorer;
    const maps = [...app.layers.keys()].filter(app.hasMaps);
    const map = (layer, filter) => {
        const area = app.layers[layer].to[1] * app.layers[layer].to[2];
        return [...app.slot().outputs[layer].subarray(filter * area, (filter + 1) * area)];
    };
    const bright = (layer, filter) => {
        const numbers = map(layer, filter);
        const most = Math.max(...numbers);
        return most ? numbers.filter(number => number > most / 3).length / numbers.length : 0;
    };
    const score = filter => Math.min(...maps.map(layer => 0.25 - Math.abs(0.25 - bright(layer, filter))));
    const filters = [...Array(app.layers[maps[0]].to[0]).keys()].sort((a, b) => score(b) - score(a));
    const numbers = map(maps[2], filters[0]);
    const at = numbers.indexOf(Math.max(...numbers));
    const columns = app.layers[maps[2]].to[2];
    return [filters[0], (Math.floor(at / columns) + 0.5) / app.layers[maps[2]].to[1], (at % columns + 0.5) / columns];
}"""


def main(source, target):
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        options = {"viewport": {"width": WIDTH, "height": HEIGHT}, "device_scale_factor": 1.5, "color_scheme": "light"}
        page = browser.new_context(**options).new_page()
        page.goto(Path(source).resolve().as_uri())
        choice, down, across = page.evaluate(LIVELY)
        page.locator("#filter").fill(str(choice))
        page.locator("#filter").blur()
        box = page.locator("#row figure").nth(3).locator("canvas").first.bounding_box()
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        page.wait_for_timeout(500)
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
