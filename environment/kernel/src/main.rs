//! The Jupyter kernel of svertka: evcxr's engine with live output, interrupts that keep the variables, and errors that
//! are errors. `README.md` beside this package describes it.

mod building;
mod cargo;
mod cells;
mod engine;
mod filter;
mod folder;
mod interrupt;
mod report;
mod server;
mod syntax;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use engine::{Engine, Event, Sink, Stream, lock};
use folder::Folders;

/// In a build folder: the programs that stand in for others.
const PROGRAMS: &str = "bin";
/// In a build folder: what rust-analyzer takes for the standard library's sources where there are none.
const NO_RUST_SRC: &str = "no-rust-src";
/// Between two lines that tell how far set-up is.
const PAUSE: Duration = Duration::from_secs(4);
const USAGE: &str = "usage: svertka-kernel CONNECTION_FILE | --warm | --run CODE";

fn main() -> ExitCode {
    if let Some(done) = cargo::stand_in() {
        return done;
    }
    // evcxr starts this program again for the process that runs the cells, and as a wrapper around rustc.
    if std::env::var_os("EVCXR_IS_RUNTIME").is_some() {
        cells::run();
    }
    evcxr::runtime_hook();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["--warm"] => warm(),
        ["--run", code] => run(code),
        [connection_file] if !connection_file.starts_with('-') => serve(connection_file),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("svertka-kernel: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the folder that every kernel copies, unless it is built already.
fn warm() -> Result<()> {
    let folders = Folders::find()?;
    prepare(&folders.warm(), &folders)?;
    let Some(stamp) = folders.begin_warming()? else {
        return Ok(());
    };
    println!("The crate (about 3 minutes, once)");
    furnish(&folders.warm())?;
    let mut engine = Engine::start(&folders.warm(), printer())?;
    engine.preload(&folders.project)?;
    drop(engine);
    folders.keep_environment()?;
    stamp.write()
}

/// Evaluates one cell in a copy of the warmed folder, as a program would run it.
fn run(code: &str) -> Result<()> {
    let folders = Folders::find()?;
    // SAFETY: no thread has been started yet.
    unsafe { folders.recall_environment() };
    prepare(&folders.own(), &folders)?;
    let copy = folders.copy()?;
    furnish(copy.path())?;
    let mut engine = Engine::start(copy.path(), printer())?;
    engine.add_crate(&folders.project)?;
    let outcome = engine.execute(code, 1, &|_, _| String::new());
    if let Some(text) = outcome
        .content
        .get("text/plain")
        .and_then(|text| text.as_str())
    {
        println!("{text}");
    }
    match outcome.failure {
        Some(failure) => bail!("{}", failure.one_line()),
        None => Ok(()),
    }
}

fn serve(connection_file: &str) -> Result<()> {
    let text = std::fs::read_to_string(connection_file)
        .with_context(|| format!("can't read {connection_file}"))?;
    let connection = serde_json::from_str(&text)
        .with_context(|| format!("{connection_file} is no connection file"))?;
    let folders = Folders::find()?;
    // SAFETY: no thread has been started yet.
    unsafe { folders.recall_environment() };
    prepare(&folders.own(), &folders)?;
    server::serve(connection, folders)
}

/// Sets what evcxr, cargo and the process that runs the cells find in their environment, for a build folder that need not be
/// there yet.
fn prepare(folder: &Path, folders: &Folders) -> Result<()> {
    let rustc = folder::rustc()?;
    let home = match std::env::var_os(cargo::HOME) {
        Some(home) => home.into(),
        None => cargo::usual_home()?,
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        std::iter::once(folder.join(PROGRAMS)).chain(std::env::split_paths(&path)),
    )?;
    // SAFETY: `warm`, `run` and `serve` call this before they start any thread.
    unsafe {
        std::env::set_var("EVCXR_TMPDIR", folder);
        // Preludes of the user's for the stock kernel would slow the start and could break it.
        std::env::set_var("EVCXR_CONFIG_DIR", folder);
        std::env::set_var(cells::CELL_SIDE, folders.cell_side());
        std::env::set_var(cells::WORKING_FOLDER, std::env::current_dir()?);
        std::env::set_var("PATH", path);
        if !report::has_rust_src(&rustc) {
            // Else rust-analyzer would have rustup add it, unasked and unsaid.
            std::env::set_var("RUST_SRC_PATH", folder.join(NO_RUST_SRC));
        }
        if let Some(toolchain) = report::toolchain(&rustc) {
            // rust-analyzer asks rustup's own programs, which go by the folder and by what is the default today.
            std::env::set_var("RUSTUP_TOOLCHAIN", toolchain);
        }
        std::env::set_var(cargo::RUSTC, rustc);
        std::env::set_var(cargo::HOME, home);
        // An interrupt reaches the cells' process as a message, never as a stray signal to the group.
        libc::signal(libc::SIGINT, libc::SIG_IGN);
    }
    Ok(())
}

/// Puts into a build folder what `prepare` has named.
fn furnish(folder: &Path) -> Result<()> {
    let write = || -> Result<()> {
        std::fs::write(folder.join(cells::TRIAL), "")?;
        std::fs::create_dir_all(folder.join(NO_RUST_SRC).join("core"))?;
        cargo::install(&folder.join(PROGRAMS))
    };
    write().with_context(|| format!("can't write in {}", folder.display()))
}

/// Shows on a terminal what comes, of what cargo compiles a line every few seconds.
fn printer() -> Sink {
    let said = Mutex::new(None::<Instant>);
    Arc::new(move |event| match event {
        Event::Text(Stream::Out, text) => print!("{text}"),
        Event::Text(Stream::Err, text) => eprint!("{text}"),
        Event::Building { text, .. } => {
            let mut said = lock(&said);
            if said.is_none_or(|said| said.elapsed() > PAUSE) {
                println!("  {text}");
                *said = Some(Instant::now());
            }
        }
        Event::Message(_) | Event::Content(_) => {}
    })
}
