//! A training as a chart: loss and accuracy over the epochs.

use std::ops::ControlFlow;

use super::axis::{short, whole_step};
use super::canvas::{Anchor, text_width};
use super::chart::{Area, dot, stroke, target};
use super::figure::{Drawing, Figure, Names};
use super::scene::Scene;
use super::theme::{GREY, HEADING, MARGIN, SERIES, SMALL, TEXT, WIDTH};
use crate::Result;
use crate::model::{Callback, Control, Epoch, Fit, History};
use crate::session::display::{self, Content, Display, Show, shows_itself};
use crate::session::texts;

shows_itself!(History);

impl History {
    /// The training as a chart: loss and accuracy, training and validation, the best epoch marked. A history that ends
    /// a cell shows itself so; keep the figure to [`show`](Figure::show) or [`save`](Figure::save) it.
    pub fn figure(&self) -> Figure {
        Figure::new(Chart {
            epochs: self.epochs.clone(),
            planned: 0,
        })
    }
}

impl Show for History {
    fn content(&self) -> Result<Content> {
        Ok(Content {
            plain: self.to_string(),
            ..self.figure().content()?
        })
    }
}

impl Fit {
    /// Draws loss and accuracy while the training runs: the chart grows with every epoch. It needs svertka's kernel;
    /// elsewhere the history that `fit` returns draws the same chart at the end.
    pub fn plot(self) -> Self {
        let chart = Chart {
            epochs: Vec::new(),
            planned: self.epochs.max(0) as usize,
        };
        let display = Display::new();
        self.callback(LivePlot { chart, display })
    }
}

/// The chart of [`Fit::plot`].
struct LivePlot {
    chart: Chart,
    display: Display,
}

impl Callback for LivePlot {
    fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
        self.chart.epochs.push(epoch.clone());
        // A chart that can't be drawn is no reason to end a training.
        if display::kernel_connected()
            && let Ok(content) = Figure::new(self.chart.clone()).content()
        {
            self.display.show(&content);
        }
        ControlFlow::Continue(())
    }
}

/// What the two charts of a training show.
#[derive(Clone)]
struct Chart {
    epochs: Vec<Epoch>,
    /// The axis of the epochs reaches to this one at least, so that a chart that grows while the training runs keeps its
    /// scale.
    planned: usize,
}

/// One line of a chart: epoch and value, without what is not a number.
type Line = Vec<(f64, f64)>;

/// Which of a score's two numbers a chart shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Metric {
    Loss,
    Accuracy,
}

const HEIGHT: f64 = 340.0;
/// Room for the numbers of the vertical axis.
const AXIS: f64 = 46.0;

impl Drawing for Chart {
    fn alt(&self, _: &Names) -> String {
        let [training, validation] = [false, true].map(|validation| {
            let line = |metric| self.line(metric, validation);
            let ends = |line: Line| Some((line.first()?.1, line.last()?.1));
            Some((ends(line(Metric::Loss))?, ends(line(Metric::Accuracy))?))
        });
        let mut text = texts::figure_history(self.epochs.len());
        if let Some((loss, accuracy)) = training {
            text += &texts::figure_history_training(loss.0, loss.1, accuracy.0, accuracy.1);
        }
        if let Some((loss, accuracy)) = validation {
            text += &texts::figure_history_validation(loss.0, loss.1, accuracy.0, accuracy.1);
        }
        text
    }

    fn scene(&self, _: &Names) -> Scene {
        let mut scene = Scene::new(WIDTH, HEIGHT);
        let validated = self.epochs.iter().any(|it| it.validation.is_some());
        legend(&mut scene, validated);
        let first = self.epochs.first().map_or(1, |epoch| epoch.number as usize);
        let last = self.epochs.last().map_or(1, |epoch| epoch.number as usize);
        let last = last.max(self.planned).max(first + 1);
        let half = (WIDTH - 3.0 * MARGIN) / 2.0;
        let right = 2.0 * MARGIN + half;
        for (left, metric, title) in [
            (MARGIN, Metric::Loss, texts::figure_loss()),
            (right, Metric::Accuracy, texts::figure_accuracy()),
        ] {
            let area = Area {
                left: left + AXIS,
                right: left + half - 10.0,
                top: MARGIN + 54.0,
                bottom: HEIGHT - MARGIN - 34.0,
                x_range: (first as f64, last as f64),
                y_range: (0.0, 1.0),
            };
            let at = (area.left, area.top - 14.0);
            scene.text(at, Anchor::Left, HEADING, title);
            let lines = [false, true].map(|validation| self.line(metric, validation));
            draw(&mut scene, area, metric, &lines);
        }
        scene
    }
}

