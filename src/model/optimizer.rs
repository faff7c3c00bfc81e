//! The optimisers, and their state over one flat tensor of all weights.

use tch::{Device, Kind, Tensor};

use crate::Result;
use crate::session::{error, texts};

/// How the weights follow the gradients: [`Adam`] or [`Sgd`].
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    /// Adaptive moments.
    Adam(Adam),
    /// Gradient descent.
    Sgd(Sgd),
}

/// Adam (Kingma and Ba, 2015), with Keras's defaults and Keras's place for epsilon.
///
/// `m ← β₁·m + (1 − β₁)·g`, `v ← β₂·v + (1 − β₂)·g²`, `w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// η, the step. Defaults to 0.001.
    pub learning_rate: f64,
    /// β₁, how long the mean of the gradients remembers. Defaults to 0.9.
    pub beta_1: f64,
    /// β₂, how long the mean of their squares remembers. Defaults to 0.999.
    pub beta_2: f64,
    /// ε, keeps the division from zero. Defaults to 1e-7.
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

    /// The learning rate of step number `step`, from 1, with what makes up for moments that began at zero.
    fn rate(&self, learning_rate: f64, step: i64) -> f64 {
        let t = step as f64;
        learning_rate * (1.0 - self.beta_2.powf(t)).sqrt() / (1.0 - self.beta_1.powf(t))
    }

    /// A step in one loop over the numbers, if one thread computes and they lie where a loop can reach them.
    ///
    /// libtorch needs eight operations for it, the joining of the gradients included, and each goes through memory by
    /// itself. With the loop a step of the lesson's dense net takes 0.37 ms instead of 0.48. Where two threads compute, each
    /// has its half of the weights in its own cache, and libtorch's operations keep to the halves: a step of the lesson's
    /// last net takes 1.6 or 2.7 ms with them, 1.5 or 4.7 with the loop, as the two cores share a cache or not.
    fn step_in_one_loop(
        &self,
        rate: f64,
        weights: &mut Tensor,
        gradients: &[Tensor],
        m: &mut Tensor,
        v: &mut Tensor,
    ) -> bool {
        if tch::get_num_threads() > 1 {
            return false;
        }
        let (Some(weights), Some(m), Some(v)) =
            (numbers_mut(weights), numbers_mut(m), numbers_mut(v))
        else {
            return false;
        };
        let Some(gradients) = gradients.iter().map(numbers).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let len: usize = gradients.iter().map(|row| row.len()).sum();
        if [weights.len(), m.len(), v.len()] != [len; 3] {
            return false;
        }
        let mut begin = 0;
        for row in gradients {
            let place = begin..begin + row.len();
            begin = place.end;
            self.follow(
                rate,
                &mut weights[place.clone()],
                row,
                &mut m[place.clone()],
                &mut v[place],
            );
        }
        true
    }

    /// A step of any number of weights on any device.
    fn step_by_libtorch(
        &self,
        rate: f64,
        weights: &mut Tensor,
        gradients: &Tensor,
        m: &mut Tensor,
        v: &mut Tensor,
    ) -> tch::Result<()> {
        let _ = m.f_lerp_(gradients, 1.0 - self.beta_1)?;
        let _ = v.f_lerp_(&gradients.f_square()?, 1.0 - self.beta_2)?;
        // The rate goes into the divisor, so that one call divides and adds.
        let mut divisor = v.f_sqrt()?;
        let _ = divisor.f_add_scalar_(self.epsilon)?;
        let _ = divisor.f_mul_scalar_(-1.0 / rate)?;
        let _ = weights.f_addcdiv_(m, &divisor)?;
        Ok(())
    }

    /// The formula, for each number.
    fn follow(
        &self,
        rate: f64,
        weights: &mut [f32],
        gradients: &[f32],
        m: &mut [f32],
        v: &mut [f32],
    ) {
        let (rate, epsilon) = (rate as f32, self.epsilon as f32);
        let (to_m, to_v) = ((1.0 - self.beta_1) as f32, (1.0 - self.beta_2) as f32);
        for (((w, &g), m), v) in weights.iter_mut().zip(gradients).zip(m).zip(v) {
            *m += to_m * (g - *m);
            *v += to_v * (g * g - *v);
            *w -= rate * *m / (v.sqrt() + epsilon);
        }
    }
}

