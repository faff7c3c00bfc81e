//! A training as a chart: loss and accuracy over the epochs, one training or several.

use super::axis::{decimals, round_ticks, whole_step};
use super::figure::Figure;
use super::scene::{Anchor, Scene, fitted, look, text_width};
use crate::session::texts;
use plotters::prelude::RGBColor;

/// A training's figures, one number for each epoch; the validation's are empty when there was none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curves {
    /// What the legend calls this training; not used when there is only one.
    pub name: String,
    /// The number of the first epoch, usually 1.
    pub first_epoch: usize,
    pub loss: Vec<f64>,
    pub accuracy: Vec<f64>,
    pub validation_loss: Vec<f64>,
    pub validation_accuracy: Vec<f64>,
}

/// One line of the chart.
struct Line<'a> {
    values: &'a [f64],
    first_epoch: usize,
    color: RGBColor,
    validation: bool,
}

impl Line<'_> {
    /// Epoch and value, without what is not a number.
    fn points(&self) -> impl Iterator<Item = (usize, f64)> {
        let points = self.values.iter().enumerate();
        let points = points.map(|(i, value)| (self.first_epoch + i, *value));
        points.filter(|(_, value)| value.is_finite())
    }
}

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Best {
    Lowest,
    Highest,
}

const HEIGHT: f64 = 340.0;
const AXIS: f64 = 46.0;

/// Draws the trainings in one chart. The axis of the epochs reaches to `epochs` at least: a chart that grows while the
/// training runs then keeps its scale.
pub(crate) fn draw(curves: &[Curves], epochs: usize) -> Figure {
    let first = curves.iter().map(|one| one.first_epoch).min().unwrap_or(1);
    let last = curves
        .iter()
        .map(|one| one.first_epoch + one.loss.len().max(one.accuracy.len()))
        .max()
        .unwrap_or(1)
        .saturating_sub(1)
        .max(first + 1)
        .max(epochs);
    let colors = |i: usize, validation: bool| match curves.len() {
        // One training: its two lines have different colours. Several: a colour for each.
        1 => look::SERIES[usize::from(validation)],
        _ => look::SERIES[i % look::SERIES.len()],
    };
    let mut scene = Scene::new(look::WIDTH, HEIGHT);
    let top = legend(&mut scene, curves, colors);
    let half = (look::WIDTH - 3.0 * look::MARGIN) / 2.0;
    let area = |left: f64| Area {
        left: left + AXIS,
        right: left + half - 10.0,
        top: top + 44.0,
        bottom: HEIGHT - look::MARGIN - 34.0,
        epochs: (first, last),
    };
    let lines = |loss: bool| -> Vec<Line> {
        let lines = curves.iter().enumerate().flat_map(|(i, one)| {
            let (training, validation) = if loss {
                (&one.loss, &one.validation_loss)
            } else {
                (&one.accuracy, &one.validation_accuracy)
            };
            [(training, false), (validation, true)].map(|(values, validation)| Line {
                values,
                first_epoch: one.first_epoch,
                color: colors(i, validation),
                validation,
            })
        });
        lines.filter(|line| !line.values.is_empty()).collect()
    };
    let left = area(look::MARGIN);
    chart(
        &mut scene,
        &left,
        &texts::figure_loss(),
        &lines(true),
        Best::Lowest,
    );
    let right = area(2.0 * look::MARGIN + half);
    chart(
        &mut scene,
        &right,
        &texts::figure_accuracy(),
        &lines(false),
        Best::Highest,
    );
    let done = curves.iter().map(|one| one.loss.len()).max().unwrap_or(0);
    Figure::new(scene, texts::figure_history(done))
}

/// The legend's row; gives back where the charts may begin.
fn legend(scene: &mut Scene, curves: &[Curves], color: impl Fn(usize, bool) -> RGBColor) -> f64 {
    let validated = curves
        .iter()
        .any(|one| !one.validation_loss.is_empty() || !one.validation_accuracy.is_empty());
    let mut entries = Vec::new();
    if curves.len() == 1 {
        entries.push((texts::figure_training(), Some((color(0, false), false))));
        if validated {
            entries.push((texts::figure_validation(), Some((color(0, true), true))));
        }
    } else {
        for (i, one) in curves.iter().enumerate() {
            entries.push((one.name.clone(), Some((color(i, false), false))));
        }
        if validated {
            let key = texts::figure_line_styles();
            entries.push((key, None));
        }
    }
    let (mut x, mut y) = (look::MARGIN, look::MARGIN + 10.0);
    for (text, sample) in entries {
        let text = fitted(&text, look::TEXT, false, 300.0);
        let width =
            text_width(&text, look::TEXT, false) + if sample.is_some() { 36.0 } else { 0.0 };
        if x > look::MARGIN && x + width > look::WIDTH - look::MARGIN {
            (x, y) = (look::MARGIN, y + 20.0);
        }
        let mut start = x;
        let mut ink = look::GREY;
        if let Some((color, validation)) = sample {
            stroke(
                scene,
                &[(x, y - 4.5), (x + 28.0, y - 4.5)],
                color,
                validation,
            );
            dot(scene, (x + 14.0, y - 4.5), color, validation);
            start += 36.0;
            ink = look::INK;
        }
        scene.text((start, y), Anchor::Start, look::TEXT, ink, text);
        x += width + 24.0;
    }
    y
}

