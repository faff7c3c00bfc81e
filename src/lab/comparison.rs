//! Variants of a network in one table and on one chart.

use std::fmt;

use crate::datasets::Dataset;
use crate::figures::Figure;
use crate::figures::comparison::{self, Curve};
use crate::model::{batch_len, check_images, check_labels, thousands};
use crate::session::display::{Content, Show, escape, shows_itself};
use crate::session::table::Table;
use crate::session::{error, texts};
use crate::{Adam, Fit, History, Layer, Result, Score, Sequential, SparseCategoricalCrossentropy};

/// Trains variants of a network and compares them with the first one.
///
/// ```no_run
/// use svertka::prelude::*;
/// # fn main() -> svertka::Result<()> {
/// let mut data = datasets::fashion_mnist()?;
/// data.train.0 = data.train.0.reshape([-1, 1, 28, 28]) / 255.0;
/// data.test.0 = data.test.0.reshape([-1, 1, 28, 28]) / 255.0;
/// let mut lab = Comparison::new();
/// for filters in [64, 16] {
///     let layers = [
///         conv2d(filters, (3, 3), Relu),
///         max_pooling2d(2, 2),
///         flatten(),
///         dense(10, Softmax),
///     ];
///     lab.run(&filters.to_string(), layers, &data, Fit::epochs(3).fraction(0.2))?;
/// }
/// println!("{lab}");
/// # Ok(())
/// # }
/// ```
///
/// It shows itself as a table (layers, parameters, seconds an epoch, accuracies, the difference to the first row) and as
/// a chart of the test accuracy against the seconds of training.
#[derive(Clone, Debug)]
pub struct Comparison {
    seed: i64,
    variants: Vec<Variant>,
}

/// A network that a [`Comparison`] has trained: one row of its table.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// What the learner calls it.
    pub name: String,
    /// Its layers, as they were given.
    pub layers: Vec<Layer>,
    /// How many weights it has.
    pub parameters: i64,
    /// How many epochs it was to be trained for, at the most.
    pub planned_epochs: i64,
    /// The fraction of the training images that it saw, above 0 and up to 1.
    pub fraction: f64,
    /// Images per step.
    pub batch_size: i64,
    /// Whether its [`Fit`] had a callback, which could have ended the training.
    pub has_callbacks: bool,
    /// The metrics of its training, epoch by epoch.
    pub history: History,
    /// For each epoch, the seconds that the training took, without the test.
    pub seconds: Vec<f64>,
    /// The test data's score after each epoch.
    pub tests: Vec<Score>,
    /// How many images each of these tests had.
    pub test_images: i64,
    /// The epoch, from 1, whose weights the network has in the end: the last, unless a callback brought back others.
    pub epoch: i64,
}

impl Variant {
    /// The mean of its epochs' seconds of training.
    pub fn seconds_per_epoch(&self) -> f64 {
        self.seconds.iter().sum::<f64>() / self.seconds.len() as f64
    }

    /// Share of the training images that were recognised in the epoch of its weights, 0 to 1, each image before the
    /// step that learnt from it. NaN without an epoch.
    pub fn train_accuracy(&self) -> f64 {
        let epochs = &self.history.epochs;
        let epoch = epochs.iter().find(|epoch| epoch.number == self.epoch);
        epoch.map_or(f64::NAN, |epoch| epoch.accuracy)
    }

    /// Share of the test images that it recognises, 0 to 1. NaN without an epoch.
    pub fn test_accuracy(&self) -> f64 {
        let test = (1..)
            .zip(&self.tests)
            .find(|(number, _)| *number == self.epoch);
        test.map_or(f64::NAN, |(_, test)| test.accuracy)
    }

    /// By how many percentage points its test accuracy is above another's.
    pub(crate) fn points_above(&self, other: &Self) -> f64 {
        (self.test_accuracy() - other.test_accuracy()) * 100.0
    }

    fn curve(&self) -> Curve {
        let mut sum = 0.0;
        let points = self.seconds.iter().zip(&self.tests).map(|(seconds, test)| {
            sum += seconds;
            (sum, test.accuracy)
        });
        Curve {
            name: self.name.clone(),
            points: points.collect(),
        }
    }
}

