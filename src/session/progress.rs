//! Progress of something that takes a while: a bar that moves in place where there is one, lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::display::{self, Content, Display, escape};

/// How often a bar moves at the most.
const TICK: Duration = Duration::from_millis(100);

/// After how long a first line says that the work goes on, where there is no bar.
const LINE: Duration = Duration::from_secs(5);

/// Lines that stay, and below them the state of what is under way.
pub(crate) struct Progress {
    lines: Vec<String>,
    out: Out,
    due: Instant,
    /// Interval until the next progress line; it doubles with each, so that a long epoch doesn't fill the page.
    interval: Duration,
}

enum Out {
    /// svertka's kernel: one output, redrawn, and whether it has a bar now.
    Kernel(Display, bool),
    /// A terminal: lines, and a bar below them.
    Terminal(ProgressBar),
    /// Anything else: lines.
    Lines,
    /// Nothing is shown.
    Silent,
}

impl Progress {
    pub(crate) fn new(silent: bool) -> Self {
        let out = if silent {
            Out::Silent
        } else if display::speaks() {
            Out::Kernel(Display::new(), false)
        } else if std::io::stdout().is_terminal() {
            let bar = ProgressBar::new(1000);
            // The template is a constant that indicatif takes; without it the bar would only look plainer.
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
                bar.set_style(style);
            }
            Out::Terminal(bar)
        } else {
            Out::Lines
        };
        let wait = if matches!(out, Out::Lines) {
            LINE
        } else {
            Duration::ZERO
        };
        Self {
            lines: Vec::new(),
            out,
            due: Instant::now() + wait,
            interval: LINE,
        }
    }

    /// Whether it is time to show how far the work is. Asking costs some 30 ns, so every step may ask.
    pub(crate) fn is_due(&self) -> bool {
        !matches!(self.out, Out::Silent) && Instant::now() >= self.due
    }

    /// Shows how far the work is: `fraction` done, 0 to 1, and `text` beside it.
    pub(crate) fn update(&mut self, fraction: f64, text: &str) {
        let fraction = fraction.clamp(0.0, 1.0);
        match &mut self.out {
            Out::Kernel(display, bar) => {
                display.show(&content(&self.lines, Some((fraction, text))));
                *bar = true;
                self.due = Instant::now() + TICK;
            }
            Out::Terminal(bar) => {
                bar.set_position((fraction * 1000.0) as u64);
                bar.set_message(text.to_string());
                self.due = Instant::now() + TICK;
            }
            Out::Lines => {
                display::print(&format!("  {:3.0} %  {text}", fraction * 100.0));
                self.interval *= 2;
                self.due = Instant::now() + self.interval;
            }
            Out::Silent => (),
        }
    }

    /// Adds a line that stays.
    pub(crate) fn line(&mut self, line: String) {
        match &mut self.out {
            Out::Kernel(display, bar) => {
                self.lines.push(line);
                display.show(&content(&self.lines, None));
                *bar = false;
                self.due = Instant::now() + TICK;
            }
            Out::Terminal(bar) => bar.suspend(|| display::print(&line)),
            Out::Lines => {
                display::print(&line);
                self.interval = LINE;
                self.due = Instant::now() + LINE;
            }
            Out::Silent => (),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &mut self.out {
            // What was under way has ended, well or not: its bar goes, the lines stay.
            Out::Kernel(display, true) => display.show(&content(&self.lines, None)),
            Out::Terminal(bar) => bar.finish_and_clear(),
            Out::Kernel(_, false) | Out::Lines | Out::Silent => (),
        }
    }
}

/// The lines and the bar as one output. Text takes the page's own colours; the bar's are seen on white and on black.
fn content(lines: &[String], bar: Option<(f64, &str)>) -> Content {
    let mut plain = lines.join("\n");
    // Many lines scroll in their own box: the page doesn't grow with the epochs. They begin where printed text does.
    let mut html = format!(
        "<pre style=\"margin:0;padding:0 0 0 8px;font-size:var(--jp-code-font-size);max-height:22em;overflow-y:auto\">{}</pre>",
        escape(&plain)
    );
    if let Some((fraction, text)) = bar {
        let percent = fraction * 100.0;
        if !plain.is_empty() {
            plain.push('\n');
        }
        let done = (fraction * 30.0).round() as usize;
        plain.push_str(&format!(
            "{}{} {text}",
            "█".repeat(done),
            "░".repeat(30 - done)
        ));
        html.push_str(&format!(
            "<div style=\"display:flex;flex-wrap:wrap;align-items:center;column-gap:1em;padding-left:8px\">\
             <div role=\"progressbar\" aria-valuenow=\"{percent:.0}\" \
             style=\"width:16em;height:0.8em;border-radius:0.4em;background:#8884;overflow:hidden\">\
             <div style=\"width:{percent:.1}%;height:100%;background:#e8743b\"></div></div>\
             <code style=\"padding:0;background:none;font-size:var(--jp-code-font-size)\">{}</code></div>",
            escape(text)
        ));
    }
    Content::html(plain, html)
}
