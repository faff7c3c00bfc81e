//! Accuracy against time: what a variant of the net costs and what it brings.

use super::axis::round_ticks;
use super::canvas::{Anchor, Color, fitted, text_width};
use super::chart::{Area, dot, stroke, target};
use super::figure::{Drawing, Figure, Names};
use super::scene::Scene;
use super::theme::{HEADING, MARGIN, SERIES, TEXT, WIDTH};
use crate::session::texts;

/// One variant's curve: seconds of training since the start and the accuracy then, epoch by epoch.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// The accuracy at the end that was predicted, as a fraction.
    pub prediction: Option<f64>,
}

impl Curve {
    /// What stands beside its end.
    fn label(&self) -> String {
        match self.prediction {
            None => self.name.clone(),
            Some(it) => format!("{}, {}", self.name, texts::figure_prediction(it * 100.0)),
        }
    }
}

/// A line for each variant, with its name at its end, of those points that can be drawn.
pub(crate) fn figure(mut curves: Vec<Curve>) -> Figure {
    for curve in &mut curves {
        let points = &mut curve.points;
        points.retain(|(x, y)| x.is_finite() && y.is_finite());
    }
    Figure::new(Curves(curves))
}

struct Curves(Vec<Curve>);

const HEIGHT: f64 = 380.0;
/// Between the labels' baselines.
const LINE: f64 = 18.0;

impl Drawing for Curves {
    fn alt(&self, _: &Names) -> String {
        let ends = self.0.iter().filter_map(|curve| {
            let (seconds, accuracy) = curve.points.last()?;
            let end = texts::figure_curve(&curve.name, accuracy, seconds);
            Some(match curve.prediction {
                None => end,
                Some(it) => format!("{end} ({})", texts::figure_prediction(it * 100.0)),
            })
        });
        texts::figure_comparison_line(ends.collect::<Vec<_>>().join(", "))
    }

    fn scene(&self, _: &Names) -> Scene {
        let points = || self.0.iter().flat_map(|curve| &curve.points);
        let widths = self.0.iter().map(|curve| text_width(&curve.label(), TEXT));
        let label = widths.fold(0.0, f64::max).min(240.0).ceil();

        let mut scene = Scene::new(WIDTH, HEIGHT);
        let slowest = points().map(|point| point.0).fold(1e-3, f64::max);
        let ticks = round_ticks(0.0, slowest, 8);
        let mut area = Area {
            left: MARGIN + 46.0,
            right: WIDTH - MARGIN - label - 44.0,
            top: MARGIN + 34.0,
            bottom: HEIGHT - MARGIN - 34.0,
            x_range: (0.0, ticks[ticks.len() - 1].0),
            y_range: (0.0, 1.0),
        };
        let at = (area.left, MARGIN + HEADING.size);
        scene.text(at, Anchor::Left, HEADING, texts::figure_comparison());
        area.rules(&mut scene, points().map(|point| point.1));
        for (tick, text) in ticks {
            area.tick(&mut scene, tick, text);
        }
        area.unit(&mut scene, texts::figure_seconds());
        self.predictions(&mut scene, &area);
        self.lines(&mut scene, &area);
        self.labels(&mut scene, &area, label);
        scene
    }
}

impl Curves {
    fn lines(&self, scene: &mut Scene, area: &Area) {
        for (i, curve) in self.0.iter().enumerate() {
            let (color, dashed) = look(i);
            let points: Vec<_> = curve.points.iter().map(|it| area.place(*it)).collect();
            stroke(scene, &points, color, dashed);
            for point in points {
                dot(scene, point, color, dashed);
            }
        }
    }

    /// Draws what was predicted, above or below the end of the line. A prediction far from all lines would
    /// make the chart too coarse for them: it stands at the edge.
    fn predictions(&self, scene: &mut Scene, area: &Area) {
        for (i, curve) in self.0.iter().enumerate() {
            let (Some(prediction), Some(&end)) = (curve.prediction, curve.points.last()) else {
                continue;
            };
            let (color, _) = look(i);
            let (x, y) = area.place((end.0, prediction));
            let place = (x, y.clamp(area.top, area.bottom));
            scene.dashes(&[area.place(end), place], 1.0, color);
            target(scene, place, color);
        }
    }

    /// The names in the order of their lines' ends, as near to them as they can stand.
    fn labels(&self, scene: &mut Scene, area: &Area, width: f64) {
        let end = |(i, curve): (usize, &Curve)| {
            let (_, y) = area.place(*curve.points.last()?);
            Some((y, i))
        };
        let mut ends: Vec<(f64, usize)> = self.0.iter().enumerate().filter_map(end).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = ends.iter().map(|&(y, _)| y).collect();
        for (y, (_, i)) in spread(&wanted, LINE, area.bottom).into_iter().zip(ends) {
            let (color, dashed) = look(i);
            let x = area.right + 14.0;
            stroke(scene, &[(x, y), (x + 20.0, y)], color, dashed);
            dot(scene, (x + 10.0, y), color, dashed);
            let label = fitted(&self.0[i].label(), TEXT, width);
            scene.text((x + 28.0, TEXT.centered(y)), Anchor::Left, TEXT, label);
        }
    }
}

/// The colour of the line with this number, and whether it is broken: when the colours begin anew, so does the line.
fn look(i: usize) -> (Color, bool) {
    (SERIES[i % SERIES.len()], i / SERIES.len() % 2 == 1)
}

/// Moves labels apart that would lie on one another: `wanted` in ascending order, at least `gap` between two, none
/// below `limit` as long as there is room.
fn spread(wanted: &[f64], gap: f64, limit: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + gap);
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
            prediction: None,
        };
        let figure = figure(vec![curve("64-64", 20.0), curve("16-16", 6.0)]);
        let scene = figure.scene();
        let texts = scene.texts();
        for text in ["64-64", "16-16", "0", "40"] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        let end = texts::figure_curve("64-64", 0.88, 40.0);
        assert!(figure.to_string().contains(&end), "{figure}");
    }

    #[test]
    fn without_a_point_the_frame_is_drawn() {
        let empty = Curve {
            name: "x".into(),
            points: vec![],
            prediction: Some(0.9),
        };
        assert!(figure(vec![]).png().is_ok() && figure(vec![empty]).png().is_ok());
    }

    #[test]
    fn a_prediction_stands_beside_its_result_and_does_not_flatten_the_lines() {
        let curve = |prediction| Curve {
            name: "64-64".into(),
            points: vec![(1.0, 0.8), (2.0, 0.88)],
            prediction,
        };
        let drawn = |prediction| figure(vec![curve(prediction)]);
        let ticks = |figure: &Figure| {
            let texts: Vec<String> = figure
                .scene()
                .texts()
                .iter()
                .map(ToString::to_string)
                .collect();
            texts
                .into_iter()
                .filter(|text| text.starts_with("0."))
                .collect::<Vec<_>>()
        };
        let without = drawn(None);
        for prediction in [0.84, 0.5] {
            let figure = drawn(Some(prediction));
            let text = texts::figure_prediction(prediction * 100.0);
            let label = format!("64-64, {text}");
            assert!(figure.scene().texts().contains(&label.as_str()), "{label}");
            assert_eq!(ticks(&figure), ticks(&without));
            assert!(figure.png().is_ok());
        }
        let said = drawn(Some(0.84)).to_string();
        assert!(said.contains(&texts::figure_prediction(84.0)), "{said}");
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