impl Default for Comparison {
    fn default() -> Self {
        Self::new()
    }
}

impl Comparison {
    /// An empty table. The seed is 1.
    pub fn new() -> Self {
        Self {
            seed: 1,
            variants: Vec::new(),
        }
    }

    /// The [`seed`](crate::seed) that is set anew before every run, so that a cell run again repeats its accuracies.
    /// Defaults to 1.
    pub fn seed(self, seed: i64) -> Self {
        Self { seed, ..self }
    }

    /// Trains a network of these layers on `data.train` with Adam, tests it on `data.test` after each epoch, and adds a
    /// row. A name that is there already gets its row replaced, in its place.
    ///
    /// The images must have the shape that the first layer wants, `[images, channels, height, width]` for a convolution,
    /// and values from 0 to 1. The shape of one is taken from them. The test data are the training's validation data, in
    /// place of any others: nothing is learnt from them, callbacks see their scores, and their time is not counted.
    ///
    /// # Errors
    /// As [`fit`](Sequential::fit); if the test data don't fit the network; or if an interrupt came. Then the table is
    /// as it was.
    pub fn run(
        &mut self,
        name: &str,
        layers: impl Into<Vec<Layer>>,
        data: &Dataset,
        fit: Fit,
    ) -> Result<()> {
        let layers = layers.into();
        crate::seed(self.seed);
        let mut model = Sequential::new(layers.clone());
        model.compile(Adam::default(), SparseCategoricalCrossentropy);
        model.build_for(&data.train.0)?;
        // Before the training: not to learn after an epoch that it was for nothing.
        let network = model.classifier()?;
        let (images, labels) = &data.test;
        let labels = check_images(network, images)
            .and_then(|()| check_labels(network, images, labels))
            .map_err(|trouble| error(texts::lab_test_data(trouble)))?;
        model.warn_unscaled(images)?;

        let parameters = model.summary()?.total;
        let planned_epochs = fit.epochs;
        let (batch_size, fraction) = (fit.batch_size, fit.fraction);
        let has_callbacks = !fit.callbacks.is_empty();
        let fit = fit.validation(images, &labels);
        let mut progress = fit.progress();
        let history = model.train(&data.train.0, &data.train.1, fit, &mut progress)?;
        let tests: Vec<Score> = history.epochs.iter().filter_map(|e| e.validation).collect();
        if history.interrupted() {
            let epoch = (tests.len() as i64 + 1).min(planned_epochs);
            return Err(error(texts::lab_interrupted(name, epoch, planned_epochs)));
        }
        let variant = Variant {
            name: name.to_string(),
            layers,
            parameters,
            planned_epochs,
            fraction,
            batch_size,
            has_callbacks,
            epoch: history.restored.unwrap_or(history.epochs.len() as i64),
            seconds: history.epochs.iter().map(|epoch| epoch.seconds).collect(),
            history,
            tests,
            test_images: batch_len(images),
        };
        match self.variants.iter_mut().find(|there| there.name == name) {
            Some(there) => *there = variant,
            None => self.variants.push(variant),
        }
        Ok(())
    }

    /// The rows, in the order in which their names first appeared. The first is what the others are compared with.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// A table of these rows, without training.
    #[cfg(test)]
    pub(crate) fn of(variants: Vec<Variant>) -> Self {
        Self {
            variants,
            ..Self::new()
        }
    }

    /// The test accuracy against the seconds of training, a line for each variant.
    pub fn figure(&self) -> Figure {
        comparison::figure(self.variants.iter().map(Variant::curve).collect())
    }

