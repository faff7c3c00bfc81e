//! Compiled by `svertka-kernel --warm` into a library of its own that shares the standard library with the cells: their
//! panics and their buffered output can be reached only from there.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

static RUNNING: AtomicBool = AtomicBool::new(false);
static FLUSHER: OnceLock<Thread> = OnceLock::new();

/// Called once: a panic's message goes to standard error as one marked line, and a thread shows text without a newline.
#[unsafe(no_mangle)]
pub extern "C" fn svertka_cells_begin() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("a value that is no text");
        let message: String = message.chars().take(4000).collect();
        let place = info.location().map_or(String::new(), ToString::to_string);
        let line = format!("\u{1e}panic {}\u{1f}{place}\n", message.escape_debug());
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
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

/// Called before a cell runs.
#[unsafe(no_mangle)]
pub extern "C" fn svertka_cell_begins() {
    RUNNING.store(true, Ordering::Release);
    if let Some(flusher) = FLUSHER.get() {
        flusher.unpark();
    }
}

/// Called when a cell has ended.
#[unsafe(no_mangle)]
pub extern "C" fn svertka_cell_ends() {
    RUNNING.store(false, Ordering::Release);
    let _ = std::io::stdout().flush();
}
