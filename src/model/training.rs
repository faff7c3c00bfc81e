//! Training: `fit`, its settings, and the trainer.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tch::{Device, Kind as TensorKind, Tensor};

use super::callbacks::{Callback, Control, EpochEnd};
use super::file::write;
use super::history::{Epoch, History, Score, Stopped, epoch_line};
use super::layer::Pass;
use super::loss::{count_correct, cross_entropy};
use super::network::{Network, all_finite};
use super::optimizer::{OptimizerState, check_learning_rate};
use super::sequential::{Compiled, Sequential, batch_len, evaluate};
use crate::Result;
use crate::session::files::check_path;
use crate::session::interrupt::InterruptGuard;
use crate::session::progress::Progress;
use crate::session::threads::Threads;
use crate::session::{allocator, compute, error, texts, torch};

/// A loss above this counts as divergence although it is finite: guessing among a million classes costs 14.
const MAX_LOSS: f32 = 1e8;

/// How often the metrics of a running epoch are read from the device. Reading makes the device finish its work.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// More threads than any machine has cores: a typo, and libtorch would start them.
const MAX_THREADS: i64 = 1024;

/// How much [`fit`](Sequential::fit) prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing.
    Silent,
    /// A line for each epoch, and progress during a long one.
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
    pub(crate) epochs: i64,
    pub(crate) batch_size: i64,
    shuffle: bool,
    pub(crate) fraction: f64,
    validation: Option<(Tensor, Tensor)>,
    pub(crate) validation_split: Option<f64>,
    threads: Option<i64>,
    verbosity: Verbosity,
    pub(crate) callbacks: Vec<Box<dyn Callback>>,
    save: Option<PathBuf>,
}

impl Fit {
    /// Goes through the images `epochs` times, at least once. Everything else has Keras's default. As all counts here, it is
    /// an `i64`, like the sizes of a tensor.
    pub fn epochs(epochs: i64) -> Self {
        Self {
            epochs,
            batch_size: 32,
            shuffle: true,
            fraction: 1.0,
            validation: None,
            validation_split: None,
            threads: None,
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

    /// Trains on the first `fraction` of the images, 0 < `fraction` ≤ 1: a quick look. Defaults to 1. With
    /// [`validation_split`](Self::validation_split), it is a fraction of the images that are left for training.
    pub fn fraction(self, fraction: f64) -> Self {
        Self { fraction, ..self }
    }

    /// Evaluates these images after every epoch; nothing is learnt from them. Defaults to none.
    pub fn validation(self, images: &Tensor, labels: &Tensor) -> Self {
        let validation = Some((images.shallow_clone(), labels.shallow_clone()));
        Self { validation, ..self }
    }

    /// Holds the last `split` of the images back, 0 < `split` < 1, as Keras does: they are evaluated after every epoch, and
    /// nothing is learnt from them. The number of images to train on is `n · (1 − split)`, rounded down. Defaults to none;
    /// where there is [`validation`](Self::validation) data too, that is used, and nothing is held back.
    pub fn validation_split(self, split: f64) -> Self {
        Self {
            validation_split: Some(split),
            ..self
        }
    }

    /// Trains with so many threads, whatever else the machine does. Defaults to as many as the work is worth and other
    /// programs leave free, which is faster; but their number affects rounding, so that only with a number of its own does a
    /// training repeat bit for bit from its [`seed`](crate::seed) while other programs run.
    pub fn threads(self, number: i64) -> Self {
        let threads = Some(number);
        Self { threads, ..self }
    }

    /// How much is printed. Defaults to [`Verbosity::Normal`].
    pub fn verbosity(self, verbosity: Verbosity) -> Self {
        Self { verbosity, ..self }
    }

    /// Adds a callback; several are called in the order in which they were added.
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Adds a closure that sees each epoch's loss and accuracy and returns whether to go on.
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
    /// written, a line says so and training goes on.
    pub fn save_each_epoch(self, path: impl Into<PathBuf>) -> Self {
        let save = Some(path.into());
        Self { save, ..self }
    }

    /// The display of its progress.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.verbosity == Verbosity::Silent)
    }

    fn check(&self) -> Result<()> {
        if let Some(path) = &self.save {
            check_path(path)?;
        }
        ensure!(self.epochs >= 1, texts::epochs(self.epochs));
        ensure!(self.batch_size >= 1, texts::batch_size(self.batch_size));
        if let Some(number) = self.threads {
            let possible = (1..=MAX_THREADS).contains(&number);
            ensure!(possible, texts::threads(number, MAX_THREADS));
        }
        let possible = self.fraction > 0.0 && self.fraction <= 1.0;
        ensure!(possible, texts::fraction(self.fraction));
        if let Some(split) = self.validation_split {
            let possible = split > 0.0 && split < 1.0;
            ensure!(possible, texts::validation_split(split));
        }
        Ok(())
    }

    /// How many of `n` images, or else of its own, it validates with.
    pub(crate) fn validation_images(&self, n: i64) -> i64 {
        match (&self.validation, self.validation_split) {
            (Some((images, _)), _) => batch_len(images),
            (None, Some(split)) => n - split_at(n, split).unwrap_or(n),
            (None, None) => 0,
        }
    }
}

impl fmt::Debug for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fit")
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("shuffle", &self.shuffle)
            .field("fraction", &self.fraction)
            .field("validation_split", &self.validation_split)
            .field("callbacks", &self.callbacks.len())
            .finish_non_exhaustive()
    }
}

