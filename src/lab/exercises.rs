//! What the exercises ask for, and whether a table of variants has it.

use std::collections::BTreeSet;
use std::fmt;

use super::comparison::{Comparison, Variant, rounded, signed};
use crate::model::LayerKind::{Conv2d, MaxPooling2d};
use crate::session::display::{Content, Show, escape, shows_itself};
use crate::session::texts;
use crate::{Layer, Result, Stopped};

/// By how many percentage points one short training may differ from another that began with other weights.
const ONCE: f64 = 2.0;

/// The five exercises of the lesson. The first row of the table is the network that they start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exercise {
    /// Two other numbers of filters, each in all convolutions: variants that differ from the first row in nothing else.
    Filters,
    /// The first row's convolutions and poolings without the last convolution.
    WithoutLastConvolution,
    /// More convolutions than the first row has.
    MoreConvolutions,
    /// A single convolution, with a single pooling behind it if the first row has one there.
    OnlyFirstConvolution,
    /// A training that a callback ended before its last epoch, and not right after the first.
    StopInTime,
}

/// What [`Comparison::check`] tells: whether an exercise is done, and what was found or what is missing.
///
/// It shows itself when it ends a cell. Its first words are "Done" or "Not yet", in the learner's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the exercise is done.
    pub done: bool,
    /// What it is about, without the first words.
    text: String,
    /// One a variant that does what the exercise asks for; none if it is not done.
    found: Vec<String>,
}

impl Comparison {
    /// Holds the table against an exercise. It gives no marks: it says whether the exercise was done, and what came of
    /// it or what is still to do.
    ///
    /// A difference in validation accuracy is called more than chance if it is larger than `1.96 · √(2 p (1 − p) / n)`,
    /// with `p` the mean of both accuracies and `n` the number of validation images: so much do two equally good networks
    /// differ in 95 of 100 tests at the most. With [`seeds`](Comparison::seeds) each seed of the one must also be better than
    /// all of the other. Where a network was trained once, what other initial weights would have changed is not known: 2
    /// percentage points, as in short trainings of the lesson's networks, come on top, by `√(a² + b²)`.
    pub fn check(&self, exercise: Exercise) -> Finding {
        let Some((reference, others)) = self.variants().split_first() else {
            return Finding::not_yet(texts::lab_no_row());
        };
        match exercise {
            Exercise::Filters => other_filters(reference, others),
            Exercise::WithoutLastConvolution => without_last_convolution(reference, others),
            Exercise::MoreConvolutions => more_convolutions(reference, others),
            Exercise::OnlyFirstConvolution => only_first_convolution(reference, others),
            Exercise::StopInTime => stop_in_time(self.variants()),
        }
    }
}

fn other_filters(reference: &Variant, others: &[Variant]) -> Finding {
    let name = &reference.name;
    if filters(reference).is_empty() {
        return Finding::not_yet(texts::lab_no_convolution(name));
    }
    let differ_in_filters = |one: &&Variant| {
        one.layers != reference.layers && without_filters(one) == without_filters(reference)
    };
    let several = |one: &Variant| filters(one).windows(2).any(|pair| pair[0] != pair[1]);
    let is_mixed = |one: &&Variant| several(one) && !several(reference);
    let differing = others.iter().filter(differ_in_filters);
    let (mixed, matching): (Vec<_>, Vec<_>) = differing.partition(is_mixed);
    let mut tried = BTreeSet::from([filters(reference)]);
    tried.extend(matching.iter().map(|one| filters(one)));
    // The first row's and two other numbers.
    if tried.len() >= 3 {
        return Finding::compared(reference, &matching);
    }
    if let Some(mixed) = mixed.first() {
        let numbers: Vec<String> = filters(mixed).iter().map(i64::to_string).collect();
        return Finding::not_yet(texts::lab_mixed_filters(&mixed.name, numbers.join(", ")));
    }
    let is_new = |number: &i64| tried.iter().flatten().all(|there| there != number);
    let number = [32, 16, 64, 8].into_iter().find(is_new).unwrap_or(48);
    Finding::not_yet(match matching.last() {
        Some(one) => texts::lab_one_other_filters(&one.name, filters(one)[0], number),
        None => texts::lab_no_other_filters(name, number),
    })
}

