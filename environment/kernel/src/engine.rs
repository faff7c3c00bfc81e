//! evcxr, and what comes back from a cell.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use evcxr::{CommandContext, Error, EvalCallbacks};
use serde_json::{Map, Value};

use crate::filter::MARK;
use crate::interrupt::Interrupter;
use crate::report::{self, Failure, say};

/// What `preload` evaluates, so that the crate and libtorch are in memory before the first cell.
const PRELUDE: &str = "{ let _ = svertka::prelude::versions(); }";
/// What it asks rust-analyzer, which then knows the crate's types.
const QUESTION: &str = "let svertka_question = svertka::prelude::versions(); svertka_question.";

/// Something that a cell shows while it runs.
pub enum Event {
    Text(Stream, String),
    /// A message of the crate's display protocol.
    Message(Value),
    /// A value that was shown by evcxr's markers before the cell's last one.
    Content(Map<String, Value>),
}

#[derive(Clone, Copy)]
pub enum Stream {
    Out,
    Err,
}

/// What is left when a cell has ended.
#[derive(Default)]
pub struct Outcome {
    /// The value that the cell shows as its result, by MIME type.
    pub content: Map<String, Value>,
    pub failure: Option<Failure>,
}

type Sink = Box<dyn Fn(Event) + Send>;
type Input<'a> = &'a dyn Fn(&str, bool) -> String;

/// One evcxr session.
pub struct Engine {
    context: CommandContext,
    outcome: Arc<Mutex<Outcome>>,
    drain: Sender<Sender<()>>,
    interrupter: Arc<Interrupter>,
}

impl Engine {
    /// Starts evcxr and the process that runs the cells. The environment says where (`prepare`).
    pub fn start(sink: Sink) -> Result<Self> {
        let (context, outputs) =
            CommandContext::new().map_err(|error| anyhow!("evcxr doesn't start: {error}"))?;
        let interrupter = Arc::new(Interrupter::new(context.process_handle()));
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let (drain, drains) = bounded(0);
        let listener = Listener {
            sink,
            outcome: outcome.clone(),
            interrupter: interrupter.clone(),
        };
        std::thread::spawn(move || listener.listen(&outputs.stdout, &outputs.stderr, &drains));
        Ok(Self {
            context,
            outcome,
            drain,
            interrupter,
        })
    }

    pub fn interrupter(&self) -> Arc<Interrupter> {
        self.interrupter.clone()
    }

    /// Makes the crate a dependency of the cells, written as `:dep svertka = { path = ".." }` of a notebook becomes.
    pub fn add_crate(&mut self, project: &Path) -> Result<()> {
        let line = format!(
            ":dep svertka = {{ path = {:?} }}",
            project.display().to_string()
        );
        // All that the crate needs is on this machine after set-up. But evcxr asks for it without a lock file, and cargo
        // would look into the registry's index each time: without a network the lesson would fail at its first cell.
        self.use_network(false);
        if self.evaluate(&line).is_ok() {
            return Ok(());
        }
        self.use_network(true);
        self.evaluate(&line)
    }

    /// Loads the crate into the cells' process and into rust-analyzer.
    pub fn preload(&mut self, project: &Path) -> Result<()> {
        self.add_crate(project)?;
        self.evaluate(PRELUDE)?;
        let _ = self.complete(QUESTION, QUESTION.len());
        Ok(())
    }

    /// Whether cargo may ask the registry.
    fn use_network(&mut self, use_it: bool) {
        let command = if use_it { ":offline 0" } else { ":offline 1" };
        let _ = self.context.execute(command);
    }

    fn evaluate(&mut self, code: &str) -> Result<()> {
        match self.execute(code, &|_, _| String::new()).failure {
            Some(failure) => Err(anyhow!("{code}: {}", failure.one_line())),
            None => Ok(()),
        }
    }

