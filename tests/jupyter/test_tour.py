"""What evcxr's own tour shows works here too: crates, futures, threads, new definitions, values that show themselves."""

import base64
import re
import struct
import zlib
from xml.etree import ElementTree

import kernels
import pytest
from test_machines import Watched

HEX = ':dep hex = { version = "0.4", default-features = false, features = ["alloc"] }\nhex::encode([255u8, 1])'


@pytest.fixture(scope="module")
def first_cell(tmp_path_factory):
    """A fresh kernel whose first cell adds a crate with features, and uses it."""
    kernel = Watched(tmp_path_factory.mktemp("tour"), name=kernels.NAME)
    try:
        kernel.compiled()
        yield kernel, kernel.ok(HEX, timeout=120)
    finally:
        kernel.stop()


@pytest.fixture(scope="module")
def tour(first_cell):
    kernel, _ = first_cell
    kernel.ok(kernels.USE)
    return kernel


def told(cell):
    """What the cell showed while cargo worked, all in one place."""
    (begun,) = cell.of("display_data")
    updates = cell.of("update_display_data")
    assert updates and {one["transient"]["display_id"] for one in updates} == {begun["transient"]["display_id"]}
    return [one["data"]["text/plain"] for one in [begun, *updates]]


def again(compiled):
    """Of the crates that were compiled, those that set-up had compiled already."""
    made = (kernels.BUILD / "warm/target").glob("*/debug/deps/lib*.rlib")
    return compiled & {file.name.removeprefix("lib").rpartition("-")[0] for file in made}


