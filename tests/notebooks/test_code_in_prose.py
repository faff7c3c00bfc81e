"""Code in the prose compiles: every block, and every span that is more than a name, in both editions.

The blocks of one text cell are one piece of code, in their order. A span is code if it has brackets with something before or in
them, a path `a::b`, or is a `let x = …`; one with `…` only hints at code. A span that begins with a point is called on what
RECEIVERS says.
"""

import os
import re
import shutil
import subprocess

import pytest
from conftest import FILES, PROJECT, fenced, original, prose_cells

RECEIVERS = {
    "batch_size": "Fit::epochs(1)",
    "callback": "Fit::epochs(1)",
    "clamp": "images",
    "evaluate": "model",
    "fraction": "Fit::epochs(1)",
    "i": "images",
    "input_shape": "Sequential::new([flatten()])",
    "names": "activation_grid(&model, &images, [0], 1)?",
    "on_epoch_end": "Fit::epochs(1)",
    "padding": "conv2d(64, (3, 3), Relu)",
    "plot": "Fit::epochs(1)",
    "relu": "images",
    "reshape": "images",
    "save": "explore(&model, &images)?",
    "seeds": "Comparison::new()",
    "strides": "conv2d(64, (3, 3), Relu)",
    "validation": "Fit::epochs(1)",
    "validation_split": "Fit::epochs(1)",
}

# What the notebooks' cells have defined where a text is read.
FUNCTION = """
fn {name}(
    images: Tensor, labels: Tensor, training_images: Tensor, training_labels: Tensor, test_images: Tensor, test_labels: Tensor,
    class_names: [&'static str; 10], mnist: svertka::datasets::Dataset, mut model: Sequential, mut lab: Comparison,
    mut full: Comparison, epoch: Epoch, score: Score,
) -> svertka::Result<()> {{
    {body}
    Ok(())
}}
"""

MANIFEST = """
[package]
name = "svertka-prose"
version = "0.0.0"
edition = "2024"

[dependencies]
svertka = {{ path = "{project}" }}

[workspace]
"""


def spans(text):
    """The spans of a text that are code, without its blocks."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for span in re.findall(r"`([^`\n]+)`", text):
        is_code = re.search(r"\w+\(|::\w|^\(.*,|^let .*=|;$", span)
        if is_code and "…" not in span and not span.startswith((":", "use ")):
            yield span


def as_body(code):
    """Statements stay as they are; an expression is evaluated."""
    # A layer's line in a list ends with a comma.
    code = code.strip().removesuffix(",")
    if code.startswith("."):
        method = re.match(r"\.(\w+)", code)[1]
        assert method in RECEIVERS, f"`{code}`: RECEIVERS does not say what .{method} is called on"
        code = RECEIVERS[method] + code
    if re.search(r"^let |;\s*$|\};?\s*$|^lab\.run", code) and not code.startswith("if "):
        return code + ";"
    kind = ": ControlFlow<(), ()>" if "ControlFlow::" in code and not code.startswith(".") and "|" not in code else ""
    return f"let _{kind} = {code};"


def pieces(file):
    """The code of a notebook's texts: where it stands, and a function's body."""
    for cell in prose_cells(original(file)):
        blocks = fenced(cell.source)
        found = ["\n".join(blocks)] if blocks else []
        for number, code in enumerate(found + list(spans(cell.source))):
            name = re.sub(r"\W", "_", f"{file.removesuffix('.ipynb')}_{cell.id}_{number}")
            yield name, as_body(code)


def check(functions, folder):
    """What the compiler says of these functions; nothing if all is well."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "src").mkdir(parents=True)
    # With the project's own profiles, what it is built on is there already.
    profiles = re.search(r"(?ms)^\[profile\..*", (PROJECT / "Cargo.toml").read_text())
    (folder / "Cargo.toml").write_text(MANIFEST.format(project=PROJECT) + (profiles[0] if profiles else ""))
    (folder / "Cargo.lock").write_text((PROJECT / "Cargo.lock").read_text())
    source = "#![allow(warnings)]\nuse svertka::prelude::*;\n"
    source += "".join(FUNCTION.format(name=name, body=body) for name, body in functions)
    (folder / "src" / "lib.rs").write_text(source)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(PROJECT / "target")}
    result = subprocess.run(
        ["cargo", "check", "--offline", "--quiet"], cwd=folder, env=environment, capture_output=True, text=True
    )
    return result.stderr if result.returncode else ""


@pytest.fixture(scope="module")
def folder():
    folder = PROJECT / "target" / "prose"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_code_in_prose_compiles(folder):
    functions = [piece for file in FILES for piece in pieces(file)]
    assert len(functions) > 50
    said = check(functions, folder)
    assert not said, said


def test_what_does_not_compile_is_seen(folder):
    """A decimal comma, as Russian prose writes it, makes two numbers."""
    said = check([("comma", as_body(".callback(StopAtLoss(0,3))"))], folder)
    assert "StopAtLoss" in said and "E0061" in said, said


def test_spans_are_told_from_names():
    text = "`conv2d`, `dense(10, Softmax)`, `&`, `[images, channels]`, `(3, 3)`, `Fit::epochs(5)`, `if … { … }`, `.fraction(0.2)`"
    assert list(spans(text)) == ["dense(10, Softmax)", "(3, 3)", "Fit::epochs(5)", ".fraction(0.2)"]
