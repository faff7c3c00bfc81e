//! Showing things while a cell runs, and at its end.
//!
//! svertka's own kernel sets `SVERTKA_KERNEL` to the version of the protocol it speaks. Then a line of standard output
//! that begins with the byte 0x1E and `svertka ` carries one message as JSON (`environment/kernel/README.md` describes
//! them). Everywhere else (stock evcxr kernel, terminal, tests) plain text is printed.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::unique;
use crate::Result;

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
    /// Width and height of `png` as it is to be shown.
    pub size: (u32, u32),
}

impl Content {
    pub(crate) fn plain(plain: String) -> Self {
        Self {
            plain,
            ..Self::default()
        }
    }

    pub(crate) fn html(plain: String, html: String) -> Self {
        Self {
            html: Some(html),
            ..Self::plain(plain)
        }
    }

    /// A picture with its alternative text, shown at this size, whatever number of pixels it has.
    ///
    /// It is an `<img>`, because a picture in `image/png` has no alternative text on the page: JupyterLab 4 takes width
    /// and height from its metadata and nothing else, and so does nbconvert's template `lab`, which then writes that no
    /// description has been provided. Both prefer HTML to a PNG, and JupyterLab's sanitizer leaves an `<img>` with its data
    /// alone also in a notebook that isn't trusted. The PNG stands beside it for what shows no HTML, as a PDF that LaTeX
    /// makes.
    pub(crate) fn picture(plain: String, alt: &str, png: Vec<u8>, size: (u32, u32)) -> Self {
        let html = format!(
            "<img alt=\"{}\" width=\"{}\" src=\"data:image/png;base64,{}\">",
            escape(alt),
            size.0,
            STANDARD.encode(&png),
        );
        Self {
            png: Some(png),
            size,
            ..Self::html(plain, html)
        }
    }

    /// This and below it a picture, as one output.
    pub(crate) fn above(self, picture: Self) -> Self {
        Self {
            plain: self.plain + "\n" + &picture.plain,
            html: Some(self.html.unwrap_or_default() + &picture.html.unwrap_or_default()),
            ..picture
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
}

/// What a cell can show, its text if nothing more; [`shows_itself`] gives it the two methods for it.
pub(crate) trait Show: ToString {
    /// # Errors
    /// If a picture in it can't be drawn.
    fn content(&self) -> Result<Content> {
        Ok(Content::plain(self.to_string()))
    }
}

/// Lets a type that has a [`Show::content`] show itself in a cell's middle and at its end.
macro_rules! shows_itself {
    ($type:ty) => {
        impl $type {
            /// Shows it now, also in the middle of a cell; several in one cell appear in order. Outside of a notebook
            /// its text is printed.
            ///
            /// # Errors
            /// When a picture in it cannot be drawn, which would be a mistake in this crate.
            pub fn show(&self) -> $crate::Result<()> {
                $crate::session::display::Show::content(self).map(|content| content.show())
            }

            /// How evcxr shows it where it ends a cell.
            #[doc(hidden)]
            pub fn evcxr_display(&self) {
                match $crate::session::display::Show::content(self) {
                    Ok(content) => content.show_as_result(),
                    Err(problem) => eprintln!("{problem}"),
                }
            }
        }
    };
}
pub(crate) use shows_itself;

/// One place on the page, whose content can be replaced while the cell runs.
#[derive(Debug)]
pub(crate) struct Display {
    id: String,
    shown: bool,
}

impl Display {
    pub(crate) fn new() -> Self {
        Self {
            id: format!("svertka-{}", unique()),
            shown: false,
        }
    }

    /// Shows `content`, in the place of what this display showed before. Without the kernel the plain text is printed.
    pub(crate) fn show(&mut self, content: &Content) {
        if !kernel_connected() {
            println!("{}", content.plain);
            return;
        }
        let mut data = json!({"text/plain": content.plain});
        let mut metadata = json!({});
        if let Some(html) = &content.html {
            data["text/html"] = html.as_str().into();
        }
        if let Some(png) = &content.png {
            let (width, height) = content.size;
            data["image/png"] = STANDARD.encode(png).into();
            metadata["image/png"] = json!({"width": width, "height": height});
        }
        let kind = if self.shown { "update" } else { "display" };
        send(&json!({"type": kind, "id": self.id, "data": data, "metadata": metadata}));
        self.shown = true;
    }
}

/// Whether the kernel shows messages while a cell runs.
pub(crate) fn kernel_connected() -> bool {
    std::env::var("SVERTKA_KERNEL").is_ok_and(|version| version == PROTOCOL)
}

/// Tells the kernel whether this crate answers an interrupt itself from now on.
pub(crate) fn interruptible(value: bool) {
    if kernel_connected() {
        send(&json!({"type": "interruptible", "value": value}));
    }
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