/// Where a chart lies.
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    epochs: (usize, usize),
}

fn chart(scene: &mut Scene, area: &Area, title: &str, lines: &[Line], best: Best) {
    let values = || lines.iter().flat_map(Line::points).map(|(_, value)| value);
    let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (value.min(low), value.max(high))
    });
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let ticks = round_ticks(low, high, 5);
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let across = (area.epochs.1 - area.epochs.0) as f64;
    // Half a step of air at both ends, at most 12 pixels.
    let air = ((area.right - area.left) / (across + 1.0) / 2.0).min(12.0);
    let x = |epoch: usize| {
        let share = (epoch - area.epochs.0) as f64 / across;
        area.left + air + share * (area.right - area.left - 2.0 * air)
    };
    let y = |value: f64| area.bottom - (value - low) / (high - low) * (area.bottom - area.top);

    scene.heading(
        (area.left, area.top - 14.0),
        Anchor::Start,
        look::TEXT,
        title,
    );
    let decimals = decimals(&ticks);
    for tick in &ticks {
        let y = y(*tick);
        scene.line(vec![(area.left, y), (area.right, y)], 1.0, look::RULE);
        let at = (area.left - 8.0, y + look::SMALL * 0.36);
        scene.text(
            at,
            Anchor::End,
            look::SMALL,
            look::GREY,
            format!("{tick:.decimals$}"),
        );
    }
    scene.line(
        vec![(area.left, area.bottom), (area.right, area.bottom)],
        1.0,
        look::GREY,
    );
    let step = whole_step(area.epochs.1, 11);
    // Round numbers, and the first epoch.
    for epoch in (area.epochs.0..=area.epochs.1)
        .filter(|epoch| epoch % step == 0 || (*epoch == 1 && step > 2))
    {
        let x = x(epoch);
        scene.line(
            vec![(x, area.bottom), (x, area.bottom + 4.0)],
            1.0,
            look::GREY,
        );
        let at = (x, area.bottom + 4.0 + look::SMALL);
        scene.text(
            at,
            Anchor::Middle,
            look::SMALL,
            look::GREY,
            epoch.to_string(),
        );
    }
    let at = ((area.left + area.right) / 2.0, area.bottom + 32.0);
    scene.text(
        at,
        Anchor::Middle,
        look::SMALL,
        look::GREY,
        texts::figure_epoch(),
    );

    let crowded = across > 40.0;
    for line in lines {
        let points: Vec<_> = line
            .points()
            .map(|(epoch, value)| (x(epoch), y(value)))
            .collect();
        stroke(scene, &points, line.color, line.validation);
        if !crowded || points.len() == 1 {
            for point in points {
                dot(scene, point, line.color, line.validation);
            }
        }
    }
    mark_best(scene, area, lines, best, &x, &y);
}

/// Marks the best value: of the validation where there is one, because it tells how well the net does on new images.
fn mark_best(
    scene: &mut Scene,
    area: &Area,
    lines: &[Line],
    best: Best,
    x: &dyn Fn(usize) -> f64,
    y: &dyn Fn(f64) -> f64,
) {
    let validated = lines.iter().any(|line| line.validation);
    let candidates = lines.iter().filter(|line| line.validation == validated);
    let points = candidates.flat_map(|line| {
        line.points()
            .map(|(epoch, value)| (epoch, value, line.color))
    });
    let better = |a: f64, b: f64| if best == Best::Lowest { a < b } else { a > b };
    let found = points.reduce(|kept, next| if better(next.1, kept.1) { next } else { kept });
    let Some((epoch, value, color)) = found else {
        return;
    };
    let place = (x(epoch), y(value));
    scene.dashes(&[place, (place.0, area.bottom)], 1.0, look::GREY);
    scene.disc(place, 6.5, color);
    scene.disc(place, 4.5, look::PAPER);
    scene.disc(place, 2.5, color);
    let text = texts::figure_best(epoch, format!("{value:.3}"));
    scene.text(
        (area.right, area.top - 14.0),
        Anchor::End,
        look::SMALL,
        look::GREY,
        text,
    );
}

/// Training is a whole line, validation a broken one.
fn stroke(scene: &mut Scene, points: &[(f64, f64)], color: RGBColor, validation: bool) {
    if validation {
        scene.dashes(points, 2.0, color);
    } else if points.len() > 1 {
        scene.line(points.to_vec(), 2.0, color);
    }
}

/// Training's points are full, validation's are rings.
fn dot(scene: &mut Scene, center: (f64, f64), color: RGBColor, validation: bool) {
    if validation {
        scene.ring(center, 3.5, color);
    } else {
        scene.disc(center, 3.0, color);
    }
}
