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
WIDTH, HEIGHT = 1000, 790


def main(source, target):
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        options = {"viewport": {"width": WIDTH, "height": HEIGHT}, "device_scale_factor": 1.5, "color_scheme": "light"}
        page = browser.new_context(**options).new_page()
        page.goto(Path(source).resolve().as_uri())
        # The filter and a pixel of the second convolution on which there is something to see.
        page.locator("#filter").evaluate("slider => { slider.value = 1; slider.dispatchEvent(new Event('input')) }")
        box = page.locator("#row figure").nth(3).locator("canvas").first.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.55)
        page.wait_for_timeout(500)
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
