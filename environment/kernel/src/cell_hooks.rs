//! Compiled by `svertka-kernel --warm` into a library of its own that shares the standard library with the cells: their
//! panics and their buffered output can be reached only from there.

use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

static RUNNING: AtomicBool = AtomicBool::new(false);
static FLUSHER: OnceLock<Thread> = OnceLock::new();

/// Called once: a panic's message and its place go to `panics` as one line, and a thread shows text without a newline.
#[unsafe(no_mangle)]
pub extern "C" fn svertka_cells_begin(panics: RawFd) {
    // SAFETY: the caller keeps it open for good, and here it is never closed.
    let panics = ManuallyDrop::new(unsafe { File::from_raw_fd(panics) });
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("a value that is no text");
        // So short a line is written in one piece.
        let message = message[..message.floor_char_boundary(3000)].replace('\n', " ");
        let place = info.location().map_or(String::new(), ToString::to_string);
        let line = format!("{message}\u{1f}{place}\n");
        let _ = (&*panics).write_all(line.as_bytes());
    }));
    let flusher = std::thread::Builder::new().name("svertka-flush".into()).spawn(|| {
        loop {
            if RUNNING.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(100));
                let _ = std::io::stdout().flush();
            } else {
                std::thread::park();
            }
        }
    });
    if let Ok(flusher) = flusher {
        let _ = FLUSHER.set(flusher.thread().clone());
    }
}

/// Called before a cell runs, and when it has ended: then what it has written comes before its end.
#[unsafe(no_mangle)]
pub extern "C" fn svertka_cell_runs(runs: bool) {
    RUNNING.store(runs, Ordering::Release);
    if let Some(flusher) = FLUSHER.get() {
        flusher.unpark();
    }
    if !runs {
        let _ = std::io::stdout().flush();
    }
}
