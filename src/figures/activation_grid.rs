//! The lesson's grid: what one filter makes of several images, layer by layer.

use super::axis::{short, whole_step};
use super::figure::Figure;
use super::scene::{Anchor, Picture, Scene, fitted, look, text_width};

/// One filter's output for one image: numbers in rows and columns.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub rows: usize,
    pub columns: usize,
    /// Row by row, `rows × columns` of them.
    pub values: Vec<f32>,
}

impl Plane {
    /// The smallest and the largest finite value; 0 and 0 when there is none.
    pub(crate) fn range(&self) -> (f32, f32) {
        self.values
            .iter()
            .filter(|value| value.is_finite())
            .fold(None, |range, &value| match range {
                None => Some((value, value)),
                Some((low, high)) => Some((value.min(low), value.max(high))),
            })
            .unwrap_or_default()
    }

    /// Inferno colours from the plane's own minimum to its own maximum, as matplotlib's `imshow` gives them; a plane
    /// that is the same everywhere is dark. Grey stands for what is not a number.
    pub(crate) fn cells(&self) -> Vec<[u8; 3]> {
        let (low, high) = self.range();
        let span = if high > low { high - low } else { 1.0 };
        self.values
            .iter()
            .map(|value| inferno(f64::from((value - low) / span)))
            .collect()
    }
}

/// The colour for a value between 0 and 1.
pub(crate) fn inferno(value: f64) -> [u8; 3] {
    if !value.is_finite() {
        return [128, 128, 128];
    }
    let color = colorous::INFERNO.eval_continuous(value.clamp(0.0, 1.0));
    [color.r, color.g, color.b]
}

/// A heading over a column: a layer's name and its output's shape.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub name: String,
    pub shape: String,
}

/// Space between the panels: for the vertical ticks, and for the horizontal ticks with the range of the next row.
const GAP: (f64, f64) = (30.0, 40.0);
/// Between a panel and its ticks' numbers.
const TICK: f64 = 4.0;
/// The largest side of a panel.
const PANEL: f64 = 200.0;

/// Draws `rows` of planes under the headings, one row for each image with its label's lines before it.
pub(crate) fn draw(
    title: &str,
    headings: &[Heading],
    rows: &[(Vec<String>, Vec<Plane>)],
    what: String,
) -> Figure {
    let labels = rows.iter().flat_map(|(lines, _)| lines);
    let label = labels
        .map(|line| text_width(line, look::TEXT, true))
        .fold(0.0, f64::max)
        .min(160.0)
        .ceil();
    let left = look::MARGIN + label + GAP.0;
    let count = headings.len().max(1) as f64;
    let room = look::WIDTH - left - look::MARGIN - GAP.0 * (count - 1.0);
    let side = (room / count).clamp(24.0, PANEL).floor();
    let title_width = text_width(title, look::TITLE, true) + 2.0 * look::MARGIN;
    let width = left + count * (side + GAP.0) - GAP.0 + look::MARGIN;
    let top = look::MARGIN + look::TITLE + 56.0;
    let height = top + rows.len() as f64 * (side + GAP.1) - GAP.1 + 20.0 + look::MARGIN;

    let mut scene = Scene::new(width.max(title_width), height);
    let baseline = look::MARGIN + look::TITLE * 0.8;
    scene.heading((look::MARGIN, baseline), Anchor::Start, look::TITLE, title);
    for (column, heading) in headings.iter().enumerate() {
        let middle = left + column as f64 * (side + GAP.0) + side / 2.0;
        let name = fitted(&heading.name, look::TEXT, true, side + GAP.0 - 6.0);
        scene.heading((middle, top - 34.0), Anchor::Middle, look::TEXT, name);
        let shape = fitted(&heading.shape, look::SMALL, false, side + GAP.0 - 6.0);
        scene.text(
            (middle, top - 19.0),
            Anchor::Middle,
            look::SMALL,
            look::GREY,
            shape,
        );
    }
    for (row, (lines, planes)) in rows.iter().enumerate() {
        let y = top + row as f64 * (side + GAP.1);
        let first = y + side / 2.0 - (lines.len() as f64 - 1.0) * 9.0 + look::TEXT * 0.36;
        for (i, line) in lines.iter().enumerate() {
            let at = (look::MARGIN, first + i as f64 * 18.0);
            if i == 0 {
                let line = fitted(line, look::TEXT, true, label);
                scene.heading(at, Anchor::Start, look::TEXT, line);
            } else {
                let line = fitted(line, look::TEXT, false, label);
                scene.text(at, Anchor::Start, look::TEXT, look::GREY, line);
            }
        }
        for (column, plane) in planes.iter().enumerate() {
            panel(
                &mut scene,
                plane,
                (left + column as f64 * (side + GAP.0), y),
                side,
            );
        }
    }
    Figure::new(scene, what)
}

/// One plane in a square of `side`, with its ticks and its range.
fn panel(scene: &mut Scene, plane: &Plane, at: (f64, f64), side: f64) {
    // The longer axis fills the square, the other keeps the pixels square.
    let longer = plane.rows.max(plane.columns).max(1) as f64;
    let width = (side * plane.columns as f64 / longer).round().max(1.0);
    let height = (side * plane.rows as f64 / longer).round().max(1.0);
    let (x, y) = (
        at.0 + ((side - width) / 2.0).floor(),
        at.1 + ((side - height) / 2.0).floor(),
    );
    scene.pictures.push(Picture {
        at: (x as u32, y as u32),
        size: (width as u32, height as u32),
        columns: plane.columns,
        rows: plane.rows,
        cells: plane.cells(),
    });
    let limit = if side < 100.0 { 3 } else { 6 };
    let ticks = |count: usize| (0..count).step_by(whole_step(count, limit));
    for tick in ticks(plane.columns) {
        let x = x + (tick as f64 + 0.5) * width / plane.columns as f64;
        scene.line(
            vec![(x, y + height), (x, y + height + TICK)],
            1.0,
            look::GREY,
        );
        let at = (x, y + height + TICK + look::SMALL);
        scene.text(
            at,
            Anchor::Middle,
            look::SMALL,
            look::GREY,
            tick.to_string(),
        );
    }
    for tick in ticks(plane.rows) {
        let y = y + (tick as f64 + 0.5) * height / plane.rows as f64;
        scene.line(vec![(x - TICK, y), (x, y)], 1.0, look::GREY);
        let at = (x - TICK - 2.0, y + look::SMALL * 0.36);
        scene.text(at, Anchor::End, look::SMALL, look::GREY, tick.to_string());
    }
    if side >= 100.0 {
        let (low, high) = plane.range();
        let range = format!("{} … {}", short(low.into()), short(high.into()));
        scene.text(
            (x + width, y - 5.0),
            Anchor::End,
            look::SMALL,
            look::GREY,
            range,
        );
    }
}