fn without_last_convolution(reference: &Variant, others: &[Variant]) -> Finding {
    let name = &reference.name;
    let mut wanted: Vec<&Layer> = of_pictures(reference).collect();
    let is_convolution = |layer: &&Layer| matches!(layer.kind, Conv2d(_));
    let Some(last) = wanted.iter().rposition(is_convolution) else {
        return Finding::not_yet(texts::lab_no_convolution(name));
    };
    let last = wanted.remove(last);
    let does = |one: &&Variant| of_pictures(one).eq(wanted.iter().copied());
    let matching: Vec<&Variant> = others.iter().filter(does).collect();
    if !matching.is_empty() {
        return Finding::compared(reference, &matching);
    }
    let count = filters(reference).len();
    let fewest = others.iter().map(|one| filters(one).len()).min();
    let one_fewer = |one: &&Variant| filters(one).len() + 1 == count;
    Finding::not_yet(if fewest.is_some_and(|fewest| fewest > count) {
        texts::lab_first_row(name)
    } else if let Some(other) = others.iter().rfind(one_fewer) {
        texts::lab_more_than_the_last_went(&other.name, last)
    } else {
        texts::lab_last_convolution_stays(name, last)
    })
}

fn more_convolutions(reference: &Variant, others: &[Variant]) -> Finding {
    let count = filters(reference).len();
    let does = |one: &&Variant| filters(one).len() > count;
    let matching: Vec<&Variant> = others.iter().filter(does).collect();
    if matching.is_empty() {
        return Finding::not_yet(texts::lab_no_more_convolutions(&reference.name, count));
    }
    Finding::compared(reference, &matching)
}

fn only_first_convolution(reference: &Variant, others: &[Variant]) -> Finding {
    let (_, poolings) = counts(reference);
    let does = |one: &&Variant| counts(one) == (1, poolings.min(1));
    let matching: Vec<&Variant> = others.iter().filter(does).collect();
    if !matching.is_empty() {
        return Finding::compared(reference, &matching);
    }
    let without_pooling = |one: &&Variant| counts(one) == (1, 0);
    Finding::not_yet(match others.iter().rfind(without_pooling) {
        Some(one) => texts::lab_first_pooling_stays(&one.name),
        None => texts::lab_not_one_convolution(),
    })
}

fn stop_in_time(variants: &[Variant]) -> Finding {
    let stopped = |one: &&Variant| {
        let history = one.history();
        let by_callback = matches!(history.stopped, Some(Stopped::Callback(_)));
        by_callback && (history.epochs.len() as i64) < one.planned_epochs
    };
    // A function that looks at nothing stops there.
    let at_once = |one: &&Variant| one.history().epochs.len() == 1;
    let line = |one: &Variant| {
        let epochs = one.history().epochs.len() as i64;
        let saved = (one.planned_epochs - epochs) as f64 * one.seconds_per_epoch();
        let seconds = rounded(saved, 1);
        let loss = loss(one.history().epochs.last());
        texts::lab_stopped(&one.name, epochs, one.planned_epochs, loss, seconds)
    };
    let in_time = variants.iter().filter(stopped).filter(|one| !at_once(one));
    let found: Vec<String> = in_time.map(line).collect();
    if !found.is_empty() {
        return Finding::new(texts::lab_stopped_in_time(), found);
    }
    let Some(tried) = variants.iter().rfind(|one| one.has_callbacks) else {
        return Finding::not_yet(texts::lab_nothing_stops());
    };
    let epochs = &tried.history().epochs;
    let [first, last] = [epochs.first(), epochs.last()].map(loss);
    Finding::not_yet(if tried.planned_epochs < 2 {
        texts::lab_one_epoch(&tried.name)
    } else if stopped(&tried) && at_once(&tried) {
        texts::lab_stopped_at_once(&tried.name, first)
    } else {
        texts::lab_went_through(&tried.name, epochs.len(), first, last)
    })
}