    /// Evaluates a cell; `input` answers its requests (prompt, whether a password).
    pub fn execute(&mut self, code: &str, input: Input) -> Outcome {
        if adds_another_crate(code) {
            self.use_network(true);
        }
        *lock(&self.outcome) = Outcome::default();
        self.interrupter.begin();
        let mut callbacks = EvalCallbacks {
            input_reader: &|request| input(&request.prompt, request.is_password),
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.context.execute_with_callbacks(code, &mut callbacks)
        }));
        self.wait_for_output();
        let interrupted = self.interrupter.end();
        let mut outcome = std::mem::take(&mut *lock(&self.outcome));
        let failure = match result {
            Ok(Ok(shown)) => {
                // Commands such as `:vars` answer here.
                for (mime, text) in shown.content_by_mime_type {
                    outcome
                        .content
                        .entry(mime)
                        .or_insert_with(|| text.trim_end().into());
                }
                None
            }
            Ok(Err(_)) if interrupted => Some(Failure::interrupted()),
            Ok(Err(Error::CompilationErrors(errors))) => {
                Some(report::compile_errors(&errors, code))
            }
            Ok(Err(Error::SubprocessTerminated(status))) => Some(Failure::ended(&status)),
            Ok(Err(error)) => Some(Failure::new("error", &error.to_string())),
            Err(_) => Some(Failure::new(
                "error",
                say(
                    "The kernel itself failed at this cell; its log says more.",
                    "На этой ячейке сбой в самом ядре; подробности в его журнале.",
                ),
            )),
        };
        outcome.failure = outcome.failure.or(failure);
        if outcome.failure.is_some() {
            outcome.content.clear();
        }
        outcome
    }

    /// Completions at a byte offset: what is replaced, and by what.
    pub fn complete(&mut self, code: &str, at: usize) -> Option<evcxr::Completions> {
        catch_unwind(AssertUnwindSafe(|| self.context.completions(code, at)))
            .ok()?
            .ok()
    }

    /// Documentation of what stands at a byte offset, as text and as HTML.
    pub fn inspect(&mut self, code: &str, at: usize) -> Option<(String, String)> {
        let found = catch_unwind(AssertUnwindSafe(|| self.context.hover_at(code, at)))
            .ok()?
            .ok()?;
        (found.0 != "No documentation found").then_some(found)
    }

    /// Waits until everything that came before has reached the sink.
    fn wait_for_output(&self) {
        let (reached, wait) = bounded(0);
        if self.drain.send(reached).is_ok() {
            let _ = wait.recv();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // evcxr would wait for a cell that runs.
        self.interrupter.kill();
    }
}

/// Whether a cell asks for a crate other than this one: `:dep rand = "0.9"`.
fn adds_another_crate(code: &str) -> bool {
    code.lines()
        .filter_map(|line| line.trim_start().strip_prefix(":dep"))
        .any(|rest| rest.split('=').next().map(str::trim) != Some("svertka"))
}

/// Turns evcxr's lines into events.
struct Listener {
    sink: Sink,
    outcome: Arc<Mutex<Outcome>>,
    interrupter: Arc<Interrupter>,
}

impl Listener {
    fn listen(
        &self,
        lines: &Receiver<String>,
        errors: &Receiver<String>,
        drains: &Receiver<Sender<()>>,
    ) {
        loop {
            select! {
                recv(lines) -> line => match line {
                    Ok(line) => self.take(&line),
                    Err(_) => return,
                },
                recv(drains) -> drain => {
                    let Ok(reached) = drain else { return };
                    for line in lines.try_iter() {
                        self.take(&line);
                    }
                    let _ = reached.send(());
                }
                // Only what goes wrong before the filter stands.
                recv(errors) -> line => match line {
                    Ok(line) => eprintln!("{line}"),
                    Err(_) => return,
                },
            }
        }
    }

    fn take(&self, line: &str) {
        let piece = line
            .strip_prefix(char::from(MARK))
            .and_then(|json| serde_json::from_str::<Value>(json).ok());
        let Some(mut piece) = piece else {
            return (self.sink)(Event::Text(Stream::Out, format!("{line}\n")));
        };
        let text = piece["text"].as_str().unwrap_or_default();
        if let Some(text) = piece["out"].as_str() {
            (self.sink)(Event::Text(Stream::Out, text.to_owned()));
        } else if let Some(text) = piece["err"].as_str() {
            (self.sink)(Event::Text(Stream::Err, text.to_owned()));
        } else if let Some(kind) = piece["failed"].as_str() {
            let failure = match kind {
                "panic" => Failure::new("panic", &report::panic_message(text)),
                _ => Failure::new("error", text),
            };
            lock(&self.outcome).failure.get_or_insert(failure);
        } else if let Some(panic) = piece["panic"].as_str() {
            (self.sink)(Event::Text(
                Stream::Err,
                format!("panic: {}\n", report::panic_message(panic)),
            ));
        } else if let Some(mime) = piece["content"].as_str() {
            let value = if mime.ends_with("json") {
                serde_json::from_str(text).ok()
            } else {
                None
            };
            let mut outcome = lock(&self.outcome);
            if outcome.content.contains_key(mime) {
                (self.sink)(Event::Content(std::mem::take(&mut outcome.content)));
            }
            outcome
                .content
                .insert(mime.to_owned(), value.unwrap_or_else(|| text.into()));
        } else if let Some(value) = piece["message"]["value"]
            .as_bool()
            .filter(|_| piece["message"]["type"] == "interruptible")
        {
            self.interrupter
                .interruptible
                .store(value, Ordering::Release);
        } else {
            (self.sink)(Event::Message(piece["message"].take()));
        }
    }
}

/// A panic elsewhere is no reason to stop.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_itself_needs_no_network_and_others_do() {
        for (code, another) in [
            (
                ":dep svertka = { path = \"..\" }\nuse svertka::prelude::*;",
                false,
            ),
            ("let x = 1; // no :dep here", false),
            (":dep rand = \"0.9\"", true),
            ("  :dep rand", true),
            (
                ":dep svertka = { path = \"..\" }\n:dep serde = { version = \"1\" }",
                true,
            ),
        ] {
            assert_eq!(adds_another_crate(code), another, "{code}");
        }
    }
}
