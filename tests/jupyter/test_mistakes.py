"""A learner's mistake fails its cell with the message that tests/mistakes/messages.json has for it; the next cell runs."""

import json
import re

import kernels
import pytest

MESSAGES = json.loads((kernels.PROJECT / "tests/mistakes/messages.json").read_text())
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

LESSON = """
seed(1);
let images = Tensor::rand([32, 1, 28, 28], (Kind::Float, Device::Cpu));
let labels = Tensor::arange(32, (Kind::Int64, Device::Cpu)).remainder(10);
let mut model = Sequential::new([
    conv2d(64, (3, 3), Relu),
    max_pooling2d(2, 2),
    flatten(),
    dense(10, Softmax),
]).input_shape([1, 28, 28]);
model.compile(Adam::default(), SparseCategoricalCrossentropy);
"""

FIT = "model.fit(&images, &labels, Fit::epochs(1))?;"
NEW = "let mut mine = Sequential::new([{layers}]); mine.compile(Adam::default(), SparseCategoricalCrossentropy); mine.fit(&images, &labels, Fit::epochs(1))?;"

MISTAKES = {
    "images without the reshape": "model.fit(&images.squeeze(), &labels, Fit::epochs(1))?;",
    "channels last": "model.fit(&images.permute([0, 2, 3, 1]), &labels, Fit::epochs(1))?;",
    "32 × 32 for 28 × 28": "model.predict(&Tensor::zeros([32, 1, 32, 32], (Kind::Float, Device::Cpu)))?;",
    "one image without the batch": "model.predict(&images.get(0))?;",
    "labels of floats": "model.fit(&images, &labels.to_kind(Kind::Float), Fit::epochs(1))?;",
    "labels from 1 to 10": "model.fit(&images, &(&labels + 1), Fit::epochs(1))?;",
    "a kernel larger than its input": NEW.format(
        layers="max_pooling2d(9, 9), conv2d(4, (5, 5), Relu), flatten(), dense(10, Softmax)"
    ),
    "dense without flatten": NEW.format(layers="conv2d(4, (3, 3), Relu), dense(10, Softmax)"),
    "softmax in the middle": NEW.format(layers="flatten(), dense(32, Softmax), dense(10, Softmax)"),
    "no layers": NEW.format(layers=""),
    "fit before compile": "Sequential::new([flatten(), dense(10, Softmax)]).fit(&images, &labels, Fit::epochs(1))?;",
    "evaluate before any shape is known": "Sequential::new([flatten(), dense(10, Softmax)]).evaluate(&images, &labels)?",
    "learning rate 0": f"model.compile(Adam::new(0.0), SparseCategoricalCrossentropy); {FIT}",
    "filter 64 of 64": "activation_grid(&model, &images, [0, 23, 28], 64)?",
    "save to a folder": 'model.save("tests")?;',
}


@pytest.fixture(scope="module")
def lesson(kernel):
    kernel.ok(kernels.USE, timeout=900)
    kernel.ok(LESSON)
    return kernel, kernel.ok("model.evaluate(&images, &labels)?.loss").result


def fails(kernel, code, message):
    cell = kernel.run(code)
    assert cell.status == "error" and cell.reply["ename"] == "error" and cell.reply["evalue"] == message
    assert COLOURS.sub("", "\n".join(cell.error["traceback"])) == f"error: {message}"
    assert cell.out == "" and cell.err == "" and cell.result is None


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_fails_its_cell_alone(lesson, name):
    kernel, loss = lesson
    fails(kernel, MISTAKES[name], MESSAGES[name]["en"])
    assert kernel.ok("model.evaluate(&images, &labels)?.loss").result == loss


def test_the_next_cell_may_be_in_russian(lesson):
    kernel, loss = lesson
    name = "dense without flatten"
    kernel.ok('unsafe { std::env::set_var("SVERTKA_LANG", "ru") };')
    fails(kernel, MISTAKES[name], MESSAGES[name]["ru"])
    kernel.ok('unsafe { std::env::set_var("SVERTKA_LANG", "en") };')
    assert kernel.ok("model.evaluate(&images, &labels)?.loss").result == loss


def test_the_note_on_unscaled_images_comes_once(lesson):
    kernel, _ = lesson
    kernel.ok("let mut unscaled = Sequential::new([flatten(), dense(10, Softmax)]);")
    kernel.ok("unscaled.compile(Adam::default(), SparseCategoricalCrossentropy);")
    # At least one is 255 exactly.
    kernel.ok("let bytes = (&images * 255.0).round().index_fill(0, &Tensor::from_slice(&[0i64]), 255.0);")
    fit = "unscaled.fit(&bytes, &labels, Fit::epochs(1).verbosity(Verbosity::Silent))?;"
    assert kernel.ok(fit).out == MESSAGES["images from 0 to 255"]["en"] + "\n"
    assert kernel.ok(fit).out == ""
