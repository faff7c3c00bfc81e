//! Progress of something that takes a while: a bar that moves in place where there is one, lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

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
    /// From one update to the next; with each line it doubles, so that a long epoch doesn't fill the page.
    interval: Duration,
}

enum Out {
    /// svertka's kernel: one output, redrawn, and whether it has a bar now.
    Kernel(Display, bool),
    /// A terminal: lines, and a bar below them.
    Terminal,
    /// Anything else: lines.
    Lines,
    /// Nothing is shown.
    Silent,
}

impl Progress {
    pub(crate) fn new(silent: bool) -> Self {
        let out = if silent {
            Out::Silent
        } else if display::kernel_connected() {
            Out::Kernel(Display::new(), false)
        } else if std::io::stdout().is_terminal() {
            Out::Terminal
        } else {
            Out::Lines
        };
        let (wait, interval) = match out {
            Out::Lines => (LINE, LINE),
            _ => (Duration::ZERO, TICK),
        };
        Self {
            lines: Vec::new(),
            out,
            due: Instant::now() + wait,
            interval,
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
            Out::Kernel(display, has_bar) => {
                display.show(&content(&self.lines, Some((fraction, text))));
                *has_bar = true;
            }
            Out::Terminal => rewrite(&format!("{} {text}", bar(fraction))),
            Out::Lines => {
                println!("  {:3.0} %  {text}", fraction * 100.0);
                self.interval *= 2;
            }
            Out::Silent => (),
        }
        self.due = Instant::now() + self.interval;
    }

    /// Adds a line that stays.
    pub(crate) fn line(&mut self, line: String) {
        match &mut self.out {
            Out::Kernel(display, has_bar) => {
                self.lines.push(line);
                display.show(&content(&self.lines, None));
                *has_bar = false;
                self.due = Instant::now() + TICK;
            }
            Out::Terminal => rewrite(&(line + "\n")),
            Out::Lines => {
                println!("{line}");
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
            Out::Terminal => rewrite(""),
            Out::Kernel(_, false) | Out::Lines | Out::Silent => (),
        }
    }
}

/// Writes `text` over the terminal's last line.
fn rewrite(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone is no reason to stop a training.
    let _ = write!(out, "\r\x1b[K{text}");
    let _ = out.flush();
}

fn bar(fraction: f64) -> String {
    let done = (fraction * 30.0).round() as usize;
    "█".repeat(done) + &"░".repeat(30 - done)
}

/// The lines and the bar as one output. Text takes the page's own colours; the bar's are seen on white and on black.
fn content(lines: &[String], under_way: Option<(f64, &str)>) -> Content {
    let mut plain = lines.join("\n");
    // Many lines scroll in their own box: the page doesn't grow with the epochs. They begin where printed text does.
    let mut html = format!(
        "<pre style=\"margin:0;padding:0 0 0 8px;font-size:var(--jp-code-font-size);max-height:22em;overflow-y:auto\">{}</pre>",
        escape(&plain)
    );
    if let Some((fraction, text)) = under_way {
        let percent = fraction * 100.0;
        if !plain.is_empty() {
            plain.push('\n');
        }
        plain.push_str(&format!("{} {text}", bar(fraction)));
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
