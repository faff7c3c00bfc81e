//! Variants of a network in one table and on one chart.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{bail, ensure};
use tch::Tensor;

use crate::figures::Figure;
use crate::figures::comparison::{self, Curve};
use crate::model::{batch_len, thousands};
use crate::session::display::{Content, Show, escape, shows_itself};
use crate::session::table::Table;
use crate::session::texts;
use crate::{
    Adam, Fit, History, Layer, Result, Sequential, SparseCategoricalCrossentropy, Stopped,
};

/// The part of the images that is kept back to validate with where a `Fit` says nothing of it.
const VALIDATION_SPLIT: f64 = 0.1;

/// The table's column of predictions, beside that of the results.
const PREDICTION: usize = 6;

/// Trains variants of a network and compares them with the first one.
///
/// ```no_run
/// use svertka::prelude::*;
/// # fn main() -> svertka::Result<()> {
/// let mnist = datasets::fashion_mnist()?;
/// let (images, labels) = mnist.train;
/// let images = images.reshape([-1, 1, 28, 28]) / 255.0;
/// let mut lab = Comparison::new();
/// for filters in [64, 16] {
///     let layers = [
///         conv2d(filters, (3, 3), Relu),
///         max_pooling2d(2, 2),
///         flatten(),
///         dense(10, Softmax),
///     ];
///     lab.run(&filters.to_string(), layers, &images, &labels, Fit::epochs(3).fraction(0.2))?;
/// }
/// println!("{lab}");
/// println!("{:?}", lab.model("16")?.predict(&images.narrow(0, 0, 1))?);
/// # Ok(())
/// # }
/// ```
///
/// It shows itself as a table (layers, parameters, seconds per epoch, accuracies, the difference from the first row, and
/// what was [predicted](Self::predict), if anything was) and as a chart of the validation accuracy against the seconds of
/// training.
#[derive(Debug)]
pub struct Comparison {
    seed: i64,
    seeds: i64,
    variants: Vec<Variant>,
    /// The trained model of each variant, in the same order.
    models: Vec<Sequential>,
    /// What the learner expects: a variant's name and its validation accuracy in percent.
    predictions: BTreeMap<String, f64>,
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
    /// How many images the validation data had.
    pub validation_images: i64,
    /// At least one: see [`histories`](Self::histories).
    pub(crate) histories: Vec<History>,
}

impl Variant {
    /// The training of each seed, the lowest validation accuracy first.
    pub fn histories(&self) -> &[History] {
        &self.histories
    }

    /// The training of the seed whose validation accuracy is the median; of an even number, the lower of the two in the
    /// middle.
    pub fn history(&self) -> &History {
        &self.histories[(self.histories.len() - 1) / 2]
    }

