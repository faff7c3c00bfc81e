//! Training: `fit`, its settings, and what it tells.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tch::{Device, Kind as TensorKind, Tensor};

use super::Sequential;
use super::callbacks::{Callback, Control, EpochEnd};
use super::history::{Epoch, History, Score, epoch_line};
use super::loss::{count_correct, cross_entropy};
use super::network::{Network, Pass};
use super::optimizer::{State, check_learning_rate};
use super::sequential::{Compiled, check_images, check_labels, count};
use crate::Result;
use crate::session::files::check_path;
use crate::session::interrupt::Watch;
use crate::session::progress::Progress;
use crate::session::threads::Threads;
use crate::session::{allocator, error, texts, torch};

/// A loss above this has lost its way although it is still a number: guessing among a million classes costs 14.
const LOST: f32 = 1e8;

/// How often the figures of a running epoch are read from the device. Reading makes the device finish its work.
const READ: Duration = Duration::from_millis(100);

/// How much a training says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing.
    Silent,
    /// A line an epoch, and signs of life during a long one.
    #[default]
    Normal,
}

/// The settings of one [`fit`](Sequential::fit).
///
/// ```
/// use svertka::prelude::*;
/// let settings = Fit::epochs(20).batch_size(64).callback(StopAtLoss(0.25));
/// ```
pub struct Fit {
    epochs: i64,
    batch_size: i64,
    shuffle: bool,
    share: f64,
    validation: Option<(Tensor, Tensor)>,
    verbosity: Verbosity,
    callbacks: Vec<Box<dyn Callback>>,
    save: Option<PathBuf>,
}

impl Fit {
    /// Goes through the images `epochs` times, at least once. Everything else has Keras's default.
    pub fn epochs(epochs: i64) -> Self {
        Self {
            epochs,
            batch_size: 32,
            shuffle: true,
            share: 1.0,
            validation: None,
            verbosity: Verbosity::Normal,
            callbacks: Vec::new(),
            save: None,
        }
    }

    /// Images per step, at least 1. Defaults to 32.
    pub fn batch_size(self, batch_size: i64) -> Self {
        Self { batch_size, ..self }
    }

    /// Whether each epoch takes the images in a new order. Defaults to true.
    pub fn shuffle(self, shuffle: bool) -> Self {
        Self { shuffle, ..self }
    }

    /// Trains on the first `share` of the images, 0 < share ≤ 1: a quick look. Defaults to 1.
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// Evaluates these images after every epoch; nothing is learnt from them. Defaults to none.
    pub fn validation(self, images: &Tensor, labels: &Tensor) -> Self {
        Self {
            validation: Some((images.shallow_clone(), labels.shallow_clone())),
            ..self
        }
    }

    /// How much is said. Defaults to [`Verbosity::Normal`].
    pub fn verbosity(self, verbosity: Verbosity) -> Self {
        Self { verbosity, ..self }
    }

    /// Adds a callback; several are called in the order in which they were added.
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Adds a closure that sees each epoch's figures and says whether to go on.
    ///
    /// ```
    /// use std::ops::ControlFlow::{Break, Continue};
    /// use svertka::prelude::*;
    /// let fit = Fit::epochs(20)
    ///     .on_epoch_end(|epoch| if epoch.loss < 0.25 { Break(()) } else { Continue(()) });
    /// ```
    pub fn on_epoch_end(self, closure: impl FnMut(&Epoch) -> ControlFlow<()> + 'static) -> Self {
        self.callback(EpochEnd(closure))
    }

    /// Saves the model to this file after every epoch, in place of the epoch before. Defaults to no file. If it can't be
    /// written, a line says so and the training goes on.
    pub fn save_each_epoch(self, path: impl Into<PathBuf>) -> Self {
        Self {
            save: Some(path.into()),
            ..self
        }
    }

    /// How many epochs there will be at the most.
    pub(crate) fn planned_epochs(&self) -> usize {
        self.epochs.max(0) as usize
    }

    /// Images per step, and the share of the images that is trained on.
    pub(crate) fn diet(&self) -> (i64, f64) {
        (self.batch_size, self.share)
    }

    /// Whether anything looks at the epochs and could end the training.
    pub(crate) fn has_callbacks(&self) -> bool {
        !self.callbacks.is_empty()
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.verbosity == Verbosity::Silent)
    }

    fn check(&self) -> Result<()> {
        if let Some(path) = &self.save {
            check_path(path)?;
        }
        if self.epochs < 1 {
            return Err(error(texts::epochs(self.epochs)));
        }
        if self.batch_size < 1 {
            return Err(error(texts::batch_size(self.batch_size)));
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(error(texts::share(self.share)));
        }
        Ok(())
    }
}

