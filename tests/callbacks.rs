//! The ready callbacks, on scripted figures and without training.

use std::ops::ControlFlow;

use svertka::prelude::*;

/// Shows the callback one epoch for each pair of loss and validation loss, and tells after which it stopped and for
/// which epochs it wanted the weights kept.
fn run(mut callback: impl Callback, losses: &[(f64, Option<f64>)]) -> (Option<i64>, Vec<i64>) {
    let mut control = Control::new(0.001);
    let mut kept = Vec::new();
    for (number, &(loss, validation)) in (1..).zip(losses) {
        callback.on_epoch_begin(number, &mut control);
        let epoch = Epoch {
            number,
            seconds: 1.0,
            loss,
            accuracy: 1.0 - loss,
            validation: validation.map(|loss| Score {
                loss,
                accuracy: 0.5,
            }),
        };
        let flow = callback.on_epoch_end(&epoch, &mut control);
        if std::mem::take(&mut control.keep_weights) {
            kept.push(number);
        }
        if flow.is_break() {
            return (Some(number), kept);
        }
    }
    (None, kept)
}

fn training(losses: &[f64]) -> Vec<(f64, Option<f64>)> {
    losses.iter().map(|&loss| (loss, None)).collect()
}

#[test]
fn stop_at_loss() {
    assert_eq!(
        run(StopAtLoss(0.3), &training(&[0.5, 0.3, 0.29, 0.1])).0,
        Some(3)
    );
    assert_eq!(run(StopAtLoss(0.3), &training(&[0.5, 0.4])).0, None);
    assert_eq!(run(StopAtLoss(0.3), &training(&[f64::NAN])).0, None);
}

#[test]
fn stop_at_accuracy() {
    assert_eq!(
        run(StopAtAccuracy(0.75), &training(&[0.5, 0.25, 0.24])).0,
        Some(3)
    );
}

#[test]
fn early_stopping_waits_and_keeps_the_best() {
    let losses = training(&[0.5, 0.4, 0.45, 0.41, 0.39, 0.5, 0.5, 0.5, 0.1]);
    assert_eq!(
        run(EarlyStopping::patience(3), &losses),
        (Some(8), vec![1, 2, 5])
    );
    assert_eq!(
        run(EarlyStopping::patience(1), &losses),
        (Some(3), vec![1, 2])
    );
    assert_eq!(
        run(EarlyStopping::patience(0), &losses),
        (Some(3), vec![1, 2])
    );
    assert_eq!(
        run(EarlyStopping::patience(2).min_delta(0.2), &losses),
        (Some(3), vec![1])
    );
}

#[test]
fn early_stopping_begins_anew_with_each_training() {
    let mut stopping = EarlyStopping::patience(2);
    let losses = training(&[0.5, 0.6, 0.7]);
    assert_eq!(run(stopping.clone(), &losses), (Some(3), vec![1]));
    let mut control = Control::new(0.1);
    let epoch = |loss| Epoch {
        number: 1,
        seconds: 1.0,
        loss,
        accuracy: 0.5,
        validation: None,
    };
    assert!(
        stopping
            .on_epoch_end(&epoch(0.1), &mut control)
            .is_continue()
    );
    stopping.on_train_begin();
    assert_eq!(run(stopping, &losses), (Some(3), vec![1]));
}

#[test]
fn early_stopping_prefers_the_validation_loss() {
    let losses = [(0.5, Some(0.6)), (0.4, Some(0.7)), (0.3, Some(0.8))];
    assert_eq!(run(EarlyStopping::patience(2), &losses), (Some(3), vec![1]));
    let mut control = Control::new(0.1);
    let epoch = Epoch {
        number: 1,
        seconds: 0.0,
        loss: 1.0,
        accuracy: 0.0,
        validation: None,
    };
    let _ = EarlyStopping::patience(2).on_epoch_end(&epoch, &mut control);
    assert!(control.restore_weights);
}

#[test]
fn learning_rate_schedule() {
    let mut control = Control::new(0.1);
    let mut halves = LearningRateSchedule::exponential(0.5);
    let mut rates = Vec::new();
    for number in 1..=4 {
        halves.on_epoch_begin(number, &mut control);
        rates.push(control.learning_rate);
    }
    assert_eq!(rates, [0.1, 0.05, 0.025, 0.0125]);
}

#[test]
fn reasons_stand_on_one_line() {
    let epoch = Epoch {
        number: 4,
        seconds: 0.0,
        loss: 0.2,
        accuracy: 0.9,
        validation: None,
    };
    let mut control = Control::new(0.1);
    let callbacks: [Box<dyn Callback>; 2] =
        [Box::new(StopAtLoss(0.3)), Box::new(StopAtAccuracy(0.8))];
    for mut callback in callbacks {
        callback.on_epoch_begin(1, &mut control);
        match callback.on_epoch_end(&epoch, &mut control) {
            ControlFlow::Break(reason) => assert!(!reason.is_empty() && !reason.contains('\n')),
            ControlFlow::Continue(()) => panic!("it should have stopped"),
        }
    }
}
