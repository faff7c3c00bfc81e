//! What an interrupt does, which depends on what the cell is doing.

use std::collections::BTreeMap;
use std::iter::successors;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::language::language;
use crate::sync::lock;

/// A second interrupt within this time ends the process that runs the cells.
const AGAIN: Duration = Duration::from_secs(5);
/// One that comes sooner was sent before anyone could read the warning.
const TOO_SOON: Duration = Duration::from_millis(300);
/// Between two looks for compilers to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Interrupts the cell that runs.
pub struct Interrupter {
    process: Arc<Mutex<Child>>,
    cell: Mutex<Cell>,
}

#[derive(Default)]
struct Cell {
    /// It has been sent, and has not ended.
    begun: bool,
    /// Its code runs: it has been compiled.
    runs: bool,
    /// The crate has said that it answers SIGINT itself.
    interruptible: bool,
    /// Its compilation is to be stopped.
    stopping: bool,
    /// Its compilation was stopped.
    stopped: bool,
    /// The process was ended by a second interrupt.
    killed: bool,
    /// When the learner was warned.
    warned: Option<Instant>,
}

impl Interrupter {
    pub fn new(process: Arc<Mutex<Child>>) -> Self {
        Self {
            process,
            cell: Mutex::default(),
        }
    }

    /// A cell begins.
    pub fn begin(&self) {
        *lock(&self.cell) = Cell {
            begun: true,
            ..Cell::default()
        };
    }

    /// A cell has ended. Returns whether its compilation was stopped, and whether its process was ended.
    pub fn end(&self) -> (bool, bool) {
        let cell = std::mem::take(&mut *lock(&self.cell));
        (cell.stopped, cell.killed)
    }

    /// Notes whether the cell answers SIGINT itself.
    pub fn set_interruptible(&self, value: bool) {
        lock(&self.cell).interruptible = value;
    }

    /// Notes that the cell's code begins or has ended. Returns what there is to tell a learner who wanted to stop it before.
    pub fn set_running(&self, value: bool) -> Option<&'static str> {
        let mut cell = lock(&self.cell);
        cell.runs = value && cell.begun;
        let came_too_late = cell.runs && std::mem::take(&mut cell.stopping);
        came_too_late.then(|| self.interrupt_code(&mut cell))?
    }

    /// Interrupts. Returns what there is to tell the learner.
    pub fn interrupt(self: &Arc<Self>) -> Option<&'static str> {
        let mut cell = lock(&self.cell);
        if cell.runs {
            return self.interrupt_code(&mut cell);
        }
        if cell.begun && !std::mem::replace(&mut cell.stopping, true) {
            let me = self.clone();
            std::thread::spawn(move || me.stop_compilers());
        }
        None
    }

    /// Stops what compiles the cell, also what is yet to begin, until its code runs or it has ended.
    fn stop_compilers(&self) {
        loop {
            let mut cell = lock(&self.cell);
            if !cell.stopping {
                return;
            }
            for process in self.compilers().into_iter().filter(is_evcxrs) {
                cell.stopped = true;
                signal(process, libc::SIGTERM);
            }
            drop(cell);
            std::thread::sleep(LOOK);
        }
    }

    fn interrupt_code(&self, cell: &mut Cell) -> Option<&'static str> {
        if cell.interruptible {
            signal(lock(&self.process).id(), libc::SIGINT);
            return None;
        }
        match cell.warned.map(|warned| warned.elapsed()) {
            Some(since) if since < TOO_SOON => return None,
            Some(since) if since < AGAIN => {
                cell.killed = true;
                self.kill();
                return None;
            }
            _ => cell.warned = Some(Instant::now()),
        }
        Some(language(
            "This cell can't be interrupted softly. Interrupt once more within 5 seconds to end it: the variables will be lost.\n",
            "Эту ячейку нельзя прервать мягко. Прервите ещё раз в течение 5 секунд, чтобы завершить её: переменные будут потеряны.\n",
        ))
    }

    /// Ends everything that the kernel has started.
    pub fn kill_all(&self) {
        self.kill();
        for process in self.compilers() {
            signal(process, libc::SIGKILL);
        }
    }

    /// Ends the process that runs the cells, whatever it does.
    pub fn kill(&self) {
        let _ = lock(&self.process).kill();
    }

    /// The processes below this one, without the cells' and those below it.
    fn compilers(&self) -> Vec<u32> {
        let cells = lock(&self.process).id();
        let parents: BTreeMap<u32, u32> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let process = entry.file_name().to_str()?.parse().ok()?;
                Some((process, parent(process)?))
            })
            .collect();
        let is_compiler = |process: &u32| {
            successors(Some(*process), |process| parents.get(process).copied())
                .take_while(|process| *process != cells)
                .skip(1)
                .any(|above| above == std::process::id())
        };
        parents.keys().copied().filter(is_compiler).collect()
    }
}

/// Whether evcxr, or cargo for it, has started a process. rust-analyzer's own calls are let alone: from one that was killed it
/// would believe that the cells have no dependencies.
fn is_evcxrs(process: &u32) -> bool {
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| variable.starts_with(b"EVCXR_CORE_EXTERN="))
}

fn signal(process: u32, signal: i32) {
    // SAFETY: it only sends a signal.
    unsafe { libc::kill(process as libc::pid_t, signal) };
}

/// The parent of a process that has not ended.
fn parent(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything; state and parent follow it.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let lives = matches!(words.next()?, "R" | "S" | "D" | "T");
    words.next()?.parse().ok().filter(|_| lives)
}
