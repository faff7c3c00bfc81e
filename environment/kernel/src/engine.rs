//! evcxr, and what comes back from a cell.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use evcxr::{CommandContext, Error, EvalCallbacks, EvalOutputs};
use serde_json::{Map, Value};

use crate::building;
use crate::filter::MARK;
use crate::folder;
use crate::interrupt::Interrupter;
use crate::report::{self, Failure, Gone, language, say};
use crate::syntax;

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
    /// What cargo is compiling, in the place of what was said before under the same name.
    Building {
        id: String,
        text: String,
    },
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
    /// Variables that were lost since their type was defined anew.
    pub retyped: Vec<String>,
}

pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;
type Input<'a> = &'a dyn Fn(&str, bool) -> String;

/// One evcxr session.
pub struct Engine {
    context: CommandContext,
    outcome: Arc<Mutex<Outcome>>,
    drain: Sender<Sender<()>>,
    interrupter: Arc<Interrupter>,
    folder: PathBuf,
    sink: Sink,
    evaluated: usize,
    /// The definitions of the types that cells have defined.
    types: BTreeMap<String, String>,
    /// Variables that there were.
    gone: BTreeMap<String, Gone>,
}

impl Engine {
    /// Starts evcxr and the process that runs the cells in a build folder, which the environment names (`prepare`).
    pub fn start(folder: &Path, sink: Sink) -> Result<Self> {
        // An `evcxr.toml` in the notebook's folder would send evcxr elsewhere, or have it compile otherwise.
        let working = std::env::current_dir()?;
        std::env::set_current_dir(folder)?;
        let started = CommandContext::new();
        std::env::set_current_dir(working)?;
        let (context, outputs) =
            started.map_err(|error| anyhow!("evcxr doesn't start: {error}"))?;
        let interrupter = Arc::new(Interrupter::new(context.process_handle()));
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let (drain, drains) = bounded(0);
        let listener = Listener {
            sink: sink.clone(),
            outcome: outcome.clone(),
            interrupter: interrupter.clone(),
        };
        std::thread::spawn(move || listener.listen(&outputs.stdout, &outputs.stderr, &drains));
        Ok(Self {
            context,
            outcome,
            drain,
            interrupter,
            folder: folder.to_owned(),
            sink,
            evaluated: 0,
            types: BTreeMap::new(),
            gone: BTreeMap::new(),
        })
    }

    pub fn interrupter(&self) -> Arc<Interrupter> {
        self.interrupter.clone()
    }

    /// Makes the crate a dependency of the cells, written as `:dep svertka = { path = ".." }` of a notebook becomes.
    pub fn add_crate(&mut self, project: &Path) -> Result<()> {
        self.evaluate(&format!(
            ":dep svertka = {{ path = {:?} }}",
            project.display().to_string()
        ))
    }

    /// Loads the crate into the cells' process and into rust-analyzer.
    pub fn preload(&mut self, project: &Path) -> Result<()> {
        self.add_crate(project)?;
        self.evaluate(PRELUDE)?;
        let _ = self.complete(QUESTION, QUESTION.len());
        Ok(())
    }

    fn evaluate(&mut self, code: &str) -> Result<()> {
        match self.execute(code, 0, &|_, _| String::new()).failure {
            Some(failure) => Err(anyhow!("{code}: {}", failure.one_line())),
            None => Ok(()),
        }
    }