impl Sequential {
    /// Trains. A second call goes on from where the first stopped, with the optimizer's state.
    ///
    /// `images`: `[images, …one image's shape]`, numbers from 0 to 1; `labels`: class numbers `[images]`.
    /// The history holds each epoch's loss and accuracy. An interrupt ends the step in progress and then the training; the
    /// model keeps the weights of that moment, whatever callbacks there are.
    ///
    /// # Errors
    /// If [`compile`](Self::compile) was not called; a setting, a shape or a label is impossible; the learning rate is
    /// not above 0; or the loss becomes NaN, infinite or more than 1e8: then the weights are again as before that epoch.
    pub fn fit(&mut self, images: &Tensor, labels: &Tensor, mut fit: Fit) -> Result<History> {
        let mut progress = fit.progress();
        let history = self.train(images, labels, &mut fit, &mut progress)?;
        if let Some(interrupt @ Stopped::Interrupt { .. }) = &history.stopped {
            progress.line(interrupt.to_string());
        }
        Ok(history)
    }

    /// [`fit`](Self::fit), but an interrupt is the caller's to report.
    pub(crate) fn train(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        fit: &mut Fit,
        progress: &mut Progress,
    ) -> Result<History> {
        fit.check()?;
        let labels = self.prepare(images, labels)?;
        let (n, validation) = self.validation(images, &labels, fit)?;
        self.warn_unscaled(images)?;

        let (network, compiled) = self.learning_parts()?;
        let used = ((n as f64 * fit.fraction).ceil() as i64).clamp(1, n);
        let to_device = |tensor: &Tensor| tensor.f_narrow(0, 0, used)?.f_to_device(network.device);
        let (images, labels) = compute(|| Ok((to_device(images)?, to_device(&labels)?)))?;
        let _buffers = (network.device == Device::Cpu).then(allocator::Training::begin);
        let threads = match fit.threads {
            Some(number) => Threads::fixed(number),
            None => network.threads(fit.batch_size.min(used)),
        };
        let trainer = Trainer {
            network,
            compiled,
            images,
            labels,
            validation,
            fit,
            threads,
            interrupt: InterruptGuard::new(),
            progress,
        };
        trainer.run()
    }

    /// How many of the images are for training, and what the epochs are validated with.
    fn validation(
        &self,
        images: &Tensor,
        labels: &Tensor,
        fit: &Fit,
    ) -> Result<(i64, Option<(Tensor, Tensor)>)> {
        let all = batch_len(images);
        if let Some((images, labels)) = &fit.validation {
            let checked = self.checked(images, labels);
            let (_, labels) = checked.map_err(|reason| error(texts::validation(reason)))?;
            return Ok((all, Some((images.shallow_clone(), labels))));
        }
        let Some(split) = fit.validation_split else {
            return Ok((all, None));
        };
        let n = split_at(all, split)?;
        let rest = |tensor: &Tensor| tensor.f_narrow(0, n, all - n);
        Ok((n, Some(compute(|| Ok((rest(images)?, rest(labels)?)))?)))
    }

    /// Learns from one batch, and returns its score before the step.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), but a loss that is no number is returned, not an error.
    pub fn train_on_batch(&mut self, images: &Tensor, labels: &Tensor) -> Result<Score> {
        let labels = self.prepare(images, labels)?;
        let (network, compiled) = self.learning_parts()?;
        if network.device == Device::Cpu {
            allocator::keep(allocator::TRAINING);
        }
        let _threads = network.threads(batch_len(images));
        compute(|| {
            let device = network.device;
            let (images, labels) = (images.f_to_device(device)?, labels.f_to_device(device)?);
            let metrics = Vec::<f64>::try_from(step(network, compiled, &images, &labels)?)?;
            Ok(Score {
                loss: metrics[0],
                accuracy: metrics[1] / batch_len(&images) as f64,
            })
        })
    }

