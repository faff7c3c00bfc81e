//! The Jupyter kernel of svertka: evcxr's engine with live output, interrupts that keep the variables, and errors that
//! are errors. `README.md` beside this package describes it.

mod cells;
mod engine;
mod filter;
mod folder;
mod interrupt;
mod report;
mod server;
mod syntax;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use engine::{Engine, Event, Stream};
use folder::Folders;

const USAGE: &str = "usage: svertka-kernel CONNECTION_FILE | --warm | --run CODE";

fn main() -> ExitCode {
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
    let Some(stamp) = folders.begin_warming()? else {
        println!("The kernel's build folder is up to date.");
        return Ok(());
    };
    println!("Building the kernel's folder: the crate and what it needs …");
    prepare(&folders.warm(), &folders)?;
    let mut engine = Engine::start(Box::new(print))?;
    engine.preload(&folders.project)?;
    drop(engine);
    stamp.write()
}

/// Evaluates one cell in a copy of the warmed folder, as a program would run it.
fn run(code: &str) -> Result<()> {
    let folders = Folders::find()?;
    let copy = folders.copy()?;
    prepare(copy.path(), &folders)?;
    let mut engine = Engine::start(Box::new(print))?;
    engine.add_crate(&folders.project)?;
    let outcome = engine.execute(code, &|_, _| String::new());
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
    server::serve(connection, folders)
}

/// Sets what evcxr, cargo and the process that runs the cells find in their environment.
fn prepare(folder: &std::path::Path, folders: &Folders) -> Result<()> {
    let cell_side = folders.cell_side();
    std::fs::write(folder.join(cells::TRIAL), "")
        .with_context(|| format!("can't write in {}", folder.display()))?;
    // SAFETY: `warm`, `run` and `serve` call this before they start any thread.
    unsafe {
        std::env::set_var("EVCXR_TMPDIR", folder);
        // Preludes of the user's for the stock kernel would slow the start and could break it.
        std::env::set_var("EVCXR_CONFIG_DIR", folder);
        std::env::set_var(cells::CELL_SIDE, cell_side);
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_INCREMENTAL",
            "CARGO_BUILD_TARGET",
        ] {
            std::env::remove_var(name);
        }
        // An interrupt reaches the cells' process as a message, never as a stray signal to the group.
        libc::signal(libc::SIGINT, libc::SIG_IGN);
    }
    Ok(())
}

fn print(event: Event) {
    match event {
        Event::Text(Stream::Out, text) => print!("{text}"),
        Event::Text(Stream::Err, text) => eprint!("{text}"),
        Event::Message(_) | Event::Content(_) => {}
    }
}