fn loss(epoch: Option<&crate::Epoch>) -> String {
    format!("{:.4}", epoch.map_or(f64::NAN, |epoch| epoch.loss))
}

fn is_of_pictures(layer: &Layer) -> bool {
    matches!(layer.kind, Conv2d(_) | MaxPooling2d(_))
}

/// The convolutions and poolings, in their order.
fn of_pictures(variant: &Variant) -> impl Iterator<Item = &Layer> {
    variant.layers.iter().filter(|layer| is_of_pictures(layer))
}

/// The layers that are neither convolution nor pooling.
fn others(variant: &Variant) -> impl Iterator<Item = &Layer> {
    variant.layers.iter().filter(|layer| !is_of_pictures(layer))
}

/// How many convolutions and how many poolings there are.
fn counts(variant: &Variant) -> (usize, usize) {
    let convolutions = filters(variant).len();
    (convolutions, of_pictures(variant).count() - convolutions)
}

/// The number of filters of each convolution.
fn filters(variant: &Variant) -> Vec<i64> {
    let number = |layer: &Layer| match &layer.kind {
        Conv2d(conv2d) => Some(conv2d.filters),
        _ => None,
    };
    variant.layers.iter().filter_map(number).collect()
}

/// The layers with no filters in any convolution: what stays the same when only their numbers differ.
fn without_filters(variant: &Variant) -> Vec<Layer> {
    let mut layers = variant.layers.clone();
    for layer in &mut layers {
        if let Conv2d(conv2d) = &mut layer.kind {
            conv2d.filters = 0;
        }
    }
    layers
}

/// What came of a variant, in one line.
fn found(variant: &Variant, reference: &Variant) -> String {
    let parameters = times(variant.parameters as f64 / reference.parameters as f64);
    let seconds = times(variant.seconds_per_epoch() / reference.seconds_per_epoch());
    let points = variant.points_above(reference);
    let once = variant.histories.len().min(reference.histories.len()) == 1;
    let margin = chance(variant, reference).hypot(if once { ONCE } else { 0.0 });
    let shown = format!("{margin:.1}");
    let ((low, high), (lowest, highest)) = (variant.spread(), reference.spread());
    let chance = if points.abs() > margin && (low > highest || high < lowest) {
        texts::lab_more_than_chance(shown)
    } else if once {
        texts::lab_once(shown)
    } else {
        texts::lab_may_be_chance(shown)
    };
    let line = texts::lab_found(&variant.name, parameters, seconds, signed(points), chance);
    let differing = differing(variant, reference);
    if differing.is_empty() {
        return line;
    }
    line + &texts::lab_not_alike(differing.join(", "))
}

/// What else two variants differ in than their convolutions and poolings.
fn differing(a: &Variant, b: &Variant) -> Vec<String> {
    let all = [
        (others(a).ne(others(b)), texts::lab_other_layers()),
        (a.planned_epochs != b.planned_epochs, texts::lab_epochs()),
        (a.fraction != b.fraction, texts::lab_fraction()),
        (a.batch_size != b.batch_size, texts::lab_batch_size()),
    ];
    let differing = all.into_iter().filter(|(differs, _)| *differs);
    differing.map(|(_, what)| what).collect()
}

/// How many percentage points two equally good networks may differ by in 95 of 100 tests: half the 95 % interval of the
/// difference of two shares.
fn chance(a: &Variant, b: &Variant) -> f64 {
    let p = (a.validation_accuracy() + b.validation_accuracy()) / 2.0;
    let n = a.validation_images.min(b.validation_images) as f64;
    100.0 * 1.96 * (2.0 * p * (1.0 - p) / n).sqrt()
}

