//! Small pictures in rows, each with a caption.

use plotters::style::RGBColor;

use super::scene::{Anchor, Picture, Scene, fitted, look, text_width};

/// One small picture.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub rows: usize,
    pub columns: usize,
    /// Row by row, `rows × columns` of them.
    pub cells: Vec<[u8; 3]>,
    /// Lines under the picture, each cut to its width.
    pub caption: Vec<(String, RGBColor)>,
    /// The colour of a frame around it.
    pub frame: Option<RGBColor>,
}

/// How the tiles lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Tiles in a row.
    pub columns: usize,
    /// Between the tiles.
    pub gap: f64,
    /// The largest side of a tile.
    pub side: f64,
}

/// Draws a title, a note under it, and the tiles.
pub(crate) fn draw(title: &str, note: &str, tiles: &[Tile], layout: Layout) -> Scene {
    let columns = layout.columns.min(tiles.len()).max(1);
    let room = look::WIDTH - 2.0 * look::MARGIN - layout.gap * (columns as f64 - 1.0);
    let side = whole_cells((room / columns as f64).min(layout.side).floor(), tiles);
    let lines = tiles
        .iter()
        .map(|tile| tile.caption.len())
        .max()
        .unwrap_or(0);
    let line = look::SMALL + 4.0;
    let caption = if lines == 0 {
        0.0
    } else {
        4.0 + lines as f64 * line
    };
    let rows = tiles.len().div_ceil(columns) as f64;

    let top = 2.0 * look::MARGIN + look::TITLE + if note.is_empty() { 0.0 } else { 18.0 };
    let across = columns as f64 * (side + layout.gap) - layout.gap;
    let width = across
        .max(text_width(title, look::TITLE, true))
        .max(text_width(note, look::TEXT, false))
        .min(look::WIDTH - 2.0 * look::MARGIN);
    let height = top + rows * (side + caption + layout.gap) - layout.gap + look::MARGIN;
    let mut scene = Scene::new(width + 2.0 * look::MARGIN, height);
    head(&mut scene, title, note);
    for (i, tile) in tiles.iter().enumerate() {
        let x = look::MARGIN + (i % columns) as f64 * (side + layout.gap);
        let y = top + (i / columns) as f64 * (side + caption + layout.gap);
        if let Some(color) = tile.frame {
            scene.rectangle((x - 3.0, y - 3.0), (side + 6.0, side + 6.0), color);
        }
        let longer = tile.rows.max(tile.columns).max(1) as f64;
        let wide = (side * tile.columns as f64 / longer).round().max(1.0);
        let tall = (side * tile.rows as f64 / longer).round().max(1.0);
        scene.pictures.push(Picture {
            at: (
                (x + (side - wide) / 2.0) as u32,
                (y + (side - tall) / 2.0) as u32,
            ),
            size: (wide as u32, tall as u32),
            columns: tile.columns,
            rows: tile.rows,
            cells: tile.cells.clone(),
        });
        for (i, (text, color)) in tile.caption.iter().enumerate() {
            let text = fitted(text, look::SMALL, false, side + layout.gap - 4.0);
            let at = (
                x + side / 2.0,
                y + side + 4.0 + look::SMALL + i as f64 * line,
            );
            scene.text(at, Anchor::Middle, look::SMALL, *color, text);
        }
    }
    scene
}

/// The largest side, at most `side`, at which all cells of the tiles are painted equally large. Where a cell would be
/// smaller than two pixels, `side` itself.
fn whole_cells(side: f64, tiles: &[Tile]) -> f64 {
    let longer = tiles.iter().map(|tile| tile.rows.max(tile.columns)).max();
    let longer = longer.unwrap_or(1).max(1) as f64;
    if side < 2.0 * longer {
        return side;
    }
    (side / longer).floor() * longer
}

/// A title and a note under it.
pub(crate) fn head(scene: &mut Scene, title: &str, note: &str) {
    let limit = look::WIDTH - 2.0 * look::MARGIN;
    let baseline = look::MARGIN + look::TITLE * 0.8;
    let title = fitted(title, look::TITLE, true, limit);
    scene.heading((look::MARGIN, baseline), Anchor::Start, look::TITLE, title);
    let note = fitted(note, look::TEXT, false, limit);
    let at = (look::MARGIN, baseline + 21.0);
    scene.text(at, Anchor::Start, look::TEXT, look::GREY, note);
}
