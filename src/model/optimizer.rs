//! The optimizers, and their state over one flat tensor of all weights.

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Result;
use crate::session::texts;

/// How gradients change the weights: [`Adam`] or [`Sgd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Optimizer {
    /// Adaptive moment estimation.
    Adam(Adam),
    /// Stochastic gradient descent.
    Sgd(Sgd),
}

/// Adam (Kingma and Ba, 2015), with Keras's defaults and Keras's place for epsilon.
///
/// `m ← β₁·m + (1 − β₁)·g`, `v ← β₂·v + (1 − β₂)·g²`, `w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// η, the step. Defaults to 0.001.
    pub learning_rate: f64,
    /// β₁, the decay of the mean of the gradients. Defaults to 0.9.
    pub beta_1: f64,
    /// β₂, the decay of the mean of their squares. Defaults to 0.999.
    pub beta_2: f64,
    /// ε, keeps the divisor above 0. Defaults to 1e-7.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

impl Adam {
    /// Adam with another learning rate, otherwise Keras's defaults.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            ..Self::default()
        }
    }
}

/// Stochastic gradient descent, with momentum if that is not 0: `u ← μ·u − η·g`, `w ← w + u`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    /// η, the step. Defaults to 0.01.
    pub learning_rate: f64,
    /// μ, 0 ≤ μ < 1. Defaults to 0: plain gradient descent.
    pub momentum: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            momentum: 0.0,
        }
    }
}

impl Sgd {
    /// Gradient descent with another learning rate, without momentum.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            ..Self::default()
        }
    }

    /// The same with a momentum, 0 ≤ `momentum` < 1.
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }
}

impl From<Adam> for Optimizer {
    fn from(adam: Adam) -> Self {
        Self::Adam(adam)
    }
}

impl From<Sgd> for Optimizer {
    fn from(sgd: Sgd) -> Self {
        Self::Sgd(sgd)
    }
}

impl Optimizer {
    pub(crate) fn learning_rate(&self) -> f64 {
        match self {
            Self::Adam(adam) => adam.learning_rate,
            Self::Sgd(sgd) => sgd.learning_rate,
        }
    }

    /// The names of what it keeps of each weight from step to step.
    pub(crate) fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Adam(_) => &["m", "v"],
            Self::Sgd(sgd) if sgd.momentum != 0.0 => &["u"],
            Self::Sgd(_) => &[],
        }
    }

    /// Refuses impossible settings.
    pub(crate) fn check(&self) -> Result<()> {
        check_learning_rate(self.learning_rate())?;
        let decays: &[(&str, f64)] = match self {
            Self::Adam(adam) => &[("beta_1", adam.beta_1), ("beta_2", adam.beta_2)],
            Self::Sgd(sgd) => &[("momentum", sgd.momentum)],
        };
        for &(name, value) in decays {
            let possible = (0.0..1.0).contains(&value);
            ensure!(possible, texts::optimizer_decay(name, value));
        }
        if let &Self::Adam(Adam { epsilon, .. }) = self {
            let possible = epsilon > 0.0 && epsilon.is_finite();
            ensure!(possible, texts::optimizer_epsilon(epsilon));
        }
        Ok(())
    }
}

pub(crate) fn check_learning_rate(value: f64) -> Result<()> {
    let possible = value > 0.0 && value.is_finite();
    ensure!(possible, texts::learning_rate(value));
    Ok(())
}

/// The optimizer state: what is kept from step to step.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct OptimizerState {
    pub steps: u64,
    /// The [`Optimizer::moments`], flat tensors in the weights' order, made at the first step. A file has them as tensors.
    #[serde(skip)]
    pub moments: Vec<(&'static str, Tensor)>,
}

impl OptimizerState {
    pub(crate) fn copy(&self) -> tch::Result<Self> {
        let copy = |(name, tensor): &(_, Tensor)| Ok((*name, tensor.f_detach_copy()?));
        Ok(Self {
            steps: self.steps,
            moments: self.moments.iter().map(copy).collect::<tch::Result<_>>()?,
        })
    }

    /// Sets tiny moments to zero: the moments of a weight without gradient shrink from step to step until they are
    /// subnormal numbers, with which many processors compute a hundred times slower, and there they stay. After two
    /// epochs of handwritten digits it was every seventh moment of the lesson's last net. A moment this small moves a
    /// weight by less than 1e-23 of the learning rate.
    fn flush_tiny_moments(&mut self) -> tch::Result<()> {
        const TINY: f64 = 1e-30;
        for (_, moment) in &mut self.moments {
            let alive = moment.f_abs()?.f_ge(TINY)?;
            let _ = moment.f_mul_(&alive)?;
        }
        Ok(())
    }

    /// One step. Both tensors are flat, with the same order of weights.
    pub(crate) fn step(
        &mut self,
        optimizer: &Optimizer,
        learning_rate: f64,
        weights: &mut Tensor,
        gradient: &Tensor,
    ) -> tch::Result<()> {
        if self.steps == 0 {
            let zeros = |&name| Ok((name, weights.f_zeros_like()?));
            let names = optimizer.moments().iter();
            self.moments = names.map(zeros).collect::<tch::Result<_>>()?;
        }
        // A file may hold any number.
        self.steps = self.steps.saturating_add(1);
        // A moment above the limit can't become subnormal in between: 1e-30 · 0.9¹²⁸ = 1.4e-36.
        if self.steps.is_multiple_of(128) {
            self.flush_tiny_moments()?;
        }
        match (optimizer, self.moments.as_mut_slice()) {
            (Optimizer::Adam(adam), [(_, m), (_, v)]) => {
                // Bias correction included.
                let t = self.steps as f64;
                let rate = learning_rate * (1.0 - adam.beta_2.powf(t)).sqrt();
                let rate = rate / (1.0 - adam.beta_1.powf(t));
                let _ = m.f_lerp_(gradient, 1.0 - adam.beta_1)?;
                let _ = v.f_lerp_(&gradient.f_square()?, 1.0 - adam.beta_2)?;
                // The rate goes into the divisor, so that one call divides and adds.
                let mut divisor = v.f_sqrt()?;
                let _ = divisor.f_add_scalar_(adam.epsilon)?;
                let _ = divisor.f_mul_scalar_(-1.0 / rate)?;
                let _ = weights.f_addcdiv_(m, &divisor)?;
            }
            (Optimizer::Sgd(sgd), [(_, u)]) => {
                let _ = u.f_mul_scalar_(sgd.momentum)?;
                let _ = u.f_sub_(&gradient.f_mul_scalar(learning_rate)?)?;
                let _ = weights.f_add_(u)?;
            }
            _ => {
                let _ = weights.f_sub_(&gradient.f_mul_scalar(learning_rate)?)?;
            }
        }
        Ok(())
    }
}

/// The type of the weights, and of all that is computed with them.
pub(crate) const WEIGHT_KIND: Kind = Kind::Float;
