"""The crate in the kernel: the bar, the chart, figures, interrupts and errors of a training cell."""

import base64
import os
import random
import re
import subprocess
import time

import kernels
import nbconvert
import nbformat
import numpy as np
import pytest
from safetensors.numpy import load_file
from test_interrupt import later

DATA = """
seed(1);
let images = Tensor::rand([4096, 1, 28, 28], (Kind::Float, Device::Cpu));
let labels = Tensor::randint(10, [4096], (Kind::Int64, Device::Cpu));
let mut model = Sequential::new([
    conv2d(16, (3, 3), Relu), max_pooling2d(2, 2), flatten(), dense(32, Relu), dense(10, Softmax),
]).input_shape([1, 28, 28]);
model.compile(Adam::default(), SparseCategoricalCrossentropy);
"""


@pytest.fixture(scope="module")
def lesson(kernel):
    kernel.ok(kernels.USE, timeout=300)
    kernel.ok(DATA)
    return kernel


def shown(cell):
    return cell.of("display_data") + cell.of("update_display_data")


def test_the_bar_moves_in_place_while_training_runs(lesson):
    cell = lesson.ok("model.fit(&images, &labels, Fit::epochs(3))?;", timeout=180)
    bars = shown(cell)
    assert len({bar["transient"]["display_id"] for bar in bars}) == 1
    assert len(cell.of("display_data")) == 1 and len(bars) >= 4
    first, last = cell.time_of("update_display_data")[0], cell.time_of("update_display_data")[-1]
    assert last - first > 0.3 * (cell.seconds - first)
    assert len(bars) < 15 * cell.seconds + 20


def test_the_chart_grows_with_every_epoch(lesson):
    cell = lesson.ok("model.fit(&images, &labels, Fit::epochs(3).plot())?;", timeout=180)
    charts = [bar for bar in shown(cell) if "image/png" in bar["data"] or "image/svg+xml" in bar["data"] or "<svg" in bar["data"].get("text/html", "")]
    assert len(charts) >= 3


def test_three_figures_of_one_cell(lesson):
    grid = "activation_grid(&model, &images, [0, 1, 2], 1)?.show()?;"
    cell = lesson.ok(grid * 3)
    figures = cell.of("display_data")
    assert len(figures) == 3
    for figure in figures:
        # Painted at twice the size at which it is shown.
        png = base64.b64decode(figure["data"]["image/png"])
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
        assert figure["metadata"] == {"image/png": {"width": width // 2, "height": height // 2}}
        assert width <= 2 * 960 and width % 2 == height % 2 == 0


def test_a_last_expression_shows_itself(lesson):
    cell = lesson.ok("activation_grid(&model, &images, [0, 1, 2], 1)?")
    (result,) = cell.of("execute_result")
    assert "image/png" in result["data"] and "text/plain" in result["data"]
    assert '<img alt="' in result["data"]["text/html"]


def test_a_picture_on_a_page_has_its_alternative_text(lesson):
    """nbconvert puts another text where it finds none."""
    grid = "activation_grid(&model, &images, [0, 1, 2], 1)?"
    shown, ended = lesson.ok(f"{grid}.show()?;").of("display_data"), lesson.ok(grid).of("execute_result")
    outputs = [nbformat.v4.new_output("display_data", data=one["data"], metadata=one["metadata"]) for one in shown + ended]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(grid, outputs=outputs)])
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    pictures = re.findall(r"<img[^>]*>", page)
    assert len(pictures) == 2
    for picture in pictures:
        assert re.search(r'alt="(Activation grid of filter 1: images 0 \(|Сетка активаций фильтра 1: изображения 0 \()', picture)
        assert re.search(r'width="\d{3}"', picture)


def test_an_error_of_the_crate_fails_the_cell_in_one_line(lesson):
    cell = lesson.run("model.fit(&images.reshape([-1, 784]), &labels, Fit::epochs(1))?;")
    assert cell.status == "error" and cell.reply["ename"] == "error"
    assert len(cell.reply["evalue"].splitlines()) == 1 and cell.err == ""
    assert lesson.ok("images.size()").result == "[4096, 1, 28, 28]"


@pytest.mark.parametrize("call", ["images.reshape([3]);", "images.f_reshape([3])?;"])
def test_libtorch_fails_in_one_line_without_frames(lesson, call):
    cell = lesson.run(call)
    assert cell.status == "error"
    assert "shape '[3]' is invalid for input of size" in cell.reply["evalue"]
    assert len(cell.reply["evalue"].splitlines()) == 1 and "frame" not in cell.reply["evalue"]
    assert "frame #" not in cell.err and "\\n" not in cell.reply["evalue"]
    assert lesson.ok("labels.size()").result == "[4096]"


