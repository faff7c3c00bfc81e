"""What a cell shows appears while it runs, in order, and once."""

import json

import kernels
import pytest


def line(message):
    """A cell's statement that prints one line of the display protocol."""
    return 'println!("\\u{1e}svertka {}", r##"' + json.dumps(message) + '"##);'


def display(kind, name, text):
    return line({"type": kind, "id": name, "data": {"text/plain": text}})


SLEEP = "std::thread::sleep(std::time::Duration::from_millis(400));"


def test_updates_arrive_in_place_while_the_cell_runs(kernel):
    shown = display("display", "bar", "0 %")
    updates = "".join(SLEEP + display("update", "bar", f"{share} %") for share in (30, 60, 100))
    cell = kernel.ok(shown + updates + SLEEP)
    first, *rest = cell.of("display_data") + cell.of("update_display_data")
    assert first["transient"]["display_id"] == "bar"
    assert [update["data"]["text/plain"] for update in rest] == ["30 %", "60 %", "100 %"]
    assert {update["transient"]["display_id"] for update in rest} == {"bar"}
    times = cell.time_of("update_display_data") + [cell.seconds]
    gaps = [later - sooner for sooner, later in zip(times, times[1:])]
    assert min(gaps) > 0.2, gaps


def test_three_figures_in_one_cell_all_appear_in_order(kernel):
    cell = kernel.ok("".join(display("display", f"f{number}", f"figure {number}") for number in range(3)))
    assert [shown["data"]["text/plain"] for shown in cell.of("display_data")] == ["figure 0", "figure 1", "figure 2"]


def test_evcxr_values_of_one_type_all_appear(kernel):
    show = "".join(f'println!("EVCXR_BEGIN_CONTENT text/html\\n<b>{n}</b>\\nEVCXR_END_CONTENT");' for n in range(3))
    cell = kernel.ok(show)
    shown = [part["data"]["text/html"] for part in cell.of("display_data") + cell.of("execute_result")]
    assert shown == ["<b>0</b>", "<b>1</b>", "<b>2</b>"]


def test_text_comes_live_and_without_a_newline(kernel):
    cell = kernel.ok(f'println!("one"); {SLEEP} print!("two"); {SLEEP} {SLEEP} print!("three");')
    assert cell.out == "one\ntwothree"
    times = cell.time_of("stream")
    assert len(times) == 3 and times[2] - times[1] > 0.2, times


def test_text_displays_and_the_result_keep_their_order(kernel):
    cell = kernel.ok(f'println!("a"); {display("display", "o", "b")} println!("c"); eprintln!("d"); 5')
    order = []
    for _, message in cell.messages:
        content = message["content"]
        order += {"stream": lambda: [content["text"].strip()], "display_data": lambda: [content["data"]["text/plain"]],
                  "execute_result": lambda: [content["data"]["text/plain"]]}.get(message["msg_type"], lambda: [])()
    assert order == ["a", "b", "c", "d", "5"]


def test_a_loop_at_the_end_shows_no_value(kernel):
    cell = kernel.ok('for n in 0..2 { println!("{n}"); }')
    assert cell.out == "0\n1\n" and cell.result is None


def test_invalid_utf8_is_repaired_on_both_streams(kernel):
    write = 'std::io::Write::write_all(&mut std::io::{0}(), b"a\\xff\\xfeb\\n").unwrap();'
    cell = kernel.ok(write.format("stdout") + write.format("stderr"))
    assert cell.out == "a\ufffd\ufffdb\n" and cell.err == "a\ufffd\ufffdb\n"
    assert kernel.ok('eprintln!("still here");').err == "still here\n"


def test_evcxr_markers_in_text_do_no_harm(kernel):
    cell = kernel.ok('eprintln!("EVCXR_BEGIN_CONTENT text/plain"); println!("EVCXR_EXECUTION_COMPLETE"); println!("x");')
    assert "EVCXR_BEGIN_CONTENT" in cell.err and cell.out == "EVCXR_EXECUTION_COMPLETE\nx\n"


def test_broken_display_messages_are_text(kernel):
    cell = kernel.ok('println!("\\u{1e}svertka {{no json"); println!("after");')
    assert "no json" in cell.out and "after" in cell.out


@pytest.mark.parametrize("megabytes", [100])
def test_a_flood_is_cut_with_a_notice_in_bounded_memory(kernel, megabytes):
    peak = 0

    def seen(_):
        nonlocal peak
        peak = max(peak, kernels.memory(kernel.pid))

    before = kernels.memory(kernel.pid)
    cell = kernel.ok(f'let text = "x".repeat(999); for _ in 0..{megabytes * 1000} {{ println!("{{text}}"); }}', seen=seen, timeout=120)
    length = len(cell.out)
    assert 1_000_000 < length < 20_000_000
    assert "cut" in cell.err
    assert peak - before < 120, (before, peak)
    assert kernel.ok('println!("next");').out == "next\n"


def test_ten_thousand_lines_a_second(kernel):
    code = """
    let begin = std::time::Instant::now();
    for number in 0..30_000u64 {
        println!("line {number}");
        while begin.elapsed().as_micros() < u128::from(number * 100) {}
    }
    """
    cell = kernel.ok(code)
    assert cell.out == "".join(f"line {number}\n" for number in range(30_000))
    assert cell.seconds < 8 and len(cell.of("stream")) < 400


def test_silent_and_unstored_cells(kernel):
    before = kernel.ok("1").reply["execution_count"]
    silent = kernel.ok("2", silent=True)
    assert not silent.of("execute_input") and not silent.of("execute_result")
    unstored = kernel.ok("3", store_history=False)
    assert unstored.result == "3" and unstored.reply["execution_count"] == before
    assert kernel.ok("4").reply["execution_count"] == before + 1