impl fmt::Debug for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fit")
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("shuffle", &self.shuffle)
            .field("share", &self.share)
            .field("callbacks", &self.callbacks.len())
            .finish_non_exhaustive()
    }
}

/// The figures of an epoch's steps, on the device until they are read.
struct Figures {
    losses: Tensor,
    correct: Tensor,
    batch_size: i64,
    images: i64,
}

impl Figures {
    fn new(network: &Network, images: i64, batch_size: i64) -> tch::Result<Self> {
        let steps = (images + batch_size - 1) / batch_size;
        let empty = || Tensor::f_zeros([steps], (TensorKind::Float, network.device));
        Ok(Self {
            losses: empty()?,
            correct: empty()?,
            batch_size,
            images,
        })
    }

    fn note(&self, step: i64, loss: &Tensor, correct: &Tensor) -> tch::Result<()> {
        self.losses.f_get(step)?.f_copy_(loss)?;
        self.correct.f_get(step)?.f_copy_(correct)
    }

    /// The means over the first `steps` steps; or the first step, from 1, whose loss is out of bounds.
    fn read(&self, steps: i64) -> tch::Result<std::result::Result<Score, i64>> {
        let losses = Vec::<f32>::try_from(self.losses.f_narrow(0, 0, steps)?)?;
        let lost = |loss: &f32| loss.is_nan() || *loss > LOST;
        if let Some(step) = losses.iter().position(lost) {
            return Ok(Err(step as i64 + 1));
        }
        let correct = Vec::<f32>::try_from(self.correct.f_narrow(0, 0, steps)?)?;
        // A short last batch counts by its images.
        let size = |step: i64| self.batch_size.min(self.images - step * self.batch_size) as f64;
        let sum: f64 = (0..)
            .zip(&losses)
            .map(|(step, &loss)| f64::from(loss) * size(step))
            .sum();
        let right: f64 = correct.iter().map(|&n| f64::from(n)).sum();
        let seen = self.images.min(steps * self.batch_size) as f64;
        Ok(Ok(Score {
            loss: sum / seen,
            accuracy: right / seen,
        }))
    }
}

/// Weights and the optimiser's memory at one moment.
struct Snapshot {
    weights: Tensor,
    state: State,
}

/// How an epoch ended.
enum End {
    Whole(Score),
    Interrupted(Score, f64),
    /// At this step, from 1.
    Diverged(i64),
}

impl Sequential {
    /// Trains. A second call goes on from where the first stopped, the optimiser's memory included.
    ///
    /// `images`: `[images, …one image's shape]`, numbers from 0 to 1; `labels`: class numbers `[images]`.
    /// The answer holds the figures of each epoch. An interrupt ends the step in progress and then the training; the
    /// model keeps the weights of that moment, whatever callbacks there are.
    ///
    /// # Errors
    /// If [`compile`](Self::compile) was not called; a setting, a shape or a label is impossible; the learning rate is
    /// not above 0; or the loss becomes NaN, infinite or more than 1e8: then the weights are again as before that epoch.
    pub fn fit(&mut self, images: &Tensor, labels: &Tensor, fit: Fit) -> Result<History> {
        let mut progress = fit.progress();
        let history = self.train(images, labels, fit, &mut progress)?;
        if let (true, Some(line)) = (history.interrupted, &history.stopped) {
            progress.line(line.clone());
        }
        Ok(history)
    }

