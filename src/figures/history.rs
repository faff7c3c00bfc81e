//! A training as a chart: loss and accuracy over the epochs, one training or several.

use std::ops::ControlFlow;

use plotters::style::RGBColor;

use super::axis::{short, whole_step};
use super::chart::{Area, dot, stroke, target};
use super::figure::Figure;
use super::scene::{Anchor, Scene, fitted, look, text_width};
use crate::Result;
use crate::model::{Callback, Control, Epoch, Fit, History, Score};
use crate::session::display::{self, Content, Display};
use crate::session::{error, texts};

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

/// Several trainings on one chart, each with its name in the legend:
/// `histories([("Adam", &with_adam), ("Sgd", &with_sgd)])?`.
///
/// # Errors
/// If the list is empty.
pub fn histories<'a, N: Into<String>>(
    histories: impl IntoIterator<Item = (N, &'a History)>,
) -> Result<Figure> {
    let histories = histories.into_iter();
    let curves: Vec<Curves> = histories
        .map(|(name, history)| Curves::of(name, &history.epochs))
        .collect();
    if curves.is_empty() {
        return Err(error(texts::figure_no_histories()));
    }
    Ok(draw(&curves, 0))
}

impl History {
    /// The training as a chart: loss and accuracy, training and validation, the best epoch marked. A history that ends
    /// a cell shows itself so; keep the figure to [`show`](Figure::show) or [`save`](Figure::save) it.
    pub fn figure(&self) -> Figure {
        draw(&[Curves::of("", &self.epochs)], 0)
    }

    /// How evcxr shows a history that ends a cell.
    #[doc(hidden)]
    pub fn evcxr_display(&self) {
        match self.figure().png() {
            Ok(png) => Content::png(self.to_string(), png).show_as_result(),
            Err(problem) => eprintln!("{problem}"),
        }
    }
}

impl Fit {
    /// Draws loss and accuracy while the training runs: the chart grows with every epoch. It needs svertka's kernel;
    /// elsewhere the history that `fit` returns draws the same chart at the end.
    pub fn plot(self) -> Self {
        let epochs = self.epochs.max(0) as usize;
        self.callback(LivePlot {
            epochs,
            seen: Vec::new(),
            display: Display::new(),
        })
    }
}

/// The chart of [`Fit::plot`].
struct LivePlot {
    epochs: usize,
    seen: Vec<Epoch>,
    display: Display,
}

impl Callback for LivePlot {
    fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
        self.seen.push(epoch.clone());
        if display::speaks() {
            let figure = draw(&[Curves::of("", &self.seen)], self.epochs);
            // A chart that can't be drawn is no reason to end a training.
            if let Ok(content) = figure.content() {
                self.display.show(&content);
            }
        }
        ControlFlow::Continue(())
    }
}

impl Curves {
    /// The figures of finished epochs.
    pub(crate) fn of(name: impl Into<String>, epochs: &[Epoch]) -> Self {
        let validation = |which: fn(&Score) -> f64| {
            // Where one epoch was validated and another was not, the line has a gap.
            let values = epochs
                .iter()
                .map(|epoch| epoch.validation.as_ref().map_or(f64::NAN, which));
            let values: Vec<f64> = values.collect();
            if values.iter().all(|value| value.is_nan()) {
                Vec::new()
            } else {
                values
            }
        };
        Self {
            name: name.into(),
            first_epoch: epochs.first().map_or(1, |epoch| epoch.number as usize),
            loss: epochs.iter().map(|epoch| epoch.loss).collect(),
            accuracy: epochs.iter().map(|epoch| epoch.accuracy).collect(),
            validation_loss: validation(|score| score.loss),
            validation_accuracy: validation(|score| score.accuracy),
        }
    }

