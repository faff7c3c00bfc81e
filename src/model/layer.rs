//! The layers: what each does to a shape, and which weights it has.

use std::collections::HashMap;
use std::fmt;

use crate::Result;
use crate::session::{error, memory, texts};

/// The most weights of a layer and the most pixels of an image: more is a slip of the keyboard, and libtorch would ask
/// the system for all of it at once.
const MOST: i64 = 1 << 31;

/// What a training keeps for each weight, in bytes: nine numbers. Its value, its gradient by itself and in the row of all,
/// Adam's two moments and what a step works out, and the value and the moments before the epoch.
const TRAINING_BYTES: u64 = 9 * 4;

/// What a layer applies to each of its sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// The sum as it is.
    #[default]
    Linear,
    /// `max(0, x)`.
    Relu,
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `e^x / Σ e^x` over the layer's units: the probabilities of the classes. Only for the last layer.
    Softmax,
}

impl Activation {
    /// The name that Keras uses and that files hold.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax => "softmax",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [
            Self::Linear,
            Self::Relu,
            Self::Sigmoid,
            Self::Tanh,
            Self::Softmax,
        ]
        .into_iter()
        .find(|activation| activation.name() == name)
    }
}

/// One layer of a [`Sequential`](crate::Sequential) model, made by [`conv2d`], [`max_pooling2d`], [`flatten`],
/// [`dense`] or [`dropout`]. It holds no weights: the model does, once the shape of its input is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer(pub(crate) Kind);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Conv2d {
        filters: i64,
        kernel: (i64, i64),
        activation: Activation,
    },
    MaxPooling2d {
        pool: (i64, i64),
    },
    Flatten,
    Dense {
        units: i64,
        activation: Activation,
    },
    Dropout {
        rate: f64,
    },
}

/// A convolution: `filters` windows of `kernel` = (height, width) pixels slide over the image, one pixel at a time and
/// only where they fit whole (Keras's `padding="valid"`).
///
/// Input `[channels, h, w]`, output `[filters, h − kh + 1, w − kw + 1]`; `(channels · kh · kw + 1) · filters` weights.
/// Kernels begin as Glorot uniform, biases as zero.
///
/// A mistake (no filters, a window larger than the image) is reported by the model as soon as it knows its input.
pub fn conv2d(filters: i64, kernel: (i64, i64), activation: Activation) -> Layer {
    Layer(Kind::Conv2d {
        filters,
        kernel,
        activation,
    })
}

/// Keeps the largest value of each `h` × `w` window; the windows lie side by side and a rest at the edge is dropped.
///
/// Input `[channels, rows, columns]`, output `[channels, rows / h, columns / w]` rounded down: 2 × 2 leaves a quarter of
/// the image. No weights.
pub fn max_pooling2d(h: i64, w: i64) -> Layer {
    Layer(Kind::MaxPooling2d { pool: (h, w) })
}

/// Makes one row of an image: input `[channels, h, w]` or `[h, w]`, output `[channels · h · w]`. No weights.
pub fn flatten() -> Layer {
    Layer(Kind::Flatten)
}

/// A layer of `units` sums, each over all inputs: input `[n]`, output `[units]`; `(n + 1) · units` weights.
///
/// Kernels begin as Glorot uniform, biases as zero.
pub fn dense(units: i64, activation: Activation) -> Layer {
    Layer(Kind::Dense { units, activation })
}

/// While training, sets each value to zero with probability `rate` (0 ≤ rate < 1) and scales the others by
/// `1 / (1 − rate)`; otherwise does nothing. Any shape. No weights.
pub fn dropout(rate: f64) -> Layer {
    Layer(Kind::Dropout { rate })
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Conv2d {
                filters,
                kernel: (h, w),
                activation,
            } => {
                write!(f, "conv2d({filters}, ({h}, {w}), {activation:?})")
            }
            Kind::MaxPooling2d { pool: (h, w) } => write!(f, "max_pooling2d({h}, {w})"),
            Kind::Flatten => write!(f, "flatten()"),
            Kind::Dense { units, activation } => write!(f, "dense({units}, {activation:?})"),
            Kind::Dropout { rate } => write!(f, "dropout({rate})"),
        }
    }
}

