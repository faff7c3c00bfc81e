//! Accuracy against time: what a variant of the net costs and what it brings.

use super::axis::{decimals, round_ticks};
use super::chart::{Area, dot, stroke};
use super::figure::Figure;
use super::scene::{Anchor, Scene, fitted, look, text_width};
use crate::session::texts;

/// One variant's curve: seconds of training since the start and the accuracy then, epoch by epoch.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

const HEIGHT: f64 = 380.0;
/// Between the labels' baselines.
const LINE: f64 = 18.0;

/// Draws a line for each variant, with its name at its end.
pub(crate) fn draw(curves: &[Curve]) -> Figure {
    let finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
    let points = || {
        curves
            .iter()
            .flat_map(|curve| &curve.points)
            .copied()
            .filter(finite)
    };
    let names = curves
        .iter()
        .map(|curve| text_width(&curve.name, look::TEXT, false));
    let label = names.fold(0.0, f64::max).min(240.0).ceil();

    let mut scene = Scene::new(look::WIDTH, HEIGHT);
    let slowest = points().map(|(seconds, _)| seconds).fold(0.0, f64::max);
    let ticks = round_ticks(0.0, slowest.max(1e-3), 8);
    let mut area = Area {
        left: look::MARGIN + 46.0,
        right: look::WIDTH - look::MARGIN - label - 44.0,
        top: look::MARGIN + 34.0,
        bottom: HEIGHT - look::MARGIN - 34.0,
        across: (0.0, ticks[ticks.len() - 1]),
        up: (0.0, 1.0),
    };
    let at = (area.left, look::MARGIN + look::TEXT);
    scene.heading(at, Anchor::Start, look::TEXT, texts::figure_comparison());
    area.rules(&mut scene, points().map(|(_, accuracy)| accuracy));
    let places = decimals(&ticks);
    for tick in &ticks {
        area.tick(&mut scene, *tick, format!("{tick:.places$}"));
    }
    area.unit(&mut scene, texts::figure_seconds());

    let mut ends = Vec::new();
    for (i, curve) in curves.iter().enumerate() {
        let color = look::SERIES[i % look::SERIES.len()];
        // When the colours begin anew, so does the line.
        let dashed = i / look::SERIES.len() % 2 == 1;
        let points = curve.points.iter().copied().filter(finite);
        let points: Vec<_> = points
            .map(|(seconds, accuracy)| area.place(seconds, accuracy))
            .collect();
        stroke(&mut scene, &points, color, dashed);
        for point in &points {
            dot(&mut scene, *point, color, dashed);
        }
        if let Some(end) = points.last() {
            ends.push((*end, &curve.name, color, dashed));
        }
    }
    // The names in the order of their lines' ends, as near to them as they can stand.
    ends.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
    let wanted: Vec<_> = ends.iter().map(|(end, ..)| end.1).collect();
    for (y, (_, name, color, dashed)) in spread(&wanted, LINE, area.bottom).into_iter().zip(ends) {
        let x = area.right + 14.0;
        stroke(&mut scene, &[(x, y), (x + 20.0, y)], color, dashed);
        dot(&mut scene, (x + 10.0, y), color, dashed);
        let at = (x + 28.0, y + look::TEXT * 0.36);
        let name = fitted(name, look::TEXT, false, label);
        scene.text(at, Anchor::Start, look::TEXT, look::INK, name);
    }
    Figure::new(scene, texts::figure_comparison_line(curves.len()))
}

/// Moves labels apart that would lie on one another: `wanted` in ascending order, at least `gap` between two, none
/// below `limit` as long as there is room.
fn spread(wanted: &[f64], gap: f64, limit: f64) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::with_capacity(wanted.len());
    for &place in wanted {
        let free = places.last().map_or(place, |last| place.max(last + gap));
        places.push(free);
    }
    let mut ceiling = limit;
    for place in places.iter_mut().rev() {
        *place = place.min(ceiling);
        ceiling = *place - gap;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_line_and_its_name() {
        let curve = |name: &str, slower: f64| Curve {
            name: name.into(),
            points: vec![(slower, 0.8), (2.0 * slower, 0.88), (f64::NAN, 0.9)],
        };
        let figure = draw(&[curve("64-64", 20.0), curve("16-16", 6.0)]);
        let texts = figure.scene().texts();
        for text in ["64-64", "16-16", "0", "40"] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        assert!(
            draw(&[]).png().is_ok()
                && draw(&[Curve {
                    name: "x".into(),
                    points: vec![]
                }])
                .png()
                .is_ok()
        );
    }

    #[test]
    fn labels_never_lie_on_one_another() {
        assert_eq!(spread(&[10.0, 50.0], 18.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[10.0, 12.0, 14.0], 18.0, 100.0), [10.0, 28.0, 46.0]);
        assert_eq!(
            spread(&[90.0, 95.0, 99.0], 18.0, 100.0),
            [64.0, 82.0, 100.0]
        );
    }
}