impl Chart {
    /// The line of the training's or the validation's values.
    fn line(&self, metric: Metric, validation: bool) -> Line {
        let point = |epoch: &Epoch| {
            let value = match (metric, validation) {
                (Metric::Loss, false) => epoch.loss,
                (Metric::Loss, true) => epoch.validation?.loss,
                (Metric::Accuracy, false) => epoch.accuracy,
                (Metric::Accuracy, true) => epoch.validation?.accuracy,
            };
            value.is_finite().then_some((epoch.number as f64, value))
        };
        self.epochs.iter().filter_map(point).collect()
    }
}

fn legend(scene: &mut Scene, validated: bool) {
    let (mut x, y) = (MARGIN, MARGIN + 10.0);
    let mut entry = |text: String, validation: bool| {
        let color = SERIES[usize::from(validation)];
        let line = [(x, y - 4.5), (x + 28.0, y - 4.5)];
        stroke(scene, &line, color, validation);
        dot(scene, (x + 14.0, y - 4.5), color, validation);
        x += 36.0;
        let width = text_width(&text, TEXT);
        scene.text((x, y), Anchor::Left, TEXT, text);
        x += width + 24.0;
    };
    entry(texts::figure_training(), false);
    if validated {
        entry(texts::figure_validation(), true);
    }
}

/// Draws the training's line and the validation's.
fn draw(scene: &mut Scene, mut area: Area, metric: Metric, lines: &[Line; 2]) {
    area.rules(scene, lines.iter().flatten().map(|point| point.1));

    let (first, last) = area.x_range;
    // Half a step of air at both ends, at most 12 pixels.
    let steps = last - first;
    let air = ((area.right - area.left) / (steps + 1.0) / 2.0).min(12.0);
    let air = air * steps / (area.right - area.left - 2.0 * air);
    area.x_range = (first - air, last + air);
    let step = whole_step(steps as usize + 1, 21);
    for epoch in (first as usize..=last as usize).filter(|epoch| epoch % step == 0) {
        area.tick(scene, epoch as f64, epoch.to_string());
    }
    area.unit(scene, texts::figure_epoch());

    for (line, validation) in lines.iter().zip([false, true]) {
        let color = SERIES[usize::from(validation)];
        let points: Vec<_> = line.iter().map(|it| area.place(*it)).collect();
        stroke(scene, &points, color, validation);
        // More points would touch.
        if steps <= 40.0 || points.len() == 1 {
            for point in points {
                dot(scene, point, color, validation);
            }
        }
    }
    mark_best(scene, &area, metric, lines);
}

