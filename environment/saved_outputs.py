"""Puts the outputs of a run of a notebook into the notebook, with fingerprints that tell when they are no longer today's.

    python saved_outputs.py NOTEBOOK SHORT [FULL]

FULL is the notebook executed as it stands, SHORT the same with `run_notebook.py --short`. Into NOTEBOOK go FULL's outputs, cell by
cell, or none, and two fingerprints: one of the code cells, and one of what they showed in SHORT.

The second one is of words, not of numbers: numbers differ from machine to machine. Whatever changes a word, a row, a column or
a picture's subject in what a cell shows changes it; a comment, a test or another error text does not.
"""

import argparse
import hashlib
import json
import re
from pathlib import Path

import nbformat

# With the sign, the separators and the digits behind the point that belong to it.
NUMBER = re.compile(r"[+−-]?\d(?:[\d.,\u00a0\u202f]*\d)?")
# What a check says after its first words hangs on chance.
BY_CHANCE = re.compile(r"^check-")


def hashed(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:16]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_fingerprint(notebook):
    return hashed([(cell.id, cell.source) for cell in code_cells(notebook)])


def words(output):
    """What an output shows, without its numbers. What a cell prints is about the machine: its versions, its data."""
    if output.output_type not in ("display_data", "execute_result"):
        return None
    text = output["data"].get("text/plain", "")
    if "image/png" in output["data"]:
        # Behind the colon stand names that hang on what the net has learnt.
        text = text.split(":")[0]
    lines = [re.sub(r"[─\s]+", " ", NUMBER.sub("#", line)).strip() for line in text.splitlines()]
    return [sorted(output["data"]), lines]


def shown_fingerprint(short):
    """Of a notebook that was executed with --short."""
    cells = [cell for cell in code_cells(short) if not BY_CHANCE.match(cell.id)]
    return hashed([(cell.id, [words(output) for output in cell.outputs if words(output)]) for cell in cells])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("short", type=Path)
    parser.add_argument("full", type=Path, nargs="?")
    arguments = parser.parse_args()
    notebook, short = nbformat.read(arguments.notebook, as_version=4), nbformat.read(arguments.short, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    if arguments.full:
        full = nbformat.read(arguments.full, as_version=4)
        if code_fingerprint(notebook) != code_fingerprint(full):
            parser.error(f"{arguments.full} has other code cells than {arguments.notebook}: execute it again")
        for cell, executed in zip(code_cells(notebook), code_cells(full)):
            cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
    notebook.metadata["language_info"] = short.metadata["language_info"]
    notebook.metadata["svertka"] = {"code": code_fingerprint(notebook), "shown": shown_fingerprint(short)}
    arguments.notebook.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    print(f"{arguments.notebook}: saved")


if __name__ == "__main__":
    main()
