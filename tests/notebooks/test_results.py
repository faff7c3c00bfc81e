"""What the notebooks show: one run from top to bottom, without an error, and the results that the lesson promises."""

import base64
import re

import pytest
from conftest import (
    LANGUAGES,
    SAVED_WITHOUT_OUTPUTS,
    cell,
    code_cells,
    data_of,
    executed_folder,
    original,
    results,
    results_files,
    text_of,
)

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(params=LANGUAGES)
def lesson(request):
    return results(f"lesson.{request.param}.ipynb")


def test_there_is_something_to_look_at():
    assert results_files(), f"no notebook of the project in {executed_folder()}"


@pytest.mark.parametrize("file", SAVED_WITHOUT_OUTPUTS)
def test_what_is_for_the_learner_to_make_is_not_saved(file):
    assert not any(cell.outputs or cell.execution_count for cell in code_cells(original(file)))


@pytest.mark.parametrize("file", results_files())
class TestEveryNotebook:
    @pytest.mark.trained
    def test_is_the_projects_own(self, file):
        """An executed notebook that is older than the project's says nothing about it. What is tagged `long` may be shortened."""
        executed, saved = (code_cells(notebook) for notebook in (results(file), original(file)))
        assert [cell.id for cell in executed] == [cell.id for cell in saved]
        for ran, cell in zip(executed, saved, strict=True):
            assert ran.source == cell.source or "long" in cell.metadata.get("tags", []), cell.id

    def test_ran_once_from_top_to_bottom(self, file):
        counts = [cell.execution_count for cell in code_cells(results(file))]
        assert counts == list(range(1, len(counts) + 1))

    def test_no_error_in_any_output(self, file):
        for code in code_cells(results(file)):
            for output in code.outputs:
                assert output.output_type != "error", f"{code.id}: {output.get('evalue')}"
                # A kernel that calls a failed cell a success (evcxr's own) prints what went wrong.
                if output.output_type == "stream":
                    trouble = re.search(r"panicked at|error\[E\d+\]|(?m:^error:)|stack backtrace", output.text)
                    assert not trouble, f"{code.id}: {output.text}"
                    if code.id != "setup":
                        assert output.name != "stderr", f"{code.id}: {output.text}"


def figure_of(code_cell):
    """The bytes of the one picture that a cell shows."""
    pictures = [data_of(output, "image/png") for output in code_cell.outputs if data_of(output, "image/png")]
    assert len(pictures) == 1, f"{code_cell.id}: pictures shown: {len(pictures)}"
    return base64.b64decode(pictures[0])


def last_accuracy(code_cell):
    """The last number between 0 and 1 that a cell shows, as a fraction or in per cent."""
    text = text_of(code_cell)
    found = re.findall(r"(?<![\d.,])(\d{1,3}[.,]\d+)\s*(%?)", text)
    shares = [float(number.replace(",", ".")) / (100 if percent else 1) for number, percent in found]
    shares = [share for share in shares if share <= 1]
    assert shares, f"{code_cell.id} shows no accuracy: {text!r}"
    return shares[-1]


@pytest.mark.trained
def test_dense_net_learns(lesson):
    assert 0.86 <= last_accuracy(cell(lesson, "dense-net")) < 0.95


@pytest.mark.trained
def test_convolutions_learn_more(lesson):
    accuracy = last_accuracy(cell(lesson, "convolutional-net"))
    assert 0.90 <= accuracy < 0.97
    assert accuracy > last_accuracy(cell(lesson, "dense-net"))


def test_convolutional_cell_says_what_is_at_work(lesson):
    text = text_of(cell(lesson, "convolutional-net"))
    for name in ("svertka", "tch", "libtorch"):
        assert re.search(name + r"\s*:?\s*\d+\.\d+", text), f"{name} without a version"
    assert re.search(r"cpu|cuda", text, flags=re.IGNORECASE), "no device"