    /// Checks all that a step needs, makes the weights if there are none, and returns the labels as the loss wants them.
    fn prepare(&mut self, images: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let Some(compiled) = &self.compiled else {
            bail!(texts::not_compiled());
        };
        compiled.optimizer.check()?;
        self.build_for(images)?;
        self.checked(images, labels).map(|(_, labels)| labels)
    }
}

/// How many of `n` images are left for training when the last `split` of them are held back, rounded as Keras does.
fn split_at(n: i64, split: f64) -> Result<i64> {
    let at = (n as f64 * (1.0 - split)).floor() as i64;
    let possible = at >= 1 && at < n;
    ensure!(possible, texts::validation_split_empty(split, n));
    Ok(at)
}

/// Forward, backward, and the optimizer's step: `[loss, number of correct images]` of the batch, on the device.
fn step(
    network: &mut Network,
    compiled: &mut Compiled,
    images: &Tensor,
    labels: &Tensor,
) -> tch::Result<Tensor> {
    let logits = network.logits(images, Pass::Training)?;
    let loss = cross_entropy(&logits, labels)?;
    let gradient = network.gradient(&loss)?;
    let _guard = tch::no_grad_guard();
    let (state, rate) = (&mut compiled.state, compiled.learning_rate);
    state.step(&compiled.optimizer, rate, &mut network.flat, &gradient)?;
    Tensor::f_stack(&[loss, count_correct(&logits, labels)?], 0)
}

/// One run of [`Sequential::fit`].
struct Trainer<'a> {
    network: &'a mut Network,
    compiled: &'a mut Compiled,
    /// On the network's device, like the labels.
    images: Tensor,
    labels: Tensor,
    validation: Option<(Tensor, Tensor)>,
    fit: &'a mut Fit,
    threads: Threads,
    interrupt: InterruptGuard,
    progress: &'a mut Progress,
}