    /// The number of the last epoch.
    fn last_epoch(&self) -> usize {
        let count = self.loss.len().max(self.accuracy.len());
        (self.first_epoch + count).saturating_sub(1)
    }
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
/// Room for the numbers of the vertical axis.
const AXIS: f64 = 46.0;

/// Draws the trainings in one chart. The axis of the epochs reaches to `epochs` at least, so that a chart that grows
/// while the training runs keeps its scale.
pub(crate) fn draw(curves: &[Curves], epochs: usize) -> Figure {
    let first = curves.iter().map(|one| one.first_epoch).min().unwrap_or(1);
    let last = curves.iter().map(Curves::last_epoch).max().unwrap_or(1);
    let last = last.max(epochs).max(first + 1);
    let color = |i: usize, validation: bool| match curves.len() {
        // One training: its two lines have different colours. Several: a colour for each.
        1 => look::SERIES[usize::from(validation)],
        _ => look::SERIES[i % look::SERIES.len()],
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
                color: color(i, validation),
                validation,
            })
        });
        lines.filter(|line| !line.values.is_empty()).collect()
    };

    let mut scene = Scene::new(look::WIDTH, HEIGHT);
    let top = legend(&mut scene, curves, color) + 44.0;
    let half = (look::WIDTH - 3.0 * look::MARGIN) / 2.0;
    let loss = (look::MARGIN, texts::figure_loss(), true, Best::Lowest);
    let second = 2.0 * look::MARGIN + half;
    let accuracy = (second, texts::figure_accuracy(), false, Best::Highest);
    for (left, title, which, best) in [loss, accuracy] {
        let area = Area {
            left: left + AXIS,
            right: left + half - 10.0,
            top,
            bottom: HEIGHT - look::MARGIN - 34.0,
            across: (first as f64, last as f64),
            up: (0.0, 1.0),
        };
        chart(&mut scene, area, &title, &lines(which), best);
    }
    let done = curves.iter().map(|one| one.loss.len()).max().unwrap_or(0);
    Figure::new(scene, texts::figure_history(done))
}

/// The legend's rows; gives back the last one's baseline.
fn legend(scene: &mut Scene, curves: &[Curves], color: impl Fn(usize, bool) -> RGBColor) -> f64 {
    let validated = curves
        .iter()
        .any(|one| !one.validation_loss.is_empty() || !one.validation_accuracy.is_empty());
    let mut entries = Vec::new();
    if let [_] = curves {
        entries.push((texts::figure_training(), Some((color(0, false), false))));
        if validated {
            entries.push((texts::figure_validation(), Some((color(0, true), true))));
        }
    } else {
        for (i, one) in curves.iter().enumerate() {
            entries.push((one.name.clone(), Some((color(i, false), false))));
        }
        if validated {
            entries.push((texts::figure_line_styles(), None));
        }
    }
    let (mut x, mut y) = (look::MARGIN, look::MARGIN + 10.0);
    for (text, sample) in entries {
        let text = fitted(&text, look::TEXT, false, 440.0);
        let before = if sample.is_some() { 36.0 } else { 0.0 };
        let width = before + text_width(&text, look::TEXT, false);
        if x > look::MARGIN && x + width > look::WIDTH - look::MARGIN {
            (x, y) = (look::MARGIN, y + 20.0);
        }
        let ink = match sample {
            Some((color, validation)) => {
                let line = [(x, y - 4.5), (x + 28.0, y - 4.5)];
                stroke(scene, &line, color, validation);
                dot(scene, (x + 14.0, y - 4.5), color, validation);
                look::INK
            }
            None => look::GREY,
        };
        scene.text((x + before, y), Anchor::Start, look::TEXT, ink, text);
        x += width + 24.0;
    }
    y
}

fn chart(scene: &mut Scene, mut area: Area, title: &str, lines: &[Line], best: Best) {
    scene.heading(
        (area.left, area.top - 14.0),
        Anchor::Start,
        look::TEXT,
        title,
    );
    area.rules(
        scene,
        lines.iter().flat_map(Line::points).map(|(_, value)| value),
    );

    let (first, last) = (area.across.0 as usize, area.across.1 as usize);
    // Half a step of air at both ends, at most 12 pixels.
    let steps = (last - first) as f64;
    let air = ((area.right - area.left) / (steps + 1.0) / 2.0).min(12.0);
    let air = air * steps / (area.right - area.left - 2.0 * air);
    area.across = (first as f64 - air, last as f64 + air);
    let step = whole_step(last - first + 1, 21);
    for epoch in (first..=last).filter(|epoch| epoch % step == 0) {
        area.tick(scene, epoch as f64, epoch.to_string());
    }
    area.unit(scene, texts::figure_epoch());

    let crowded = last - first > 40;
    for line in lines {
        let points = line
            .points()
            .map(|(epoch, value)| area.place(epoch as f64, value));
        let points: Vec<_> = points.collect();
        stroke(scene, &points, line.color, line.validation);
        if !crowded || points.len() == 1 {
            for point in points {
                dot(scene, point, line.color, line.validation);
            }
        }
    }
    mark_best(scene, &area, lines, best);
}

