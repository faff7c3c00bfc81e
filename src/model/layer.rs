//! The layers. A new kind is one block here (its struct, the function that makes it, and [`Operation`]) with its two lines in
//! [`LayerKind`], and a test.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::Result;
use crate::session::{error, memory, texts};

/// The most weights of a layer and the most pixels of an image: more is almost certainly a typo, and libtorch would ask
/// the system for all of it at once.
const MAX_NUMBERS: i64 = 1 << 31;

/// What a training keeps for each weight, in bytes: nine numbers. Its value, its gradient in its own tensor and in the flat
/// one, Adam's two moments and what a step works out, and the value and the moments before the epoch.
const TRAINING_BYTES: u64 = 9 * 4;

/// The function that a layer applies to each of its outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// None: `x` as it is.
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
    /// What a table adds to a layer: nothing for the usual activations.
    fn suffix(self) -> String {
        match self {
            Self::Relu | Self::Softmax => String::new(),
            other => format!(" {other:?}").to_lowercase(),
        }
    }
}

/// One layer of a [`Sequential`](crate::Sequential) model, made by [`conv2d`], [`max_pooling2d`], [`flatten`],
/// [`dense`] or [`dropout`]. It holds no weights: the model does, once the shape of its input is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer(pub(crate) LayerKind);

/// Every kind of layer. Files name them in this way too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case")]
pub(crate) enum LayerKind {
    Conv2d(Conv2d),
    MaxPooling2d(MaxPooling2d),
    Flatten(Flatten),
    Dense(Dense),
    Dropout(Dropout),
}

impl Layer {
    pub(crate) fn operation(&self) -> &dyn Operation {
        match &self.0 {
            LayerKind::Conv2d(conv2d) => conv2d,
            LayerKind::MaxPooling2d(max_pooling2d) => max_pooling2d,
            LayerKind::Flatten(flatten) => flatten,
            LayerKind::Dense(dense) => dense,
            LayerKind::Dropout(dropout) => dropout,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation().call())
    }
}

/// What a kind of layer does. Shapes are without the number of images.
pub(crate) trait Operation {
    /// The name that Keras gives to a layer of this kind.
    fn name(&self) -> &'static str;

    /// The call that makes the layer.
    fn call(&self) -> String;

    /// The layer in a table of networks, without what is usual; none if it goes without saying.
    fn short(&self) -> Option<String>;

    /// What the network applies to the output of [`forward`](Self::forward).
    fn activation(&self) -> Activation {
        Activation::Linear
    }

    /// Names and shapes of the weights for an input of this shape, which [`output_shape`](Self::output_shape) has checked.
    /// What has one axis begins as zero, everything else as Glorot uniform with its outputs and inputs first.
    fn weights(&self, _input: &[i64]) -> Vec<(&'static str, Vec<i64>)> {
        Vec::new()
    }

    /// The shape that comes out; or why this layer can't have such an input. `at` is for the message.
    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>>;

    /// Which memory layout of its input it can take.
    fn layout(&self) -> Layout {
        Layout::Plain
    }

    /// Whether each output is the largest of some inputs: then an activation before it may as well come after it.
    fn takes_largest(&self) -> bool {
        false
    }

    /// The output for a batch of images, before the activation.
    fn forward(&self, x: &Tensor, weights: &[Tensor], pass: Pass) -> tch::Result<Tensor>;
}

/// How images may lie in memory.
pub(crate) enum Layout {
    /// libtorch's own only.
    Plain,
    /// Best in oneDNN's.
    OneDnn,
    /// Either; the output lies as the input does.
    Any,
}

/// Why a forward pass is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Dropout works, gradients are kept.
    Training,
    /// Dropout does nothing.
    Inference,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conv2d {
    pub filters: i64,
    pub kernel: (i64, i64),
    pub activation: Activation,
}

/// A convolution: `filters` windows of `kernel` = (height, width) pixels slide over the image, one pixel at a time and
/// only where they fit whole (Keras's `padding="valid"`).
///
/// Input `[channels, h, w]`, output `[filters, h − kh + 1, w − kw + 1]`; `(channels · kh · kw + 1) · filters` weights.
/// Kernels begin as Glorot uniform, biases as zero.
///
/// A mistake (no filters, a window larger than the image) is reported by the model as soon as it knows its input.
pub fn conv2d(filters: i64, kernel: (i64, i64), activation: Activation) -> Layer {
    Layer(LayerKind::Conv2d(Conv2d {
        filters,
        kernel,
        activation,
    }))
}

