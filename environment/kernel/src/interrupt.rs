//! What an interrupt does, which depends on what the cell is doing.

use std::collections::HashMap;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::lock;
use crate::report::say;

/// A second interrupt within this time ends the process that runs the cells.
const AGAIN: Duration = Duration::from_secs(5);
/// One that comes sooner was sent before anyone could read the warning.
const TOO_SOON: Duration = Duration::from_millis(300);

/// Interrupts the cell that runs.
pub struct Interrupter {
    process: Arc<Mutex<Child>>,
    /// The crate has said that it answers SIGINT itself.
    pub interruptible: AtomicBool,
    running: AtomicBool,
    stopped: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl Interrupter {
    pub fn new(process: Arc<Mutex<Child>>) -> Self {
        Self {
            process,
            interruptible: AtomicBool::new(false),
            running: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            last: Mutex::new(None),
        }
    }

    /// A cell begins.
    pub fn begin(&self) {
        self.stopped.store(false, Ordering::Release);
        self.interruptible.store(false, Ordering::Release);
        *lock(&self.last) = None;
        self.running.store(true, Ordering::Release);
    }

    /// A cell has ended. Returns whether its compilation was stopped.
    pub fn end(&self) -> bool {
        self.running.store(false, Ordering::Release);
        self.stopped.load(Ordering::Acquire)
    }

    /// Interrupts. Returns what there is to tell the learner.
    pub fn interrupt(&self) -> Option<&'static str> {
        if !self.running.load(Ordering::Acquire) {
            return None;
        }
        let cells = lock(&self.process).id();
        if self.interruptible.load(Ordering::Acquire) {
            signal(cells, libc::SIGINT);
            return None;
        }
        let compilers = descendants(std::process::id(), cells);
        if !compilers.is_empty() {
            self.stopped.store(true, Ordering::Release);
            compilers
                .into_iter()
                .for_each(|process| signal(process, libc::SIGTERM));
            return None;
        }
        let mut last = lock(&self.last);
        match last.map(|last| last.elapsed()) {
            Some(since) if since < TOO_SOON => return None,
            Some(since) if since < AGAIN => {
                self.kill();
                return None;
            }
            _ => *last = Some(Instant::now()),
        }
        Some(say(
            "This cell can't be interrupted softly. Interrupt once more within 5 seconds to end it: the variables will be lost.\n",
            "Эту ячейку нельзя прервать мягко. Прервите ещё раз в течение 5 секунд, чтобы завершить её: переменные будут потеряны.\n",
        ))
    }

    /// Ends everything that the kernel has started.
    pub fn kill_all(&self) {
        let cells = lock(&self.process).id();
        self.kill();
        descendants(std::process::id(), cells)
            .into_iter()
            .for_each(|process| signal(process, libc::SIGKILL));
    }

    /// Ends the process that runs the cells, whatever it does.
    pub fn kill(&self) {
        let _ = lock(&self.process).kill();
    }
}

fn signal(process: u32, signal: i32) {
    // SAFETY: it only sends a signal.
    unsafe { libc::kill(process as libc::pid_t, signal) };
}

/// The processes below `root`, without those below `except`.
fn descendants(root: u32, except: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name in brackets may hold anything; state and parent follow it.
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut words = rest.split_whitespace();
        let (state, parent) = (
            words.next(),
            words.next().and_then(|parent| parent.parse().ok()),
        );
        if let (Some(parent), Some("R" | "S" | "D" | "T")) = (parent, state) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let below = children.remove(&found[next]).unwrap_or_default();
        found.extend(below.into_iter().filter(|process| *process != except));
        next += 1;
    }
    found.split_off(1)
}
