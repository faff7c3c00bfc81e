//! The layers. A new kind is one block here (its struct, the function that makes it, and [`Operation`]) with its two lines in
//! [`LayerKind`], and a test.

use std::fmt;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::Result;
use crate::session::{memory, texts};

/// The most weights of a layer and the most pixels of an image: more is almost certainly a typo, and libtorch would ask
/// the system for all of it at once.
const MAX_NUMBERS: i64 = 1 << 31;

/// Bytes that training needs for each weight, nine numbers: the weight; its gradient, in its own tensor and in the flat one;
/// Adam's two moments; a step's divisor; and weight and moments as they were before the epoch.
const TRAINING_BYTES: u64 = 9 * 4;

/// The function that a layer applies to each of its outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// The identity: `x`.
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
    /// How [`Operation::short`] names it: not at all where it is a usual one.
    fn suffix(self) -> String {
        match self {
            Self::Relu | Self::Softmax => String::new(),
            other => format!(" {other:?}").to_lowercase(),
        }
    }
}

/// Where a convolution's or a pooling's windows stand, as Keras's `padding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Only where they fit into the image whole: an output is `(input − window) / stride + 1` long, rounded down.
    #[default]
    Valid,
    /// Also over the edges: an output is `input / stride` long, rounded up; with stride 1 it is as long as the input. Beyond
    /// the edges a convolution sees zeros and a pooling nothing. An odd number of rows or columns beyond the edges has the
    /// additional one at the bottom or the right.
    Same,
}

/// A size in rows and columns: a whole number for both, such as `3`, or a pair (height, width), such as `(5, 3)`. The
/// numbers may be of any integer type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a size: write a whole number, such as 3, or a pair (height, width), such as (5, 3)",
    label = "neither a whole number nor a pair of them"
)]
pub trait Size {
    /// Height and width.
    fn pair(self) -> [i64; 2];
}

impl<H: TryInto<i64>, W: TryInto<i64>> Size for (H, W) {
    fn pair(self) -> [i64; 2] {
        // What doesn't fit into an i64 fits into no image either.
        let h = self.0.try_into().unwrap_or(i64::MAX);
        [h, self.1.try_into().unwrap_or(i64::MAX)]
    }
}

macro_rules! one_number_is_a_size {
    ($($integer:ty)*) => {$(
        impl Size for $integer {
            fn pair(self) -> [i64; 2] {
                (self, self).pair()
            }
        }
    )*};
}

// A literal whose type nothing else decides is an i32.
one_number_is_a_size!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

/// One layer of a [`Sequential`](crate::Sequential) model, made by [`conv2d`], [`max_pooling2d`], [`flatten`],
/// [`dense`] or [`dropout`]. It holds no weights: the model does, once the shape of its input is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layer {
    pub(crate) kind: LayerKind,
    /// A setting that this kind of layer doesn't have. The model reports it: the method that took it can't fail.
    #[serde(skip)]
    misplaced: Option<&'static str>,
}