    /// [`fit`](Self::fit), but an interrupt is for the caller to tell.
    pub(crate) fn train(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        mut fit: Fit,
        progress: &mut Progress,
    ) -> Result<History> {
        fit.check()?;
        self.begin(images)?;
        let network = self.classifier()?;
        check_images(network, images)?;
        let labels = check_labels(network, images, labels)?;
        if let Some((images, labels)) = &mut fit.validation {
            let checked =
                check_images(network, images).and_then(|()| check_labels(network, images, labels));
            *labels = checked.map_err(|reason| error(texts::validation(reason)))?;
        }
        self.warn_unscaled(images)?;
        let used = ((count(images) as f64 * fit.share).ceil() as i64).clamp(1, count(images));
        let device = self.built()?.device;
        let to_device = |tensor: &Tensor| tensor.f_narrow(0, 0, used)?.f_to_device(device);
        let images = to_device(images).map_err(torch)?;
        let labels = to_device(&labels).map_err(torch)?;

        let _buffers = (device == Device::Cpu).then(allocator::Training::begin);
        let _threads = self.threads(fit.batch_size.min(used))?;
        let watch = Watch::new();
        let mut history = History::default();
        let mut kept: Option<(usize, Snapshot)> = None;
        let mut control = Control::new(self.compiled()?.learning_rate);
        let epochs = fit.epochs as usize;
        // The epoch and how much of it was done.
        let mut interrupted: Option<(usize, f64)> = None;
        for number in 1..=epochs {
            for callback in &mut fit.callbacks {
                callback.on_epoch_begin(number, &mut control);
            }
            self.set_learning_rate(control.learning_rate)?;
            let begun = Instant::now();
            let before = self.snapshot()?;
            let place = (number, epochs);
            let end = self.epoch(&images, &labels, &fit, place, &watch, progress)?;
            let seconds = begun.elapsed().as_secs_f64();
            let epoch = |score: Score, validation| Epoch {
                number,
                seconds,
                loss: score.loss,
                accuracy: score.accuracy,
                validation,
            };
            let epoch = match end {
                End::Whole(score) => {
                    let validation = match &fit.validation {
                        Some((images, labels)) => self.score(images, labels, &watch)?,
                        None => None,
                    };
                    let epoch = epoch(score, validation);
                    // Callbacks compare the validation's losses: without it the epoch is not theirs to see.
                    if fit.validation.is_some() && validation.is_none() {
                        history.epochs.push(epoch);
                        interrupted = Some((number, 1.0));
                        break;
                    }
                    epoch
                }
                End::Interrupted(score, share) => {
                    history.epochs.push(epoch(score, None));
                    interrupted = Some((number, share));
                    break;
                }
                End::Diverged(step) => {
                    self.restore(&before)?;
                    let rate = control.learning_rate;
                    return Err(error(texts::diverged(number, step, LOST, rate)));
                }
            };
            progress.line(epoch_line(&epoch, epochs));
            // Every callback sees every epoch, also when one before it has had enough.
            for callback in &mut fit.callbacks {
                if let ControlFlow::Break(reason) = callback.on_epoch_end(&epoch, &mut control) {
                    history.stopped.get_or_insert(reason);
                }
                if std::mem::take(&mut control.keep_weights) {
                    kept = Some((number, self.snapshot()?));
                }
            }
            history.epochs.push(epoch);
            if let Some(Err(trouble)) = fit.save.as_ref().map(|path| self.save(path)) {
                progress.line(trouble.to_string());
            }
            if let Some(reason) = &history.stopped {
                if !reason.is_empty() {
                    progress.line(reason.clone());
                }
                break;
            }
            if watch.requested() {
                interrupted = Some((number, 1.0));
                break;
            }
        }
        if let Some((number, share)) = interrupted {
            let percent = format!("{:.0}", share * 100.0);
            let line = texts::training_interrupted(number, epochs, percent);
            history.interrupted = true;
            history.stopped = Some(line);
        } else if let (true, Some((epoch, kept))) = (control.restore_weights, &kept) {
            self.restore(kept)?;
            history.restored = Some(*epoch);
        }
        Ok(history)
    }

    /// Learns from one batch, and tells its score before the step.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), but a loss that is no number is only told.
    pub fn train_on_batch(&mut self, images: &Tensor, labels: &Tensor) -> Result<Score> {
        self.begin(images)?;
        let network = self.classifier()?;
        check_images(network, images)?;
        let labels = check_labels(network, images, labels)?;
        let device = network.device;
        let images = images.f_to_device(device).map_err(torch)?;
        let labels = labels.f_to_device(device).map_err(torch)?;
        if device == Device::Cpu {
            allocator::keep_large_buffers();
        }
        let _threads = self.threads(count(&images))?;
        let mut step = || {
            let (loss, correct) = self.step(&images, &labels)?;
            let right = f64::try_from(correct)?;
            Ok(Score {
                loss: f64::try_from(loss)?,
                accuracy: right / count(&images) as f64,
            })
        };
        step().map_err(torch)
    }

    /// The threads for steps with batches of `images`; on CUDA they have nothing to compute.
    fn threads(&self, images: i64) -> Result<Option<Threads>> {
        let network = self.built()?;
        let work = network.multiplications().saturating_mul(images);
        Ok((network.device == Device::Cpu).then(|| Threads::for_work(work)))
    }

    /// Makes ready for the first step.
    fn begin(&mut self, images: &Tensor) -> Result<()> {
        self.compiled()?.optimizer.check()?;
        self.build_for(images)?;
        if let (Some(network), Some(compiled)) = (&self.network, &mut self.compiled)
            && compiled.state.is_none()
        {
            compiled.state = Some(State::new(&compiled.optimizer, &network.flat).map_err(torch)?);
        }
        Ok(())
    }