impl Trainer<'_> {
    /// Trains epoch after epoch, until the last, a callback or an interrupt.
    fn run(mut self) -> Result<History> {
        let mut history = History::default();
        let mut control = Control::new(self.compiled.learning_rate);
        let mut kept = None;
        for callback in &mut self.fit.callbacks {
            callback.on_train_begin();
        }
        for number in 1..=self.fit.epochs {
            for callback in &mut self.fit.callbacks {
                callback.on_epoch_begin(number, &mut control);
            }
            check_learning_rate(control.learning_rate)?;
            self.compiled.learning_rate = control.learning_rate;
            let (epoch, interrupted) = self.epoch(number)?;
            // Callbacks don't see an interrupted epoch.
            if let Some(fraction) = interrupted {
                history.epochs.push(epoch);
                history.stopped = Some(self.interrupt(number, fraction));
                return Ok(history);
            }
            self.progress.line(epoch_line(&epoch, self.fit.epochs));
            let mut keep = false;
            // All callbacks see the epoch, also after one of them has ended the training.
            for callback in &mut self.fit.callbacks {
                if let ControlFlow::Break(reason) = callback.on_epoch_end(&epoch, &mut control) {
                    history.stopped.get_or_insert(Stopped::Callback(reason));
                }
                keep |= std::mem::take(&mut control.keep_weights);
            }
            if keep {
                kept = Some((number, self.snapshot()?));
            }
            history.epochs.push(epoch);
            self.save();
            if let Some(Stopped::Callback(reason)) = &history.stopped {
                if !reason.is_empty() {
                    self.progress.line(reason.clone());
                }
                break;
            }
            if self.interrupt.requested() {
                history.stopped = Some(self.interrupt(number, 1.0));
                return Ok(history);
            }
        }
        if let (true, Some((number, kept))) = (control.restore_weights, kept) {
            self.restore(kept)?;
            history.restored = Some(number);
        }
        Ok(history)
    }

    /// An interrupt after this fraction of an epoch.
    fn interrupt(&self, epoch: i64, fraction: f64) -> Stopped {
        Stopped::Interrupt {
            epoch,
            epochs: self.fit.epochs,
            percent: fraction * 100.0,
        }
    }

    /// Saves the model if `fit` asks for it. A line says what went wrong; training goes on.
    fn save(&mut self) {
        let save = |path| write(path, self.network, Some(self.compiled));
        if let Some(Err(trouble)) = self.fit.save.as_deref().map(save) {
            self.progress.line(trouble.to_string());
        }
    }

    /// Trains for one epoch and validates; if an interrupt came, also tells what fraction of the epoch was done. After an
    /// error the weights are as before.
    fn epoch(&mut self, number: i64) -> Result<(Epoch, Option<f64>)> {
        let begun = Instant::now();
        let before = self.snapshot()?;
        let learnt = self.learn(number, begun);
        if learnt.is_err() {
            self.restore(before)?;
        }
        let (score, mut interrupted) = learnt?;
        let mut epoch = Epoch {
            number,
            seconds: begun.elapsed().as_secs_f64(),
            loss: score.loss,
            accuracy: score.accuracy,
            validation: None,
        };
        if let (None, Some((images, labels))) = (interrupted, &self.validation) {
            let (threads, interrupt) = (&mut self.threads, &self.interrupt);
            epoch.validation = evaluate(self.network, images, labels, threads, interrupt)?;
            if epoch.validation.is_none() {
                interrupted = Some(1.0);
            }
        }
        Ok((epoch, interrupted))
    }

    /// Goes through the images once: the score, and after an interrupt the fraction of them that was seen.
    fn learn(&mut self, number: i64, begun: Instant) -> Result<(Score, Option<f64>)> {
        let n = batch_len(&self.images);
        // Drawn on the CPU: a seed gives the same order on every device.
        let options = (TensorKind::Int64, Device::Cpu);
        let order = match self.fit.shuffle {
            true => Tensor::f_randperm(n, options),
            false => Tensor::f_arange(n, options),
        };
        let order = compute(|| order?.f_to_device(self.network.device))?;
        let batches = compute(|| order.f_split(self.fit.batch_size.min(n), 0))?;
        // A row for each step, on the device until it is read.
        let size = [batches.len() as i64, 2];
        let metrics = compute(|| Tensor::f_zeros(size, (TensorKind::Float, self.network.device)))?;
        let mut due = begun + READ_INTERVAL;
        let (mut steps, mut seen) = (0, 0);
        for rows in &batches {
            compute(|| {
                let images = self.images.f_index_select(0, rows)?;
                let labels = self.labels.f_index_select(0, rows)?;
                let row = step(self.network, self.compiled, &images, &labels)?;
                metrics.f_get(steps)?.f_copy_(&row)
            })?;
            steps += 1;
            seen += batch_len(rows);
            self.threads.follow();
            let interrupted = self.interrupt.requested();
            if !interrupted && Instant::now() < due {
                continue;
            }
            due = Instant::now() + READ_INTERVAL;
            let score = self.read(&metrics, number, steps)?;
            let fraction = seen as f64 / n as f64;
            if interrupted {
                return Ok((score, Some(fraction)));
            }
            if self.progress.is_due() {
                self.show(number, score, fraction, begun.elapsed().as_secs_f64());
            }
        }
        Ok((self.read(&metrics, number, steps)?, None))
    }

    /// The score over the epoch's first `steps` steps, unless the training has diverged: in its loss, or in a weight that
    /// is no number any more.
    fn read(&self, metrics: &Tensor, number: i64, steps: i64) -> Result<Score> {
        let metrics = compute(|| metrics.f_narrow(0, 0, steps)?.f_flatten(0, 1))?;
        let metrics = Vec::<f32>::try_from(metrics).map_err(torch)?;
        let finite = compute(|| all_finite(&self.network.flat))?;
        let (n, batch_size) = (batch_len(&self.images), self.fit.batch_size);
        let (mut sum, mut right, mut seen) = (0.0, 0.0, 0);
        for (step, &[loss, correct]) in (1..).zip(metrics.as_chunks().0) {
            let out_of_bounds = loss.is_nan() || loss > MAX_LOSS;
            if out_of_bounds || (step == steps && !finite) {
                let rate = self.compiled.learning_rate;
                bail!(texts::diverged(number, step, MAX_LOSS, rate));
            }
            // Weighted by the number of images: the last batch may be shorter.
            let size = batch_size.min(n - seen);
            sum += f64::from(loss) * size as f64;
            right += f64::from(correct);
            seen += size;
        }
        Ok(Score {
            loss: sum / seen as f64,
            accuracy: right / seen as f64,
        })
    }

    /// Shows the running epoch after this fraction of it and so many seconds.
    fn show(&mut self, number: i64, score: Score, fraction: f64, seconds: f64) {
        let seen = fraction * batch_len(&self.images) as f64;
        let mut text = texts::epoch_running(
            number,
            self.fit.epochs,
            fraction * 100.0,
            score.loss,
            score.accuracy,
            (seconds / fraction * (1.0 - fraction)).ceil(),
            seen / seconds,
        );
        if self.threads.are_halved() {
            text.push_str(&texts::machine_shared());
        }
        self.progress.update(fraction, &text);
    }

    /// Weights and optimizer state of this moment.
    fn snapshot(&self) -> Result<(Tensor, OptimizerState)> {
        let weights = &self.network.flat;
        compute(|| Ok((weights.f_detach_copy()?, self.compiled.state.copy()?)))
    }

    fn restore(&mut self, (weights, state): (Tensor, OptimizerState)) -> Result<()> {
        self.compiled.state = state;
        tch::no_grad(|| self.network.flat.f_copy_(&weights)).map_err(torch)
    }
}