/// Every kind of layer, in the form that files have.
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
    fn new(kind: LayerKind) -> Self {
        Self {
            kind,
            misplaced: None,
        }
    }

    /// Where the windows of a [`conv2d`] or a [`max_pooling2d`] stand. Defaults to [`Padding::Valid`].
    ///
    /// Another layer has no windows: the model says so as soon as it knows its input.
    pub fn padding(mut self, padding: Padding) -> Self {
        if let Some(window) = self.window("padding") {
            window.padding = padding;
        }
        self
    }

    /// How many pixels apart the windows of a [`conv2d`] or a [`max_pooling2d`] stand, at least 1: a number or a pair (down,
    /// across). Defaults to 1 for a convolution; a pooling is given its own when it is made.
    ///
    /// Another layer has no windows: the model says so as soon as it knows its input.
    pub fn strides(mut self, strides: impl Size) -> Self {
        if let Some(window) = self.window("strides") {
            window.strides = strides.pair();
        }
        self
    }

    /// The layer's window, for this setting.
    fn window(&mut self, setting: &'static str) -> Option<&mut Window> {
        match &mut self.kind {
            LayerKind::Conv2d(Conv2d { window, .. })
            | LayerKind::MaxPooling2d(MaxPooling2d { window }) => Some(window),
            _ => {
                self.misplaced = Some(setting);
                None
            }
        }
    }

    pub(crate) fn operation(&self) -> &dyn Operation {
        match &self.kind {
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

/// What a kind of layer does. Shapes are those of one image.
pub(crate) trait Operation {
    /// The name that Keras gives to a layer of this kind.
    fn name(&self) -> &'static str;

    /// The call that makes the layer.
    fn call(&self) -> String;

    /// Its short form in a table of networks, without what is usual: `conv 64 5×3 same /2`. None if nothing is left.
    fn short(&self) -> Option<String>;

    /// What the network applies to the output of [`forward`](Self::forward).
    fn activation(&self) -> Activation {
        Activation::Linear
    }

    /// Names and shapes of the weights for an input of this shape, which [`output_shape`](Self::output_shape) has checked.
    /// A shape of one axis is a bias and starts at zero; any other starts Glorot uniform, and begins with the numbers of
    /// outputs and inputs.
    fn weights(&self, _input: &[i64]) -> Vec<(&'static str, Vec<i64>)> {
        Vec::new()
    }

    /// The shape of its output, or why it can't take such an input. `at` is how the message names it.
    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>>;

    /// Which memory layout an input of this shape should have.
    fn layout(&self, _input: &[i64]) -> Layout {
        Layout::Plain
    }

    /// The output for a batch of images, before the activation.
    fn forward(&self, x: &Tensor, weights: &[Tensor], pass: Pass) -> tch::Result<Tensor>;
}

/// The memory layout of images.
pub(crate) enum Layout {
    /// libtorch's.
    Plain,
    /// oneDNN's own, on the CPU.
    OneDnn,
    /// Either; the output has the input's.
    Any,
}

/// What a forward pass is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Dropout works, gradients are kept.
    Training,
    /// Dropout does nothing.
    Inference,
}

/// A window that slides over rows and columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    // The first files had these names, and neither strides nor padding.
    #[serde(alias = "kernel", alias = "pool")]
    size: [i64; 2],
    #[serde(default = "one")]
    strides: [i64; 2],
    #[serde(default)]
    padding: Padding,
}

impl Window {
    /// Down and across an image: how many windows there are, and how many rows or columns they need beyond the image, of
    /// which the smaller half stands before it.
    fn axes(&self, image: [i64; 2]) -> [(i64, i64); 2] {
        [0, 1].map(|axis| {
            let (input, size, stride) = (image[axis], self.size[axis], self.strides[axis]);
            if self.padding == Padding::Valid {
                return ((input - size).div_euclid(stride) + 1, 0);
            }
            let output = (input - 1) / stride + 1;
            let reach = ((output - 1) * stride).saturating_add(size);
            (output, (reach - input).max(0))
        })
    }

    /// The `[channels, rows, columns]` that a window at each of its places gives. `too_large` makes the message for one that
    /// doesn't fit, from window and input.
    fn output_shape(
        &self,
        at: &LayerRef,
        input: &[i64],
        too_large: impl Fn(String, String) -> String,
    ) -> Result<Vec<i64>> {
        positive(at, texts::what_window_height, self.size[0])?;
        positive(at, texts::what_window_width, self.size[1])?;
        for stride in self.strides {
            positive(at, texts::what_stride, stride)?;
        }
        let [channels, h, w] = *input else {
            bail!(not_an_image(at, input));
        };
        let [(rows, more_rows), (columns, more_columns)] = self.axes([h, w]);
        let (tall, wide) = (h.saturating_add(more_rows), w.saturating_add(more_columns));
        let fits = rows > 0 && columns > 0 && product(&[channels, tall, wide]) <= MAX_NUMBERS;
        // Padded, a window fits into an image with its channels last too.
        let doubtful = looks_channels_last(input) && (self.size[0] > h || self.size[1] > w);
        if fits && !(doubtful && at.position == 1) {
            return Ok(vec![channels, rows, columns]);
        }
        let shape = format_shape(input);
        bail!(if doubtful {
            texts::channels_last(at, shape, format_shape(&[w, channels, h]))
        } else {
            too_large(by(self.size), shape)
        })
    }

