//! What `fit` promises: it learns, repeats itself under a seed, goes on where it stopped, and keeps its figures right.

mod common;

use std::ops::ControlFlow;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{digits, message, printed_on_device, small_net, values};
use svertka::prelude::*;

fn silent(epochs: i64) -> Fit {
    Fit::epochs(epochs).verbosity(Verbosity::Silent)
}

/// The generator of random numbers is the process's: tests that lean on it must not run side by side.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn weights(model: &Sequential) -> Vec<f32> {
    model
        .weights()
        .unwrap()
        .iter()
        .flat_map(|(_, weight)| values(weight))
        .collect()
}

#[test]
fn a_few_real_digits_are_learnt() {
    let _alone = alone();
    let (images, labels) = digits(600);
    seed(3);
    let mut model = small_net();
    let before = model.evaluate(&images, &labels).unwrap();
    let history = model.fit(&images, &labels, silent(3)).unwrap();
    let after = model.evaluate(&images, &labels).unwrap();
    assert_eq!(history.epochs.len(), 3);
    assert!(
        before.accuracy < 0.4 && after.accuracy > 0.8,
        "{before:?} {after:?}"
    );
    assert!(after.loss < before.loss / 2.0, "{before:?} {after:?}");
    let losses: Vec<f64> = history.epochs.iter().map(|epoch| epoch.loss).collect();
    assert!(losses[0] > losses[1] && losses[1] > losses[2], "{losses:?}");
}

#[test]
fn a_seed_repeats_a_training_bit_for_bit() {
    let _alone = alone();
    let (images, labels) = digits(300);
    let run = |n| {
        seed(n);
        let mut model = Sequential::new([
            conv2d(4, (3, 3), Relu),
            max_pooling2d(2, 2),
            flatten(),
            dropout(0.3),
            dense(10, Softmax),
        ]);
        model.compile(Adam::default(), SparseCategoricalCrossentropy);
        let history = model.fit(&images, &labels, silent(2)).unwrap();
        let figures: Vec<_> = history
            .epochs
            .iter()
            .map(|e| (e.loss, e.accuracy))
            .collect();
        (figures, weights(&model))
    };
    let first = run(5);
    assert!(run(5) == first);
    assert!(run(6) != first);
}

include!("common/repeated.rs");

#[test]
fn a_new_process_repeats_a_training_bit_for_bit() {
    let _alone = alone();
    let here = repeated().unwrap();
    for _ in 0..2 {
        let there = printed_on_device("en", "print_the_repeated_training");
        assert!(there.contains(&here), "{here}, in a new process {there}");
    }
}

#[test]
#[ignore = "what a new process and a cell are held against"]
fn print_the_repeated_training() {
    println!("{}", repeated().unwrap());
}

#[test]
fn a_training_leaves_the_number_of_threads_as_it_was() {
    let _alone = alone();
    let (images, labels) = digits(64);
    let threads = tch::get_num_threads();
    let mut model = small_net();
    model.fit(&images, &labels, silent(1)).unwrap();
    assert_eq!(tch::get_num_threads(), threads);
    model.train_on_batch(&images, &labels).unwrap();
    assert_eq!(tch::get_num_threads(), threads);
    let refused = model.fit(&images, &(labels + 100), silent(1));
    assert!(refused.is_err());
    assert_eq!(tch::get_num_threads(), threads);
}

#[test]
fn a_second_fit_goes_on() {
    let _alone = alone();
    let (images, labels) = digits(200);
    let run = |parts: &[i64]| {
        seed(11);
        let mut model = small_net();
        for &epochs in parts {
            model
                .fit(&images, &labels, silent(epochs).shuffle(false))
                .unwrap();
        }
        weights(&model)
    };
    // Adam's memory included: without it the weights would differ in the first digits.
    assert!(run(&[3]) == run(&[1, 2]));
}

#[test]
fn figures_are_averages_over_images_not_batches() {
    let _alone = alone();
    // 70 images in batches of 32: the last batch of 6 must count as 6.
    let (images, labels) = digits(70);
    seed(2);
    let mut model = small_net();
    model.compile(Sgd::new(1e-12), SparseCategoricalCrossentropy);
    let score = model.evaluate(&images, &labels).unwrap();
    let epoch = model
        .fit(&images, &labels, silent(1))
        .unwrap()
        .epochs
        .remove(0);
    assert!(
        (epoch.loss - score.loss).abs() < 1e-5,
        "{epoch:?} {score:?}"
    );
    assert_eq!(epoch.accuracy, score.accuracy);
    let probabilities = model.predict(&images).unwrap();
    let right = probabilities
        .argmax(-1, false)
        .eq_tensor(&labels)
        .sum(Kind::Int64);
    assert_eq!(right.int64_value(&[]) as f64 / 70.0, score.accuracy);
    let chosen = probabilities.gather(1, &labels.unsqueeze(1), false).log();
    assert!((score.loss + chosen.mean(Kind::Float).double_value(&[])).abs() < 1e-5);
}

