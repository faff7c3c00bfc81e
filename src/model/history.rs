//! Scores, epochs, and the history of a training.

use std::fmt;

use crate::Result;
use crate::session::display::{Content, Show, shows_itself};
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

impl Show for Score {
    fn content(&self) -> Result<Content> {
        Ok(Content::plain(self.to_string()))
    }
}

/// Loss and accuracy of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Which epoch of its `fit`, from 1.
    pub number: usize,
    /// How long the training took, without the validation after it.
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
    /// One a finished epoch. After an interrupt the last one is of the images seen until then.
    pub epochs: Vec<Epoch>,
    /// Why the training ended before its last epoch; none if it did not.
    pub stopped: Option<String>,
    /// Whether an interrupt ended it.
    pub interrupted: bool,
    /// The epoch, from 1, whose weights a callback brought back at the end; none if the model has the last one's.
    pub restored: Option<usize>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, epoch) in self.epochs.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            f.write_str(&epoch_line(epoch, self.epochs.len()))?;
        }
        Ok(())
    }
}

/// The line that stays when an epoch has ended.
pub(crate) fn epoch_line(epoch: &Epoch, epochs: usize) -> String {
    let width = epochs.to_string().len();
    let number = format!("{:width$}", epoch.number);
    let line = texts::epoch_done(number, epochs, epoch.seconds, epoch.loss, epoch.accuracy);
    match epoch.validation {
        Some(score) => line + &texts::epoch_validation(score.loss, score.accuracy),
        None => line,
    }
}