/// The numbers of a tensor, if they are floats that lie side by side in the processor's memory.
fn numbers(tensor: &Tensor) -> Option<&[f32]> {
    let near = tensor.device() == Device::Cpu && tensor.kind() == WEIGHT_KIND;
    if !near || tensor.is_mkldnn() || tensor.is_sparse() || !tensor.is_contiguous() {
        return None;
    }
    let begin = tensor.data_ptr().cast::<f32>();
    #[allow(unsafe_code)]
    // libtorch has no other door to them. Sound: the tensor is contiguous, of this kind and in this memory, which it keeps
    // as long as it is borrowed.
    (!begin.is_null()).then(|| unsafe { std::slice::from_raw_parts(begin, tensor.numel()) })
}

/// The same, to be changed. No other tensor's numbers may be looked at while the answer is kept that are a window into these.
fn numbers_mut(tensor: &mut Tensor) -> Option<&mut [f32]> {
    let len = numbers(tensor)?.len();
    let begin = tensor.data_ptr().cast::<f32>();
    #[allow(unsafe_code)]
    // As above; the tensor is borrowed for this alone.
    Some(unsafe { std::slice::from_raw_parts_mut(begin, len) })
}

/// Stochastic gradient descent, with momentum where asked for: `u ← μ·u − η·g`, `w ← w + u`.
#[derive(Clone, Debug, PartialEq)]
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

    /// Refuses numbers with which no training makes sense.
    pub(crate) fn check(&self) -> Result<()> {
        check_learning_rate(self.learning_rate())?;
        let shares: &[(&str, f64)] = match self {
            Self::Adam(adam) => &[("beta_1", adam.beta_1), ("beta_2", adam.beta_2)],
            Self::Sgd(sgd) => &[("momentum", sgd.momentum)],
        };
        for &(name, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(error(texts::optimizer_share(name, value)));
            }
        }
        if let Self::Adam(adam) = self
            && !(adam.epsilon > 0.0 && adam.epsilon.is_finite())
        {
            return Err(error(texts::optimizer_epsilon(adam.epsilon)));
        }
        Ok(())
    }
}

pub(crate) fn check_learning_rate(value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(error(texts::learning_rate(value)))
    }
}

/// What an optimiser remembers between steps: each tensor has one number for each weight, in the weights' order.
#[derive(Debug)]
pub(crate) struct State {
    pub steps: i64,
    /// Adam: m and v. Sgd with momentum: u. Otherwise none.
    pub moments: Vec<(&'static str, Tensor)>,
}

impl State {
    pub(crate) fn new(optimizer: &Optimizer, weights: &Tensor) -> tch::Result<Self> {
        let names: &[&str] = match optimizer {
            Optimizer::Adam(_) => &["m", "v"],
            Optimizer::Sgd(sgd) if sgd.momentum != 0.0 => &["u"],
            Optimizer::Sgd(_) => &[],
        };
        let zeros = |&name| Ok((name, weights.f_zeros_like()?.f_detach()?));
        Ok(Self {
            steps: 0,
            moments: names.iter().map(zeros).collect::<tch::Result<_>>()?,
        })
    }

    pub(crate) fn copy(&self) -> tch::Result<Self> {
        let copy = |(name, tensor): &(_, Tensor)| Ok((*name, tensor.f_detach_copy()?));
        Ok(Self {
            steps: self.steps,
            moments: self.moments.iter().map(copy).collect::<tch::Result<_>>()?,
        })
    }

    /// Sets to zero what has faded: the moments of a weight without gradient shrink from step to step until they are
    /// subnormal numbers, with which many processors count a hundred times slower, and there they stay. After two
    /// epochs of handwritten digits it was every seventh moment of the lesson's last net. A moment this small moves a
    /// weight by less than 1e-23 of the learning rate.
    fn drop_faded(&mut self) -> tch::Result<()> {
        const FADED: f64 = 1e-30;
        for (_, moment) in &mut self.moments {
            let alive = moment.f_abs()?.f_ge(FADED)?;
            let _ = moment.f_mul_(&alive)?;
        }
        Ok(())
    }