def test_summary_counts_right(lesson):
    text = text_of(cell(lesson, "convolutional-net"))
    plain = re.sub(r"(?<=\d)[, \u00a0\u202f](?=\d{3}\b)", "", text)
    for parameters in ("640", "36928", "204928", "1290", "243786"):
        assert re.search(rf"\b{parameters}\b", plain), f"{parameters} is missing in the summary"


def test_boots_are_boots(lesson):
    text = text_of(cell(lesson, "labels"))
    names, numbers = text.split("]")[:2]
    assert "Ankle boot" in names
    labels = [int(label) for label in re.findall(r"\d+", numbers)]
    assert len(labels) == 100
    assert labels[0] == labels[23] == labels[28] == 9


def test_grid_is_a_picture(lesson):
    picture = figure_of(cell(lesson, "grid"))
    assert picture.startswith(PNG)
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    assert width >= 600 and height >= 400, f"{width}×{height}"


@pytest.mark.trained
def test_digits_are_read(lesson):
    code = cell(lesson, "digits")
    # Where the full set can't be had, the crate says so, with the sample's 4,000 images to train and 1,000 to test.
    sample = re.search(r"\b4[, \u00a0\u202f]?000\b.*\b1[, \u00a0\u202f]?000\b", text_of(code))
    assert last_accuracy(code) >= (0.90 if sample else 0.98)


@pytest.fixture(params=LANGUAGES)
def inside(request):
    return results(f"inside.{request.param}.ipynb")


INSIDE = ["data", "edges", "kernels", "pooling", "kernel-grid", "learned", "explorer", "digits", "mistakes", "confusion"]


@pytest.mark.parametrize("name", INSIDE)
def test_inside_shows_a_picture(inside, name):
    assert figure_of(cell(inside, name)).startswith(PNG)


@pytest.mark.parametrize("name", ["explorer", "digits"])
def test_inside_holds_the_page_itself(inside, name):
    pages = [data_of(output, "text/html") or "" for output in cell(inside, name).outputs]
    assert sum("<script" in page for page in pages) == 1


@pytest.mark.trained
def test_inside_has_a_network_worth_looking_into(inside):
    assert 0.87 <= last_accuracy(cell(inside, "net")) < 0.95
    # On the validation data; the sample of the digits is too small for more.
    assert last_accuracy(cell(inside, "digits")) >= 0.85


@pytest.mark.trained
def test_shirts_are_hardest(inside):
    """What the prose says of the confusion matrix, by its alternative text.

    It is so in the saved notebook. Of eight seeds two made coats the hardest, and other threads are like another seed.
    """
    text = text_of(cell(inside, "confusion"))
    hardest = re.search(r"(?:hardest class:|хуже всего узнаётся) (\S+) \(", text)
    assert hardest, text
    assert hardest.group(1) in ({"Shirt", "Coat", "Pullover", "T-shirt/top"} if executed_folder() else {"Shirt"})


@pytest.mark.parametrize("name, last", [("exercises", "all-together"), ("solutions", "run-20")])
@pytest.mark.parametrize("language", LANGUAGES)
def test_lab_shows_its_chart_and_every_check_answers(name, last, language):
    notebook = results(f"{name}.{language}.ipynb")
    assert figure_of(cell(notebook, last)).startswith(PNG)
    for number in range(1, 6):
        assert text_of(cell(notebook, f"check-{number}")).strip(), f"check-{number} says nothing"


@pytest.mark.trained
@pytest.mark.parametrize("language", LANGUAGES)
def test_checks_tell_the_stood_from_the_done(language):
    """The exercises as they stand are not done, the solutions are: the checks must not say the same of both."""
    stood, done = (results(f"{name}.{language}.ipynb") for name in ("exercises", "solutions"))
    for number in range(1, 6):
        answers = [text_of(cell(notebook, f"check-{number}")).split()[0] for notebook in (stood, done)]
        assert answers[0] != answers[1], f"check-{number} begins with {answers[0]!r} for both"
