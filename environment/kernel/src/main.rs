//! The Jupyter kernel of svertka: evcxr's engine with live output, interrupts that keep the variables, and errors that
//! are errors. `README.md` beside this package describes it.

mod building;
mod cargo;
mod cells;
mod engine;
mod environment;
mod filter;
mod folder;
mod interrupt;
mod language;
mod placement;
mod report;
mod server;
mod sources;
mod sync;
mod syntax;
mod toolchain;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jupyter_protocol::{JupyterMessageContent as Content, Media, MediaType, Stdio};

use engine::{Engine, Sink};
use folder::Folders;
use sync::lock;

/// Between two lines that tell how far set-up is.
const PAUSE: Duration = Duration::from_secs(3);
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
    let warm = folders.warm();
    // SAFETY: no thread has been started yet.
    unsafe { environment::prepare(&warm, &folders)? };
    folders.warm_up(|| {
        println!("The crate (about 3 minutes, once)");
        Engine::start(&warm, &folders.project, printer())?.preload()?;
        environment::keep(&warm)
    })
}

/// The build folders, and the environment for this process's copy of the warmed one.
fn find_folders() -> Result<Folders> {
    let folders = Folders::find()?;
    // SAFETY: no thread has been started yet.
    unsafe {
        environment::recall(&folders.warm());
        environment::prepare(&folders.own(), &folders)?;
    }
    Ok(folders)
}

/// Evaluates one cell in a copy of the warmed folder, as a program would run it.
fn run(code: &str) -> Result<()> {
    let folders = find_folders()?;
    let copy = folders.copy()?;
    let mut engine = Engine::start(&copy.path, &folders.project, printer())?;
    engine.add_crate()?;
    if let Some(text) = engine.run(code)?.get("text/plain") {
        println!("{}", text.as_str().unwrap_or_default());
    }
    Ok(())
}

fn serve(connection_file: &str) -> Result<()> {
    let text = std::fs::read_to_string(connection_file)
        .with_context(|| format!("can't read {connection_file}"))?;
    let connection = serde_json::from_str(&text)
        .with_context(|| format!("{connection_file} is no connection file"))?;
    server::serve(connection, find_folders()?)
}

/// Shows on a terminal what comes, of what cargo compiles a line every few seconds.
fn printer() -> Sink {
    let said = Mutex::new(None::<Instant>);
    let progress = move |data: Media| {
        let mut said = lock(&said);
        if let [MediaType::Plain(text)] = &data.content[..]
            && said.is_none_or(|said| said.elapsed() > PAUSE)
        {
            println!("  {text}");
            *said = Some(Instant::now());
        }
    };
    Arc::new(move |shown| match shown {
        Content::StreamContent(stream) => match stream.name {
            Stdio::Stdout => print!("{}", stream.text),
            Stdio::Stderr => eprint!("{}", stream.text),
        },
        Content::DisplayData(shown) => progress(shown.data),
        Content::UpdateDisplayData(shown) => progress(shown.data),
        _ => {}
    })
}