    /// oneDNN's layout, unless [`pad`](Self::pad) must add something.
    fn layout(&self, input: &[i64]) -> Layout {
        match *input {
            [_, h, w] if self.axes([h, w]).iter().all(|(_, more)| more % 2 == 0) => Layout::OneDnn,
            _ => Layout::Plain,
        }
    }

    /// The strides; how much libtorch shall pad at both ends of rows and columns; and the images, with `value` added at
    /// the bottom and the right where they need one more there, which libtorch can't do by itself.
    fn pad(&self, images: &Tensor, value: f64) -> tch::Result<([i64; 2], [i64; 2], Tensor)> {
        let (_, _, h, w) = images.size4()?;
        // A stride as long as the image leaves one window, as a longer one does, for which CUDA has no number.
        let strides = [self.strides[0].min(h), self.strides[1].min(w)];
        let [down, across] = self.axes([h, w]).map(|(_, more)| more);
        let images = match (down % 2, across % 2) {
            (0, 0) => images.shallow_clone(),
            (down, across) => images.f_pad([0, across, 0, down], "constant", value)?,
        };
        Ok((strides, [down / 2, across / 2], images))
    }

    /// What is unusual about it, in short: ` 5×3 same /2`.
    fn short(&self, usual_size: [i64; 2], usual_strides: [i64; 2]) -> String {
        let mut text = String::new();
        if self.size != usual_size {
            text += &format!(" {}", by(self.size));
        }
        if self.padding == Padding::Same {
            text += " same";
        }
        match self.strides {
            strides if strides == usual_strides => (),
            [h, w] if h == w => text += &format!(" /{h}"),
            strides => text += &format!(" /{}", by(strides)),
        }
        text
    }

    /// The calls that set what is unusual: `.padding(Same).strides(2)`.
    fn calls(&self, usual_strides: [i64; 2]) -> String {
        let mut text = String::new();
        if self.padding == Padding::Same {
            text += ".padding(Same)";
        }
        if self.strides != usual_strides {
            text += &format!(".strides({})", size_call(self.strides));
        }
        text
    }
}

