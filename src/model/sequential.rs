//! The model: its list of layers, its checks, and everything it computes without training.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind as TensorKind, Tensor};

use super::history::Score;
use super::layer::{Activation, Layer, Pass, format_shape, looks_channels_last, plan};
use super::loss::{SparseCategoricalCrossentropy, count_correct, cross_entropy};
use super::network::{BuiltLayer, Network, all_finite};
use super::optimizer::{Optimizer, OptimizerState};
use super::summary::Summary;
use crate::Result;
use crate::session::interrupt::InterruptGuard;
use crate::session::threads::Threads;
use crate::session::{compute, device, error, texts, torch};

/// How many images go through the network at once when nothing is learnt: few enough for the processor's cache.
const INFERENCE_BATCH: i64 = 128;

/// A model: layers in a row, each fed by the one before it.
///
/// ```no_run
/// use svertka::prelude::*;
/// # fn main() -> svertka::Result<()> {
/// let fashion = datasets::fashion_mnist()?;
/// let (images, labels) = fashion.train;
/// let mut model = Sequential::new([flatten(), dense(128, Relu), dense(10, Softmax)]);
/// model.compile(Adam::default(), SparseCategoricalCrossentropy);
/// model.fit(&(images / 255.0), &labels, Fit::epochs(5))?;
/// # Ok(())
/// # }
/// ```
///
/// The layers' shapes are worked out as soon as the shape of an image is known: from
/// [`input_shape`](Self::input_shape), otherwise from the first images given to [`fit`](Self::fit). Then the weights are
/// made. A layer that can't follow the one before it is an error of the first call that needs the weights.
#[derive(Debug)]
pub struct Sequential {
    layers: Vec<Layer>,
    /// None until the shape of an image is known; then the network, or why there can be none.
    network: Option<std::result::Result<Network, String>>,
    pub(crate) compiled: Option<Compiled>,
    /// Whether the learner was told that the images don't seem to be scaled.
    told_unscaled: bool,
}

/// How a model learns, in the form that files have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Compiled {
    pub optimizer: Optimizer,
    /// Begins as the optimizer's own; a schedule changes it.
    pub learning_rate: f64,
    /// For other programs that read the file: there is only one.
    loss: String,
    #[serde(flatten)]
    pub state: OptimizerState,
}

/// One layer's output for a batch of images: see [`Sequential::activations`].
#[derive(Debug)]
pub struct LayerOutput {
    /// The layer's name: `conv2d`, `max_pooling2d`, `conv2d_1`, …
    pub name: String,
    /// The output: `[images, …the layer's output shape]`.
    pub output: Tensor,
}

/// A layer of a model that has its weights: see [`Sequential::layer`].
#[derive(Debug)]
pub struct LayerInfo {
    /// Its place in [`Sequential::layers`], from 0.
    pub index: usize,
    /// Its name: `conv2d`, `max_pooling2d`, `conv2d_1`, …
    pub name: String,
    /// The layer as it was given.
    pub layer: Layer,
    /// The shape of its input for one image.
    pub input_shape: Vec<i64>,
    /// The shape of its output for one image.
    pub output_shape: Vec<i64>,
    /// Its weights as copies, named and shaped as by [`Sequential::weights`]; none for a layer that has none.
    pub weights: Vec<(String, Tensor)>,
}

impl Sequential {
    /// A model of these layers, first to last: an array or a `Vec`.
    pub fn new(layers: impl Into<Vec<Layer>>) -> Self {
        Self {
            layers: layers.into(),
            network: None,
            compiled: None,
            told_unscaled: false,
        }
    }

    /// Says what one image is: `[channels, height, width]`, or `[height, width]` for a model that begins with
    /// [`flatten`](crate::flatten). The weights are made now.
    pub fn input_shape(mut self, input_shape: impl Into<Vec<i64>>) -> Self {
        // What is wrong with the layers is said by the first call that can return an error.
        let network = self.build(&input_shape.into());
        self.network = Some(network.map_err(|reason| reason.to_string()));
        self
    }