    /// Evaluates the cell of this number; `input` answers its requests (prompt, whether a password).
    pub fn execute(&mut self, code: &str, number: usize, input: Input) -> Outcome {
        self.interrupter.begin();
        let before = self.variables();
        let types = syntax::types(code);
        let retyped = self.drop_retyped(&types);
        *lock(&self.outcome) = Outcome {
            retyped,
            ..Outcome::default()
        };
        let result = self.watched(code, input);
        self.wait_for_output();
        let interrupted = self.interrupter.end();
        let process_ended = matches!(result, Some(Err(Error::SubprocessTerminated(_))));
        let mut outcome = std::mem::take(&mut *lock(&self.outcome));
        let failed = outcome.failure.is_some() || !matches!(result, Some(Ok(_)));
        if process_ended || code.contains(":clear") || code.contains(":restart") {
            self.gone.clear();
        } else {
            self.remember_gone(&before, code, number, failed, &outcome.retyped);
        }
        if !failed {
            self.types.extend(types);
        }
        let failure = match result {
            Some(Ok(shown)) => {
                // Commands such as `:vars` answer here.
                for (mime, text) in shown.content_by_mime_type {
                    outcome
                        .content
                        .entry(mime)
                        .or_insert_with(|| text.trim_end().into());
                }
                None
            }
            Some(Err(_)) if interrupted => Some(Failure::interrupted()),
            Some(Err(Error::CompilationErrors(errors))) => {
                Some(report::compile_errors(&errors, code, &self.gone))
            }
            Some(Err(Error::SubprocessTerminated(status))) => Some(Failure::ended(&status)),
            Some(Err(error)) => Some(self.other_failure(&error.to_string())),
            None => Some(Failure::new(
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

    /// Evaluates, and tells what cargo compiles meanwhile. `None`: evcxr has panicked.
    fn watched(&mut self, code: &str, input: Input) -> Option<Result<EvalOutputs, Error>> {
        let id = format!("svertka-building-{}", self.evaluated);
        self.evaluated += 1;
        let (sink, folder, context) = (&self.sink, &self.folder, &mut self.context);
        let mut callbacks = EvalCallbacks {
            input_reader: &|request| input(&request.prompt, request.is_password),
        };
        let (end, ended) = bounded(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                building::watch(folder, &ended, &|text| {
                    sink(Event::Building {
                        id: id.clone(),
                        text: text.to_owned(),
                    });
                    true
                });
            });
            let result = catch_unwind(AssertUnwindSafe(|| {
                context.execute_with_callbacks(code, &mut callbacks)
            }));
            drop(end);
            result.ok()
        })
    }

    /// Errors that are evcxr's own.
    fn other_failure(&self, text: &str) -> Failure {
        if text.starts_with("Couldn't automatically determine type of variable")
            && let Ok(rustc) = folder::rustc()
            && !report::has_rust_src(&rustc)
        {
            return Failure::no_rust_src(&rustc);
        }
        Failure::of_tool(text)
    }

    fn variables(&self) -> BTreeSet<String> {
        self.context
            .variables_and_types()
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// Drops the variables whose type is about to be defined otherwise, and returns their names. evcxr notices a changed type
    /// by its fields' names only: where a field's own type changes, it would take the old bytes for the new type's.
    fn drop_retyped(&mut self, types: &[(String, String)]) -> Vec<String> {
        let mut changed: Vec<&str> = types
            .iter()
            .filter(|(name, definition)| {
                self.types
                    .get(name)
                    .is_some_and(|known| known != definition)
            })
            .map(|(name, _)| name.as_str())
            .collect();
        // And with it those that hold one.
        while let Some((name, _)) = self.types.iter().find(|(name, definition)| {
            !changed.contains(&name.as_str()) && syntax::has_word(definition, &changed)
        }) {
            changed.push(name);
        }
        let lost: Vec<String> = self
            .context
            .variables_and_types()
            .filter(|(_, of)| syntax::has_word(of, &changed))
            .map(|(name, _)| name.to_owned())
            .collect();
        if !lost.is_empty() {
            let _ = self
                .context
                .execute(&format!("drop(({},));", lost.join(", ")));
            let names = lost.join("`, `");
            let text = language(
                format!("`{names}`: lost, since the type is defined anew.\n"),
                format!("`{names}`: больше нет, так как тип определён заново.\n"),
            );
            (self.sink)(Event::Text(Stream::Err, text));
        }
        lost
    }

    /// Variables that are gone after a cell were moved by it, unless it lost them.
    fn remember_gone(
        &mut self,
        before: &BTreeSet<String>,
        code: &str,
        number: usize,
        failed: bool,
        retyped: &[String],
    ) {
        let now = self.variables();
        for name in before.difference(&now) {
            let why = if retyped.contains(name) {
                Gone::Retyped
            } else if failed && syntax::defines(code, name) {
                Gone::Failed(number)
            } else {
                Gone::Moved(number)
            };
            self.gone.insert(name.clone(), why);
        }
        self.gone.retain(|name, _| !now.contains(name));
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
        } else if let Some(name) = piece["retyped"].as_str() {
            lock(&self.outcome).retyped.push(name.to_owned());
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