/// A convolution's usual strides.
const fn one() -> [i64; 2] {
    [1, 1]
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conv2d {
    pub filters: i64,
    #[serde(flatten)]
    window: Window,
    activation: Activation,
}

/// A convolution: `filters` windows of `kernel_size`, a number or a pair (height, width), slide over the image, one pixel
/// at a time and only where they fit whole. [`strides`](Layer::strides) and [`padding`](Layer::padding) change that.
///
/// Input `[channels, h, w]`, output `[filters, h − kh + 1, w − kw + 1]`; `(channels · kh · kw + 1) · filters` weights.
/// Kernels begin as Glorot uniform, biases as zero.
///
/// A mistake (no filters, a window larger than the image) is reported by the model as soon as it knows its input.
///
/// ```
/// # use svertka::prelude::*;
/// let layers = [conv2d(64, 3, Relu), conv2d(64, (5, 3), Relu).padding(Same).strides(2)];
/// ```
pub fn conv2d(filters: i64, kernel_size: impl Size, activation: Activation) -> Layer {
    Layer::new(LayerKind::Conv2d(Conv2d {
        filters,
        window: Window {
            size: kernel_size.pair(),
            strides: one(),
            padding: Padding::Valid,
        },
        activation,
    }))
}

impl Operation for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn call(&self) -> String {
        let (filters, [h, w], activation) = (self.filters, self.window.size, self.activation);
        let more = self.window.calls(one());
        format!("conv2d({filters}, ({h}, {w}), {activation:?}){more}")
    }

    fn short(&self) -> Option<String> {
        let window = self.window.short([3, 3], one());
        let activation = self.activation.suffix();
        Some(format!("conv {}{window}{activation}", self.filters))
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn weights(&self, input: &[i64]) -> Vec<(&'static str, Vec<i64>)> {
        let [h, w] = self.window.size;
        let kernel = vec![self.filters, input[0], h, w];
        vec![("kernel", kernel), ("bias", vec![self.filters])]
    }

    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        positive(at, texts::what_filters, self.filters)?;
        let too_large = |window, input| texts::kernel_too_large(at, window, input);
        let mut shape = self.window.output_shape(at, input, too_large)?;
        shape[0] = self.filters;
        Ok(shape)
    }

    fn layout(&self, input: &[i64]) -> Layout {
        self.window.layout(input)
    }

    fn forward(&self, x: &Tensor, weights: &[Tensor], _: Pass) -> tch::Result<Tensor> {
        let (strides, padding, x) = self.window.pad(x, 0.0)?;
        let (kernel, bias) = (&weights[0], Some(&weights[1]));
        x.f_conv2d(kernel, bias, strides, padding, [1, 1], 1)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MaxPooling2d {
    #[serde(flatten)]
    window: Window,
}

/// Keeps the largest value of each window of `pool_size`; the windows stand `strides` apart. Each is a number or a pair
/// (height, width).
///
/// Input `[channels, h, w]`, output `[channels, (h − ph) / sh + 1, (w − pw) / sw + 1]` rounded down: `max_pooling2d(2, 2)`
/// leaves a quarter of the image. No weights. [`padding`](Layer::padding) lets the windows reach over the edges.
pub fn max_pooling2d(pool_size: impl Size, strides: impl Size) -> Layer {
    Layer::new(LayerKind::MaxPooling2d(MaxPooling2d {
        window: Window {
            size: pool_size.pair(),
            strides: strides.pair(),
            padding: Padding::Valid,
        },
    }))
}

impl Operation for MaxPooling2d {
    fn name(&self) -> &'static str {
        "max_pooling2d"
    }

    fn call(&self) -> String {
        let Window { size, strides, .. } = self.window;
        let more = self.window.calls(strides);
        let [pool, strides] = [size, strides].map(size_call);
        format!("max_pooling2d({pool}, {strides}){more}")
    }

    fn short(&self) -> Option<String> {
        let window = self.window.short([2, 2], self.window.size);
        Some(format!("pool{window}"))
    }

    fn output_shape(&self, at: &LayerRef, input: &[i64]) -> Result<Vec<i64>> {
        let too_large = |window, input| texts::pool_too_large(at, window, input);
        self.window.output_shape(at, input, too_large)
    }

    fn layout(&self, input: &[i64]) -> Layout {
        self.window.layout(input)
    }

    fn forward(&self, x: &Tensor, _: &[Tensor], _: Pass) -> tch::Result<Tensor> {
        let (strides, padding, x) = self.window.pad(x, f64::NEG_INFINITY)?;
        x.f_max_pool2d(self.window.size, strides, padding, [1, 1], false)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flatten {}

/// Flattens an image: input `[channels, h, w]` or `[h, w]`, output `[channels · h · w]`. No weights.
pub fn flatten() -> Layer {
    Layer::new(LayerKind::Flatten(Flatten {}))
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
        let shape = format_shape(input);
        ensure!(input.len() > 1, texts::flat_already(at, shape));
        Ok(vec![product(input)])
    }

    fn layout(&self, _: &[i64]) -> Layout {
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
    Layer::new(LayerKind::Dense(Dense { units, activation }))
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
        let shape = format_shape(input);
        ensure!(input.len() == 1, texts::dense_needs_flat(at, shape));
        Ok(vec![self.units])
    }

    fn layout(&self, _: &[i64]) -> Layout {
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
    Layer::new(LayerKind::Dropout(Dropout { rate }))
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
        let possible = (0.0..1.0).contains(&self.rate);
        ensure!(possible, texts::dropout_rate(at, self.rate));
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

/// `5×3`.
fn by([h, w]: [i64; 2]) -> String {
    format!("{h}×{w}")
}

/// As the learner writes it: `2`, `(2, 1)`.
fn size_call([h, w]: [i64; 2]) -> String {
    if h == w {
        h.to_string()
    } else {
        format!("({h}, {w})")
    }
}

/// The product of sizes, without overflow.
fn product(shape: &[i64]) -> i64 {
    shape.iter().copied().fold(1, i64::saturating_mul)
}

fn positive(at: &LayerRef, what: fn() -> String, value: i64) -> Result<()> {
    ensure!(value >= 1, texts::not_positive(at, what(), value));
    Ok(())
}

/// What to say of an input that doesn't have the three axes of an image.
fn not_an_image(at: &LayerRef, input: &[i64]) -> String {
    let shape = format_shape(input);
    match *input {
        [h, w] => {
            let (batch, own) = (format_shape(&[-1, 1, h, w]), format_shape(&[1, h, w]));
            texts::no_channels(at, shape, batch, own)
        }
        [_, channels, rows, columns] => {
            texts::batch_for_image(at, shape, format_shape(&[channels, rows, columns]))
        }
        _ => texts::needs_image(at, shape),
    }
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
    ensure!(!layers.is_empty(), texts::no_layers());
    check_input_shape(input_shape)?;
    let mut input = input_shape.to_vec();
    let mut plans = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let operation = layer.operation();
        let kind = operation.name();
        let alike = |other: &&Layer| other.operation().name() == kind;
        let name = match layers[..i].iter().filter(alike).count() {
            0 => kind.to_string(),
            n => format!("{kind}_{n}"),
        };
        let position = i + 1;
        let at = LayerRef { position, name };
        if let Some(setting) = layer.misplaced {
            bail!(texts::misplaced(at, setting));
        }
        let output = operation.output_shape(&at, &input)?;
        if operation.activation() == Activation::Softmax && position < layers.len() {
            bail!(texts::softmax_in_the_middle(at));
        }
        let plan = LayerPlan {
            layer: layer.clone(),
            at,
            input: std::mem::replace(&mut input, output.clone()),
            output,
        };
        let parameters = plan.parameters();
        let possible = parameters <= MAX_NUMBERS;
        ensure!(possible, texts::too_many_parameters(plan.at, parameters));
        plans.push(plan);
    }
    check_memory(&plans)?;
    Ok(plans)
}

fn check_input_shape(input_shape: &[i64]) -> Result<()> {
    let shape = format_shape(input_shape);
    let possible = !input_shape.is_empty() && input_shape.iter().all(|&size| size >= 1);
    ensure!(possible, texts::bad_input_shape(shape));
    let fits = product(input_shape) <= MAX_NUMBERS;
    ensure!(fits, texts::image_too_large(shape, MAX_NUMBERS));
    Ok(())
}

/// Refuses a model that can't be trained in memory. The message names the layer to shrink, the largest or the first of
/// several.
fn check_memory(plans: &[LayerPlan]) -> Result<()> {
    let all: u64 = plans.iter().map(|plan| plan.parameters() as u64).sum();
    // Of several maxima `max_by_key` takes the last: here the first layer.
    if let Some(largest) = plans.iter().rev().max_by_key(|plan| plan.parameters())
        && all > memory::total() / TRAINING_BYTES
    {
        let parameters = largest.parameters();
        bail!(texts::too_many_parameters(&largest.at, parameters));
    }
    Ok(())
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