/// How many times as much, or as little, with as many digits as mean something: `×5.7`, `÷4.4`, `×57`.
fn times(factor: f64) -> String {
    let (sign, factor) = match factor {
        ..0.95 => ('÷', 1.0 / factor),
        _ => ('×', factor),
    };
    let decimals = usize::from(factor < 9.95);
    format!("{sign}{factor:.decimals$}")
}

impl Finding {
    /// An exercise is done when something was found.
    fn new(text: String, found: Vec<String>) -> Self {
        Self {
            done: !found.is_empty(),
            text,
            found,
        }
    }

    fn not_yet(text: String) -> Self {
        Self::new(text, Vec::new())
    }

    /// What came of these variants, which do what the exercise asks for.
    fn compared(reference: &Variant, matching: &[&Variant]) -> Self {
        let found = matching.iter().map(|one| found(one, reference)).collect();
        Self::new(texts::lab_compared(&reference.name), found)
    }

    fn verdict(&self) -> String {
        if self.done {
            texts::lab_done()
        } else {
            texts::lab_not_yet()
        }
    }
}

shows_itself!(Finding);

impl Show for Finding {
    fn content(&self) -> Result<Content> {
        let (verdict, text) = (escape(&self.verdict()), escape(&self.text));
        let mut html = format!("<p><b>{verdict}</b>: {text}</p>");
        let item = |line: &String| format!("<li>{}</li>", escape(line));
        let items: String = self.found.iter().map(item).collect();
        if !items.is_empty() {
            html += &format!("<ul>{items}</ul>");
        }
        Ok(Content::html(self.to_string(), html))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict(), self.text)?;
        for line in &self.found {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Activation::{Relu, Sigmoid, Softmax};
    use crate::Padding::Same;
    use crate::{Epoch, History, Score, conv2d, dense, dropout, flatten, max_pooling2d};

    /// A row as a training of three epochs would leave it.
    pub(crate) fn variant(name: &str, layers: &[Layer]) -> Variant {
        let score = Score {
            loss: 0.5,
            accuracy: 0.8,
        };
        let epoch = |number: i64| Epoch {
            number,
            seconds: 2.0,
            loss: 0.9 / number as f64,
            accuracy: 0.8,
            validation: Some(score),
        };
        Variant {
            name: name.into(),
            layers: layers.to_vec(),
            parameters: 1000,
            planned_epochs: 3,
            fraction: 0.2,
            batch_size: 32,
            has_callbacks: false,
            validation_images: 10_000,
            histories: vec![History {
                epochs: (1..=3).map(epoch).collect(),
                ..History::default()
            }],
        }
    }

    /// The lesson's network with these convolutions, each followed by pooling.
    fn net(filters: &[i64]) -> Vec<Layer> {
        let pairs = filters
            .iter()
            .flat_map(|&n| [conv2d(n, (3, 3), Relu), max_pooling2d(2, 2)]);
        let end = [flatten(), dense(128, Relu), dense(10, Softmax)];
        pairs.chain(end).collect()
    }

    /// What the check says of the lesson's network and these variants of it, named a, b, …
    fn check(exercise: Exercise, others: &[Vec<Layer>]) -> Finding {
        let names = ["a", "b", "c"].iter().zip(others);
        let mut rows = vec![variant("64-64", &net(&[64, 64]))];
        rows.extend(names.map(|(name, layers)| variant(name, layers)));
        Comparison::of(rows).check(exercise)
    }

    /// The lesson's network after a change.
    fn changed(change: impl FnOnce(&mut Vec<Layer>)) -> Vec<Layer> {
        let mut layers = net(&[64, 64]);
        change(&mut layers);
        layers
    }

    fn refused(exercise: Exercise, others: &[Vec<Layer>]) -> String {
        let finding = check(exercise, others);
        assert!(!finding.done && finding.found.is_empty(), "{finding}");
        finding.text
    }

    fn lines(exercise: Exercise, others: &[Vec<Layer>]) -> usize {
        let finding = check(exercise, others);
        assert!(finding.done, "{finding}");
        assert_eq!(finding.text, texts::lab_compared("64-64"));
        finding.found.len()
    }

    #[test]
    fn nothing_can_be_checked_in_an_empty_table() {
        let finding = Comparison::new().check(Exercise::Filters);
        assert_eq!(finding, Finding::not_yet(texts::lab_no_row()));
    }

    #[test]
    fn filters_want_two_other_numbers() {
        let exercise = Exercise::Filters;
        let none = |number: i64| texts::lab_no_other_filters("64-64", number);
        let one = |name, there, number| texts::lab_one_other_filters(name, there, number);
        assert_eq!(refused(exercise, &[]), none(32));
        // The same network again is no other one.
        assert_eq!(refused(exercise, &[net(&[64, 64])]), none(32));
        assert_eq!(refused(exercise, &[net(&[32, 32])]), one("a", 32, 16));
        // The same number under two names is one number.
        let twice = [net(&[16, 16]), net(&[16, 16])];
        assert_eq!(refused(exercise, &twice), one("b", 16, 32));
        assert_eq!(lines(exercise, &[net(&[32, 32]), net(&[16, 16])]), 2);
        // One of the two numbers was forgotten.
        let mixed = texts::lab_mixed_filters("b", "16, 32");
        assert_eq!(refused(exercise, &[net(&[32, 32]), net(&[16, 32])]), mixed);
    }

    #[test]
    fn filters_want_nothing_else_to_differ() {
        let others = [
            net(&[32]),
            changed(|layers| layers[0] = conv2d(32, (5, 5), Relu)),
            changed(|layers| layers[0] = conv2d(32, (3, 3), Sigmoid)),
            changed(|layers| layers[5] = dense(64, Relu)),
            changed(|layers| layers[0] = conv2d(32, (3, 3), Relu).padding(Same)),
            changed(|layers| layers[0] = conv2d(32, (3, 3), Relu).strides(2)),
            changed(|layers| layers[1] = max_pooling2d(3, 3)),
            changed(|layers| layers[1] = max_pooling2d(2, 1)),
            changed(|layers| layers.insert(5, dropout(0.5))),
        ];
        for other in others {
            let text = refused(Exercise::Filters, &[other]);
            assert_eq!(text, texts::lab_no_other_filters("64-64", 32));
        }
    }

    #[test]
    fn the_last_convolution_goes_and_nothing_else() {
        let exercise = Exercise::WithoutLastConvolution;
        let last = || conv2d(64, (3, 3), Relu);
        let without = |at: usize| {
            changed(|layers| {
                layers.remove(at);
            })
        };
        for other in [net(&[64, 64]), net(&[])] {
            let still = texts::lab_last_convolution_stays("64-64", last());
            assert_eq!(refused(exercise, &[other]), still);
        }
        // The first one in its place, its pooling too, other filters.
        for other in [without(0), net(&[64]), net(&[32])] {
            let more = texts::lab_more_than_the_last_went("a", last());
            assert_eq!(refused(exercise, &[other]), more);
        }
        // The lesson's network came after another.
        let began = refused(exercise, &[net(&[64, 64, 64])]);
        assert_eq!(began, texts::lab_first_row("64-64"));
        assert_eq!(lines(exercise, &[without(2), net(&[64])]), 1);
    }

    #[test]
    fn a_reference_without_convolutions_gives_nothing_to_take_away() {
        let lab = Comparison::of(vec![variant("dense", &net(&[])), variant("a", &net(&[]))]);
        let said = Finding::not_yet(texts::lab_no_convolution("dense"));
        assert_eq!(lab.check(Exercise::WithoutLastConvolution), said);
        assert_eq!(lab.check(Exercise::Filters), said);
        let lab = Comparison::of(vec![variant("dense", &net(&[])), variant("a", &net(&[8]))]);
        assert!(lab.check(Exercise::MoreConvolutions).done);
    }

    #[test]
    fn more_convolutions_are_more_than_the_first_rows() {
        let exercise = Exercise::MoreConvolutions;
        for other in [net(&[64, 64]), net(&[64])] {
            let text = refused(exercise, &[other]);
            assert_eq!(text, texts::lab_no_more_convolutions("64-64", 2));
        }
        let third = changed(|layers| layers.insert(4, conv2d(64, (3, 3), Relu)));
        assert_eq!(lines(exercise, &[net(&[64]), third]), 1);
    }

    #[test]
    fn only_the_first_convolution_is_one_with_its_pooling() {
        let exercise = Exercise::OnlyFirstConvolution;
        let second_pooling = changed(|layers| {
            layers.remove(2);
        });
        for other in [net(&[64, 64]), net(&[]), second_pooling] {
            assert_eq!(
                refused(exercise, &[other]),
                texts::lab_not_one_convolution()
            );
        }
        let without_pooling = changed(|layers| drop(layers.drain(1..4)));
        let missing = texts::lab_first_pooling_stays("a");
        assert_eq!(
            refused(exercise, std::slice::from_ref(&without_pooling)),
            missing
        );
        assert_eq!(lines(exercise, &[net(&[64]), without_pooling]), 1);
    }

    #[test]
    fn what_was_found_is_told_in_numbers() {
        let reference = variant("64-64", &net(&[64, 64]));
        let mut other = variant("16-16", &net(&[16, 16]));
        other.parameters = 226;
        let seconds = [10.0, 12.0, 17.0];
        for (epoch, seconds) in other.histories[0].epochs.iter_mut().zip(seconds) {
            epoch.seconds = seconds;
        }
        let set = |variant: &mut Variant, accuracy| {
            let loss = 0.5;
            variant.histories[0].epochs[2].validation = Some(Score { loss, accuracy });
        };
        // 1.96 · √(2 · 0.8 · 0.2 / 10 000) = 0.0111, and 0.02 for a single training.
        let line = |other: &Variant| found(other, &reference);
        for (accuracy, difference, chance) in [
            (0.805, "+0.5", texts::lab_once("2.3")),
            (0.785, "−1.5", texts::lab_once("2.3")),
            (0.775, "−2.5", texts::lab_more_than_chance("2.3")),
            (0.825, "+2.5", texts::lab_more_than_chance("2.3")),
        ] {
            set(&mut other, accuracy);
            let said = texts::lab_found("16-16", "÷4.4", "×6.0", difference, chance);
            assert_eq!(line(&other), said);
        }
        other.validation_images = 100;
        set(&mut other, 0.7);
        let chance = texts::lab_once("12.2");
        let said = texts::lab_found("16-16", "÷4.4", "×6.0", "−10.0", chance);
        assert_eq!(line(&other), said);
        assert_eq!(
            [0.01, 0.2, 0.94, 0.96, 5.66, 56.6].map(times),
            ["÷100", "÷5.0", "÷1.1", "×1.0", "×5.7", "×57"]
        );
    }

    #[test]
    fn with_seeds_more_than_chance_is_better_with_each() {
        let with = |accuracies: [f64; 3]| {
            let mut variant = variant("a", &net(&[64]));
            let history = variant.histories[0].clone();
            variant.histories = accuracies
                .map(|accuracy| {
                    let mut history = history.clone();
                    history.epochs[2].validation = Some(Score {
                        loss: 0.5,
                        accuracy,
                    });
                    history
                })
                .to_vec();
            variant
        };
        let reference = with([0.79, 0.80, 0.83]);
        let apart = found(&with([0.831, 0.84, 0.85]), &reference);
        assert!(
            apart.contains(&texts::lab_more_than_chance("1.1")),
            "{apart}"
        );
        let overlapping = found(&with([0.829, 0.84, 0.85]), &reference);
        assert!(
            overlapping.contains(&texts::lab_may_be_chance("1.1")),
            "{overlapping}"
        );
    }

    #[test]
    fn what_else_differs_is_told() {
        let reference = variant("64-64", &net(&[64, 64]));
        let mut other = variant("a", &net(&[64]));
        other.layers.retain(|layer| *layer != dense(128, Relu));
        other.fraction = 1.0;
        other.planned_epochs = 5;
        other.batch_size = 64;
        let what = [
            texts::lab_other_layers(),
            texts::lab_epochs(),
            texts::lab_fraction(),
            texts::lab_batch_size(),
        ];
        let line = found(&other, &reference);
        assert!(
            line.ends_with(&texts::lab_not_alike(what.join(", "))),
            "{line}"
        );
        let alike = found(&variant("a", &net(&[64])), &reference);
        assert!(!alike.contains(&texts::lab_not_alike("")), "{alike}");
    }

    #[test]
    fn a_callback_must_have_stopped_it_before_its_last_epoch() {
        let check = |rows: &[&Variant]| {
            let rows = rows.iter().map(|row| (*row).clone()).collect();
            Comparison::of(rows).check(Exercise::StopInTime)
        };
        let plain = variant("64-64", &net(&[64, 64]));
        assert_eq!(
            check(&[&plain]),
            Finding::not_yet(texts::lab_nothing_stops())
        );

        let mut tried = variant("#5", &net(&[64, 64]));
        tried.has_callbacks = true;
        let through = texts::lab_went_through("#5", 3, "0.9000", "0.3000");
        assert_eq!(check(&[&plain, &tried]), Finding::not_yet(through.clone()));
        // It said stop, but there was nothing left to stop.
        tried.histories[0].stopped = Some(Stopped::Callback("enough".into()));
        assert_eq!(check(&[&plain, &tried]), Finding::not_yet(through.clone()));
        let mut interrupted = tried.clone();
        interrupted.planned_epochs = 10;
        interrupted.histories[0].stopped = Some(Stopped::Interrupt {
            epoch: 3,
            epochs: 10,
            percent: 50.0,
        });
        assert_eq!(check(&[&plain, &interrupted]), Finding::not_yet(through));
        let mut short = tried.clone();
        short.planned_epochs = 1;
        assert_eq!(
            check(&[&short]),
            Finding::not_yet(texts::lab_one_epoch("#5"))
        );

        tried.planned_epochs = 10;
        let mut at_once = tried.clone();
        at_once.histories[0].epochs.truncate(1);
        let said = texts::lab_stopped_at_once("#5", "0.9000");
        assert_eq!(check(&[&plain, &at_once]), Finding::not_yet(said));

        let done = check(&[&plain, &at_once, &tried]);
        assert!(done.done);
        assert_eq!(
            done.found,
            [texts::lab_stopped("#5", 3, 10, "0.3000", "14")]
        );
    }

    #[test]
    fn a_finding_is_text_and_html() {
        let mut done = check(Exercise::OnlyFirstConvolution, &[net(&[64])]);
        done.found = vec!["a < b".into()];
        let (verdict, text) = (texts::lab_done(), texts::lab_compared("64-64"));
        assert_eq!(done.to_string(), format!("{verdict}: {text}\n  a < b"));
        let html = done.content().unwrap().html.unwrap();
        assert!(html.contains("<li>a &lt; b</li>"), "{html}");
        let not_yet = check(Exercise::OnlyFirstConvolution, &[]);
        let first = |finding: &Finding| finding.to_string().split(' ').next().map(str::to_string);
        assert_ne!(first(&done), first(&not_yet));
    }
}
