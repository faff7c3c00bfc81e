"""An interrupt stops what can be stopped, and takes the variables only when asked twice."""

import contextlib
import random
import threading
import time
from pathlib import Path

import kernels
import pytest
from test_output import line

RUNS = 'println!("runs");'
LOOP = RUNS + "loop { std::thread::sleep(std::time::Duration::from_millis(10)); }"


def later(kernel, seconds):
    timer = threading.Timer(seconds, kernel.interrupt)
    timer.start()
    return timer


def once_it_runs(kernel, *seconds):
    """Interrupts so long after the cell has printed its first text."""
    begun = []

    def seen(message):
        if message["msg_type"] == "stream" and not begun:
            begun.append(message)
            for delay in seconds:
                later(kernel, delay)

    return seen


def test_one_interrupt_of_a_loop_warns_and_a_second_ends_it(kernel):
    kernel.ok("let mine: i32 = 1;")
    cell = kernel.run(LOOP, seen=once_it_runs(kernel, 0.3, 1.5))
    assert "once more within 5 seconds" in cell.err
    assert cell.status == "error" and cell.reply["ename"] == "crash"
    assert kernel.ok("1 + 1").result == "2"
    assert kernel.run("mine").status == "error"


def test_interrupts_faster_than_anyone_reads_count_as_one(kernel):
    sleep = "let calm: i32 = { std::thread::sleep(std::time::Duration::from_secs(3)); 6 };"
    cell = kernel.ok(RUNS + sleep, seen=once_it_runs(kernel, 0.2, 0.25, 0.3))
    assert cell.err.count("once more") == 1
    assert kernel.ok("calm").result == "6"


def test_two_interrupts_far_apart_end_nothing(kernel):
    sleep = "let patient: i32 = { std::thread::sleep(std::time::Duration::from_secs(7)); 5 };"
    cell = kernel.ok(RUNS + sleep, seen=once_it_runs(kernel, 0.2, 5.7))
    assert cell.err.count("once more") == 2
    assert kernel.ok("patient").result == "5"


def test_an_idle_kernel_takes_no_harm(kernel):
    kernel.ok("let idle: i32 = 3;")
    for _ in range(3):
        kernel.interrupt()
    # They are sent, not awaited: the next cell must not be the one they reach.
    time.sleep(1)
    assert kernel.ok("idle").result == "3"


def test_a_stray_signal_does_not_kill_the_cells(kernel):
    import os
    import signal

    import kernels

    kernel.ok("let stray: i32 = 4;")
    for process in [kernel.pid, *kernels.descendants(kernel.pid)]:
        os.kill(process, signal.SIGINT)
    assert kernel.ok("stray").result == "4"


def test_a_cell_that_answers_the_signal_gets_it(kernel):
    code = """
    {
        use std::sync::atomic::{AtomicBool, Ordering};
        static STOP: AtomicBool = AtomicBool::new(false);
        extern "C" fn stop(_: i32) { STOP.store(true, Ordering::SeqCst); }
        unsafe extern "C" { fn signal(number: i32, handler: usize) -> usize; }
        let before = unsafe { signal(2, stop as *const () as usize) };
        ON
        while !STOP.load(Ordering::SeqCst) { std::thread::sleep(std::time::Duration::from_millis(5)); }
        OFF
        unsafe { signal(2, before) };
        println!("stopped softly");
    }
    """
    code = code.replace("ON", line({"type": "interruptible", "value": True}), 1)
    code = code.replace("OFF", line({"type": "interruptible", "value": False}), 1)
    cell = kernel.ok(RUNS + code, seen=once_it_runs(kernel, 0.5))
    assert cell.out == "runs\nstopped softly\n" and cell.err == ""


@pytest.mark.slow
def test_at_random_moments_the_kernel_lives_and_the_variables_too(kernel):
    """Whatever it is doing: reading, compiling, running, answering."""
    kernel.ok("let mut kept: i32 = 0;")
    chance = random.Random(3)
    done = 0
    for _ in range(20):
        interrupt = later(kernel, chance.uniform(0, 1.2))
        cell = kernel.run("{ kept += 1; std::thread::sleep(std::time::Duration::from_millis(300)); }")
        # One for each cell: a second one within 5 seconds would end the process.
        interrupt.join()
        done += cell.status == "ok"
        assert cell.status == "ok" or cell.reply["ename"] == "interrupted", cell.reply
        time.sleep(0.1)
    time.sleep(1.5)
    assert kernel.ok("kept").result == str(done)


SLOW = "".join(f"fn f{n}(x: u64) -> u64 {{ (0..x).map(|y| y * {n}).filter(|y| y % 3 == 1).sum() }}\n" for n in range(4000))


def is_compiling(kernel):
    for process in kernels.descendants(kernel.pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{process}/comm").read_text() == "rustc\n":
                return True
    return False


def test_a_compilation_is_stopped(kernel):
    def interrupt():
        kernels.wait_for(lambda: is_compiling(kernel), 60)
        time.sleep(0.5)
        kernel.interrupt()

    threading.Thread(target=interrupt).start()
    cell = kernel.run(SLOW + "f1(3)")
    assert cell.status == "error" and cell.reply["ename"] == "interrupted", cell.reply
    assert kernel.ok("2 + 2").result == "4"


def test_one_that_has_not_begun_is_stopped_too(kernel):
    """evcxr looks at so long a cell for a while before it has it compiled."""
    kernel.ok("let before_it: i32 = 8;")
    compiling = []

    def seen(message):
        if message["content"].get("execution_state") == "busy":
            # More than one: whoever sees nothing happen presses again, and must not lose the variables.
            for delay in (0.05, 0.1):
                later(kernel, delay)
            threading.Timer(0.05, lambda: compiling.append(is_compiling(kernel))).start()

    cell = kernel.run(SLOW + "f1(3)", seen=seen)
    assert compiling == [False]
    assert cell.err == "" and cell.status == "error" and cell.reply["ename"] == "interrupted", cell.reply
    assert kernel.ok("before_it").result == "8"
