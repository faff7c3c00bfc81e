//! Images with their names: a gallery, a net's answers, its surest mistakes, the confusion matrix.

use super::figure::Names;
use super::scene::{Scene, look};
use super::tiles::{Layout, Tile, draw as draw_tiles};
use crate::session::texts;

/// An image to show.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Its number in the data, if that is to be told.
    pub index: Option<usize>,
    pub rows: usize,
    pub columns: usize,
    pub cells: Vec<[u8; 3]>,
    pub label: usize,
    /// What the net takes it for, and with which probability.
    pub answer: Option<(usize, f64)>,
}

/// Draws images in rows, each over its class; with an answer, over the answer, marked as right or wrong.
pub(crate) fn draw(title: &str, note: &str, images: &[Shown], names: &Names) -> Scene {
    let tiles: Vec<Tile> = images.iter().map(|image| tile(image, names)).collect();
    let columns = if tiles.len() > 24 { 10 } else { 8 };
    let layout = Layout {
        columns,
        gap: 16.0,
        side: 112.0,
    };
    draw_tiles(title, note, &tiles, layout)
}

fn tile(image: &Shown, names: &Names) -> Tile {
    let [right, wrong, ..] = look::SERIES;
    let truth = names.of(image.label);
    let (mut caption, mut frame) = (Vec::new(), None);
    match image.answer {
        None => caption.push((truth, look::INK)),
        Some((class, share)) => {
            let percent = percent(share);
            let name = names.of(class);
            if class == image.label {
                caption.push((format!("✓ {name} {percent} %"), right));
            } else {
                frame = Some(wrong);
                caption.push((format!("✗ {name} {percent} %"), wrong));
                caption.push((texts::figure_in_truth(truth), look::INK));
            }
        }
    }
    if let Some(index) = image.index {
        caption.push((texts::figure_image(index), look::GREY));
    }
    Tile {
        rows: image.rows,
        columns: image.columns,
        cells: image.cells.clone(),
        caption,
        frame,
    }
}

/// Whole percent, but never "100" for what is less than sure.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if (99.0..100.0).contains(&percent) {
        format!("{:.1}", (percent * 10.0).floor() / 10.0)
    } else {
        format!("{percent:.0}")
    }
}