    fn compiled(&self) -> Result<&Compiled> {
        self.compiled
            .as_ref()
            .ok_or_else(|| error(texts::not_compiled()))
    }

    fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        check_learning_rate(rate)?;
        if let Some(compiled) = &mut self.compiled {
            compiled.learning_rate = rate;
        }
        Ok(())
    }

    fn epoch(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        fit: &Fit,
        (number, epochs): (usize, usize),
        watch: &Watch,
        progress: &mut Progress,
    ) -> Result<End> {
        let n = count(images);
        let device = self.built()?.device;
        let figures = Figures::new(self.built()?, n, fit.batch_size).map_err(torch)?;
        let options = (TensorKind::Int64, device);
        let order = if fit.shuffle {
            Some(Tensor::f_randperm(n, options).map_err(torch)?)
        } else {
            None
        };
        let begun = Instant::now();
        let mut due = begun + READ;
        let mut step = 0;
        let mut start = 0;
        while start < n {
            let len = fit.batch_size.min(n - start);
            let mut learn = || {
                let part = |tensor: &Tensor| match &order {
                    Some(order) => tensor.f_index_select(0, &order.f_narrow(0, start, len)?),
                    None => tensor.f_narrow(0, start, len),
                };
                let (loss, correct) = self.step(&part(images)?, &part(labels)?)?;
                figures.note(step, &loss, &correct)
            };
            learn().map_err(torch)?;
            step += 1;
            start += len;
            let interrupted = watch.requested();
            if !interrupted && Instant::now() < due {
                continue;
            }
            due = Instant::now() + READ;
            let score = match self.read(&figures, step)? {
                Ok(score) => score,
                Err(step) => return Ok(End::Diverged(step)),
            };
            let share = start as f64 / n as f64;
            if interrupted {
                return Ok(End::Interrupted(score, share));
            }
            if progress.is_due() {
                let seconds = begun.elapsed().as_secs_f64();
                let (loss, accuracy) = (
                    format!("{:.4}", score.loss),
                    format!("{:.4}", score.accuracy),
                );
                let text = texts::epoch_running(
                    number,
                    epochs,
                    format!("{:.0}", share * 100.0),
                    loss,
                    accuracy,
                    format!("{:.0}", (seconds / share * (1.0 - share)).ceil()),
                    format!("{:.0}", start as f64 / seconds),
                );
                progress.update(share, &text);
            }
        }
        Ok(match self.read(&figures, step)? {
            Ok(score) => End::Whole(score),
            Err(step) => End::Diverged(step),
        })
    }

    /// The figures of the epoch's first `steps` steps; or the step, from 1, at which the training was seen to have lost
    /// its way: by the loss, or by a weight that is no number any more.
    fn read(&self, figures: &Figures, steps: i64) -> Result<std::result::Result<Score, i64>> {
        let score = figures.read(steps).map_err(torch)?;
        let finite = self.built()?.is_finite().map_err(torch)?;
        Ok(score.and_then(|score| if finite { Ok(score) } else { Err(steps) }))
    }

    /// Forward, backward, and the optimiser's step: the batch's loss and number of recognised images, on the device.
    fn step(&mut self, images: &Tensor, labels: &Tensor) -> tch::Result<(Tensor, Tensor)> {
        let (Some(network), Some(compiled)) = (&mut self.network, &mut self.compiled) else {
            return Err(tch::TchError::Torch(texts::not_compiled()));
        };
        let logits = network.logits(images, Pass::Training)?;
        let loss = cross_entropy(&logits, labels)?;
        let gradient = network.gradient(&loss)?;
        let _guard = tch::no_grad_guard();
        if let Some(state) = &mut compiled.state {
            let rate = compiled.learning_rate;
            state.step(&compiled.optimizer, rate, &mut network.flat, &gradient)?;
        }
        Ok((loss.f_detach()?, count_correct(&logits, labels)?))
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let network = self.built()?;
        let (weights, state) = (
            network.flat.f_detach_copy(),
            self.compiled()?.state.as_ref(),
        );
        let state = match state {
            Some(state) => state.copy().map_err(torch)?,
            None => State {
                steps: 0,
                moments: Vec::new(),
            },
        };
        Ok(Snapshot {
            weights: weights.map_err(torch)?,
            state,
        })
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let state = snapshot.state.copy().map_err(torch)?;
        if let (Some(network), Some(compiled)) = (&mut self.network, &mut self.compiled) {
            network.flat.f_copy_(&snapshot.weights).map_err(torch)?;
            compiled.state = Some(state);
        }
        Ok(())
    }
}