def test_an_interrupted_fit_returns_and_the_next_goes_on(lesson):
    begun = []

    def seen(message):
        if message["msg_type"] == "update_display_data" and not begun:
            begun.append(message)
            later(lesson, 0.5)

    cell = lesson.ok("let done = model.fit(&images, &labels, Fit::epochs(500))?;", seen=seen, timeout=60)
    assert begun and cell.seconds < 40 and "once more" not in cell.err
    assert lesson.ok("model.evaluate(&images, &labels)?").of("execute_result")
    lesson.ok("model.fit(&images, &labels, Fit::epochs(1))?;", timeout=120)


# Without a budget of its own, a short one: SVERTKA_INTERRUPTS=100 is the long run.
INTERRUPTS = int(os.environ.get("SVERTKA_INTERRUPTS", 20))


def test_interrupts_at_random_moments_of_a_training(lesson):
    """Whatever happens, the kernel lives, with the model and the data, and the weights are finite."""
    chance = random.Random()
    for number in range(INTERRUPTS):
        interrupts = []
        if number % 2:
            # While it trains, which it would do for minutes.
            def seen(message):
                if message["msg_type"] == "update_display_data" and not interrupts:
                    interrupts.append(later(lesson, chance.uniform(0, 2)))

            cell = lesson.run("model.fit(&images, &labels, Fit::epochs(500))?.interrupted()", seen=seen, timeout=60)
            assert cell.status == "ok" and cell.result == "true", cell.reply
        else:
            # At any moment: while the cell is compiled, before the first step, after the last.
            interrupts.append(later(lesson, chance.uniform(0, 3)))
            cell = lesson.run("model.fit(&images, &labels, Fit::epochs(2))?.interrupted()", timeout=60)
            assert cell.status == "ok" or cell.reply["ename"] == "interrupted", cell.reply
        # One for each cell: before `fit` has begun, a second one within 5 seconds would end the process.
        interrupts[0].join()
    time.sleep(3.5)
    finite = "model.weights()?.iter().all(|(_, weight)| bool::try_from(weight.isfinite().all()).unwrap())"
    assert lesson.ok(finite).result == "true"
    assert lesson.ok("model.predict(&images.narrow(0, 0, 64))?.sum(Kind::Float).double_value(&[]).round()").result == "64.0"


def test_a_cell_repeats_the_training_of_a_test(lesson):
    """Bit for bit: the same seed in a cell and in a test of cargo's."""
    test = ["--test", "training", "print_the_repeated_training", "--", "--exact", "--ignored", "--nocapture"]
    command = ["cargo", "test", "--locked", "--quiet", *test]
    told = subprocess.run(command, cwd=kernels.PROJECT, capture_output=True, text=True, timeout=600)
    assert told.returncode == 0, told.stderr
    lesson.ok((kernels.PROJECT / "tests" / "common" / "repeated.rs").read_text())
    for _ in range(2):
        assert lesson.ok('println!("{}", repeated()?);').out.strip() in told.stdout.splitlines()


@pytest.mark.parametrize("reader", ["safetensors.numpy", "safetensors.torch"])
def test_python_reads_a_saved_model(lesson, tmp_path, reader):
    """And computes with its weights what the model computes."""
    reader = pytest.importorskip(reader, reason="PyTorch is not in environment/.venv", exc_type=ImportError)
    model, answers = tmp_path / "model.safetensors", tmp_path / "answers.safetensors"
    lesson.ok(f"""
    model.save("{model}")?;
    let some = images.narrow(0, 0, 5);
    Tensor::write_safetensors(&[("probabilities", model.predict(&some)?), ("images", some)], "{answers}")?;
    """)
    weights = {name: np.asarray(weight) for name, weight in reader.load_file(model).items()}
    assert weights["optimizer.m.conv2d.kernel"].shape == weights["conv2d.kernel"].shape == (16, 1, 3, 3)
    answers = load_file(answers)
    windows = np.lib.stride_tricks.sliding_window_view(answers["images"][:, 0], (3, 3), axis=(1, 2))
    x = np.einsum("nrckl,fkl->nfrc", windows, weights["conv2d.kernel"][:, 0]) + weights["conv2d.bias"][:, None, None]
    x = np.maximum(x, 0).reshape(5, 16, 13, 2, 13, 2).max((3, 5)).reshape(5, -1)
    x = np.maximum(x @ weights["dense.kernel"].T + weights["dense.bias"], 0)
    x = np.exp(x @ weights["dense_1.kernel"].T + weights["dense_1.bias"])
    np.testing.assert_allclose(x / x.sum(1, keepdims=True), answers["probabilities"], atol=1e-5)