    /// Sets how the model learns: an optimizer ([`Adam`](crate::Adam), [`Sgd`](crate::Sgd)) and the loss. Called again, it
    /// keeps the weights and begins with a new optimizer state. An impossible learning rate is an error of the next
    /// [`fit`](Self::fit).
    pub fn compile(&mut self, optimizer: impl Into<Optimizer>, _: SparseCategoricalCrossentropy) {
        let optimizer = optimizer.into();
        let learning_rate = optimizer.learning_rate();
        self.compiled = Some(Compiled {
            optimizer,
            learning_rate,
            loss: "sparse_categorical_crossentropy".to_string(),
            state: OptimizerState::default(),
        });
    }

    /// The layers, as they were given.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// One layer by the name that the summary gives it: its place, shapes and weights.
    ///
    /// ```
    /// # use svertka::prelude::*;
    /// # fn main() -> svertka::Result<()> {
    /// let model = Sequential::new([conv2d(4, 3, Relu)]).input_shape([1, 28, 28]);
    /// let (_, kernel) = &model.layer("conv2d")?.weights[0];
    /// assert_eq!(kernel.size(), [4, 1, 3, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the weights aren't there yet, or no layer has this name: the error lists the names there are.
    pub fn layer(&self, name: &str) -> Result<LayerInfo> {
        let layers = &self.built()?.layers;
        let names = || layers.iter().map(|layer| layer.plan.at.name.as_str());
        let Some(index) = names().position(|own| own == name) else {
            let names: Vec<&str> = names().collect();
            bail!(texts::no_such_layer(name, names.join(", ")));
        };
        let plan = &layers[index].plan;
        let own = plan.weights();
        let mut weights = self.weights()?;
        weights.retain(|(name, _)| own.iter().any(|(own, _)| own == name));
        Ok(LayerInfo {
            index,
            name: plan.at.name.clone(),
            layer: plan.layer.clone(),
            input_shape: plan.input.clone(),
            output_shape: plan.output.clone(),
            weights,
        })
    }

    /// Layer by layer: name, output shape, number of weights.
    ///
    /// # Errors
    /// If the input shape isn't known yet or a layer can't follow the one before it.
    pub fn summary(&self) -> Result<Summary> {
        Ok(Summary::new(self.built()?))
    }

    /// The probability of every class for every image: `[images, classes]`, on the CPU.
    ///
    /// # Errors
    /// If the weights aren't there yet, an image has another shape than the model's, or an interrupt came.
    pub fn predict(&self, images: &Tensor) -> Result<Tensor> {
        let network = self.classifier()?;
        check_images(network, images)?;
        let interrupt = InterruptGuard::new();
        let _guard = tch::no_grad_guard();
        let mut threads = network.threads(batch_len(images).min(INFERENCE_BATCH));
        let mut parts = Vec::new();
        for images in compute(|| images.f_split(INFERENCE_BATCH, 0))? {
            threads.follow();
            ensure!(!interrupt.requested(), texts::interrupted("predict"));
            parts.push(compute(|| {
                let images = images.f_to_device(network.device)?;
                let logits = network.logits(&images, Pass::Inference)?;
                logits.f_softmax(-1, TensorKind::Float)
            })?);
        }
        compute(|| Tensor::f_cat(&parts, 0)?.f_to_device(Device::Cpu))
    }

    /// Mean loss over all images, and the fraction whose most probable class is their label.
    ///
    /// `images`: `[images, …]`, `labels`: whole numbers `[images]`. Memory doesn't grow with the number of images.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and if labels and images don't fit each other or a label is no class.
    pub fn evaluate(&self, images: &Tensor, labels: &Tensor) -> Result<Score> {
        let (network, labels) = self.checked(images, labels)?;
        let mut threads = network.threads(batch_len(images).min(INFERENCE_BATCH));
        let interrupt = InterruptGuard::new();
        let score = evaluate(network, images, &labels, &mut threads, &interrupt)?;
        score.ok_or_else(|| error(texts::interrupted("evaluate")))
    }

