"""The first exercise, done as a person does it. Each test goes on where the one before it stopped."""

import re

from playwright.sync_api import expect


def test_a_hint_unfolds(exercises, page):
    exercises.cell("task-2").scroll_into_view_if_needed()
    hint = exercises.cell("task-2").locator("details")
    text = hint.get_by_text("проходит сразу по 64 картинкам")
    expect(text).not_to_be_visible()
    hint.locator("summary").click()
    expect(text).to_be_visible()


def test_the_first_exercise(exercises, page):
    for cell in ("setup", "data", "lesson-net", "prediction-1", "try-1", "check-1"):
        exercises.run(cell)
    exercises.screenshot("exercise-table", "try-1")
    assert "Пока нет" in exercises.text("check-1")
    rows = [row.inner_text().split("\t") for row in exercises.cell("try-1").locator("table tbody tr").all()]
    assert [row[-2].strip() for row in rows] == ["", "50.0"]

    # The learner changes the cell: both numbers, each chosen by a double click, and the name.
    cell = exercises.cell("try-1")
    name, *_ = [line for line in cell.locator(".cm-line").all() if "lab.run" in line.inner_text()]
    name.click()
    page.keyboard.press("Home")
    for _ in 'lab.run("':
        page.keyboard.press("ArrowRight")
    for _ in "32-32":
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.type("16-16")
    for _ in range(2):
        cell.get_by_text("32", exact=True).first.dblclick()
        page.keyboard.type("16")
    assert exercises.source("try-1").count("conv2d(16, (3, 3), Relu)") == 2
    exercises.screenshot("exercise-changed", "try-1")
    page.keyboard.press("Shift+Enter")
    exercises.wait("try-1")
    exercises.screenshot("exercise-run", "try-1")
    rows = [row.inner_text().split("\t") for row in cell.locator("table tbody tr").all()]
    assert [row[0].strip() for row in rows] == ["64-64", "32-32", "16-16"]
    expect(cell.locator("img")).to_have_count(1)

    exercises.run("check-1")
    exercises.screenshot("exercise-check", "check-1")
    assert re.search("Сделано", exercises.text("check-1"))
    assert "16-16" in exercises.text("check-1")
    # Last, since it stands far below: what JupyterLab has out of sight it takes out of the page.
    look_inside(exercises)


def look_inside(exercises):
    """The network as a page, in the place of its still picture, as tall as it is."""
    exercises.run("explorer")
    cell = exercises.cell("explorer")
    expect(cell.locator("iframe")).to_have_count(1)
    expect(cell.locator("[data-explorer]")).to_be_hidden()
    page = cell.frame_locator("iframe")
    expect(page.get_by_role("heading", name="Сеть изнутри")).to_be_visible()
    expect(page.get_by_text("слоёв: 7")).to_be_visible()
    expect(page.locator("#row figure")).to_have_count(5)
    page.get_by_role("radio").nth(3).click()
    expect(page.locator(".editor h2").first).to_contain_text("№ 3 ")
    height = cell.locator("iframe").bounding_box()["height"]
    inside = page.locator("html").evaluate("html => html.offsetHeight")
    assert abs(height - inside) <= 2, (height, inside)
    exercises.screenshot("explorer", "explorer")


def test_nothing_came_from_elsewhere(page):
    assert page.strangers == []
    assert page.troubles == []
