//! A finished figure: shows itself, saves itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::scene::Scene;
use crate::Result;
use crate::session::display::Content;
use crate::session::{error, plain, texts};

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

impl<N: Into<String>, I: IntoIterator<Item = N>> From<I> for Names {
    fn from(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
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
            self.scene = recipe(&Names::from(names));
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
        let ending = ending.map(str::to_lowercase);
        if !matches!(ending.as_deref(), Some("png" | "svg")) {
            return Err(error(texts::figure_ending(name)));
        }
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
            && !folder.is_dir()
        {
            return Err(error(texts::figure_no_folder(name, folder.display())));
        }
        let bytes = match ending.as_deref() {
            Some("svg") => self.svg()?.into_bytes(),
            _ => self.png()?,
        };
        std::fs::write(path, bytes).map_err(|e| error(texts::not_written(name, plain(&e))))
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

    #[cfg(test)]
    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::scene::{Anchor, look};

    fn figure() -> Figure {
        let recipe = |names: &Names| {
            let mut scene = Scene::new(40.0, 20.0);
            scene.text((2.0, 15.0), Anchor::Start, 12.0, look::INK, names.of(1));
            scene
        };
        Figure::with_classes(recipe, "проба".into())
    }

    fn refused(path: &Path) -> String {
        figure().save(path).unwrap_err().to_string()
    }

    #[test]
    fn plain_text_tells_what_and_how_large() {
        assert_eq!(figure().to_string(), texts::figure_line("проба", 40, 20));
    }

    #[test]
    fn classes_without_names_are_numbers() {
        assert_eq!(figure().scene.texts(), ["1"]);
        assert_eq!(figure().names(["Кот", "Пёс"]).scene.texts(), ["Пёс"]);
        assert_eq!(figure().names(["Кот"]).scene.texts(), ["1"]);
    }

    #[test]
    fn files_are_what_their_names_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("рисунок.png");
        figure().save(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), figure().png().unwrap());
        let path = folder.path().join("рисунок.SVG");
        std::fs::write(&path, "old").unwrap();
        figure().save(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            figure().svg().unwrap()
        );
    }

    #[test]
    fn places_that_cannot_be_written_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(refused(path), texts::figure_path_is_folder(path.display()));
        for name in ["a.jpg", "a", "png"] {
            let path = path.join(name);
            assert_eq!(refused(&path), texts::figure_ending(path.display()));
        }
        let missing = path.join("нет");
        let inside = missing.join("a.png");
        let said = texts::figure_no_folder(inside.display(), missing.display());
        assert_eq!(refused(&inside), said);
        assert!(!missing.exists());
        // Not even root makes a file there.
        let said = texts::not_written("/proc/a.png", "No such file or directory");
        assert_eq!(refused(Path::new("/proc/a.png")), said);
    }
}
