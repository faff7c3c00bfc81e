//! A figure: draws itself when it is asked for, shows itself, saves itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::scene::Scene;
use crate::Result;
use crate::session::display::{Content, Show, shows_itself};
use crate::session::files::{check_path, write_whole};
use crate::session::{error, texts};

/// A picture of something: of a layer's activations, of a training's history.
///
/// As the value that ends a notebook cell it shows itself; [`show`](Self::show) shows it in the middle of a cell and
/// [`save`](Self::save) writes it to a file. It is at most 960 pixels wide, has its own light background and needs no
/// font of the system's. A PNG has twice as many pixels in each direction as are shown, which is sharp on every screen.
/// As text it is one line that says what is seen and how large it is.
#[derive(Clone)]
pub struct Figure {
    drawing: Arc<dyn Drawing>,
    names: Names,
}

/// What a figure shows.
pub(crate) trait Drawing: Send + Sync {
    /// What is seen, in a sentence without a full stop: the picture's alternative text.
    fn alt(&self, names: &Names) -> String;
    /// The picture.
    fn scene(&self, names: &Names) -> Scene;
}

/// Classes by number; without names they are shown as their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn of(&self, class: i64) -> String {
        let name = self.0.get(class as usize).cloned();
        name.unwrap_or_else(|| class.to_string())
    }
}

shows_itself!(Figure);

impl Figure {
    pub(crate) fn new(drawing: impl Drawing + 'static) -> Self {
        Self {
            drawing: Arc::new(drawing),
            names: Names::default(),
        }
    }

    /// Calls the classes by their names: `.names(class_names)`. Defaults to their numbers, which also stand for classes
    /// beyond the end of the list. A figure without classes stays as it is.
    #[must_use]
    pub fn names<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = Names(names.into_iter().map(Into::into).collect());
        Self { names, ..self }
    }

    /// Writes the figure to a file: PNG or SVG, as the end of the name says (`.png`, `.svg`). A file that is there is
    /// replaced. A PNG is twice as wide and high as [`size`](Self::size) tells.
    ///
    /// # Errors
    /// When the name ends in something else, when the path is a folder or lies in a folder that does not exist, and
    /// when the system does not let the file be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        check_path(path)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        let bytes = match ending.map(str::to_lowercase).as_deref() {
            Some("png") => self.png()?,
            Some("svg") => self.svg()?.into_bytes(),
            _ => return Err(error(texts::figure_ending(path.display()))),
        };
        write_whole(path, &bytes)
    }

    /// The figure as the bytes of a PNG file, twice as wide and high as [`size`](Self::size) tells.
    ///
    /// # Errors
    /// As [`show`](Self::show).
    pub fn png(&self) -> Result<Vec<u8>> {
        self.scene().png()
    }

    /// The figure as the text of an SVG file.
    ///
    /// # Errors
    /// As [`show`](Self::show).
    pub fn svg(&self) -> Result<String> {
        self.scene().svg(&self.alt())
    }

    /// Width and height in pixels, as the figure is shown.
    pub fn size(&self) -> (u32, u32) {
        let scene = self.scene();
        (scene.width, scene.height)
    }

    pub(crate) fn scene(&self) -> Scene {
        self.drawing.scene(&self.names)
    }

    fn alt(&self) -> String {
        self.drawing.alt(&self.names)
    }
}

impl Show for Figure {
    fn content(&self) -> Result<Content> {
        let (plain, png) = (self.to_string(), self.png()?);
        Ok(Content::picture(plain, &self.alt(), png, self.size()))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size();
        f.write_str(&texts::figure_line(self.alt(), width, height))
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
    use crate::figures::canvas::Anchor;
    use crate::figures::theme::TEXT;

    struct Sample;

    impl Drawing for Sample {
        fn alt(&self, names: &Names) -> String {
            format!("проба <{}>", names.of(1))
        }

        fn scene(&self, names: &Names) -> Scene {
            let mut scene = Scene::new(40.0, 20.0);
            scene.text((2.0, 15.0), Anchor::Left, TEXT, names.of(1));
            scene
        }
    }

    fn figure() -> Figure {
        Figure::new(Sample)
    }

    fn refused(path: &Path) -> String {
        figure().save(path).unwrap_err().to_string()
    }

    #[test]
    fn plain_text_tells_what_and_how_large() {
        let said = texts::figure_line("проба <1>", 40, 20);
        assert_eq!(figure().to_string(), said);
    }

    #[test]
    fn classes_without_names_are_numbers() {
        assert_eq!(figure().scene().texts(), ["1"]);
        assert_eq!(figure().names(["Кот", "Пёс"]).scene().texts(), ["Пёс"]);
        assert_eq!(figure().names(["Кот"]).scene().texts(), ["1"]);
    }

    #[test]
    fn a_picture_of_twice_the_size_is_shown_at_its_size_with_its_alternative_text() {
        let content = figure().names(["Кот", "Пёс"]).content().unwrap();
        let png = content.png.unwrap();
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((number(16), number(20)), (80, 40));
        assert_eq!(content.size, (40, 20));
        let html = content.html.unwrap();
        let start = "<img alt=\"проба &lt;Пёс&gt;\" width=\"40\" src=\"data:image/png;base64,";
        assert!(html.starts_with(start), "{html}");
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
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, figure().svg().unwrap());
        assert!(text.contains("<title>проба &lt;1&gt;</title>"), "{text}");
    }

    #[test]
    fn places_that_cannot_be_written_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(refused(path), texts::file_is_folder(path.display()));
        for name in ["a.jpg", "a", "png"] {
            let path = path.join(name);
            assert_eq!(refused(&path), texts::figure_ending(path.display()));
        }
        let missing = path.join("нет");
        let inside = missing.join("a.png");
        let said = texts::file_no_folder(inside.display(), missing.display());
        assert_eq!(refused(&inside), said);
        assert!(!missing.exists());
        // Not even root makes a file there.
        let said = texts::not_written("/proc/a.png", "No such file or directory");
        assert_eq!(refused(Path::new("/proc/a.png")), said);
    }
}
