//! Scores, epochs, and the history of a `fit`.

use std::fmt;

use crate::session::display::{Show, shows_itself};
use crate::session::texts;

/// Loss and accuracy over a set of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Fraction of the images whose most probable class is their label, 0 to 1.
    pub accuracy: f64,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&texts::score(self.loss, self.accuracy))
    }
}

shows_itself!(Score);

impl Show for Score {}

/// Loss and accuracy of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Which epoch of its `fit`, from 1.
    pub number: i64,
    /// Seconds of training, without the validation after it.
    pub seconds: f64,
    /// Mean loss over the epoch's images, each measured before the step that learnt from it.
    pub loss: f64,
    /// Fraction of the epoch's images that were classified correctly, 0 to 1, measured likewise.
    pub accuracy: f64,
    /// The score of the validation data after the epoch.
    pub validation: Option<Score>,
}

/// What a `fit` returns: loss and accuracy of each epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// One for each epoch. After an interrupt the last is about the images seen until then.
    pub epochs: Vec<Epoch>,
    /// Why training ended before its last epoch; none if it did not.
    pub stopped: Option<Stopped>,
    /// The epoch, from 1, whose weights a callback brought back at the end; none if the model has the last one's.
    pub restored: Option<i64>,
}

impl History {
    /// The epoch whose weights the model has: the last, unless a callback brought back others. None without an epoch.
    pub fn kept(&self) -> Option<&Epoch> {
        match self.restored {
            Some(number) => self.epochs.iter().find(|epoch| epoch.number == number),
            None => self.epochs.last(),
        }
    }

    /// Whether an interrupt ended the training.
    pub fn interrupted(&self) -> bool {
        matches!(self.stopped, Some(Stopped::Interrupt { .. }))
    }
}

/// Why training ended before its last epoch. It shows itself as the sentence that `fit` prints.
#[derive(Clone, Debug, PartialEq)]
pub enum Stopped {
    /// A callback ended it, for this reason, which may be empty.
    Callback(String),
    /// An interrupt ended it: Jupyter's button, or Ctrl-C.
    Interrupt {
        /// The epoch in which it came, from 1.
        epoch: i64,
        /// How many epochs there were to be.
        epochs: i64,
        /// How much of this epoch's images had been learnt from, 0 to 100.
        percent: f64,
    },
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback(reason) => f.write_str(reason),
            Self::Interrupt {
                epoch,
                epochs,
                percent,
            } => f.write_str(&texts::training_interrupted(epoch, epochs, percent)),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |epoch| epoch_line(epoch, self.epochs.len() as i64);
        let lines: Vec<String> = self.epochs.iter().map(line).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// The line printed after an epoch.
pub(crate) fn epoch_line(epoch: &Epoch, epochs: i64) -> String {
    let width = epochs.to_string().len();
    let number = format!("{:width$}", epoch.number);
    let line = texts::epoch_done(number, epochs, epoch.seconds, epoch.loss, epoch.accuracy);
    match epoch.validation {
        Some(score) => line + &texts::epoch_validation(score.loss, score.accuracy),
        None => line,
    }
}