/// Marks the best value: of the validation where there is one, because it tells how well the net does on new images.
fn mark_best(scene: &mut Scene, area: &Area, metric: Metric, lines: &[Line; 2]) {
    let line = usize::from(!lines[1].is_empty());
    let better = |kept: (f64, f64), next: (f64, f64)| match metric {
        Metric::Loss if next.1 < kept.1 => next,
        Metric::Accuracy if next.1 > kept.1 => next,
        _ => kept,
    };
    let Some((epoch, value)) = lines[line].iter().copied().reduce(better) else {
        return;
    };
    let place = area.place((epoch, value));
    scene.dashes(&[place, (place.0, area.bottom)], 1.0, GREY);
    target(scene, place, SERIES[line]);
    let number = match value {
        0.01.. => format!("{value:.3}"),
        _ => short(value),
    };
    let at = (area.right, area.top - 14.0);
    scene.text(at, Anchor::Right, SMALL, texts::figure_best(epoch, number));
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Score;

    fn epochs(count: i64) -> Vec<Epoch> {
        let epoch = |i: i64| {
            let x = i as f64;
            Epoch {
                number: i + 1,
                seconds: 1.0,
                loss: 0.5 / (1.0 + x),
                accuracy: 0.9 + 0.005 * x,
                validation: Some(Score {
                    loss: 0.4 + (x - 2.0).abs() / 10.0,
                    accuracy: 0.92 - (x - 3.0).abs() / 100.0,
                }),
            }
        };
        (0..count).map(epoch).collect()
    }

    fn chart(epochs: Vec<Epoch>, planned: usize) -> Figure {
        Figure::new(Chart { epochs, planned })
    }

    #[test]
    fn epochs_are_whole_ticks() {
        let scene = chart(epochs(5), 0).scene();
        let texts = scene.texts();
        for epoch in 1..=5 {
            let epoch = epoch.to_string();
            let found = texts.iter().filter(|text| **text == epoch).count();
            assert_eq!(found, 2, "{epoch} stands under both charts: {texts:?}");
        }
        assert!(!texts.contains(&"1.5"), "{texts:?}");
    }

    #[test]
    fn the_best_epoch_is_the_validations() {
        let scene = chart(epochs(5), 0).scene();
        let texts = scene.texts();
        for text in [
            texts::figure_best(3, "0.400"),
            texts::figure_best(4, "0.920"),
        ] {
            assert!(texts.contains(&text.as_str()), "{text} in {texts:?}");
        }
    }

    #[test]
    fn without_validation_the_trainings_best_is_marked() {
        let mut epochs = epochs(5);
        for epoch in &mut epochs {
            epoch.validation = None;
        }
        let figure = chart(epochs, 0);
        let scene = figure.scene();
        let texts = scene.texts();
        let best = texts::figure_best(5, "0.100");
        assert!(texts.contains(&best.as_str()), "{texts:?}");
        let validation = texts::figure_validation();
        assert!(!texts.contains(&validation.as_str()), "{texts:?}");
        let alt = texts::figure_history_training(0.5, 0.1, 0.9, 0.92);
        assert!(figure.to_string().ends_with(&alt), "{figure}");
    }

    #[test]
    fn the_alternative_text_tells_the_first_and_the_last_values() {
        let figure = chart(epochs(5), 0).to_string();
        for part in [
            texts::figure_history(5),
            texts::figure_history_training(0.5, 0.1, 0.9, 0.92),
            texts::figure_history_validation(0.6, 0.6, 0.89, 0.91),
        ] {
            assert!(figure.contains(&part), "{part} in {figure}");
        }
    }

    #[test]
    fn both_lines_have_their_colours() {
        let canvas = chart(epochs(5), 0).scene().painted();
        let (width, height) = chart(epochs(5), 0).size();
        let colors = (0..2 * width).flat_map(|x| (0..2 * height).map(move |y| (x, y)));
        let colors: Vec<_> = colors.map(|(x, y)| canvas.color(x, y)).collect();
        assert!(SERIES[..2].iter().all(|color| colors.contains(color)));
    }

    #[test]
    fn a_growing_chart_keeps_its_size_and_its_ticks() {
        let first = chart(epochs(1), 20);
        assert_eq!(first.size(), chart(epochs(20), 20).size());
        assert!(first.scene().texts().contains(&"20"));
    }

    #[test]
    fn odd_histories_are_drawn() {
        let mut broken = epochs(3);
        broken[0].loss = f64::NAN;
        broken[1].loss = f64::INFINITY;
        broken[1].validation = None;
        let mut equal = epochs(4);
        for epoch in &mut equal {
            (epoch.loss, epoch.accuracy) = (0.5, 1.0);
        }
        let late = epochs(8).split_off(5);
        for epochs in [broken, equal, late, epochs(1), epochs(300), Vec::new()] {
            let figure = chart(epochs, 0);
            assert!(figure.png().is_ok() && figure.svg().is_ok());
        }
    }
}