impl Layer {
    /// The name that Keras gives to a layer of this kind.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.0 {
            Kind::Conv2d { .. } => "conv2d",
            Kind::MaxPooling2d { .. } => "max_pooling2d",
            Kind::Flatten => "flatten",
            Kind::Dense { .. } => "dense",
            Kind::Dropout { .. } => "dropout",
        }
    }

    pub(crate) fn activation(&self) -> Activation {
        match self.0 {
            Kind::Conv2d { activation, .. } | Kind::Dense { activation, .. } => activation,
            _ => Activation::Linear,
        }
    }

    /// The shapes of kernel and bias for an input of shape `input`, for a layer that has them.
    pub(crate) fn weight_shapes(&self, input: &[i64]) -> Option<(Vec<i64>, Vec<i64>)> {
        match self.0 {
            Kind::Conv2d {
                filters,
                kernel: (h, w),
                ..
            } => Some((vec![filters, input[0], h, w], vec![filters])),
            Kind::Dense { units, .. } => Some((vec![units, input[0]], vec![units])),
            _ => None,
        }
    }

    /// How many weights the layer has after an input of shape `input`, counted without overflow.
    pub(crate) fn parameters(&self, input: &[i64]) -> i64 {
        let product = |shape: &[i64]| shape.iter().fold(1i64, |a, &b| a.saturating_mul(b));
        self.weight_shapes(input).map_or(0, |(kernel, bias)| {
            product(&kernel).saturating_add(product(&bias))
        })
    }

    /// The shape that comes out for an image of shape `input`, both without the number of images.
    pub(crate) fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        match self.0 {
            Kind::Conv2d {
                filters,
                kernel: (h, w),
                ..
            } => {
                positive(at, texts::what_filters, filters)?;
                positive(at, texts::what_window_height, h)?;
                positive(at, texts::what_window_width, w)?;
                let [_, rows, columns] = image(at, input)?;
                if h > rows || w > columns {
                    let kernel_too_large = |input| texts::kernel_too_large(at, window(h, w), input);
                    return Err(too_large(at, input, kernel_too_large));
                }
                Ok(vec![filters, rows - h + 1, columns - w + 1])
            }
            Kind::MaxPooling2d { pool: (h, w) } => {
                positive(at, texts::what_window_height, h)?;
                positive(at, texts::what_window_width, w)?;
                let [channels, rows, columns] = image(at, input)?;
                if h > rows || w > columns {
                    let pool_too_large = |input| texts::pool_too_large(at, window(h, w), input);
                    return Err(too_large(at, input, pool_too_large));
                }
                // h_out = h / pool, rounded down.
                Ok(vec![channels, rows / h, columns / w])
            }
            Kind::Flatten => {
                if input.len() == 1 {
                    return Err(error(texts::flat_already(at, shape(input))));
                }
                Ok(vec![input.iter().fold(1i64, |a, &b| a.saturating_mul(b))])
            }
            Kind::Dense { units, .. } => {
                positive(at, texts::what_units, units)?;
                if input.len() != 1 {
                    return Err(error(texts::dense_needs_flat(at, shape(input))));
                }
                Ok(vec![units])
            }
            Kind::Dropout { rate } => {
                if !(0.0..1.0).contains(&rate) {
                    return Err(error(texts::dropout_rate(at, rate)));
                }
                Ok(input.to_vec())
            }
        }
    }
}

/// Which layer it is, for messages: "layer 3 (dense)".
#[derive(Clone, Debug)]
pub(crate) struct LayerRef {
    /// Counted from 1.
    pub position: usize,
    /// As in Keras: `conv2d`, `conv2d_1`, …
    pub name: String,
}

impl fmt::Display for LayerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&texts::place(self.position, &self.name))
    }
}

/// `[1, 28, 28]`.
pub(crate) fn shape(shape: &[i64]) -> String {
    format!("{shape:?}")
}

fn window(h: i64, w: i64) -> String {
    format!("{h}×{w}")
}

fn positive(at: &LayerRef, what: fn() -> String, value: i64) -> Result<()> {
    if value < 1 {
        return Err(error(texts::not_positive(at, what(), value)));
    }
    Ok(())
}

fn image(at: &LayerRef, input: &[i64]) -> Result<[i64; 3]> {
    match *input {
        [channels, rows, columns] => Ok([channels, rows, columns]),
        [h, w] => Err(error(texts::no_channels(
            at,
            shape(input),
            shape(&[-1, 1, h, w]),
            shape(&[1, h, w]),
        ))),
        [_, channels, rows, columns] => Err(error(texts::batch_for_image(
            at,
            shape(input),
            shape(&[channels, rows, columns]),
        ))),
        _ => Err(error(texts::needs_image(at, shape(input)))),
    }
}

