//! The process that runs the cells. evcxr starts it and tells it, a line a cell, which library to load and which function
//! to call.
//!
//! It does what `evcxr::runtime_hook` would do, with three differences: a process of its own (`filter`) stands between
//! the cells' output and evcxr; evcxr's commands have a pipe of their own, so that a cell that reads standard input can't
//! swallow them; and the end of a cell is told by a pipe that no cell can write to.

use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::path::Path;

use crate::filter;

/// Names the library that `cell_side.rs` was compiled into.
pub const CELL_SIDE: &str = "SVERTKA_CELL_SIDE";

/// Names the folder that cells work in. evcxr is started in another, lest it take settings from a file in this one.
pub const WORKING_FOLDER: &str = "SVERTKA_WORKING_FOLDER";

/// A file in evcxr's folder: the next process that runs cells begins with evcxr's own trial cell.
pub const TRIAL: &str = "svertka-trial";

type Store = *mut c_void;

/// Runs cells until evcxr closes the pipe.
pub fn run() -> ! {
    match prepare_and_loop() {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("svertka-kernel: the process that runs the cells can't go on: {error}");
            std::process::exit(99)
        }
    }
}

fn prepare_and_loop() -> Result<(), Error> {
    if let Some(folder) = std::env::var_os(WORKING_FOLDER) {
        std::env::set_current_dir(folder)?;
    }
    // SAFETY: this process has one thread so far; the descriptors are its own.
    let (commands, mut done) = unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        // The kernel may be killed while a cell runs.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // evcxr asks for backtraces; collecting them makes every `anyhow` error slow, and none is shown.
        std::env::set_var("RUST_BACKTRACE", "0");
        let trial = std::env::var_os("EVCXR_TMPDIR").map(|folder| Path::new(&folder).join(TRIAL));
        let quiet = trial.is_some_and(|trial| std::fs::remove_file(trial).is_ok());
        let commands = duplicate(0)?;
        let answers = duplicate(1)?;
        let (out, err, done, input) = (pipe()?, pipe()?, pipe()?, pipe()?);
        match libc::fork() {
            -1 => return Err(Error::last_os_error()),
            0 => {
                // Nothing of evcxr's pipes may stay open here but `answers` and `commands`.
                let nothing = File::options().read(true).write(true).open("/dev/null")?;
                for descriptor in 0..3 {
                    libc::dup2(nothing.as_raw_fd(), descriptor);
                }
                drop((out.1, err.1, done.1, input.0));
                libc::prctl(libc::PR_SET_PDEATHSIG, 0);
                filter::run(filter::Ends {
                    out: out.0,
                    err: err.0,
                    done: done.0,
                    input: input.1,
                    commands,
                    answers,
                    quiet,
                })
            }
            _ => {}
        }
        for (end, descriptor) in [(&input.0, 0), (&out.1, 1), (&err.1, 2)] {
            if libc::dup2(end.as_raw_fd(), descriptor) < 0 {
                return Err(Error::last_os_error());
            }
        }
        (commands, done.1)
    };
    let side = CellSide::load();
    if let Some(side) = &side {
        (side.begin)();
    }
    let mut store: Store = std::ptr::null_mut();
    for line in BufReader::new(commands).lines() {
        let line = line?;
        // The library's path may hold spaces, the function's name can't.
        let Some((library, function)) = line
            .strip_prefix("LOAD_AND_RUN ")
            .and_then(|words| words.rsplit_once(' '))
        else {
            return Err(Error::other(format!("no command: {line}")));
        };
        let function = symbol(library, function)?;
        // SAFETY: evcxr generated this function with this type, and gets back the store that the last one returned.
        let function =
            unsafe { std::mem::transmute::<*mut c_void, extern "C" fn(Store) -> Store>(function) };
        if let Some(side) = &side {
            (side.cell_begins)();
        }
        store = function(store);
        if let Some(side) = &side {
            (side.cell_ends)();
        }
        done.write_all(b"\n")?;
    }
    Ok(())
}

/// The functions of `cell_side.rs`.
struct CellSide {
    begin: extern "C" fn(),
    cell_begins: extern "C" fn(),
    cell_ends: extern "C" fn(),
}

impl CellSide {
    fn load() -> Option<Self> {
        let library = std::env::var(CELL_SIDE).ok()?;
        let function = |name| {
            let address = symbol(&library, name).ok()?;
            // SAFETY: `cell_side.rs` declares these functions so.
            Some(unsafe { std::mem::transmute::<*mut c_void, extern "C" fn()>(address) })
        };
        Some(Self {
            begin: function("svertka_cells_begin")?,
            cell_begins: function("svertka_cell_begins")?,
            cell_ends: function("svertka_cell_ends")?,
        })
    }
}

/// The address of a function in a library, which is loaded for good.
fn symbol(library: &str, name: &str) -> Result<*mut c_void, Error> {
    let (library, name) = (CString::new(library)?, CString::new(name)?);
    // SAFETY: both names end with a zero byte, and what `dlerror` returns is read at once.
    unsafe {
        let handle = libc::dlopen(library.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL);
        let address = if handle.is_null() {
            handle
        } else {
            libc::dlsym(handle, name.as_ptr())
        };
        if address.is_null() {
            let why: *const c_char = libc::dlerror();
            let why = if why.is_null() {
                "not found".into()
            } else {
                CStr::from_ptr(why).to_string_lossy()
            };
            return Err(Error::other(why.into_owned()));
        }
        Ok(address)
    }
}

/// A second descriptor for the same file, which programs that a cell starts don't inherit.
unsafe fn duplicate(descriptor: RawFd) -> Result<File, Error> {
    match unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 3) } {
        -1 => Err(Error::last_os_error()),
        copy => Ok(unsafe { File::from_raw_fd(copy) }),
    }
}

/// The two ends of a new pipe: to read from, to write to.
unsafe fn pipe() -> Result<(File, File), Error> {
    let mut ends = [0; 2];
    match unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } {
        0 => Ok(unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) }),
        _ => Err(Error::last_os_error()),
    }
}
