"""What the tests of the notebooks share.

The results are read in one of two places. Without further word it is the notebooks as they are saved in `notebooks/`, all
but the exercises. With SVERTKA_EXECUTED=FOLDER it is the notebooks in that folder, freshly executed: those that are there, under the same
names, and at least one.
"""

import os
import re
from pathlib import Path

import nbformat
import pytest

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = PROJECT / "notebooks"
NAMES = ("lesson", "inside", "exercises", "solutions")
LANGUAGES = ("ru", "en")
FILES = [f"{name}.{language}.ipynb" for name in NAMES for language in LANGUAGES]
# As they stand they train one network five times; what they show is for the learner to make.
SAVED_WITHOUT_OUTPUTS = [f"exercises.{language}.ipynb" for language in LANGUAGES]


def read(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def original(file):
    """A notebook of the project, as it is saved."""
    return read(NOTEBOOKS / file)


def executed_folder():
    folder = os.environ.get("SVERTKA_EXECUTED")
    return Path(folder) if folder else None


def results_files():
    """The notebooks whose outputs are looked at."""
    folder = executed_folder()
    if folder is None:
        return [file for file in FILES if file not in SAVED_WITHOUT_OUTPUTS]
    return [file for file in FILES if (folder / file).is_file()]


def results(file):
    """The notebook with the outputs to look at; a test that needs it is skipped where it was not executed."""
    folder = executed_folder()
    if folder is None:
        if file in SAVED_WITHOUT_OUTPUTS:
            pytest.skip(f"{file} is saved without outputs")
        return original(file)
    if not (folder / file).is_file():
        pytest.skip(f"{file} is not among the notebooks in SVERTKA_EXECUTED")
    return read(folder / file)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def cell(notebook, name):
    """The cell with this id."""
    found = [cell for cell in notebook.cells if cell.id == name]
    assert len(found) == 1, f"cells with the id {name}: {len(found)}"
    return found[0]


def fenced(text):
    """The blocks of Rust code in a text, in their order."""
    return re.findall(r"```rust\n(.*?)\n```", text, flags=re.DOTALL)


def data_of(output, mime):
    """What an output holds in this form, or nothing."""
    return output.get("data", {}).get(mime)


def text_of(code_cell):
    """All that a cell printed and showed, as plain text, in its order."""
    parts = []
    for output in code_cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif data_of(output, "text/plain") is not None:
            parts.append(data_of(output, "text/plain"))
        elif data_of(output, "text/html") is not None:
            parts.append(re.sub(r"<[^>]*>", " ", data_of(output, "text/html")))
    return "\n".join(parts)
