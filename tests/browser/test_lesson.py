"""The lesson, run from top to bottom as a person runs it. Each test goes on where the one before it stopped."""

import re

from playwright.sync_api import expect

from pages import PATIENCE


def moves_in_place(looks):
    """What was seen of the bars: while there was one, it was the only one, grew, and nothing jumped."""
    with_bar = [look for look in looks if look["bars"]]
    assert with_bar, "no bar was seen"
    assert all(len(look["bars"]) == 1 for look in with_bar), "several bars at once"
    assert all(look["running"] for look in with_bar)
    assert len({look["bars"][0][0] for look in with_bar}) == 1, "the bar jumps to another output"
    first, last = looks.index(with_bar[0]), looks.index(with_bar[-1])
    heights = [look["height"] for look in looks[first : last + 1]]
    assert min(heights) > 10, f"what is below the bar jumps: {heights}"
    return with_bar


def test_it_opens_by_itself(lesson, page):
    expect(page).to_have_url(re.compile(r"/lab/tree/notebooks/lesson\.ru\.ipynb"))
    expect(page.get_by_role("heading", name="Свёртки: как научить сеть видеть точнее")).to_be_visible()
    # No question about news lies over it.
    expect(page.locator(".Toastify__toast, .jp-Dialog")).to_have_count(0)
    lesson.screenshot("lesson-opened")
    lesson.run("setup")
    assert lesson.outputs("setup").count() == 0


def test_the_bar_moves_in_place(lesson):
    with lesson.watched("dense-net") as looks:
        lesson.wait_for_bar("dense-net")
        lesson.screenshot("progress", "dense-net")
    lesson.screenshot("dense-net", "dense-net")
    seen = moves_in_place(looks)
    bars = [look["bars"][0] for look in seen]
    assert len({width for _, width, _ in bars}) >= 5
    assert len({text for _, _, text in bars}) >= 5
    assert any(later[1] > earlier[1] for earlier, later in zip(bars, bars[1:]))
    # At the end the bar is gone, and the lines of the epochs are there with the score of the test.
    text = lesson.text("dense-net")
    assert re.findall(r"Эпоха (\d)/9", text) == list("123456789")
    assert re.search(r"потери 0\.\d+ · точность 0\.\d+", lesson.outputs("dense-net").last.inner_text())
    assert not looks[-1]["bars"]


def test_the_summary_is_a_table(lesson):
    lesson.run("convolutional-net")
    lesson.screenshot("convolutional-net", "convolutional-net")
    table = lesson.cell("convolutional-net").locator("table")
    expect(table).to_have_count(1)
    rows = [row.inner_text().split("\t") for row in table.locator("tbody tr").all()]
    assert [row[0].strip() for row in rows] == [
        "conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "flatten", "dense", "dense_1",
    ]  # fmt: skip
    assert rows[0][2].strip() == "640"
    assert "243\u00a0786" in table.locator("tfoot").inner_text()
    # Rendered: the columns are one below the other, and the numbers end at the same place.
    ends = [cell.bounding_box() for cell in table.locator("tbody td:nth-child(3)").all()]
    assert len({round(box["x"] + box["width"]) for box in ends}) == 1
    styles = {cell.evaluate("cell => getComputedStyle(cell).textAlign") for cell in table.locator("tbody td:nth-child(3)").all()}
    assert styles == {"right"}


def test_the_grid_has_its_natural_size(lesson):
    lesson.run("labels")
    assert "9" in lesson.text("labels")
    lesson.run("grid")
    picture = lesson.cell("grid").locator("img")
    expect(picture).to_have_count(1)
    lesson.screenshot("grid", "grid")
    natural, shown = picture.evaluate("picture => [picture.naturalWidth, picture.getBoundingClientRect().width]")
    assert shown > 500
    # Two pixels for one, for screens that have as many.
    assert natural == 2 * shown
    # What a screen reader says.
    expect(picture).to_have_attribute("alt", re.compile(r"^Сетка активаций фильтра 1: изображения 0 \([A-Z][^)]+\), 23"))


def test_the_last_cell_runs(lesson):
    lesson.run("digits")
    lesson.screenshot("digits", "digits")
    assert re.fullmatch(r"0\.\d{4}", lesson.text("digits").splitlines()[-1].strip())


def test_the_chart_grows(lesson):
    # As many images as the sample of the digits has: a share of them trains too quickly for a bar.
    cell = lesson.type_at_end(
        "let (images, labels) = (training_images.narrow(0, 0, 4000), training_labels.narrow(0, 0, 4000));\n"
        "let history = model.fit(&images, &labels, Fit::epochs(4).validation(&test_images, &test_labels).plot())?;"
    )
    with lesson.watched(cell) as looks:
        expect(lesson.cell(cell).locator("img")).to_be_visible(timeout=PATIENCE * 1000)
        lesson.screenshot("chart-growing", cell)
    lesson.screenshot("chart", cell)
    moves_in_place(looks)
    assert max(len(look["pictures"]) for look in looks) == 1, "several charts"
    charts = {look["pictures"][0] for look in looks if look["pictures"] and look["pictures"][0] and look["running"]}
    assert len(charts) >= 3, f"the chart was seen in {len(charts)} forms while the training ran"


def interrupt_with_button(page):
    page.locator('jp-button[data-command="notebook:interrupt-kernel"]').click()


def interrupt_with_keys(page):
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.keyboard.press("i")


def test_an_interrupt_keeps_the_model(lesson, page):
    for name, interrupt in {"button": interrupt_with_button, "keys": interrupt_with_keys}.items():
        cell = lesson.type_at_end("model.fit(&training_images, &training_labels, Fit::epochs(500))?;")
        with lesson.watched(cell):
            lesson.wait_for_bar(cell)
            interrupt(page)
        lesson.screenshot(f"interrupted-with-{name}", cell)
        assert "Прервано в эпоху" in lesson.text(cell)
        after = lesson.type_at_end("model.evaluate(&test_images, &test_labels)?")
        lesson.run(after)
        score = re.search(r"точность (0\.\d+)", lesson.text(after))
        # It has been trained for some epochs: chance would be 0.1.
        assert score and float(score[1]) > 0.3
    lesson.screenshot("after-interrupt", after)


def test_a_dark_page(lesson, page):
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text("JupyterLab Dark", exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    lesson.screenshot("dark-summary", "convolutional-net")
    lesson.screenshot("dark-grid", "grid")
    cell = lesson.type_at_end("model.fit(&training_images, &training_labels, Fit::epochs(500))?;")
    lesson.start(cell)
    lesson.wait_for_bar(cell)
    lesson.screenshot("dark-progress", cell)
    interrupt_with_button(page)
    lesson.wait(cell)
    # What has no background of its own can be read: light on dark.
    for place in ("table td", "pre"):
        color = lesson.cell("convolutional-net").locator(place).first.evaluate("part => getComputedStyle(part).color")
        assert min(map(int, re.findall(r"\d+", color)[:3])) > 150, f"{place} is {color}"


def test_nothing_came_from_elsewhere(page):
    assert page.strangers == []
    assert page.troubles == []
