"""A failed cell fails for Jupyter too, in one line, and the variables live on."""

import re

import pytest

PLAIN = re.compile(r"\x1b\[[0-9;]*m")


def text(error):
    return PLAIN.sub("", "\n".join(error["traceback"]))


@pytest.mark.parametrize(
    "code, name, value",
    [
        ('panic!("no {}", 7);', "panic", "no 7"),
        ("let v: Vec<u8> = vec![]; v[3];", "panic", "index out of bounds: the len is 0 but the index is 3"),
        ('None::<u8>.expect("a\\nb");', "panic", "a b"),
        ('let n: u8 = "x".parse::<u8>()?;', "error", "invalid digit found in string"),
        ('Err::<(), String>("mine".into())?;', "error", "mine"),
        ('let text = std::fs::read_to_string("/no/such/file")?;', "error", "No such file or directory (os error 2)"),
    ],
)
def test_a_failed_cell_is_an_error_of_one_line(kernel, code, name, value):
    kernel.ok("let kept: i32 = 41;")
    cell = kernel.run(code)
    assert cell.status == "error" and cell.reply["ename"] == name and cell.reply["evalue"] == value
    assert text(cell.error) == f"{name}: {value}"
    assert cell.err == "" and cell.out == ""
    assert kernel.ok("kept + 1").result == "42"


def test_text_before_the_error_stays(kernel):
    cell = kernel.run('println!("so"); eprintln!("careful"); Err::<(), String>("far".into())?;')
    assert cell.out == "so\n" and cell.err == "careful\n" and cell.reply["evalue"] == "far"


def test_a_caught_panic_fails_nothing(kernel):
    cell = kernel.ok('let caught = std::panic::catch_unwind(|| panic!("inside")).is_err(); caught')
    assert cell.result == "true" and "inside" in cell.err


def test_a_panic_in_a_thread_is_shown_and_fails_nothing(kernel):
    cell = kernel.ok('std::thread::spawn(|| panic!("aside")).join().is_err()')
    assert cell.result == "true" and "aside" in cell.err


def test_compile_errors_point_at_the_cell(kernel):
    cell = kernel.run('let first: i32 = 1;\nlet second: i32 = "два"; // число\n')
    assert cell.status == "error" and cell.reply["ename"] == "E0308"
    assert cell.reply["evalue"].endswith("(2:19)"), cell.reply["evalue"]
    shown = text(cell.error)
    assert 'let second: i32 = "два"; // число' in shown and "expected `i32`" in shown
    assert "\x1b[" in "".join(cell.error["traceback"])


def test_compile_errors_carry_the_help_of_rustc(kernel):
    cell = kernel.run("let numbers: Vec<u8> = Vec::new();\nnumbers.pussh(1);")
    assert "push" in text(cell.error)


def test_a_failed_cell_aborts_those_that_wait(kernel):
    requests = [kernel.send(code) for code in ('std::thread::sleep(std::time::Duration::from_secs(1)); panic!("stop")', "1", "2")]
    cells = [kernel.collect(request) for request in requests[:1]]
    replies = {}
    while len(replies) < 2:
        message = kernel.client.get_shell_msg(timeout=20)
        replies[message["parent_header"]["msg_id"]] = message["content"]["status"]
    assert cells[0].status == "error" and set(replies.values()) == {"aborted"}
    assert kernel.ok("3").result == "3"


def test_without_stop_on_error_the_next_cells_run(kernel):
    first = kernel.send('std::thread::sleep(std::time::Duration::from_secs(1)); panic!("go on")', stop_on_error=False)
    second = kernel.send("10")
    assert kernel.collect(first).status == "error"
    assert kernel.collect(second).result == "10"