/// Marks the best value: of the validation where there is one, because it tells how well the net does on new images.
fn mark_best(scene: &mut Scene, area: &Area, lines: &[Line], best: Best) {
    let validated = lines.iter().any(|line| line.validation);
    let candidates = lines.iter().filter(|line| line.validation == validated);
    let points = candidates.flat_map(|line| {
        line.points()
            .map(|(epoch, value)| (epoch, value, line.color))
    });
    let found = points.reduce(|kept, next| {
        let better = match best {
            Best::Lowest => next.1 < kept.1,
            Best::Highest => next.1 > kept.1,
        };
        if better { next } else { kept }
    });
    let Some((epoch, value, color)) = found else {
        return;
    };
    let place = area.place(epoch as f64, value);
    scene.dashes(&[place, (place.0, area.bottom)], 1.0, look::GREY);
    target(scene, place, color);
    let number = if value >= 0.01 {
        format!("{value:.3}")
    } else {
        short(value)
    };
    let at = (area.right, area.top - 14.0);
    let text = texts::figure_best(epoch, number);
    scene.text(at, Anchor::End, look::SMALL, look::GREY, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(epochs: usize) -> Curves {
        let of = |f: fn(f64) -> f64| (0..epochs).map(|i| f(i as f64)).collect();
        Curves {
            name: "64".into(),
            first_epoch: 1,
            loss: of(|i| 0.5 / (1.0 + i)),
            accuracy: of(|i| 0.9 + 0.005 * i),
            validation_loss: of(|i| 0.4 + (i - 2.0).abs() / 10.0),
            validation_accuracy: of(|i| 0.92 - (i - 3.0).abs() / 100.0),
        }
    }

    #[test]
    fn epochs_are_whole_ticks() {
        let figure = draw(&[curves(5)], 0);
        let texts = figure.scene().texts();
        for epoch in 1..=5 {
            let epoch = epoch.to_string();
            let found = texts.iter().filter(|text| **text == epoch).count();
            assert_eq!(found, 2, "{epoch} stands under both charts: {texts:?}");
        }
        assert!(!texts.contains(&"1.5"), "{texts:?}");
    }

    #[test]
    fn the_best_epoch_is_the_validations() {
        let figure = draw(&[curves(5)], 0);
        let texts = figure.scene().texts();
        let loss = texts::figure_best(3, "0.400");
        let accuracy = texts::figure_best(4, "0.920");
        assert!(texts.contains(&loss.as_str()), "{texts:?}");
        assert!(texts.contains(&accuracy.as_str()), "{texts:?}");
    }

    #[test]
    fn without_validation_the_trainings_best_is_marked() {
        let alone = Curves {
            validation_loss: Vec::new(),
            validation_accuracy: Vec::new(),
            ..curves(5)
        };
        let figure = draw(&[alone], 0);
        let texts = figure.scene().texts();
        assert!(
            texts.contains(&texts::figure_best(5, "0.100").as_str()),
            "{texts:?}"
        );
        assert!(
            !texts.contains(&texts::figure_validation().as_str()),
            "{texts:?}"
        );
    }

    #[test]
    fn several_trainings_are_told_apart_by_name_and_colour() {
        let second = Curves {
            name: "16".into(),
            ..curves(8)
        };
        let figure = draw(&[curves(5), second], 0);
        let texts = figure.scene().texts();
        assert!(texts.contains(&"64") && texts.contains(&"16"), "{texts:?}");
        let pixels = figure.scene().pixels().unwrap();
        for RGBColor(r, g, b) in &look::SERIES[..2] {
            let wanted = [*r, *g, *b];
            assert!(
                pixels.chunks_exact(3).any(|pixel| pixel == wanted),
                "{wanted:?}"
            );
        }
    }

    #[test]
    fn a_growing_chart_keeps_its_size_and_its_ticks() {
        let first = draw(&[curves(1)], 20);
        let last = draw(&[curves(20)], 20);
        assert_eq!(first.size(), last.size());
        assert!(first.scene().texts().contains(&"20"));
    }

    #[test]
    fn twenty_epochs_fit_on_the_screen() {
        let (width, height) = draw(&[curves(20)], 0).size();
        assert!(width <= 960 && height <= 400, "{width} × {height}");
    }

    #[test]
    fn odd_histories_are_drawn() {
        let broken = Curves {
            loss: vec![f64::NAN, f64::INFINITY, 0.3],
            validation_loss: vec![f64::NAN, 0.2, f64::NAN],
            ..curves(3)
        };
        let equal = Curves {
            loss: vec![0.5; 4],
            accuracy: vec![1.0; 4],
            ..curves(4)
        };
        let late = Curves {
            first_epoch: 6,
            ..curves(3)
        };
        for curves in [
            broken,
            equal,
            late,
            curves(1),
            curves(300),
            Curves::default(),
        ] {
            let figure = draw(&[curves], 0);
            assert!(figure.png().is_ok() && figure.svg().is_ok());
        }
        assert!(draw(&[], 0).png().is_ok());
    }
}