#[test]
fn validation_is_measured_and_nothing_is_learnt_from_it() {
    let _alone = alone();
    let (images, labels) = digits(300);
    let part = |from, n| (images.narrow(0, from, n), labels.narrow(0, from, n));
    let ((images, labels), (others, other_labels)) = (part(0, 200), part(200, 100));
    let run = |fit: Fit| {
        seed(4);
        let mut model = small_net();
        let history = model.fit(&images, &labels, fit).unwrap();
        (history, weights(&model), model)
    };
    let (history, with, model) = run(silent(2).validation(&others, &other_labels));
    let (_, without, _) = run(silent(2));
    assert!(with == without);
    let score = model.evaluate(&others, &other_labels).unwrap();
    assert_eq!(history.epochs[1].validation, Some(score));
}

#[test]
fn a_validation_split_holds_the_last_images_back() {
    let _alone = alone();
    let (images, labels) = digits(210);
    let part = |from, n| (images.narrow(0, from, n), labels.narrow(0, from, n));
    let run = |(images, labels): &(Tensor, Tensor), fit: Fit| {
        seed(4);
        let mut model = small_net();
        let history = model.fit(images, labels, fit).unwrap();
        let scores: Vec<_> = history
            .epochs
            .iter()
            .map(|e| (e.loss, e.validation))
            .collect();
        (scores, weights(&model))
    };
    let all = part(0, 210);
    // Keras keeps floor(n · (1 − split)) images for training; its 1 − 0.8 is a little less than 0.2.
    for (split, n) in [(0.1, 189), (0.25, 157), (0.8, 41)] {
        let (validation, labels) = part(n, 210 - n);
        let by_hand = run(&part(0, n), silent(2).validation(&validation, &labels));
        assert!(by_hand.0.iter().all(|(_, score)| score.is_some()));
        assert!(
            run(&all, silent(2).validation_split(split)) == by_hand,
            "{split}"
        );
    }
    // The fraction is one of what is left for training.
    let (validation, labels) = part(105, 105);
    let by_hand = run(&part(0, 21), silent(1).validation(&validation, &labels));
    assert!(run(&all, silent(1).validation_split(0.5).fraction(0.2)) == by_hand);
    // Validation data are used in place of a split, as in Keras.
    let (validation, labels) = part(0, 50);
    let given = || silent(1).validation(&validation, &labels);
    assert!(run(&all, given().validation_split(0.5)) == run(&all, given()));
}

#[test]
fn a_fraction_trains_on_the_first_images() {
    let _alone = alone();
    let (images, labels) = digits(200);
    let run = |images: &Tensor, labels: &Tensor, fraction: f64| {
        seed(9);
        let mut model = small_net();
        model
            .fit(images, labels, silent(1).fraction(fraction))
            .unwrap();
        weights(&model)
    };
    let first = run(&images.narrow(0, 0, 50), &labels.narrow(0, 0, 50), 1.0);
    assert!(run(&images, &labels, 0.25) == first);
}

#[test]
fn a_loss_that_is_no_number_stops_and_gives_the_weights_back() {
    let _alone = alone();
    let (images, labels) = digits(200);
    seed(1);
    let mut model = small_net();
    model.compile(Sgd::new(1e10), SparseCategoricalCrossentropy);
    let before = weights(&model);
    let text = message(model.fit(&images, &labels, silent(2)));
    assert!(text.contains("10000000000"), "{text}");
    assert!(!text.contains('\n'), "{text}");
    assert!(weights(&model) == before);
    model.compile(Adam::new(0.01), SparseCategoricalCrossentropy);
    let history = model.fit(&images, &labels, silent(2)).unwrap();
    assert!(history.epochs[1].loss.is_finite());

    let holes = images.masked_fill(&images.gt(0.5), f64::NAN);
    let before = weights(&model);
    assert!(message(model.fit(&holes, &labels, silent(1))).contains("NaN"));
    assert!(weights(&model) == before);
}