    /// Each layer's output for these images, by one pass and without gradients, on the CPU. All outputs are held at once:
    /// give a handful of images.
    ///
    /// # Errors
    /// If the weights aren't there yet, or an image has another shape than the model's.
    pub fn activations(&self, images: &Tensor) -> Result<Vec<LayerOutput>> {
        let network = self.built()?;
        check_images(network, images)?;
        let _guard = tch::no_grad_guard();
        let _threads = network.threads(batch_len(images));
        let named = |(layer, output): (&BuiltLayer, Tensor)| {
            Ok(LayerOutput {
                name: layer.plan.at.name.clone(),
                output: output.f_to_device(Device::Cpu)?,
            })
        };
        compute(|| {
            let outputs = network.outputs(&images.f_to_device(network.device)?)?;
            network.layers.iter().zip(outputs).map(named).collect()
        })
    }

    /// Every weight with its name, as copies on the CPU: `conv2d.kernel` `[filters, channels, height, width]`, `dense.kernel`
    /// `[units, inputs]`, `….bias` `[filters or units]`.
    ///
    /// # Errors
    /// If the weights aren't there yet.
    pub fn weights(&self) -> Result<Vec<(String, Tensor)>> {
        let _guard = tch::no_grad_guard();
        let copy = |(name, weight): (String, Tensor)| {
            Ok((name, weight.f_detach_copy()?.f_to_device(Device::Cpu)?))
        };
        let network = self.built()?;
        let windows = compute(|| network.windows(&network.flat))?;
        compute(|| windows.into_iter().map(copy).collect())
    }

    /// Replaces weights by name; those not named stay.
    ///
    /// # Errors
    /// If the weights aren't there yet, a name isn't one of [`weights`](Self::weights)'s, or a shape differs: then
    /// nothing is replaced.
    pub fn set_weights<N: AsRef<str>>(&mut self, weights: &[(N, Tensor)]) -> Result<()> {
        let network = self.built()?;
        let own = network.windows(&network.flat).map_err(torch)?;
        let own: BTreeMap<String, Tensor> = own.into_iter().collect();
        let mut fitting = Vec::new();
        for (name, value) in weights {
            let name = name.as_ref();
            let Some(view) = own.get(name) else {
                let names: Vec<String> = own.into_keys().collect();
                bail!(texts::no_such_weight(name, names.join(", ")));
            };
            if view.size() != value.size() {
                let (own, given) = (format_shape(&view.size()), format_shape(&value.size()));
                bail!(texts::weight_shape(name, own, given));
            }
            fitting.push((view.shallow_clone(), value));
        }
        let _guard = tch::no_grad_guard();
        for (mut view, value) in fitting {
            view.f_copy_(value).map_err(torch)?;
        }
        Ok(())
    }

    /// The gradient of the mean loss of these images by every weight, named and shaped as [`weights`](Self::weights).
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn gradients(&self, images: &Tensor, labels: &Tensor) -> Result<Vec<(String, Tensor)>> {
        let (network, labels) = self.checked(images, labels)?;
        compute(|| {
            let images = images.f_to_device(network.device)?;
            let labels = labels.f_to_device(network.device)?;
            let logits = network.logits(&images, Pass::Inference)?;
            let flat = network.gradient(&cross_entropy(&logits, &labels)?)?;
            network.windows(&flat.f_to_device(Device::Cpu)?)
        })
    }

