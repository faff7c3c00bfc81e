//! Small pictures in rows, each with a caption, under a title.

use super::canvas::{Anchor, Color, fitted, text_width};
use super::scene::{Cells, Scene};
use super::theme::{MARGIN, NOTE, SMALL, TITLE, WIDTH};

/// One small picture.
pub(crate) struct Tile {
    pub cells: Cells,
    /// Lines under the picture, each cut to its width.
    pub caption: Vec<(String, Color)>,
    /// The colour of a frame around it.
    pub frame: Option<Color>,
}

/// Where the first line of pictures begins under a title and its note.
pub(crate) const TOP: f64 = 2.0 * MARGIN + TITLE.size + 18.0;
/// Between a caption's baselines.
const LINE: f64 = SMALL.size + 4.0;

/// Draws a title, a note under it, and the tiles: squares of this side and with this gap between them, as many in a row as
/// the paper has room for.
pub(crate) fn draw(title: &str, note: &str, tiles: Vec<Tile>, side: f64, gap: f64) -> Scene {
    let columns = ((WIDTH - 2.0 * MARGIN + gap) / (side + gap)) as usize;
    let columns = columns.min(tiles.len()).max(1);
    let lines = tiles.iter().map(|tile| tile.caption.len()).max();
    let step = (
        side + gap,
        side + 4.0 + LINE * lines.unwrap_or(0) as f64 + gap,
    );
    let rows = tiles.len().div_ceil(columns) as f64;
    let width = columns as f64 * step.0 - gap + 2.0 * MARGIN;
    let height = TOP + rows * step.1 - gap + MARGIN;
    let mut scene = titled(title, note, width, height);
    for (i, tile) in tiles.into_iter().enumerate() {
        let x = MARGIN + (i % columns) as f64 * step.0;
        let y = TOP + (i / columns) as f64 * step.1;
        if let Some(color) = tile.frame {
            scene.rectangle((x - 3.0, y - 3.0), (side + 6.0, side + 6.0), color);
        }
        scene.picture((x, y), side, tile.cells);
        for (i, (text, color)) in tile.caption.iter().enumerate() {
            let text = fitted(text, SMALL, side + gap - 4.0);
            let at = (x + side / 2.0, y + side + LINE * (i + 1) as f64);
            scene.text(at, Anchor::Center, SMALL.color(*color), text);
        }
    }
    scene
}

/// A paper with a title and a note under it, wide enough for both and for `width`.
pub(crate) fn titled(title: &str, note: &str, width: f64, height: f64) -> Scene {
    let limit = WIDTH - 2.0 * MARGIN;
    let (title, note) = (fitted(title, TITLE, limit), fitted(note, NOTE, limit));
    let least = text_width(&title, TITLE).max(text_width(&note, NOTE));
    let mut scene = Scene::new(width.max(least + 2.0 * MARGIN), height);
    let baseline = MARGIN + TITLE.size * 0.8;
    scene.text((MARGIN, baseline), Anchor::Left, TITLE, title);
    scene.text((MARGIN, baseline + 21.0), Anchor::Left, NOTE, note);
    scene
}