#[test]
fn callbacks_are_called_in_order_and_can_end_it() {
    let _alone = alone();
    let (images, labels) = digits(64);
    let mut model = small_net();
    let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (first, second) = (order.clone(), order.clone());
    let fit = silent(5)
        .on_epoch_end(move |epoch| {
            first.borrow_mut().push(("first", epoch.number));
            ControlFlow::Continue(())
        })
        .on_epoch_end(move |epoch| {
            second.borrow_mut().push(("second", epoch.number));
            if epoch.number == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    let history = model.fit(&images, &labels, fit).unwrap();
    assert_eq!(history.epochs.len(), 2);
    assert!(matches!(&history.stopped, Some(Stopped::Callback(reason)) if !reason.is_empty()));
    assert!(!history.interrupted());
    assert_eq!(
        *order.borrow(),
        [("first", 1), ("second", 1), ("first", 2), ("second", 2)]
    );
}

#[test]
fn early_stopping_brings_the_best_weights_back() {
    let _alone = alone();
    let (images, labels) = digits(64);
    seed(8);
    let mut model = small_net();
    let schedule = LearningRateSchedule::new(|number, rate| if number > 2 { 5.0 } else { rate });
    let fit = silent(9)
        .shuffle(false)
        .callback(schedule)
        .callback(EarlyStopping::patience(2));
    let history = model.fit(&images, &labels, fit).unwrap();
    let best = history
        .epochs
        .iter()
        .map(|epoch| epoch.loss)
        .fold(f64::INFINITY, f64::min);
    let best = history
        .epochs
        .iter()
        .position(|epoch| epoch.loss == best)
        .unwrap() as i64
        + 1;
    assert!((best as usize) < history.epochs.len(), "{history:?}");
    assert_eq!(history.restored, Some(best));
    let kept = weights(&model);

    seed(8);
    let mut again = small_net();
    let schedule = LearningRateSchedule::new(|number, rate| if number > 2 { 5.0 } else { rate });
    again
        .fit(
            &images,
            &labels,
            silent(best).shuffle(false).callback(schedule),
        )
        .unwrap();
    assert!(kept == weights(&again));
}

/// Interrupts this process, as Jupyter's button and Ctrl-C do.
fn interrupt() {
    let own = std::process::id().to_string();
    let status = Command::new("sh")
        .args(["-c", "kill -INT $1", "sh", &own])
        .status();
    assert!(status.unwrap().success());
    // The signal may be taken by another thread.
    std::thread::sleep(Duration::from_millis(50));
}

/// Interrupts in an epoch: after its first step, or at its end.
struct Interrupt {
    epoch: i64,
    at_end: bool,
}

impl Callback for Interrupt {
    fn on_epoch_begin(&mut self, number: i64, _: &mut Control) {
        if number == self.epoch && !self.at_end {
            interrupt();
        }
    }

    fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
        if epoch.number == self.epoch && self.at_end {
            interrupt();
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn an_interrupt_keeps_the_weights_of_its_moment_with_early_stopping_too() {
    let _alone = alone();
    let (images, labels) = digits(64);
    // The second epoch is the best.
    let fit = |epochs| {
        silent(epochs)
            .shuffle(false)
            .callback(LearningRateSchedule::new(|number, rate| {
                if number > 2 { 5.0 } else { rate }
            }))
    };
    let trained = |fit| {
        seed(8);
        let mut model = small_net();
        let history = model.fit(&images, &labels, fit).unwrap();
        (weights(&model), history)
    };
    let (best, _) = trained(fit(2));
    for at_end in [false, true] {
        let interrupted = || fit(9).callback(Interrupt { epoch: 4, at_end });
        let (plain, _) = trained(interrupted());
        let (with, history) = trained(interrupted().callback(EarlyStopping::patience(5)));
        assert!(history.interrupted() && history.epochs.len() == 4);
        assert_eq!(history.restored, None);
        assert!(history.epochs[1].loss < history.epochs[3].loss);
        assert!(with == plain, "at the end of an epoch: {at_end}");
        assert!(with != best);
    }
    // Where EarlyStopping has its reason to stop in the epoch of the interrupt, it does what it promises.
    let interrupted = fit(9).callback(Interrupt {
        epoch: 4,
        at_end: true,
    });
    let (with, history) = trained(interrupted.callback(EarlyStopping::patience(2)));
    assert!(!history.interrupted() && history.epochs.len() == 4);
    assert!(with == best);
}

#[test]
fn an_epoch_whose_validation_was_interrupted_is_no_callbacks() {
    /// Interrupts while an epoch is validated, the second or, on a fast machine, a later one.
    struct During;
    impl Callback for During {
        fn on_epoch_begin(&mut self, number: i64, _: &mut Control) {
            if number == 2 {
                std::thread::spawn(|| {
                    std::thread::sleep(Duration::from_millis(100));
                    interrupt();
                });
            }
        }

        fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
            assert!(epoch.validation.is_some(), "{epoch:?}");
            ControlFlow::Continue(())
        }
    }
    let _alone = alone();
    let (images, labels) = digits(32);
    let many = 200_000;
    let mut history = small_net()
        .fit(
            &images,
            &labels,
            silent(20)
                .validation(
                    &images.narrow(0, 0, 1).expand([many, 1, 28, 28], false),
                    &labels.narrow(0, 0, 1).expand([many], false),
                )
                .callback(During),
        )
        .unwrap();
    assert!(history.interrupted(), "{history:?}");
    assert_eq!(history.epochs.pop().unwrap().validation, None);
    assert!(!history.epochs.is_empty());
}

/// This process's memory in KiB: `VmRSS` what it holds, `VmHWM` the most that it has held.
fn memory(field: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn evaluation_keeps_its_memory_flat() {
    let _alone = alone();
    let model = common::lesson_cnn();
    let run = |n: i64| {
        let images = Tensor::zeros([1, 1, 28, 28], (Kind::Float, Device::Cpu));
        let labels = Tensor::zeros([n], (Kind::Int64, Device::Cpu));
        model
            .evaluate(&images.expand([n, 1, 28, 28], false), &labels)
            .unwrap();
        memory("VmHWM")
    };
    let few = run(640);
    let many = run(6400);
    // In KiB. All of the first layer's outputs for 6,400 images would be 1.1 GB.
    assert!(many - few < 100_000, "{few} {many}");
}

#[test]
fn a_batch_larger_than_the_data_is_all_of_them() {
    let _alone = alone();
    let (images, labels) = digits(40);
    let trained = |batch_size| {
        seed(1);
        let mut model = small_net();
        model
            .fit(&images, &labels, silent(1).batch_size(batch_size))
            .unwrap();
        weights(&model)
    };
    let whole = trained(40);
    assert_eq!(trained(41), whole);
    assert_eq!(trained(i64::MAX), whole);
    assert_ne!(trained(20), whole);
}

#[test]
fn training_keeps_its_memory_flat() {
    let _alone = alone();
    let mut model = common::lesson_cnn();
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    let (images, labels) = digits(320);
    let mut run = |epochs| {
        model.fit(&images, &labels, silent(epochs)).unwrap();
        memory("VmRSS")
    };
    let few = run(2);
    let many = run(10);
    // In KiB. The gradients of each of the hundred steps, 1 MB, would be 100 MB.
    assert!(many - few < 30_000, "{few} {many}");
}

#[test]
fn moments_that_fade_become_zero_not_subnormal() {
    let _alone = alone();
    seed(1);
    let mut model = small_net();
    let (images, labels) = digits(64);
    model.fit(&images, &labels, silent(1)).unwrap();
    // In the dark the kernels get no gradient: 0.9¹⁰⁰⁰ leaves 1e-46 of their first moments.
    let dark = Tensor::zeros([1000, 1, 28, 28], (Kind::Float, Device::Cpu));
    let any = Tensor::zeros([1000], (Kind::Int64, Device::Cpu));
    model.fit(&dark, &any, silent(1).batch_size(1)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    model.save(file.path()).unwrap();
    let moments = Tensor::read_safetensors(file.path()).unwrap();
    let moments = moments
        .iter()
        .filter(|(name, _)| name.starts_with("optimizer."));
    let (mut zeros, mut others) = (0, 0);
    for (name, moment) in moments.filter(|(_, moment)| moment.kind() == Kind::Float) {
        for value in values(moment) {
            assert!(!value.is_subnormal(), "{name}: {value:e}");
            if value == 0.0 {
                zeros += 1
            } else {
                others += 1
            }
        }
    }
    assert!(zeros > 0 && others > 0, "{zeros} zeros, {others} others");
}

#[test]
fn an_image_that_is_no_number_is_refused_before_anything_is_learnt() {
    let _alone = alone();
    let mut model = small_net();
    let (images, labels) = digits(8);
    let broken = images.copy();
    let _ = broken.i((3, 0, 5, 5)).fill_(f64::INFINITY);
    let before = weights(&model);
    let complaints = [
        message(model.fit(&broken, &labels, silent(1))),
        message(model.train_on_batch(&broken, &labels)),
        message(model.evaluate(&broken, &labels)),
        message(model.predict(&broken)),
    ];
    for complaint in complaints {
        assert!(complaint.contains("3"), "{complaint}");
        assert!(complaint.contains("NaN"), "{complaint}");
    }
    assert!(weights(&model) == before);
    model.fit(&images, &labels, silent(1)).unwrap();
}