/// A window larger than its input: because the channels stand last, or for what it is.
fn too_large(at: &LayerRef, input: &[i64], text: impl Fn(String) -> String) -> anyhow::Error {
    error(match *input {
        [rows, columns, channels] if looks_channels_last(input) => {
            texts::channels_last(at, shape(input), shape(&[channels, rows, columns]))
        }
        _ => text(shape(input)),
    })
}

/// `[28, 28, 1]`: a size that Keras would write, with the channels at the end.
pub(crate) fn looks_channels_last(input: &[i64]) -> bool {
    matches!(*input, [a, b, c] if c <= 4 && a > 4 && b > 4)
}

/// A layer in its at, before it has weights. Both shapes are without the number of images.
#[derive(Clone, Debug)]
pub(crate) struct LayerPlan {
    pub layer: Layer,
    pub at: LayerRef,
    pub input: Vec<i64>,
    pub output: Vec<i64>,
}

/// Works out each layer's name and shapes, if each can follow the one before it. Nothing is allocated.
pub(crate) fn plan(layers: &[Layer], input_shape: &[i64]) -> Result<Vec<LayerPlan>> {
    if layers.is_empty() {
        return Err(error(texts::no_layers()));
    }
    check_input_shape(input_shape)?;
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut input = input_shape.to_vec();
    let mut plans = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let kind = layer.kind_name();
        let seen = names.entry(kind).or_default();
        let name = match *seen {
            0 => kind.to_string(),
            n => format!("{kind}_{n}"),
        };
        *seen += 1;
        let at = LayerRef {
            position: i + 1,
            name,
        };
        let output = layer.output_shape(&at, &input)?;
        if layer.activation() == Activation::Softmax && i + 1 < layers.len() {
            return Err(error(texts::softmax_in_the_middle(at)));
        }
        let parameters = layer.parameters(&input);
        if parameters > MOST {
            return Err(error(texts::too_many_parameters(at, parameters)));
        }
        plans.push(LayerPlan {
            layer: layer.clone(),
            at,
            input: std::mem::replace(&mut input, output.clone()),
            output,
        });
    }
    check_memory(&plans)?;
    Ok(plans)
}

fn check_input_shape(input_shape: &[i64]) -> Result<()> {
    if input_shape.is_empty() || input_shape.iter().any(|&size| size < 1) {
        return Err(error(texts::bad_input_shape(shape(input_shape))));
    }
    let pixels = input_shape
        .iter()
        .try_fold(1i64, |pixels, &size| pixels.checked_mul(size));
    if pixels.is_none_or(|pixels| pixels > MOST) {
        return Err(error(texts::image_too_large(shape(input_shape), MOST)));
    }
    Ok(())
}

/// Refuses a model that can't be trained in memory. The layer to shrink is the first of the largest, not the one that
/// happens to come when memory is full.
fn check_memory(plans: &[LayerPlan]) -> Result<()> {
    let parameters = |plan: &LayerPlan| plan.layer.parameters(&plan.input);
    let all: u64 = plans.iter().map(|plan| parameters(plan) as u64).sum();
    // Of several maxima `max_by_key` takes the last: here the first layer.
    let largest = plans.iter().rev().max_by_key(|plan| parameters(plan));
    match largest {
        Some(largest) if all > memory::total() / TRAINING_BYTES => Err(error(
            texts::too_many_parameters(&largest.at, parameters(largest)),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Activation::{Relu, Softmax};
    use super::*;

    #[test]
    fn a_model_that_can_not_be_trained_in_memory_is_refused_before_it_is_made() {
        let parameters = memory::total() / TRAINING_BYTES;
        // Half of what there is for the one layer, which has room, and for the next, which has not.
        let units = (parameters as i64 / 2 / 785).min(MOST / 785);
        let plan = |middle: i64| {
            let layers = [
                flatten(),
                dense(units, Relu),
                dense(middle, Relu),
                dense(10, Softmax),
            ];
            super::plan(&layers, &[1, 28, 28]).map(|_| ())
        };
        assert!(plan(1).is_ok());
        let said = plan(800).unwrap_err().to_string();
        assert!(
            said.contains("dense_1") && said.contains("memory"),
            "{said}"
        );
        // Here the small last layer is the one too many; the large one before it is named.
        let said = plan(785).unwrap_err().to_string();
        assert!(said.contains("dense_1"), "{said}");
    }
}
