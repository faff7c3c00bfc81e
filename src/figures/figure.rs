//! A finished figure: shows itself, saves itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

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
    recipe: Option<Arc<Recipe>>,
}

/// Draws a figure again with names for the classes.
type Recipe = dyn Fn(&Names) -> Scene + Send + Sync;

/// Classes by number; without names they are shown as their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn of(&self, class: usize) -> String {
        self.0
            .get(class)
            .cloned()
            .unwrap_or_else(|| class.to_string())
    }
}

impl Figure {
    /// `what` says in a few words what the figure shows.
    pub(crate) fn new(scene: Scene, what: String) -> Self {
        Self {
            scene,
            what,
            recipe: None,
        }
    }

    /// A figure in which classes occur.
    pub(crate) fn with_classes(
        recipe: impl Fn(&Names) -> Scene + Send + Sync + 'static,
        what: String,
    ) -> Self {
        Self {
            scene: recipe(&Names::default()),
            what,
            recipe: Some(Arc::new(recipe)),
        }
    }

    /// Calls the classes by their names: `.names(class_names)`. Defaults to their numbers, which also stand for classes
    /// beyond the end of the list. A figure without classes stays as it is.
    #[must_use]
    pub fn names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        if let Some(recipe) = &self.recipe {
            self.scene = recipe(&Names(names.into_iter().map(Into::into).collect()));
        }
        self
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
