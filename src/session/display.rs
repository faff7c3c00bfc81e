//! Showing things while a cell runs, and at its end.
//!
//! svertka's own kernel sets `SVERTKA_KERNEL` to the version of the protocol it speaks. Then a line of standard output
//! that begins with the byte 0x1E and `svertka ` carries one message as JSON (`environment/kernel/README.md` describes
//! them). Everywhere else (stock evcxr kernel, terminal, tests) plain text is printed.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use serde_json::{Map, Value, json};

/// The protocol's version that this crate speaks.
const PROTOCOL: &str = "1";

/// Something to show, in every form it has: the front end picks the richest that it can show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// `text/plain`: always there.
    pub plain: String,
    /// `text/html`.
    pub html: Option<String>,
    /// `image/png`: the file's bytes.
    pub png: Option<Vec<u8>>,
}

impl Content {
    pub(crate) fn html(plain: String, html: String) -> Self {
        Self {
            plain,
            html: Some(html),
            png: None,
        }
    }

    pub(crate) fn png(plain: String, png: Vec<u8>) -> Self {
        Self {
            plain,
            html: None,
            png: Some(png),
        }
    }

    /// Shows it now, as an output of its own: several in one cell all appear, in order.
    pub(crate) fn show(&self) {
        Display::new().show(self);
    }

    /// Shows it as the value that ends a cell, in the way of evcxr's display methods.
    pub(crate) fn show_as_result(&self) {
        if let Some(png) = &self.png {
            evcxr_runtime::mime_type("image/png").bytes(png);
        }
        if let Some(html) = &self.html {
            evcxr_runtime::mime_type("text/html").text(html);
        }
        evcxr_runtime::mime_type("text/plain").text(&self.plain);
    }

    fn bundle(&self) -> Value {
        let mut data = Map::new();
        data.insert("text/plain".into(), self.plain.as_str().into());
        if let Some(html) = &self.html {
            data.insert("text/html".into(), html.as_str().into());
        }
        if let Some(png) = &self.png {
            let text = base64::engine::general_purpose::STANDARD.encode(png);
            data.insert("image/png".into(), text.into());
        }
        data.into()
    }
}

/// One place on the page, whose content can be replaced while the cell runs.
#[derive(Debug)]
pub(crate) struct Display {
    id: String,
    shown: bool,
}

impl Display {
    pub(crate) fn new() -> Self {
        // The clock makes the name: a counter would start again in every cell, which has its own copy of the statics.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id: format!("svertka-{}-{:x}", std::process::id(), now.as_nanos()),
            shown: false,
        }
    }

    /// Shows `content`, in the place of what this display showed before. Without the kernel the plain text is printed.
    pub(crate) fn show(&mut self, content: &Content) {
        if !speaks() {
            print(&content.plain);
            return;
        }
        let kind = if self.shown { "update" } else { "display" };
        send(&json!({"type": kind, "id": self.id, "data": content.bundle()}));
        self.shown = true;
    }
}

/// Whether the kernel shows messages while a cell runs.
pub(crate) fn speaks() -> bool {
    std::env::var("SVERTKA_KERNEL").is_ok_and(|version| version == PROTOCOL)
}

/// Tells the kernel whether this crate answers an interrupt itself from now on.
pub(crate) fn interruptible(value: bool) {
    if speaks() {
        send(&json!({"type": "interruptible", "value": value}));
    }
}

/// Prints a text as lines.
pub(crate) fn print(text: &str) {
    println!("{text}");
}

/// The text for a place inside HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn send(message: &Value) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone is no reason to stop a training.
    let _ = writeln!(out, "\u{1e}svertka {message}");
    let _ = out.flush();
}