    fn table(&self) -> Table<7> {
        let row = |(i, variant): (usize, &Variant)| {
            [
                variant.name.clone(),
                in_short(&variant.layers),
                thousands(variant.parameters),
                seconds(variant.seconds_per_epoch()),
                format!("{:.1}", variant.train_accuracy() * 100.0),
                format!("{:.1}", variant.test_accuracy() * 100.0),
                if i == 0 {
                    "—".to_string()
                } else {
                    signed(variant.points_above(&self.variants[0]))
                },
            ]
        };
        Table {
            head: [
                texts::lab_name(),
                texts::lab_layers(),
                texts::summary_parameters(),
                texts::lab_seconds(),
                texts::lab_train(),
                texts::lab_test(),
                texts::lab_difference(),
            ],
            rows: self.variants.iter().enumerate().map(row).collect(),
            words: 2,
            foot: None,
        }
    }
}

/// A number of seconds, as exact as it is of use.
fn seconds(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

/// Percentage points with their sign: `+0.3`, `−1.2`, `0.0`.
pub(crate) fn signed(points: f64) -> String {
    let text = format!("{:.1}", points.abs());
    match text.as_str() {
        "0.0" | "NaN" => text,
        _ if points > 0.0 => format!("+{text}"),
        _ => format!("−{text}"),
    }
}

/// `conv 64 · pool · dense 128 · dense 10`: what is usual (a window of 3×3, pooling by 2×2, flatten, Relu, Softmax at
/// the end) goes without saying.
fn in_short(layers: &[Layer]) -> String {
    let words = layers.iter().filter_map(|layer| layer.operation().short());
    words.collect::<Vec<_>>().join(" · ")
}

shows_itself!(Comparison);

impl Show for Comparison {
    /// The table and below it the chart, as one output.
    fn content(&self) -> Result<Content> {
        if self.variants.is_empty() {
            let text = texts::lab_nothing_yet();
            let html = format!("<p>{}</p>", escape(&text));
            return Ok(Content::html(text, html));
        }
        Ok(self.table().content().above(self.figure().content()?))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.variants.is_empty() {
            return f.write_str(&texts::lab_nothing_yet());
        }
        self.table().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation::{Linear, Relu, Sigmoid, Softmax};
    use crate::Padding::Same;
    use crate::{conv2d, dense, dropout, flatten, max_pooling2d};

    #[test]
    fn layers_in_short_name_what_is_unusual() {
        let layers = [
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
            conv2d(8, (5, 3), Sigmoid),
            max_pooling2d(3, 3),
            flatten(),
            dropout(0.5),
            dense(128, Relu),
            dense(10, Softmax),
        ];
        assert_eq!(
            in_short(&layers),
            "conv 64 · pool · conv 8 5×3 sigmoid · pool 3×3 · dropout 0.5 · dense 128 · dense 10"
        );
        assert_eq!(in_short(&[dense(10, Linear)]), "dense 10 linear");
        let layers = [
            conv2d(64, (5, 3), Sigmoid).padding(Same).strides(2),
            conv2d(64, 3, Relu).strides((2, 1)),
            max_pooling2d(3, 2),
            max_pooling2d(2, 2).padding(Same),
        ];
        assert_eq!(
            in_short(&layers),
            "conv 64 5×3 same /2 sigmoid · conv 64 /2×1 · pool 3×3 /2 · pool same"
        );
    }

    #[test]
    fn differences_have_their_sign() {
        let texts = [0.04, -0.04, 0.26, -12.0, f64::NAN].map(signed);
        assert_eq!(texts, ["0.0", "0.0", "+0.3", "−12.0", "NaN"]);
    }

    #[test]
    fn the_weights_that_came_back_are_the_ones_that_count() {
        let mut variant = super::super::exercises::tests::variant("x", &[dense(10, Softmax)]);
        variant.tests = [0.7, 0.9, 0.8]
            .map(|accuracy| Score {
                loss: 0.5,
                accuracy,
            })
            .to_vec();
        assert_eq!(variant.test_accuracy(), 0.8);
        variant.epoch = 2;
        assert_eq!(variant.test_accuracy(), 0.9);
        variant.seconds = vec![1.0, 2.0, 6.0];
        assert_eq!(variant.seconds_per_epoch(), 3.0);
        assert_eq!(variant.curve().points, [(1.0, 0.7), (3.0, 0.9), (9.0, 0.8)]);
    }
}
