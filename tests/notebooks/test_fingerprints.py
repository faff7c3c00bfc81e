"""Saved outputs are not older than the code that makes them."""

import os
import runpy
from pathlib import Path

import pytest
from conftest import FILES, PROJECT, code_cells, original, read

SAVED = runpy.run_path(str(PROJECT / "environment" / "saved_outputs.py"))


@pytest.mark.parametrize("file", FILES)
def test_outputs_are_of_these_cells(file):
    notebook = original(file)
    saved = notebook.metadata.get("svertka", {}).get("code")
    assert saved == SAVED["code_fingerprint"](notebook), f"the code cells are newer than the outputs: environment/notebooks notebooks/{file}"


@pytest.mark.parametrize("file", FILES)
def test_outputs_are_of_this_crate(file):
    """What the cells show in a short run, made just now by environment/check, is what they showed when they were saved."""
    folder = os.environ.get("SVERTKA_EXECUTED_SHORT")
    if folder is None or not (Path(folder) / file).is_file():
        pytest.skip("no short run of it in SVERTKA_EXECUTED_SHORT")
    saved = original(file).metadata.get("svertka", {}).get("shown")
    shown = SAVED["shown_fingerprint"](read(Path(folder) / file))
    assert shown == saved, f"cells show something else than when they were saved: environment/notebooks notebooks/{file}"


def test_a_fingerprint_is_of_words_not_of_numbers():
    notebook = original("lesson.en.ipynb")
    (score,) = [cell for cell in code_cells(notebook) if cell.id == "dense-net"]
    before = SAVED["shown_fingerprint"](notebook)
    output = score.outputs[-1]
    text = output["data"]["text/plain"]
    output["data"]["text/plain"] = text.replace("0.", "1.2")
    assert text != output["data"]["text/plain"] and SAVED["shown_fingerprint"](notebook) == before
    output["data"]["text/plain"] = text.replace("accuracy", "precision")
    assert SAVED["shown_fingerprint"](notebook) != before
    code = SAVED["code_fingerprint"](notebook)
    score.source += " "
    assert SAVED["code_fingerprint"](notebook) != code
