//! evcxr, and what comes back from a cell.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, RecvError, bounded, select_biased};
use evcxr::{CommandContext, Error, EvalCallbacks, EvalOutputs};
use jupyter_protocol::{
    DisplayData, JupyterMessageContent as Content, Media, MediaType, ReplyError, StreamContent,
    UpdateDisplayData,
};
use serde_json::{Map, Value};

use crate::building;
use crate::cells;
use crate::environment;
use crate::filter::Piece;
use crate::interrupt::Interrupter;
use crate::language::language;
use crate::placement;
use crate::report::{self, Gone};
use crate::sources;
use crate::syntax;

/// What `preload` evaluates, so that the crate and libtorch are in memory before the first cell. evcxr lets cells use `?` once
/// one with it has failed to compile: this one, so that no learner's has to be compiled twice.
const PRELUDE: &str = "{ let _ = svertka::prelude::versions(); Ok::<(), std::fmt::Error>(())?; }";
/// What it asks rust-analyzer, which then knows the crate's types, and `Tensor`'s many functions.
const QUESTION: &str =
    "let svertka_question = svertka::prelude::versions(); svertka::prelude::Tensor::";

/// The value that a cell shows as its result, by MIME type, or why it failed.
pub type Outcome = Result<Map<String, Value>, ReplyError>;

/// Gets what a cell shows while it runs.
pub type Sink = Arc<dyn Fn(Content) + Send + Sync>;
type Input<'a> = &'a dyn Fn(&str, bool) -> String;

/// One evcxr session.
pub struct Engine {
    context: CommandContext,
    lines: Receiver<String>,
    pub interrupter: Arc<Interrupter>,
    folder: PathBuf,
    /// The checkout whose crate the cells use.
    project: PathBuf,
    sink: Sink,
    evaluated: usize,
    /// The definitions of the types that cells have defined.
    types: BTreeMap<String, String>,
    /// Variables that there were.
    gone: BTreeMap<String, Gone>,
}

impl Engine {
    /// Starts evcxr and the process that runs the cells in a build folder, which the environment names (`prepare`).
    pub fn start(folder: &Path, project: &Path, sink: Sink) -> Result<Self> {
        environment::furnish(folder)
            .with_context(|| format!("can't write in {}", folder.display()))?;
        // An `evcxr.toml` in the notebook's folder would send evcxr elsewhere, or have it compile otherwise.
        let working = std::env::current_dir()?;
        std::env::set_current_dir(folder)?;
        let started = CommandContext::new();
        std::env::set_current_dir(working)?;
        std::fs::remove_file(folder.join(cells::TRIAL))?;
        let (context, outputs) =
            started.map_err(|error| anyhow!("evcxr doesn't start: {error}"))?;
        sources::show_standard_library(folder)?;
        let interrupter = Arc::new(Interrupter::new(context.process_handle()));
        // Only what goes wrong before the filter stands.
        std::thread::spawn(move || outputs.stderr.iter().for_each(|line| eprintln!("{line}")));
        Ok(Self {
            context,
            lines: outputs.stdout,
            interrupter,
            folder: folder.to_owned(),
            project: project.to_owned(),
            sink,
            evaluated: 0,
            types: BTreeMap::new(),
            gone: BTreeMap::new(),
        })
    }

    /// Makes the crate a dependency of the cells, written as `:dep svertka = { path = ".." }` of a notebook becomes.
    pub fn add_crate(&mut self) -> Result<()> {
        let dependency = placement::dependency(&self.project);
        self.run(&dependency).context(dependency)?;
        Ok(())
    }

    /// Loads the crate into the cells' process and into rust-analyzer.
    pub fn preload(&mut self) -> Result<()> {
        self.add_crate()?;
        self.run(PRELUDE).context(PRELUDE)?;
        let _ = self.complete(QUESTION, QUESTION.len());
        Ok(())
    }

    /// Evaluates what is no numbered cell, and has nobody to ask for input.
    pub fn run(&mut self, code: &str) -> Result<Map<String, Value>> {
        self.execute(code, 0, &|_, _| String::new())
            .map_err(|failure| anyhow!("{}: {}", failure.ename, failure.evalue))
    }

