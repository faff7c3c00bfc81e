//! A layer from inside: its kernels, and what all its filters make of one image.

use super::activation_grid::{Plane, inferno};
use super::scene::{Anchor, Picture, Scene, look};
use super::tiles::{Layout, Tile, draw as draw_tiles, head};
use crate::session::texts;

/// A convolution's kernels: `values[filter][channel][row][column]` in one row.
#[derive(Clone, Debug)]
pub(crate) struct Kernels {
    pub filters: usize,
    pub channels: usize,
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

impl Kernels {
    /// The largest absolute weight, the end of the colours' scale.
    fn reach(&self) -> f32 {
        let sizes = self.values.iter().map(|value| value.abs());
        sizes.filter(|size| size.is_finite()).fold(0.0, f32::max)
    }

    fn plane(&self, filter: usize, channel: usize) -> &[f32] {
        let size = self.rows * self.columns;
        let start = (filter * self.channels + channel) * size;
        &self.values[start..start + size]
    }
}

/// Draws kernels, positive weights red and negative blue. A layer on one channel gives a tile for each filter, with its
/// number; a layer on several gives a table of filters (rows) and channels (columns).
pub(crate) fn draw_kernels(title: &str, kernels: &Kernels) -> Scene {
    let reach = kernels.reach();
    let range = format!("{reach:.2}");
    if kernels.channels == 1 {
        let tiles: Vec<Tile> = (0..kernels.filters)
            .map(|filter| Tile {
                rows: kernels.rows,
                columns: kernels.columns,
                cells: kernels
                    .plane(filter, 0)
                    .iter()
                    .map(|weight| diverging(*weight, reach))
                    .collect(),
                caption: vec![(filter.to_string(), look::GREY)],
                frame: None,
            })
            .collect();
        let layout = Layout {
            columns: 16,
            gap: 12.0,
            side: 46.0,
        };
        return draw_tiles(title, &texts::figure_weights(range), &tiles, layout);
    }
    table(title, &texts::figure_weights_table(range), kernels, reach)
}

fn table(title: &str, note: &str, kernels: &Kernels, reach: f32) -> Scene {
    let left = look::MARGIN + 30.0;
    let room = look::WIDTH - left - look::MARGIN;
    let across = (room / kernels.channels as f64 / kernels.columns as f64).floor();
    let cell = (across - if across > 3.0 { 1.0 } else { 0.0 }).clamp(1.0, 10.0);
    // Kernels stand apart by about half a cell.
    let gap = (cell / 2.0).floor().max(1.0);
    let step = (
        kernels.columns as f64 * cell + gap,
        kernels.rows as f64 * cell + gap,
    );
    // What is wider than the paper is left out.
    let shown = kernels.channels.min((room / step.0) as usize);
    let top = 2.0 * look::MARGIN + look::TITLE + 18.0 + 20.0;
    let width = left + shown as f64 * step.0 + look::MARGIN;
    let height = top + kernels.filters as f64 * step.1 + look::MARGIN;
    let mut scene = Scene::new(width.max(look::WIDTH * 0.6), height);
    head(&mut scene, title, note);
    let every = |step: f64, count: usize| {
        let enough = (22.0 / step).ceil() as usize;
        (0..count).step_by(super::axis::whole_step(enough, 2).max(1))
    };
    for channel in every(step.0, shown) {
        let x = left + channel as f64 * step.0 + (step.0 - gap) / 2.0;
        let text = channel.to_string();
        scene.text(
            (x, top - 6.0),
            Anchor::Middle,
            look::SMALL,
            look::GREY,
            text,
        );
    }
    for filter in every(step.1, kernels.filters) {
        let y = top + filter as f64 * step.1 + (step.1 - gap) / 2.0 + look::SMALL * 0.36;
        let text = filter.to_string();
        scene.text((left - 6.0, y), Anchor::End, look::SMALL, look::GREY, text);
    }
    for filter in 0..kernels.filters {
        for channel in 0..shown {
            let weights = kernels.plane(filter, channel);
            scene.pictures.push(Picture {
                at: (
                    (left + channel as f64 * step.0) as u32,
                    (top + filter as f64 * step.1) as u32,
                ),
                size: (
                    (kernels.columns as f64 * cell) as u32,
                    (kernels.rows as f64 * cell) as u32,
                ),
                columns: kernels.columns,
                rows: kernels.rows,
                cells: weights
                    .iter()
                    .map(|weight| diverging(*weight, reach))
                    .collect(),
            });
        }
    }
    scene
}

/// Draws one image's activations, a tile for each filter, all on one scale of inferno colours: a filter that is silent
/// stays dark.
pub(crate) fn draw_map(title: &str, planes: &[Plane]) -> Scene {
    let (low, high) = planes
        .iter()
        .map(Plane::range)
        .fold(None, |range, (low, high)| match range {
            None => Some((low, high)),
            Some((l, h)) => Some((low.min(l), high.max(h))),
        })
        .unwrap_or_default();
    let span = if high > low { high - low } else { 1.0 };
    let tiles: Vec<Tile> = planes
        .iter()
        .enumerate()
        .map(|(filter, plane)| Tile {
            rows: plane.rows,
            columns: plane.columns,
            cells: plane
                .values
                .iter()
                .map(|value| inferno(f64::from((value - low) / span)))
                .collect(),
            caption: vec![(filter.to_string(), look::GREY)],
            frame: None,
        })
        .collect();
    let note = texts::figure_one_scale(
        super::axis::short(low.into()),
        super::axis::short(high.into()),
    );
    let layout = Layout {
        columns: if planes.len() > 40 { 12 } else { 8 },
        gap: 10.0,
        side: 108.0,
    };
    draw_tiles(title, &note, &tiles, layout)
}

/// White for 0, red for `reach`, blue for `-reach`.
fn diverging(value: f32, reach: f32) -> [u8; 3] {
    if !value.is_finite() {
        return [128, 128, 128];
    }
    let share = if reach > 0.0 {
        f64::from(value / reach)
    } else {
        0.0
    };
    let color = colorous::RED_BLUE.eval_continuous((0.5 - share / 2.0).clamp(0.0, 1.0));
    [color.r, color.g, color.b]
}