    /// The model as it is now, without what it learns with.
    pub(crate) fn snapshot(&self) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let network = self.built()?.copy().map_err(torch)?;
        Ok(Self {
            network: Some(Ok(network)),
            ..Self::new(self.layers.clone())
        })
    }

    /// The network, or why there is none.
    pub(crate) fn built(&self) -> Result<&Network> {
        match &self.network {
            Some(Ok(network)) => Ok(network),
            Some(Err(reason)) => Err(error(reason.clone())),
            None if self.layers.is_empty() => Err(error(texts::no_layers())),
            None => Err(error(texts::no_shape_yet())),
        }
    }

    /// What training changes: the network and the optimizer state, if the model has both.
    pub(crate) fn learning_parts(&mut self) -> Result<(&mut Network, &mut Compiled)> {
        match (&mut self.network, &mut self.compiled) {
            (Some(Ok(network)), Some(compiled)) => Ok((network, compiled)),
            _ => Err(error(texts::not_compiled())),
        }
    }

    /// The network, if its last layer gives one number for each class.
    fn classifier(&self) -> Result<&Network> {
        let network = self.built()?;
        let last = &network.layers[network.layers.len() - 1].plan;
        // The pixels of a flattened image are no classes either, unless it has only one.
        let images = matches!(*last.input, [_, h, w] if h * w > 1) || last.input.len() == 2;
        if last.output.len() != 1 || images {
            bail!(texts::no_classes(&last.at, format_shape(&last.output)));
        }
        match last.layer.operation().activation() {
            Activation::Softmax | Activation::Linear => Ok(network),
            other => bail!(texts::last_activation(&last.at, format!("{other:?}"))),
        }
    }

    /// The network, and the labels as `int64`, if it can take the images, they have a label each, and each is a class.
    pub(crate) fn checked(&self, images: &Tensor, labels: &Tensor) -> Result<(&Network, Tensor)> {
        let network = self.classifier()?;
        check_images(network, images)?;
        let size = labels.size();
        let classes = network.layers.last().map_or(0, |last| last.plan.output[0]);
        let one_hot = size.len() == 2 && size[1] == classes;
        ensure!(!one_hot, texts::one_hot_labels(format_shape(&size)));
        let labels = whole_numbers(labels, batch_len(images))?;
        let numbers = Vec::<i64>::try_from(&labels).map_err(torch)?;
        let is_class = |label: &i64| (0..classes).contains(label);
        let Some(index) = numbers.iter().position(|label| !is_class(label)) else {
            return Ok((network, labels));
        };
        let last = classes - 1;
        let range = (numbers.iter().min(), numbers.iter().max());
        if range == (Some(&1), Some(&classes)) {
            bail!(texts::labels_from_one(classes, last));
        }
        let label = numbers[index];
        bail!(texts::label_out_of_range(label, index, last, classes))
    }

    /// Makes the weights for these images if that has not happened.
    pub(crate) fn build_for(&mut self, images: &Tensor) -> Result<()> {
        if self.network.is_none() {
            let size = images.size();
            ensure!(size.len() >= 2, texts::not_images(format_shape(&size)));
            self.network = Some(Ok(self.build(&size[1..])?));
        }
        Ok(())
    }

    fn build(&self, input_shape: &[i64]) -> Result<Network> {
        let plan = plan(&self.layers, input_shape)?;
        Network::new(plan, device::choose()?).map_err(torch)
    }

    /// Prints once that a network learns badly from values up to 255.
    pub(crate) fn warn_unscaled(&mut self, images: &Tensor) -> Result<()> {
        if self.told_unscaled {
            return Ok(());
        }
        let few = batch_len(images).min(256);
        let largest = compute(|| f64::try_from(images.f_narrow(0, 0, few)?.f_max()?))?;
        if largest > 10.0 {
            self.told_unscaled = true;
            println!("{}", texts::unscaled(largest));
        }
        Ok(())
    }
}

impl fmt::Display for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<String> = self.layers.iter().map(Layer::to_string).collect();
        write!(f, "Sequential [{}]", layers.join(", "))
    }
}

/// The score of images and labels that were checked; none if an interrupt came.
pub(crate) fn evaluate(
    network: &Network,
    images: &Tensor,
    labels: &Tensor,
    threads: &mut Threads,
    interrupt: &InterruptGuard,
) -> Result<Option<Score>> {
    let _guard = tch::no_grad_guard();
    // Kept on the device and read once at the end.
    let mut totals = Vec::new();
    let batches = |tensor: &Tensor| compute(|| tensor.f_split(INFERENCE_BATCH, 0));
    for (images, labels) in batches(images)?.iter().zip(batches(labels)?) {
        threads.follow();
        if interrupt.requested() {
            return Ok(None);
        }
        totals.push(compute(|| {
            let labels = labels.f_to_device(network.device)?;
            let logits = network.logits(&images.f_to_device(network.device)?, Pass::Inference)?;
            // Weighted by the number of images: the last batch may be shorter.
            let loss = cross_entropy(&logits, &labels)?.f_mul_scalar(batch_len(&labels))?;
            Tensor::f_stack(&[loss, count_correct(&logits, &labels)?], 0)
        })?);
    }
    let all = compute(|| {
        let totals = Tensor::f_stack(&totals, 0)?;
        Vec::<f64>::try_from(totals.f_sum_dim_intlist(0i64, false, TensorKind::Double)?)
    })?;
    let n = batch_len(images) as f64;
    Ok(Some(Score {
        loss: all[0] / n,
        accuracy: all[1] / n,
    }))
}