    /// Evaluates the cell of this number; `input` answers its requests (prompt, whether a password).
    pub fn execute(&mut self, code: &str, number: usize, input: Input) -> Outcome {
        // What the kernel evaluates while it starts has no number, and is nobody's to stop.
        if number > 0 {
            self.interrupter.begin();
        }
        let before = self.variables();
        let types = syntax::types(code);
        let mut retyped = self.drop_retyped(&types);
        let (result, heard) = self.evaluate(code, input);
        retyped.extend(heard.retyped);
        let (interrupted, killed) = self.interrupter.end();
        let process_ended = matches!(result, Err(Error::SubprocessTerminated(_)));
        let failed = heard.failure.is_some() || result.is_err();
        if process_ended || code.contains(":clear") || code.contains(":restart") {
            self.gone.clear();
        } else {
            self.remember_gone(&before, |name| {
                if retyped.contains(name) {
                    Gone::Retyped
                } else if failed && syntax::defines(code, name) {
                    Gone::Failed(number)
                } else {
                    Gone::Moved(number)
                }
            });
        }
        if !failed {
            self.types.extend(types);
        }
        // Of several failures the first one counts.
        if let Some(failure) = heard.failure {
            return Err(failure);
        }
        let shown = result.map_err(|error| match interrupted {
            true => report::interrupted(),
            false => self.failure(error, code, killed),
        })?;
        let mut content = heard.content;
        // Commands such as `:vars` answer here.
        for (mime, text) in shown.content_by_mime_type {
            let text = || text.trim_end().into();
            content.entry(mime).or_insert_with(text);
        }
        // A loop at a cell's end has the value `()`: nothing to show.
        if content.get("text/plain") == Some(&"()".into()) {
            content.clear();
        }
        Ok(content)
    }

    /// Has evcxr evaluate a cell; shows what comes, and what cargo compiles meanwhile.
    fn evaluate(&mut self, code: &str, input: Input) -> (Result<EvalOutputs, Error>, Heard) {
        let id = format!("svertka-building-{}", self.evaluated);
        let here = std::env::current_dir().unwrap_or_default();
        let code = syntax::keep_last(code);
        let code = placement::lead(&code, &here, &self.project);
        self.evaluated += 1;
        let (sink, folder, context) = (&self.sink, &self.folder, &mut self.context);
        let (lines, interrupter) = (&self.lines, &self.interrupter);
        let mut callbacks = EvalCallbacks {
            input_reader: &|request| input(&request.prompt, request.is_password),
        };
        let (end, ended) = bounded::<()>(0);
        let evaluated = std::thread::scope(|scope| {
            let end_heard = ended.clone();
            let listening = scope.spawn(move || listen(lines, &end_heard, sink, interrupter));
            scope.spawn(move || {
                building::watch(folder, &ended, |text, again| {
                    sink(display_text(&id, text, again));
                    true
                });
            });
            let result = caught(|| context.execute_with_callbacks(&code, &mut callbacks));
            drop(end);
            let result = result.unwrap_or_else(|| Err(report::kernel_failed().into()));
            (result, listening.join().unwrap_or_default())
        });
        // A process that has crashed didn't tell.
        interrupter.set_running(false);
        evaluated
    }

    /// `killed`: an interrupt has ended the cells' process.
    fn failure(&self, error: Error, code: &str, killed: bool) -> ReplyError {
        match error {
            Error::CompilationErrors(errors) => report::compile_errors(&errors, code, &self.gone),
            Error::SubprocessTerminated(status) => report::process_ended(&status, killed),
            error => report::failure_of_tool(&error.to_string()),
        }
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
            let drop = format!("drop(({},));", lost.join(", "));
            let (dropped, _) = self.evaluate(&drop, &|_, _| String::new());
            if dropped.is_err() {
                return Vec::new();
            }
            let names = lost.join("`, `");
            let text = language(
                format!("`{names}`: lost, since the type is defined anew.\n"),
                format!("`{names}`: больше нет, так как тип определён заново.\n"),
            );
            (self.sink)(StreamContent::stderr(&text).into());
        }
        lost
    }

    /// Notes which variables are gone after a cell. It moved them, unless it lost them.
    fn remember_gone(&mut self, before: &BTreeSet<String>, why: impl Fn(&String) -> Gone) {
        let now = self.variables();
        for name in before.difference(&now) {
            self.gone.insert(name.clone(), why(name));
        }
        self.gone.retain(|name, _| !now.contains(name));
    }

    /// Completions at a byte offset: what is replaced, and by what.
    pub fn complete(&mut self, code: &str, at: usize) -> Option<evcxr::Completions> {
        caught(|| self.context.completions(code, at))?.ok()
    }

    /// Documentation of what stands at a byte offset, as text and as HTML.
    pub fn inspect(&mut self, code: &str, at: usize) -> Option<(String, String)> {
        let found = caught(|| self.context.hover_at(code, at))?.ok()?;
        (found.0 != "No documentation found").then_some(found)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // evcxr would wait for a cell that runs.
        self.interrupter.kill();
    }
}