    /// One step: `weights` is flat, and so are the rows of `gradients`, which have the same numbers behind one another.
    pub(crate) fn step(
        &mut self,
        optimizer: &Optimizer,
        learning_rate: f64,
        weights: &mut Tensor,
        gradients: &[Tensor],
    ) -> tch::Result<()> {
        self.steps += 1;
        // A moment above the limit can't become subnormal in between: 1e-30 · 0.9¹²⁸ = 1.4e-36.
        if self.steps % 128 == 0 {
            self.drop_faded()?;
        }
        match (optimizer, self.moments.as_mut_slice()) {
            (Optimizer::Adam(adam), [(_, m), (_, v)]) => {
                let rate = adam.rate(learning_rate, self.steps);
                if !adam.step_in_one_loop(rate, weights, gradients, m, v) {
                    adam.step_by_libtorch(rate, weights, &Tensor::f_cat(gradients, 0)?, m, v)?;
                }
            }
            (Optimizer::Sgd(sgd), [(_, u)]) => {
                let _ = u.f_mul_scalar_(sgd.momentum)?;
                let gradients = Tensor::f_cat(gradients, 0)?;
                let _ = u.f_sub_(&gradients.f_mul_scalar(learning_rate)?)?;
                let _ = weights.f_add_(u)?;
            }
            _ => {
                let gradients = Tensor::f_cat(gradients, 0)?;
                let _ = weights.f_sub_(&gradients.f_mul_scalar(learning_rate)?)?;
            }
        }
        Ok(())
    }
}

/// The kind of number that weights are.
pub(crate) const WEIGHT_KIND: Kind = Kind::Float;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_and_libtorch_take_the_same_steps() {
        tch::set_num_threads(1);
        let options = (WEIGHT_KIND, Device::Cpu);
        let adam = Adam::default();
        let state = |weights: &Tensor| {
            let copy = weights.f_detach_copy().unwrap();
            let moments = State::new(&Optimizer::Adam(adam.clone()), weights).unwrap();
            let [m, v] = [0, 1].map(|i| moments.moments[i].1.shallow_clone());
            [copy, m, v]
        };
        let weights = Tensor::randn([1000], options);
        let ([mut w1, mut m1, mut v1], [mut w2, mut m2, mut v2]) =
            (state(&weights), state(&weights));
        for step in 1..=10 {
            let rows = [Tensor::randn([990], options), Tensor::randn([10], options)];
            // Some weights have no gradient, or one that is hardly a number any more.
            let rows = rows.map(|row| &row * row.ge(-0.5) * row.le(2.0) + 1e-30);
            let rate = adam.rate(1e-3, step);
            assert!(adam.step_in_one_loop(rate, &mut w1, &rows, &mut m1, &mut v1));
            let row = Tensor::cat(&rows, 0);
            adam.step_by_libtorch(rate, &mut w2, &row, &mut m2, &mut v2)
                .unwrap();
        }
        assert!(!w1.allclose(&weights, 1e-3, 1e-3, false));
        for (one, other) in [(&w1, &w2), (&m1, &m2), (&v1, &v2)] {
            assert!(
                one.allclose(other, 1e-5, 1e-7, false),
                "{}",
                (one - other).abs().max()
            );
        }
    }

    #[test]
    fn the_loop_leaves_what_it_can_not_reach() {
        let options = (WEIGHT_KIND, Device::Cpu);
        let adam = Adam::default();
        let zeros = |n| Tensor::zeros([n], options);
        let tried = |rows: &[Tensor]| {
            let [mut w, mut m, mut v] = [6, 6, 6].map(zeros);
            adam.step_in_one_loop(1e-3, &mut w, rows, &mut m, &mut v)
        };
        tch::set_num_threads(2);
        assert!(!tried(&[zeros(4), zeros(2)]));
        // The number is the calling thread's.
        tch::set_num_threads(1);
        assert!(tried(&[zeros(4), zeros(2)]));
        let scattered = Tensor::zeros([6, 2], options).select(1, 0);
        assert!(!tried(&[scattered]));
        assert!(!tried(&[zeros(6).to_kind(Kind::Double)]));
        assert!(!tried(&[zeros(4)]));
        assert!(!tried(&[zeros(4).to_mkldnn(), zeros(2)]));
    }
}
