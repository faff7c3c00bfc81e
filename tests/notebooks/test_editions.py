"""The Russian and the English edition of a notebook are one notebook: same cells, same code, same figures in the prose."""

import re
from collections import Counter

import pytest
from conftest import FILES, NAMES, NOTEBOOKS, PROJECT, code_cells, fenced, original, prose_cells

import nbformat


@pytest.fixture(params=NAMES)
def editions(request):
    return original(f"{request.param}.ru.ipynb"), original(f"{request.param}.en.ipynb")


def test_same_cells(editions):
    russian, english = ([(cell.id, cell.cell_type) for cell in edition.cells] for edition in editions)
    assert russian == english


def test_same_code_byte_for_byte(editions):
    russian, english = ({cell.id: cell.source for cell in code_cells(edition)} for edition in editions)
    assert russian == english


def test_same_kernel(editions):
    for edition in editions:
        assert edition.metadata.kernelspec == {"display_name": "Rust (svertka)", "language": "rust", "name": "svertka"}


def figures(text, language):
    """The numbers of a text, however its language writes thousands: 60 000 and 60,000."""
    separator = r"[ \u00a0\u202f]" if language == "ru" else ","
    text = re.sub(rf"(?<=\d){separator}(?=\d{{3}}\b)", "", text)
    return Counter(re.findall(r"\d+(?:\.\d+)?", text))


def test_figures_reads_both_notations():
    assert figures("60 000 картинок, 89.4 % и 0.25", "ru") == figures("60,000 images, 89.4% and 0.25", "en")
    assert figures("5 из 10", "ru") != figures("5 of 100", "en")


def test_same_prose_in_other_words(editions):
    """What no translation changes: headings, code, numbers, the things that links lead to."""
    for russian, english in zip(*map(prose_cells, editions)):
        name = english.id
        assert fenced(russian.source) == fenced(english.source), name
        assert figures(russian.source, "ru") == figures(english.source, "en"), name
        for mark in (r"(?m)^#+ ", r"(?m)^\d+\. ", r"(?m)^- ", r"(?m)^> ", r"(?m)^\|", "<details>"):
            counts = [re.findall(mark, prose.source) for prose in (russian, english)]
            assert counts[0] == counts[1], f"{name}: {mark}"
        links = [re.findall(r"\]\((.*?\)?)\)", prose.source) for prose in (russian, english)]
        # Each edition links to the other.
        links = [sorted(link.replace(".ru.", ".en.") for link in found) for found in links]
        assert links[0] == links[1], name


def test_english_is_english(editions):
    _, english = editions
    for prose in prose_cells(english):
        assert not re.search("[а-яё]", prose.source, flags=re.IGNORECASE), prose.id


@pytest.mark.parametrize("file", FILES)
def test_valid_and_finished(file):
    notebook = original(file)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    for cell in notebook.cells:
        assert not re.search("[⟦⟧]", cell.source), f"{cell.id}: a figure still to be filled in"


def test_code_cells_speak_no_language():
    for file in FILES:
        for cell in code_cells(original(file)):
            assert not re.search("[а-яё]|//", cell.source, flags=re.IGNORECASE), f"{file}, {cell.id}"


CARDS = [f"python-to-rust.{language}.md" for language in ("ru", "en")]


def test_cards_are_one_card():
    russian, english = ((NOTEBOOKS / card).read_text(encoding="utf-8") for card in CARDS)
    assert fenced(russian) == fenced(english)
    for mark in (r"(?m)^#+ ", r"(?m)^- ", r"(?m)^\| `.*?` \|"):
        assert re.findall(mark, russian) == re.findall(mark, english), mark
    assert not re.search("[а-яё]", english, flags=re.IGNORECASE)


@pytest.mark.parametrize("file", FILES)
def test_every_notebook_leads_to_the_others(file):
    name, language, _ = file.split(".")
    first = prose_cells(original(file))[0].source
    linked = {link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", first)}
    other = "en" if language == "ru" else "ru"
    wanted = {f"{each}.{language}.ipynb" for each in NAMES if each != name} | {f"{name}.{other}.ipynb"}
    assert linked >= wanted | {f"python-to-rust.{language}.md", "../README.md"}


@pytest.mark.parametrize("file", [*FILES, *CARDS, "README.md"])
def test_links_lead_somewhere(file):
    if file == "README.md":
        folder, texts = PROJECT, [(PROJECT / file).read_text(encoding="utf-8")]
    elif file in CARDS:
        folder, texts = NOTEBOOKS, [(NOTEBOOKS / file).read_text(encoding="utf-8")]
    else:
        folder, texts = NOTEBOOKS, [cell.source for cell in prose_cells(original(file))]
    for text in texts:
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"https?:|#", link):
                assert (folder / link.split("#")[0]).is_file(), link


def test_readme_is_finished():
    assert not re.search("[⟦⟧]", (PROJECT / "README.md").read_text(encoding="utf-8"))