impl Operation for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn call(&self) -> String {
        let (filters, kernel, activation) = (self.filters, self.kernel, self.activation);
        format!("conv2d({filters}, {kernel:?}, {activation:?})")
    }

    fn short(&self) -> Option<String> {
        let kernel = match self.kernel {
            (3, 3) => String::new(),
            kernel => format!(" {}", window(kernel)),
        };
        let activation = self.activation.suffix();
        Some(format!("conv {}{kernel}{activation}", self.filters))
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn weights(&self, input: &[i64]) -> Vec<(&'static str, Vec<i64>)> {
        let (h, w) = self.kernel;
        let kernel = vec![self.filters, input[0], h, w];
        vec![("kernel", kernel), ("bias", vec![self.filters])]
    }

    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        positive(at, texts::what_filters, self.filters)?;
        let too_large = |window, input| texts::kernel_too_large(at, window, input);
        let [_, rows, columns] = image(at, self.kernel, input, too_large)?;
        let (h, w) = self.kernel;
        Ok(vec![self.filters, rows - h + 1, columns - w + 1])
    }

    fn layout(&self) -> Layout {
        Layout::OneDnn
    }

    fn forward(&self, x: &Tensor, weights: &[Tensor], _: Pass) -> tch::Result<Tensor> {
        x.f_conv2d(&weights[0], Some(&weights[1]), [1, 1], [0, 0], [1, 1], 1)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MaxPooling2d {
    pub pool: (i64, i64),
}

/// Keeps the largest value of each `h` × `w` window; the windows lie side by side and a rest at the edge is dropped.
///
/// Input `[channels, rows, columns]`, output `[channels, rows / h, columns / w]` rounded down: 2 × 2 leaves a quarter of
/// the image. No weights.
pub fn max_pooling2d(h: i64, w: i64) -> Layer {
    Layer(LayerKind::MaxPooling2d(MaxPooling2d { pool: (h, w) }))
}

impl Operation for MaxPooling2d {
    fn name(&self) -> &'static str {
        "max_pooling2d"
    }

    fn call(&self) -> String {
        format!("max_pooling2d{:?}", self.pool)
    }

    fn short(&self) -> Option<String> {
        Some(match self.pool {
            (2, 2) => "pool".to_string(),
            pool => format!("pool {}", window(pool)),
        })
    }

    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        let too_large = |window, input| texts::pool_too_large(at, window, input);
        let [channels, rows, columns] = image(at, self.pool, input, too_large)?;
        Ok(vec![channels, rows / self.pool.0, columns / self.pool.1])
    }

    fn layout(&self) -> Layout {
        Layout::OneDnn
    }

    fn takes_largest(&self) -> bool {
        true
    }

    fn forward(&self, x: &Tensor, _: &[Tensor], _: Pass) -> tch::Result<Tensor> {
        let pool = [self.pool.0, self.pool.1];
        x.f_max_pool2d(pool, pool, [0, 0], [1, 1], false)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flatten {}

/// Makes one row of an image: input `[channels, h, w]` or `[h, w]`, output `[channels · h · w]`. No weights.
pub fn flatten() -> Layer {
    Layer(LayerKind::Flatten(Flatten {}))
}

impl Operation for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn call(&self) -> String {
        "flatten()".to_string()
    }

    fn short(&self) -> Option<String> {
        None
    }

    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        if input.len() == 1 {
            return Err(error(texts::flat_already(at, format_shape(input))));
        }
        Ok(vec![product(input)])
    }

    fn layout(&self) -> Layout {
        Layout::Any
    }

    fn forward(&self, x: &Tensor, _: &[Tensor], _: Pass) -> tch::Result<Tensor> {
        x.f_flatten(1, -1)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dense {
    pub units: i64,
    pub activation: Activation,
}

/// A dense layer: each of its `units` is a weighted sum of all inputs plus a bias. Input `[n]`, output `[units]`;
/// `(n + 1) · units` weights.
///
/// Kernels begin as Glorot uniform, biases as zero.
pub fn dense(units: i64, activation: Activation) -> Layer {
    Layer(LayerKind::Dense(Dense { units, activation }))
}

impl Operation for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn call(&self) -> String {
        format!("dense({}, {:?})", self.units, self.activation)
    }

    fn short(&self) -> Option<String> {
        Some(format!("dense {}{}", self.units, self.activation.suffix()))
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn weights(&self, input: &[i64]) -> Vec<(&'static str, Vec<i64>)> {
        let kernel = vec![self.units, input[0]];
        vec![("kernel", kernel), ("bias", vec![self.units])]
    }

    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        positive(at, texts::what_units, self.units)?;
        if input.len() != 1 {
            return Err(error(texts::dense_needs_flat(at, format_shape(input))));
        }
        Ok(vec![self.units])
    }

    fn layout(&self) -> Layout {
        Layout::Any
    }

    fn forward(&self, x: &Tensor, weights: &[Tensor], _: Pass) -> tch::Result<Tensor> {
        x.f_linear(&weights[0], Some(&weights[1]))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dropout {
    pub rate: f64,
}

/// While training, sets each value to zero with probability `rate` (0 ≤ rate < 1) and scales the others by
/// `1 / (1 − rate)`; otherwise does nothing. Any shape. No weights.
pub fn dropout(rate: f64) -> Layer {
    Layer(LayerKind::Dropout(Dropout { rate }))
}

impl Operation for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn call(&self) -> String {
        format!("dropout({})", self.rate)
    }

    fn short(&self) -> Option<String> {
        Some(format!("dropout {}", self.rate))
    }

    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(error(texts::dropout_rate(at, self.rate)));
        }
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor, _: &[Tensor], pass: Pass) -> tch::Result<Tensor> {
        x.f_dropout(self.rate, pass == Pass::Training)
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
pub(crate) fn format_shape(shape: &[i64]) -> String {
    format!("{shape:?}")
}

/// `3×3`.
fn window((h, w): (i64, i64)) -> String {
    format!("{h}×{w}")
}

/// The product of sizes, without overflow.
fn product(shape: &[i64]) -> i64 {
    shape
        .iter()
        .fold(1, |product, &n| product.saturating_mul(n))
}

fn positive(at: &LayerRef, what: fn() -> String, value: i64) -> Result<()> {
    if value < 1 {
        return Err(error(texts::not_positive(at, what(), value)));
    }
    Ok(())
}

/// The `[channels, rows, columns]` of an input that the window (height, width) of the layer fits into. `too_large` makes the
/// message from window and input.
fn image(
    at: &LayerRef,
    (h, w): (i64, i64),
    input: &[i64],
    too_large: impl Fn(String, String) -> String,
) -> Result<[i64; 3]> {
    positive(at, texts::what_window_height, h)?;
    positive(at, texts::what_window_width, w)?;
    let shape = format_shape(input);
    Err(error(match *input {
        [channels, rows, columns] if h <= rows && w <= columns => {
            return Ok([channels, rows, columns]);
        }
        [rows, columns, channels] if looks_channels_last(input) => {
            texts::channels_last(at, shape, format_shape(&[channels, rows, columns]))
        }
        [_, _, _] => too_large(window((h, w)), shape),
        [h, w] => {
            let (batch, own) = (format_shape(&[-1, 1, h, w]), format_shape(&[1, h, w]));
            texts::no_channels(at, shape, batch, own)
        }
        [_, channels, rows, columns] => {
            texts::batch_for_image(at, shape, format_shape(&[channels, rows, columns]))
        }
        _ => texts::needs_image(at, shape),
    }))
}

/// `[28, 28, 1]`: a size that Keras would write, with the channels at the end.
pub(crate) fn looks_channels_last(input: &[i64]) -> bool {
    matches!(*input, [a, b, c] if c <= 4 && a > 4 && b > 4)
}

/// A layer in its place, before it has weights. Both shapes are without the number of images.
#[derive(Clone, Debug)]
pub(crate) struct LayerPlan {
    pub layer: Layer,
    pub at: LayerRef,
    pub input: Vec<i64>,
    pub output: Vec<i64>,
}

impl LayerPlan {
    /// Names and shapes of the weights: `conv2d.kernel`, `conv2d.bias`.
    pub(crate) fn weights(&self) -> Vec<(String, Vec<i64>)> {
        let weights = self.layer.operation().weights(&self.input).into_iter();
        weights
            .map(|(name, shape)| (format!("{}.{name}", self.at.name), shape))
            .collect()
    }

    /// How many weights the layer has, counted without overflow.
    pub(crate) fn parameters(&self) -> i64 {
        let weights = self.layer.operation().weights(&self.input);
        let sizes = weights.iter().map(|(_, shape)| product(shape));
        sizes.fold(0, i64::saturating_add)
    }
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
        let operation = layer.operation();
        let kind = operation.name();
        let seen = names.entry(kind).or_default();
        let name = match *seen {
            0 => kind.to_string(),
            n => format!("{kind}_{n}"),
        };
        *seen += 1;
        let position = i + 1;
        let at = LayerRef { position, name };
        let output = operation.output_shape(&at, &input)?;
        if operation.activation() == Activation::Softmax && position < layers.len() {
            return Err(error(texts::softmax_in_the_middle(at)));
        }
        let plan = LayerPlan {
            layer: layer.clone(),
            at,
            input: std::mem::replace(&mut input, output.clone()),
            output,
        };
        if plan.parameters() > MAX_NUMBERS {
            return Err(error(texts::too_many_parameters(
                &plan.at,
                plan.parameters(),
            )));
        }
        plans.push(plan);
    }
    check_memory(&plans)?;
    Ok(plans)
}

fn check_input_shape(input_shape: &[i64]) -> Result<()> {
    let shape = format_shape(input_shape);
    if input_shape.is_empty() || input_shape.iter().any(|&size| size < 1) {
        return Err(error(texts::bad_input_shape(shape)));
    }
    if product(input_shape) > MAX_NUMBERS {
        return Err(error(texts::image_too_large(shape, MAX_NUMBERS)));
    }
    Ok(())
}

/// Refuses a model that can't be trained in memory. The layer to shrink is the first of the largest, not the one that
/// happens to come when memory is full.
fn check_memory(plans: &[LayerPlan]) -> Result<()> {
    let all: u64 = plans.iter().map(|plan| plan.parameters() as u64).sum();
    // Of several maxima `max_by_key` takes the last: here the first layer.
    match plans.iter().rev().max_by_key(|plan| plan.parameters()) {
        Some(largest) if all > memory::total() / TRAINING_BYTES => Err(error(
            texts::too_many_parameters(&largest.at, largest.parameters()),
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
        let units = (parameters as i64 / 2 / 785).min(MAX_NUMBERS / 785);
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
