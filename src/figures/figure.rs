//! A finished figure: shows itself, saves itself.

use std::fmt;
use std::path::Path;

use super::scene::Scene;
use crate::Result;
use crate::session::display::Content;
use crate::session::{error, texts};

/// A picture of something: of a layer's activations, of a training's history.
///
/// As the value that ends a notebook cell it shows itself; [`show`](Self::show) shows it in the middle of a cell and
/// [`save`](Self::save) writes it to a file. It is at most 960 pixels wide, has its own light background and needs no
/// font of the system's. As text it is one line that says what it shows and how large it is.
#[derive(Clone)]
pub struct Figure {
    scene: Scene,
    what: String,
}

impl Figure {
    /// `what` says in a few words what the figure shows.
    pub(crate) fn new(scene: Scene, what: String) -> Self {
        Self { scene, what }
    }

    /// Shows the figure now, also in the middle of a cell; several in one cell appear in order. Outside of a notebook
    /// its one line of text is printed.
    ///
    /// # Errors
    /// When the figure cannot be drawn, which would be a mistake in this crate.
    pub fn show(&self) -> Result<()> {
        self.content()?.show();
        Ok(())
    }

    /// Writes the figure to a file: PNG or SVG, as the end of the name says (`.png`, `.svg`). A file that is there is
    /// replaced.
    ///
    /// # Errors
    /// When the name ends in something else, when the path is a folder or lies in a folder that does not exist, and
    /// when the system does not let the file be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let name = path.display();
        if path.is_dir() {
            return Err(error(texts::figure_path_is_folder(name)));
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        let bytes = match ending.map(str::to_lowercase).as_deref() {
            Some("png") => self.png()?,
            Some("svg") => self.svg()?.into_bytes(),
            _ => return Err(error(texts::figure_ending(name))),
        };
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
            && !folder.is_dir()
        {
            return Err(error(texts::figure_no_folder(name, folder.display())));
        }
        std::fs::write(path, bytes).map_err(|problem| error(texts::not_written(name, problem)))
    }

    /// The figure as the bytes of a PNG file.
    ///
    /// # Errors
    /// As [`show`](Self::show).
    pub fn png(&self) -> Result<Vec<u8>> {
        self.scene.png()
    }

    /// The figure as the text of an SVG file.
    ///
    /// # Errors
    /// As [`show`](Self::show).
    pub fn svg(&self) -> Result<String> {
        self.scene.svg()
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.scene.width, self.scene.height)
    }

    pub(crate) fn content(&self) -> Result<Content> {
        Ok(Content::png(self.to_string(), self.png()?))
    }

    /// How evcxr shows a figure that ends a cell.
    #[doc(hidden)]
    pub fn evcxr_display(&self) {
        match self.content() {
            Ok(content) => content.show_as_result(),
            Err(problem) => eprintln!("{problem}"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size();
        f.write_str(&texts::figure_line(&self.what, width, height))
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