def pixels(png):
    """The rows of a PNG's pixels, three bytes each."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + length
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 2, 0, 0, 0] and b"IEND" in chunks
    data, step, above, rows = zlib.decompress(chunks[b"IDAT"]), 3, bytes(3 * width), []
    assert len(data) == height * (1 + step * width)
    for begin in range(0, len(data), 1 + step * width):
        row = bytearray()
        for at, byte in enumerate(data[begin + 1 : begin + 1 + step * width]):
            left, up, corner = (row[at - step], above[at], above[at - step]) if at >= step else (0, above[at], 0)
            # Of these three the one that is nearest to left + up - corner.
            nearest = min(left, up, corner, key=lambda value: abs(left + up - corner - value))
            row.append((byte + (0, left, up, (left + up) // 2, nearest)[data[begin]]) % 256)
        above = row
        rows.append([tuple(row[at : at + step]) for at in range(0, len(row), step)])
    return rows


def test_the_first_cell_adds_a_crate_with_features(first_cell):
    kernel, cell = first_cell
    assert cell.reply["execution_count"] == 1 and cell.result == '"ff01"'
    assert kernel.compiled() == {"hex", "ctx"}


def test_another_crate_comes_after_the_first(tour):
    tour.compiled()
    assert tour.ok(':dep strsim = "0.11"\nstrsim::hamming("свёртка", "свертка")?', timeout=120).result == "1"
    assert tour.compiled() == {"strsim", "ctx"}
    assert tour.ok("hex::encode([0u8])").result == '"00"'
    assert tour.ok("Tensor::ones([2, 3], (Kind::Float, Device::Cpu)).size()").result == "[2, 3]"


def test_a_crate_by_path_and_its_feature(tour, tmp_path):
    folder = tmp_path / "small-greeting"
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "small-greeting"\nversion = "0.1.0"\nedition = "2024"\n\n[features]\nloud = []\n'
    )
    (folder / "src/lib.rs").write_text(
        'pub fn greeting() -> &\'static str {\n    if cfg!(feature = "loud") { "HELLO" } else { "hello" }\n}\n'
    )
    dep = f':dep small-greeting = {{ path = "{folder}"%s }}\nsmall_greeting::greeting()'
    tour.compiled()
    assert tour.ok(dep % "").result == '"hello"'
    assert tour.ok(dep % ', features = ["loud"]').result == '"HELLO"'
    assert tour.compiled() == {"small_greeting", "ctx"}


@pytest.mark.slow
def test_an_await_in_a_cell_brings_tokio_and_tells_it(tour):
    tour.ok("async fn later(value: i32) -> i32 {\n    value + 1\n}")
    tour.compiled()
    cell = tour.ok("later(41).await", timeout=120)
    assert cell.result == "42"
    compiled = tour.compiled()
    assert "tokio" in compiled and not again(compiled)
    texts = told(cell)
    assert any(re.fullmatch(r"Compiling tokio [\d.]+ \(\d+ of \d+\) · \d+ s", text) for text in texts), texts
    assert re.fullmatch(r"Compiled in \d+ s\.", texts[-1]), texts
    # From then on it is there.
    cell = tour.ok("let kept: i32 = later(1).await;\nkept")
    assert cell.result == "2" and not cell.of("display_data")


def test_a_thread_goes_on_between_cells(tour):
    tour.ok("""
    use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    let counter = Arc::new(AtomicUsize::new(0));
    std::thread::spawn({
        let counter = counter.clone();
        move || while Arc::strong_count(&counter) > 1 {
            counter.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    """)
    first = int(tour.ok("counter.load(Ordering::Relaxed)").result)
    second = int(tour.ok("counter.load(Ordering::Relaxed)").result)
    assert 0 < first < second
    tour.ok("drop(counter);")


def test_a_function_defined_again_is_the_one_that_runs(tour):
    tour.ok("fn step(x: i32) -> i32 { x + 1 }")
    assert tour.ok("fn twice(x: i32) -> i32 { step(step(x)) }\ntwice(1)").result == "3"
    tour.ok("fn step(x: i32) -> i32 { x * 10 }")
    assert tour.ok("twice(1)").result == "100"


def test_a_type_shows_itself(tour):
    tour.ok("""
    use std::fmt::Debug;
    pub struct Matrix<T> { values: Vec<T>, row: usize }
    impl<T: Debug> Matrix<T> {
        pub fn evcxr_display(&self) {
            let rows: String = self.values.chunks(self.row).map(|row| {
                let cells: String = row.iter().map(|value| format!("<td>{value:?}</td>")).collect();
                format!("<tr>{cells}</tr>")
            }).collect();
            println!("EVCXR_BEGIN_CONTENT text/html\\n<table>{rows}</table>\\nEVCXR_END_CONTENT");
        }
    }
    """)
    cell = tour.ok("Matrix { values: vec![1, 0, 0, 1], row: 2 }")
    (shown,) = cell.of("execute_result")
    assert shown["data"] == {"text/html": "<table><tr><td>1</td><td>0</td></tr><tr><td>0</td><td>1</td></tr></table>"}
    assert cell.out == ""


@pytest.mark.parametrize(
    "before, value, after",
    [
        ("struct Point { x: i32 }", "Point { x: 3 }", "struct Point { x: i32, y: i32 }"),
        # evcxr itself looks at the fields' names alone, and would read the bytes of the one as the other.
        ("struct Size { x: i32 }", "Size { x: 3 }", "struct Size { x: f64 }"),
        ("struct Pair(u8);", "vec![Pair(3)]", "struct Pair(f64);"),
        ("struct Inner(u8);\nstruct Outer { inner: Inner }", "Outer { inner: Inner(3) }", "struct Inner(f64);"),
    ],
    ids=["another field", "a field of another type", "without names", "inside another"],
)
def test_a_type_defined_again_takes_its_values_with_it_and_says_so(tour, before, value, after):
    tour.ok(f"{before}\nlet value = {value};\nlet beside: i32 = 4;")
    # The same once more changes nothing.
    assert tour.ok(f"{before}\nstd::mem::size_of_val(&value) > 0").result == "true"
    cell = tour.ok(f"{after}\nbeside")
    assert cell.result == "4"
    assert cell.err == "`value`: lost, since the type is defined anew.\n"
    gone = tour.run("value.x")
    assert gone.reply["ename"] == "E0425" and gone.reply["evalue"].startswith("`value` is gone: its type was defined anew")


def test_vars_and_help(tour):
    tour.ok('let number: i32 = 5;\nlet text = String::from("five");')
    (shown,) = tour.ok(":vars").of("execute_result")
    assert {"number: i32", "text: String"} <= set(shown["data"]["text/plain"].splitlines())
    assert "<td>number</td><td>i32</td>" in shown["data"]["text/html"]
    (shown,) = tour.ok(":help").of("execute_result")
    lines = shown["data"]["text/plain"].splitlines()
    for command in (":dep", ":vars", ":clear", ":help"):
        assert any(re.match(rf"{command}\s+\w", line) for line in lines), lines


def test_a_type_error_leaves_the_variables(tour):
    tour.ok("let number: i32 = 5;")
    cell = tour.run('let text: String = number;')
    assert cell.status == "error" and cell.reply["ename"] == "E0308"
    assert cell.reply["evalue"].endswith("(1:20)") and len(cell.reply["evalue"].splitlines()) == 1
    assert "expected `String`, found `i32`" in "".join(cell.error["traceback"])
    assert tour.ok("number").result == "5"


def test_an_unknown_crate_is_refused_in_one_line(tour):
    cell = tour.run(':dep hex = "99"\n1 + 1')
    assert cell.status == "error" and len(cell.reply["evalue"].splitlines()) == 1
    assert "hex" in cell.reply["evalue"] and not cell.reply["evalue"].startswith("error")
    assert tour.ok("hex::encode([1u8])").result == '"01"'


@pytest.mark.slow
def test_an_image_shows_itself(tour):
    """By the crate evcxr_image, which wants this version of image."""
    tour.compiled()
    cell = tour.ok(
        """
        :dep image = { version = "0.23", default-features = false, features = ["png"] }
        :dep evcxr_image = "1.1"
        use evcxr_image::ImageDisplay;
        image::ImageBuffer::from_fn(60, 40, |x, y| {
            if (x as i32 - y as i32).abs() < 3 { image::Rgb([0u8, 0, 255]) } else { image::Rgb([9, 8, 7]) }
        })
        """,
        timeout=180,
    )
    (shown,) = cell.of("execute_result")
    assert set(shown["data"]) == {"image/png"}
    rows = pixels(base64.b64decode(shown["data"]["image/png"], validate=True))
    assert rows == [[(0, 0, 255) if abs(x - y) < 3 else (9, 8, 7) for x in range(60)] for y in range(40)]
    compiled = tour.compiled()
    assert {"image", "evcxr_image", "ctx"} <= compiled
    # It wants a feature more of num-integer, which ndarray and through it tch use; its png and miniz_oxide are older ones.
    # libtorch's glue stays as it is.
    assert again(compiled) == {"num_integer", "ndarray", "tch", "svertka", "png", "miniz_oxide"}
    assert any("Compiling image 0.23" in text for text in told(cell))


@pytest.mark.slow
def test_a_plot_shows_itself(tour):
    tour.compiled()
    cell = tour.ok(
        """
        :dep plotters = { version = "0.3", default-features = false, features = ["evcxr", "line_series"] }
        use plotters::prelude::*;
        evcxr_figure((320, 240), |root| {
            root.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&root).margin(5).build_cartesian_2d(0f64..1.0, 0f64..1.0)?;
            chart.draw_series(LineSeries::new((0..=10).map(|x| x as f64 / 10.0).map(|x| (x, x * x)), &RED))?;
            Ok(())
        })
        """,
        timeout=180,
    )
    (shown,) = cell.of("execute_result")
    (picture,) = ElementTree.fromstring(shown["data"]["text/html"])
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert (picture.get("width"), picture.get("height")) == ("320", "240")
    (line,) = picture.iter("{http://www.w3.org/2000/svg}polyline")
    assert line.get("stroke") == "#FF0000" and len(line.get("points").split()) == 11
    # svertka draws with plotters too, so both change with its features, and nothing else.
    assert tour.compiled() == {"plotters", "svertka", "ctx"}
    assert told(cell)[-1].startswith("Compiled in ")


def test_at_the_end_svertka_still_works(tour):
    assert tour.ok("Tensor::from_slice(&[1i64, 2]).sum(Kind::Int64).int64_value(&[])").result == "3"