/// The number of images in a tensor that [`check_images`] has seen.
pub(crate) fn batch_len(images: &Tensor) -> i64 {
    images.size().first().copied().unwrap_or_default()
}

/// The labels as `int64`, if they are whole numbers and as many as there are images.
pub(crate) fn whole_numbers(labels: &Tensor, images: i64) -> Result<Tensor> {
    use TensorKind::{Int, Int8, Int16, Int64, Uint8};
    let (size, kind) = (labels.size(), labels.kind());
    ensure!(size.len() == 1, texts::labels_shape(format_shape(&size)));
    let whole = matches!(kind, Uint8 | Int8 | Int16 | Int | Int64);
    ensure!(whole, texts::label_kind(format!("{kind:?}")));
    ensure!(size[0] == images, texts::counts_differ(images, size[0]));
    labels.f_to_kind(Int64).map_err(torch)
}

/// Refuses images that the network can't take.
pub(crate) fn check_images(network: &Network, images: &Tensor) -> Result<()> {
    let size = images.size();
    let own = network.input_shape();
    ensure!(size.len() >= 2, texts::not_images(format_shape(&size)));
    ensure!(size[1..] == *own, other_images(&size, own));
    ensure!(size[0] > 0, texts::no_images());
    use TensorKind::{BFloat16, Double, Float, Half, Int, Int8, Int16, Int64, Uint8};
    match images.kind() {
        Float | Double | Half | BFloat16 => match first_not_finite(images).map_err(torch)? {
            Some(index) => bail!(texts::image_not_finite(index)),
            None => Ok(()),
        },
        Uint8 | Int8 | Int16 | Int | Int64 => Ok(()),
        other => bail!(texts::image_kind(format!("{other:?}"))),
    }
}

/// The first image with a NaN or an infinity in it.
fn first_not_finite(images: &Tensor) -> tch::Result<Option<i64>> {
    if all_finite(images)? {
        return Ok(None);
    }
    let finite = images.f_isfinite()?.f_flatten(1, -1)?;
    let broken = finite.f_all_dim(1, false)?.f_logical_not()?;
    i64::try_from(broken.f_to_kind(TensorKind::Uint8)?.f_argmax(0, false)?).map(Some)
}

/// What to say of images of shape `size` when one image of the model is `own`.
fn other_images(size: &[i64], own: &[i64]) -> String {
    let numbers = |shape: &[i64]| shape.iter().product::<i64>();
    let batch_of = |n| format_shape(&[&[n], own].concat());
    let rest = &size[1..];
    if size.len() <= own.len() && numbers(size) == numbers(own) {
        texts::one_image(format_shape(size), batch_of(1))
    } else if looks_channels_last(rest)
        && matches!((own, rest), ([a, b, c], [h, w, d]) if (a, b, c) == (d, h, w))
    {
        texts::images_channels_last(format_shape(size), format_shape(own))
    } else if numbers(rest) == numbers(own) {
        texts::images_to_reshape(format_shape(size), format_shape(own), batch_of(-1))
    } else {
        texts::images_of_another_shape(format_shape(size), format_shape(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation::{Relu, Softmax};
    use crate::model::{Padding, conv2d, dense, flatten, max_pooling2d};

    #[test]
    fn a_kernel_multiplies_at_every_place_of_its_output() {
        let model = Sequential::new([
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
            flatten(),
            dense(128, Relu),
            dense(10, Softmax),
        ])
        .input_shape([1, 28, 28]);
        model.summary().unwrap();
        let expected = 26 * 26 * 64 * 9 + 11 * 11 * 64 * 64 * 9 + 1600 * 128 + 128 * 10;
        assert_eq!(model.built().unwrap().multiplications(), expected);
        let layers = [conv2d(4, (5, 3), Relu).padding(Padding::Same).strides(2)];
        let model = Sequential::new(layers).input_shape([3, 28, 27]);
        let network = model.built().unwrap();
        assert_eq!(network.multiplications(), 14 * 14 * 4 * 3 * 5 * 3);
    }
}
