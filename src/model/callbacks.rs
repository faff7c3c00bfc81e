//! Callbacks: they see each epoch, and may end the training.

use std::fmt;
use std::ops::ControlFlow;

use super::history::Epoch;
use crate::session::texts;

/// Sees each epoch's loss and accuracy, and may end the training or steer it through [`Control`].
///
/// ```
/// use std::ops::ControlFlow;
/// use svertka::{Callback, Control, Epoch};
///
/// /// Stops at the third epoch.
/// struct Three;
///
/// impl Callback for Three {
///     fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
///         if epoch.number < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break("three".into()) }
///     }
/// }
/// ```
pub trait Callback {
    /// Called before the first epoch of each training: a place to begin anew. Does nothing unless overridden.
    fn on_train_begin(&mut self) {}

    /// Called before each epoch with its number, from 1. Does nothing unless overridden.
    fn on_epoch_begin(&mut self, number: i64, control: &mut Control) {
        let _ = (number, control);
    }

    /// Called after each epoch. `Break` ends the training; its text, if there is one, is the reason that is shown.
    fn on_epoch_end(&mut self, epoch: &Epoch, control: &mut Control) -> ControlFlow<String>;
}

/// What a [`Callback`] may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The learning rate from now on.
    pub learning_rate: f64,
    /// If set, the present weights are kept, in place of those kept before.
    pub keep_weights: bool,
    /// If set, the kept weights come back when the training ends, other than by an interrupt.
    pub restore_weights: bool,
}

impl Control {
    /// This learning rate; no weights are to be kept or restored.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            keep_weights: false,
            restore_weights: false,
        }
    }
}

/// Stops when the training loss falls below this value.
#[derive(Clone, Debug, PartialEq)]
pub struct StopAtLoss(pub f64);

impl Callback for StopAtLoss {
    fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
        if epoch.loss < self.0 {
            return ControlFlow::Break(texts::loss_reached(epoch.loss, self.0));
        }
        ControlFlow::Continue(())
    }
}

/// Stops when the training accuracy rises above this value, from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct StopAtAccuracy(pub f64);

impl Callback for StopAtAccuracy {
    fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
        if epoch.accuracy > self.0 {
            return ControlFlow::Break(texts::accuracy_reached(epoch.accuracy, self.0));
        }
        ControlFlow::Continue(())
    }
}

/// Stops when the loss has not fallen for a number of epochs, and brings back the weights of the best one.
///
/// It watches the validation loss where there is validation data, otherwise the training loss. The best weights come back
/// after the last epoch too. An interrupt brings none back, as in Keras: the model keeps the weights of that moment, and
/// the next `fit` goes on from them.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    patience: i64,
    min_delta: f64,
    best: f64,
    best_epoch: i64,
    waited: i64,
}

impl EarlyStopping {
    /// Waits `epochs` epochs for a better loss. 0 or less stops at the first that is not better, as 1 does.
    pub fn patience(epochs: i64) -> Self {
        Self {
            patience: epochs,
            min_delta: 0.0,
            best: f64::INFINITY,
            best_epoch: 0,
            waited: 0,
        }
    }

    /// Counts an epoch as better only if its loss is lower by more than `min_delta`. Defaults to 0.
    pub fn min_delta(self, min_delta: f64) -> Self {
        Self { min_delta, ..self }
    }
}

impl Callback for EarlyStopping {
    fn on_train_begin(&mut self) {
        *self = Self::patience(self.patience).min_delta(self.min_delta);
    }

    fn on_epoch_end(&mut self, epoch: &Epoch, control: &mut Control) -> ControlFlow<String> {
        let loss = epoch.validation.map_or(epoch.loss, |score| score.loss);
        control.restore_weights = true;
        if loss < self.best - self.min_delta {
            (self.best, self.best_epoch, self.waited) = (loss, epoch.number, 0);
            control.keep_weights = true;
            return ControlFlow::Continue(());
        }
        self.waited += 1;
        if self.waited >= self.patience {
            let text = texts::no_better(self.waited, self.best_epoch, self.best);
            return ControlFlow::Break(text);
        }
        ControlFlow::Continue(())
    }
}

/// Sets the learning rate before each epoch.
pub struct LearningRateSchedule(Box<dyn FnMut(i64, f64) -> f64>);

impl LearningRateSchedule {
    /// `rate` gets the epoch's number, from 1, and the rate so far, and returns the rate to use.
    pub fn new(rate: impl FnMut(i64, f64) -> f64 + 'static) -> Self {
        Self(Box::new(rate))
    }

    /// Multiplies the rate by `factor` before each epoch but the first.
    pub fn exponential(factor: f64) -> Self {
        Self::new(move |number, rate| if number > 1 { rate * factor } else { rate })
    }
}

impl fmt::Debug for LearningRateSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LearningRateSchedule")
    }
}

impl Callback for LearningRateSchedule {
    fn on_epoch_begin(&mut self, number: i64, control: &mut Control) {
        control.learning_rate = (self.0)(number, control.learning_rate);
    }

    fn on_epoch_end(&mut self, _: &Epoch, _: &mut Control) -> ControlFlow<String> {
        ControlFlow::Continue(())
    }
}

/// A closure as a callback: see [`Fit::on_epoch_end`](crate::Fit::on_epoch_end).
pub(crate) struct EpochEnd<F>(pub F);

impl<F: FnMut(&Epoch) -> ControlFlow<()>> Callback for EpochEnd<F> {
    fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
        (self.0)(epoch).map_break(|()| texts::callback_stops())
    }
}