/// Does what may panic in evcxr.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// What the filter has told of a cell.
#[derive(Default)]
struct Heard {
    content: Map<String, Value>,
    failure: Option<ReplyError>,
    /// Variables that were lost since their type was defined anew.
    retyped: Vec<String>,
}

/// Listens to what the filter sends until `end` is closed, and to what has come before.
fn listen(
    lines: &Receiver<String>,
    end: &Receiver<()>,
    sink: &Sink,
    interrupter: &Interrupter,
) -> Heard {
    let mut heard = Heard::default();
    loop {
        // Whatever has come is taken before the end.
        let line = select_biased! {
            recv(lines) -> line => line,
            recv(end) -> _ => Err(RecvError),
        };
        let Ok(line) = line else { return heard };
        heard.take(Piece::read(&line), sink, interrupter);
    }
}

impl Heard {
    fn take(&mut self, piece: Piece, sink: &Sink, interrupter: &Interrupter) {
        match piece {
            Piece::Out(text) => sink(StreamContent::stdout(&text).into()),
            Piece::Err(text) => sink(StreamContent::stderr(&text).into()),
            Piece::Runs(value) => {
                if let Some(text) = interrupter.set_running(value) {
                    sink(StreamContent::stderr(text).into());
                }
            }
            Piece::Failed(name, text) => {
                let failure = report::failure(&name, &text);
                self.failure.get_or_insert(failure);
            }
            Piece::Retyped(name) => self.retyped.push(name),
            Piece::Content(mime, text) => {
                let content = &mut self.content;
                if content.contains_key(&mime) {
                    let shown = DisplayData::new(media(std::mem::take(content)));
                    sink(shown.into());
                }
                let json = serde_json::from_str(&text).ok();
                let value = json.filter(|_| mime.ends_with("json"));
                content.insert(mime, value.unwrap_or(text.into()));
            }
            Piece::Message(message) => {
                let kind = message.get("type").and_then(Value::as_str);
                if let (Some("interruptible"), Some(Value::Bool(value))) =
                    (kind, message.get("value"))
                {
                    interrupter.set_interruptible(*value);
                } else if let Some(shown) = display(message) {
                    sink(shown);
                }
            }
        }
    }
}

/// What a `display` or `update` of the display protocol shows.
fn display(mut message: Map<String, Value>) -> Option<Content> {
    let mut object = |name| match message.remove(name) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    };
    let data = media(object("data")?);
    // A picture's width and height.
    let metadata = object("metadata").unwrap_or_default();
    let id = message.get("id")?.as_str()?;
    match message.get("type")?.as_str()? {
        "display" => Some(show(id, data, metadata, false)),
        "update" => Some(show(id, data, metadata, true)),
        _ => None,
    }
}

/// A text in a place of its own, or in the place of what was shown there before.
pub fn display_text(id: &str, text: &str, again: bool) -> Content {
    let text = MediaType::Plain(text.to_owned());
    show(id, Media::new(vec![text]), Map::new(), again)
}

fn show(id: &str, data: Media, metadata: Map<String, Value>, again: bool) -> Content {
    let mut update = UpdateDisplayData::new(data, id);
    update.metadata = metadata;
    if again {
        return update.into();
    }
    let mut display = DisplayData::new(update.data);
    display.metadata = update.metadata;
    display.transient = Some(update.transient);
    display.into()
}

/// Values by MIME type, as they are.
pub fn media(data: Map<String, Value>) -> Media {
    Media::new(data.into_iter().map(MediaType::Other).collect())
}