    /// The median of the seconds that an epoch's training took, over all epochs and seeds, without the validation.
    pub fn seconds_per_epoch(&self) -> f64 {
        let epochs = self.histories.iter().flat_map(|history| &history.epochs);
        let mut seconds: Vec<f64> = epochs.map(|epoch| epoch.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Fraction of the training images that were classified correctly in the epoch of its weights, 0 to 1, each image
    /// before the step that learnt from it; the median over the seeds is taken by validation accuracy. NaN without an
    /// epoch.
    pub fn train_accuracy(&self) -> f64 {
        let kept = self.history().kept();
        kept.map_or(f64::NAN, |epoch| epoch.accuracy)
    }

    /// Fraction of the validation images that it classifies correctly, 0 to 1: the median over the seeds. NaN without an
    /// epoch.
    pub fn validation_accuracy(&self) -> f64 {
        validation_accuracy(self.history())
    }

    /// The lowest and the highest validation accuracy of its seeds.
    pub fn spread(&self) -> (f64, f64) {
        let last = self.histories.len() - 1;
        let [low, high] = [0, last].map(|i| validation_accuracy(&self.histories[i]));
        (low, high)
    }

    /// By how many percentage points its validation accuracy is above another's.
    pub(crate) fn points_above(&self, other: &Self) -> f64 {
        (self.validation_accuracy() - other.validation_accuracy()) * 100.0
    }

    /// In percent: `89.3`; with several seeds `89.3 (88.9–89.6)`.
    fn accuracy_with_spread(&self) -> String {
        let percent = |accuracy: f64| format!("{:.1}", accuracy * 100.0);
        let median = percent(self.validation_accuracy());
        let (low, high) = self.spread();
        match self.histories.len() {
            1 => median,
            _ => format!("{median} ({}–{})", percent(low), percent(high)),
        }
    }

    fn curve(&self, predicted: Option<&f64>) -> Curve {
        let mut sum = 0.0;
        let points = self.history().epochs.iter().filter_map(|epoch| {
            sum += epoch.seconds;
            Some((sum, epoch.validation?.accuracy))
        });
        Curve {
            name: self.name.clone(),
            points: points.collect(),
            prediction: predicted.map(|percent| percent / 100.0),
        }
    }
}

/// The validation accuracy of the weights that a training ended with.
fn validation_accuracy(history: &History) -> f64 {
    let score = history.kept().and_then(|epoch| epoch.validation);
    score.map_or(f64::NAN, |score| score.accuracy)
}

impl Default for Comparison {
    fn default() -> Self {
        Self::new()
    }
}

impl Comparison {
    /// An empty table. The seed is 1, and each variant is trained once.
    pub fn new() -> Self {
        Self {
            seed: 1,
            seeds: 1,
            variants: Vec::new(),
            models: Vec::new(),
            predictions: BTreeMap::new(),
        }
    }

    /// The [`seed`](crate::seed) that is set anew before every run, so that a cell run again repeats its accuracies.
    /// Defaults to 1.
    pub fn seed(self, seed: i64) -> Self {
        Self { seed, ..self }
    }

    /// Trains each variant so many times, with the seed and the ones after it: the table then tells the median and, in
    /// brackets, the lowest and the highest validation accuracy. Defaults to 1; less is 1.
    pub fn seeds(self, seeds: i64) -> Self {
        let seeds = seeds.max(1);
        Self { seeds, ..self }
    }

    /// Notes what validation accuracy, in percent, the learner expects of the row `name`, which need not be there yet:
    /// `lab.predict("32-32", 86)?`. A line says so, and the table and the chart show it beside the result. A second prediction
    /// for the same name replaces the first.
    ///
    /// # Errors
    /// If it is not above 1 and at most 100: then it may be meant as a fraction.
    pub fn predict(&mut self, name: &str, percent: impl Into<f64>) -> Result<()> {
        let percent = percent.into();
        let is_percent = percent > 1.0 && percent <= 100.0;
        ensure!(is_percent, texts::lab_not_percent(percent));
        self.predictions.insert(name.to_string(), percent);
        println!("{}", texts::lab_predicted(name, percent));
        Ok(())
    }

    /// Trains a network of these layers with Adam, and adds a row. A name that is there already gets its row replaced, in
    /// its place; if that was of other layers, a line says so.
    ///
    /// The images must have the shape that the first layer wants, `[images, channels, height, width]` for a convolution,
    /// and values from 0 to 1. The shape of one is taken from them; labels are `int64 [images]`, counted from 0. Variants
    /// are compared by the validation data of `fit`; where it has none, the last tenth of the images is kept back, as
    /// [`Fit::validation_split`] does.
    ///
    /// # Errors
    /// As [`fit`](Sequential::fit); or if an interrupt came. Then the table is as it was.
    pub fn run(
        &mut self,
        name: &str,
        layers: impl Into<Vec<Layer>>,
        images: &Tensor,
        labels: &Tensor,
        mut fit: Fit,
    ) -> Result<()> {
        let layers = layers.into();
        // Validation data of the learner's own come before a split.
        fit.validation_split.get_or_insert(VALIDATION_SPLIT);
        let mut progress = fit.progress();
        let mut trained = Vec::new();
        for i in 0..self.seeds {
            crate::seed(self.seed.wrapping_add(i));
            let mut model = Sequential::new(layers.clone());
            model.compile(Adam::default(), SparseCategoricalCrossentropy);
            let history = model.train(images, labels, &mut fit, &mut progress)?;
            if let Some(Stopped::Interrupt { epoch, epochs, .. }) = history.stopped {
                bail!(texts::lab_interrupted(name, epoch, epochs));
            }
            trained.push((history, model));
        }
        trained.sort_by(|(a, _), (b, _)| validation_accuracy(a).total_cmp(&validation_accuracy(b)));
        let (histories, mut models): (Vec<History>, Vec<Sequential>) = trained.into_iter().unzip();
        let model = models.swap_remove((models.len() - 1) / 2);
        let variant = Variant {
            name: name.to_string(),
            layers,
            parameters: model.summary()?.total,
            planned_epochs: fit.epochs,
            fraction: fit.fraction,
            batch_size: fit.batch_size,
            has_callbacks: !fit.callbacks.is_empty(),
            validation_images: fit.validation_images(batch_len(images)),
            histories,
        };
        match self.variants.iter().position(|there| there.name == name) {
            Some(i) => {
                let before = &self.variants[i].layers;
                if *before != variant.layers {
                    println!("{}", texts::lab_replaced(name, in_short(before)));
                }
                self.variants[i] = variant;
                self.models[i] = model;
            }
            None => {
                self.variants.push(variant);
                self.models.push(model);
            }
        }
        Ok(())
    }

    /// The rows, in the order in which their names first appeared. The first is what the others are compared with.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// The trained model of the row `name`; with several seeds, the one of the median validation accuracy.
    ///
    /// # Errors
    /// If no row has this name: the error lists those there are.
    pub fn model(&self, name: &str) -> Result<&Sequential> {
        if let Some(i) = self.variants.iter().position(|there| there.name == name) {
            return Ok(&self.models[i]);
        }
        ensure!(!self.variants.is_empty(), texts::lab_nothing_yet());
        let names = self.variants.iter().map(|one| format!("{:?}", one.name));
        let names = names.collect::<Vec<_>>().join(", ");
        bail!(texts::lab_no_such_row(name, names))
    }

    /// The validation accuracy against the seconds of training, a line for each variant, and what was predicted of its end.
    pub fn figure(&self) -> Figure {
        let curve = |one: &Variant| one.curve(self.predictions.get(&one.name));
        comparison::figure(self.variants.iter().map(curve).collect())
    }

    fn table(&self) -> Table {
        let row = |(i, variant): (usize, &Variant)| {
            let difference = match i {
                0 => "—".to_string(),
                _ => signed(variant.points_above(&self.variants[0])),
            };
            let predicted = self.predictions.get(&variant.name);
            vec![
                variant.name.clone(),
                in_short(&variant.layers),
                thousands(variant.parameters),
                rounded(variant.seconds_per_epoch(), 2),
                format!("{:.1}", variant.train_accuracy() * 100.0),
                variant.accuracy_with_spread(),
                predicted.map_or(String::new(), |percent| format!("{percent:.1}")),
                difference,
            ]
        };
        let mut head = vec![
            texts::lab_name(),
            texts::lab_layers(),
            texts::summary_parameters(),
            texts::lab_seconds(),
            texts::lab_train(),
            texts::lab_validation(),
            texts::lab_prediction(),
            texts::lab_difference(),
        ];
        let mut rows: Vec<Vec<String>> = self.variants.iter().enumerate().map(row).collect();
        if rows.iter().all(|row| row[PREDICTION].is_empty()) {
            head.remove(PREDICTION);
            rows.iter_mut().for_each(|row| drop(row.remove(PREDICTION)));
        }
        Table {
            head,
            rows,
            words: 2,
            foot: None,
        }
    }
}

/// With so many decimals; from 10 on with one fewer, which is then as exact as is of use.
pub(crate) fn rounded(value: f64, decimals: usize) -> String {
    let decimals = decimals - usize::from(value >= 10.0);
    format!("{value:.decimals$}")
}

/// Percentage points with their sign: `+0.3`, `−1.2`, `0.0`.
pub(crate) fn signed(points: f64) -> String {
    match format!("{points:+.1}").as_str() {
        "+0.0" | "-0.0" => "0.0".to_string(),
        text => text.replace('-', "−"),
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
    use crate::{Score, conv2d, dense, dropout, flatten, max_pooling2d};

    impl Comparison {
        /// A table of these rows, without training.
        pub(crate) fn of(variants: Vec<Variant>) -> Self {
            Self {
                variants,
                ..Self::new()
            }
        }
    }

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
    fn a_prediction_stands_beside_its_result() {
        let row = |name| super::super::exercises::tests::variant(name, &[dense(10, Softmax)]);
        let mut lab = Comparison::of(vec![row("a"), row("b")]);
        let heading = texts::lab_prediction();
        assert!(!lab.to_string().contains(&heading), "{lab}");
        lab.predict("not there yet", 80).unwrap();
        assert!(!lab.to_string().contains(&heading), "{lab}");
        lab.predict("b", 70.0).unwrap();
        lab.predict("b", 85.25).unwrap();
        let text = lab.to_string();
        assert!(text.contains(&heading), "{text}");
        let has: Vec<bool> = text.lines().map(|line| line.contains("  85.2  ")).collect();
        assert_eq!(has, [false, false, false, true], "{text}");
    }

    #[test]
    fn the_weights_that_came_back_are_the_ones_that_count() {
        let mut variant = super::super::exercises::tests::variant("x", &[dense(10, Softmax)]);
        let history = &mut variant.histories[0];
        for (epoch, (accuracy, seconds)) in
            history
                .epochs
                .iter_mut()
                .zip([(0.7, 1.0), (0.9, 2.0), (0.8, 6.0)])
        {
            let loss = 0.5;
            epoch.validation = Some(Score { loss, accuracy });
            epoch.seconds = seconds;
        }
        assert_eq!(variant.validation_accuracy(), 0.8);
        variant.histories[0].restored = Some(2);
        assert_eq!(variant.validation_accuracy(), 0.9);
        assert_eq!(variant.seconds_per_epoch(), 2.0);
        assert_eq!(
            variant.curve(None).points,
            [(1.0, 0.7), (3.0, 0.9), (9.0, 0.8)]
        );
    }
}
