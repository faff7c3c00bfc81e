//! The process that runs the cells. evcxr starts it and tells it, a line a cell, which library to load and which function
//! to call.
//!
//! It does what `evcxr::runtime_hook` would do, with three differences: a process of its own (`filter`) stands between
//! the cells' output and evcxr; evcxr's commands have a pipe of their own, so that a cell that reads standard input can't
//! swallow them; and a cell's begin and end are told by a pipe that no cell can write to.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Error, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

use anyhow::{Context, Result};
use libloading::Library;

use crate::cargo;
use crate::filter;

/// Names the library that `cell_hooks.rs` was compiled into.
pub const CELL_HOOKS: &str = "SVERTKA_CELL_HOOKS";

/// Names the folder that cells work in. evcxr is started in another, lest it take settings from a file in this one.
pub const WORKING_FOLDER: &str = "SVERTKA_WORKING_FOLDER";

/// A file in evcxr's folder: while it is there evcxr starts, and runs trial cells of its own.
pub const TRIAL: &str = "svertka-trial";

type Store = *mut c_void;

/// Runs cells until evcxr closes the pipe.
pub fn run() -> ! {
    let ended = prepare().and_then(|(commands, events)| run_cells(commands, events));
    if let Err(error) = ended {
        eprintln!("svertka-kernel: the process that runs the cells can't go on: {error:#}");
        std::process::exit(99)
    }
    std::process::exit(0)
}

/// Starts the filter and takes its pipes for the standard streams. Returns where evcxr's commands come from, and where
/// the begins and ends of cells are told.
fn prepare() -> Result<(File, PipeWriter)> {
    if let Some(folder) = std::env::var_os(WORKING_FOLDER) {
        std::env::set_current_dir(folder)?;
    }
    let trial = Path::new(&std::env::var_os("EVCXR_TMPDIR").unwrap_or_default()).join(TRIAL);
    // Programs that a cell starts inherit none of these.
    let commands = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let answers = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (out, err, events, input) = (io::pipe()?, io::pipe()?, io::pipe()?, io::pipe()?);
    // SAFETY: this process has one thread so far.
    let forked = unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        // evcxr asks for backtraces; collecting them makes every `anyhow` error slow, and none is shown.
        std::env::set_var("RUST_BACKTRACE", "0");
        match cargo::users_home() {
            Some(home) => std::env::set_var("CARGO_HOME", home),
            None => std::env::remove_var("CARGO_HOME"),
        }
        libc::fork()
    };
    match forked {
        -1 => Err(Error::last_os_error().into()),
        0 => {
            // Nothing of evcxr's pipes may stay open here but `answers` and `commands`.
            let nothing = File::options().read(true).write(true).open("/dev/null")?;
            for descriptor in 0..3 {
                replace(descriptor, &nothing)?;
            }
            drop((out.1, err.1, events.1, input.0));
            filter::run(filter::Ends {
                out: out.0,
                err: err.0,
                events: events.0,
                input: input.1,
                commands,
                answers,
                trial,
            })
        }
        _ => {
            // SAFETY: it only asks for a signal: the kernel may be killed while a cell runs.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            replace(0, &input.0)?;
            replace(1, &out.1)?;
            replace(2, &err.1)?;
            Ok((commands, events.1))
        }
    }
}

fn replace(descriptor: RawFd, by: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: both are open, and nothing owns the standard streams.
    match unsafe { libc::dup2(by.as_raw_fd(), descriptor) } {
        -1 => Err(Error::last_os_error()),
        _ => Ok(()),
    }
}

fn run_cells(commands: File, mut events: PipeWriter) -> Result<()> {
    let cell_runs = hook(events.as_raw_fd()).unwrap_or(nothing);
    let mut store: Store = std::ptr::null_mut();
    for line in BufReader::new(commands).lines() {
        let line = line?;
        // The library's path may hold spaces, the function's name can't.
        let (library, name) = line
            .strip_prefix("LOAD_AND_RUN ")
            .and_then(|words| words.rsplit_once(' '))
            .with_context(|| format!("no command: {line}"))?;
        // In one piece: an empty line would end the cell. Loading its library runs code already.
        events.write_all(format!("{}\n", filter::BEGINS).as_bytes())?;
        // SAFETY: evcxr generated this function with this type, and gets back the store that the last one returned.
        let cell: extern "C" fn(Store) -> Store = unsafe { function(library, name)? };
        cell_runs(true);
        store = cell(store);
        cell_runs(false);
        events.write_all(b"\n")?;
    }
    Ok(())
}

/// Begins what `cell_hooks.rs` does, and returns its function that is told of each cell.
fn hook(panics: RawFd) -> Result<extern "C" fn(bool)> {
    let library = std::env::var(CELL_HOOKS)?;
    // SAFETY: `cell_hooks.rs` declares these functions so.
    unsafe {
        let begin: extern "C" fn(RawFd) = function(&library, "svertka_cells_begin")?;
        let cell_runs = function(&library, "svertka_cell_runs")?;
        begin(panics);
        Ok(cell_runs)
    }
}

/// Cells run without that library too.
extern "C" fn nothing(_runs: bool) {}

/// A function of a library, which is loaded for good.
///
/// # Safety
/// The function must have this type.
unsafe fn function<F: Copy>(library: &str, name: &str) -> Result<F> {
    // SAFETY: as the caller promises.
    unsafe {
        let library = Library::new(library)?;
        let function = *library.get::<F>(name)?;
        std::mem::forget(library);
        Ok(function)
    }
}
