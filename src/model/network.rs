//! The layers with their weights: forward to logits, backward to gradients.
//!
//! Performance decisions, and why: oneDNN's own layout ([`to_onednn`]), the order of activation and pooling
//! ([`Network::run`]), the flat weights ([`Network::flat`]).

use std::sync::OnceLock;

use tch::{Device, Tensor};

use super::layer::{Activation, LayerKind, LayerPlan, Layout, Pass};
use super::optimizer::WEIGHT_KIND;
use crate::session::threads::Threads;

/// A layer with its weights.
#[derive(Debug)]
pub(crate) struct BuiltLayer {
    pub plan: LayerPlan,
    /// Windows into [`Network::flat`], with gradients.
    weights: Vec<Tensor>,
}

/// A list of layers with weights on a device.
#[derive(Debug)]
pub(crate) struct Network {
    pub layers: Vec<BuiltLayer>,
    pub device: Device,
    /// All weights in one row: an optimizer's step is then a handful of operations, not a handful for each layer.
    pub flat: Tensor,
}

impl Network {
    /// Allocates and fills the weights of layers whose shapes have been worked out.
    pub(crate) fn new(plans: Vec<LayerPlan>, device: Device) -> tch::Result<Self> {
        let all: i64 = plans.iter().map(LayerPlan::parameters).sum();
        let network = Self::of(plans, Tensor::f_zeros([all], (WEIGHT_KIND, device))?)?;
        tch::no_grad(|| network.weights().try_for_each(initialise))?;
        Ok(network)
    }

    /// The same network with the weights of this moment.
    pub(crate) fn copy(&self) -> tch::Result<Self> {
        let plans = self.layers.iter().map(|layer| layer.plan.clone());
        Self::of(plans.collect(), self.flat.f_detach_copy()?)
    }

    /// The layers with these weights.
    fn of(plans: Vec<LayerPlan>, flat: Tensor) -> tch::Result<Self> {
        let mut offset = 0;
        let mut layers = Vec::new();
        for plan in plans {
            let mut weights = Vec::new();
            for (_, shape) in plan.weights() {
                let size = shape.iter().product();
                let window = flat.f_narrow(0, offset, size)?.f_view(shape.as_slice())?;
                weights.push(window.f_detach()?.f_set_requires_grad(true)?);
                offset += size;
            }
            layers.push(BuiltLayer { plan, weights });
        }
        Ok(Self {
            layers,
            device: flat.device(),
            flat,
        })
    }

    /// The shape of one image.
    pub(crate) fn input_shape(&self) -> &[i64] {
        &self.layers[0].plan.input
    }

    fn weights(&self) -> impl Iterator<Item = &Tensor> {
        self.layers.iter().flat_map(|layer| &layer.weights)
    }

    /// The multiplications of one image's forward pass, those with padding included.
    pub(crate) fn multiplications(&self) -> i64 {
        let of = |layer: &BuiltLayer| {
            let kernels = layer.weights.iter().filter(|weight| weight.dim() > 1);
            // A convolution applies its kernel once for each pixel of its output.
            let pixels: i64 = layer.plan.output[1..].iter().product();
            kernels.map(|kernel| kernel.numel() as i64).sum::<i64>() * pixels
        };
        self.layers.iter().map(of).sum()
    }

    /// The threads to compute batches of `images` with; on CUDA they have nothing to compute.
    pub(crate) fn threads(&self, images: i64) -> Threads {
        match self.device {
            Device::Cpu => Threads::for_work(self.multiplications().saturating_mul(images)),
            _ => Threads::fixed(tch::get_num_threads().into()),
        }
    }

    /// A tensor that is laid out as `flat` (itself, gradients, an optimizer's moments), cut into the shapes of the weights,
    /// with their names: `conv2d.kernel`, `conv2d.bias`, … What is written into a window stands in the tensor.
    pub(crate) fn windows(&self, flat: &Tensor) -> tch::Result<Vec<(String, Tensor)>> {
        let weights: Vec<&Tensor> = self.weights().collect();
        let windows = Tensor::f_unflatten_dense_tensors(flat, &weights)?;
        let names = self.layers.iter().flat_map(|layer| layer.plan.weights());
        Ok(names.map(|(name, _)| name).zip(windows).collect())
    }

    /// The logits: the last layer's output before its softmax. The largest belongs to the most probable class.
    pub(crate) fn logits(&self, images: &Tensor, pass: Pass) -> tch::Result<Tensor> {
        self.run(images, pass, true, |_| ())
    }

    /// Every layer's output, in order, softmax included.
    pub(crate) fn outputs(&self, images: &Tensor) -> tch::Result<Vec<Tensor>> {
        let mut outputs = Vec::new();
        let keep = |output: &Tensor| outputs.push(output.shallow_clone());
        let _ = self.run(images, Pass::Inference, false, keep)?;
        Ok(outputs)
    }

    /// One pass through the layers. `fast` leaves out the last softmax, swaps activation and pooling and takes oneDNN's
    /// layout; otherwise `each` sees every layer's true output.
    fn run(
        &self,
        images: &Tensor,
        pass: Pass,
        fast: bool,
        mut each: impl FnMut(&Tensor),
    ) -> tch::Result<Tensor> {
        let mut x = images.f_to_kind(WEIGHT_KIND)?;
        let mut waiting = Activation::Linear;
        for (i, layer) in self.layers.iter().enumerate() {
            let operation = layer.plan.layer.operation();
            x = match operation.layout(&layer.plan.input) {
                Layout::OneDnn if fast => to_onednn(x, self.device)?,
                Layout::Any => x,
                Layout::OneDnn | Layout::Plain => to_plain_layout(x)?,
            };
            x = operation.forward(&x, &layer.weights, pass)?;
            let activation = match operation.activation() {
                Activation::Linear => std::mem::take(&mut waiting),
                own => own,
            };
            let next = self.layers.get(i + 1).map(|next| &next.plan.layer.kind);
            if fast && matches!(next, Some(LayerKind::MaxPooling2d(_))) {
                // All activations rise with their input, so the largest of a window stays the largest: after the
                // pooling the values are the same, on a quarter of the data.
                waiting = activation;
            } else if !(fast && activation == Activation::Softmax) {
                x = activate(x, activation)?;
            }
            each(&x);
        }
        to_plain_layout(x)
    }

    /// The gradient of `loss`, laid out as `flat`.
    pub(crate) fn gradient(&self, loss: &Tensor) -> tch::Result<Tensor> {
        let weights: Vec<&Tensor> = self.weights().collect();
        let gradients = Tensor::f_run_backward(&[loss], &weights, false, false)?;
        Tensor::f_flatten_dense_tensors(&gradients)
    }
}

/// Glorot uniform, as Keras's: between ±√(6 / (fan in + fan out)). What has one axis, a bias, stays zero.
fn initialise(weight: &Tensor) -> tch::Result<()> {
    let shape = weight.size();
    let [outputs, inputs, window @ ..] = shape.as_slice() else {
        return Ok(());
    };
    let window: i64 = window.iter().product();
    let limit = (6.0 / ((outputs + inputs) * window) as f64).sqrt();
    // Drawn on the CPU: a seed gives the same weights on every device.
    let mut values = Tensor::f_empty(&shape, (WEIGHT_KIND, Device::Cpu))?;
    let _ = values.f_uniform_(-limit, limit)?;
    weight.shallow_clone().f_copy_(&values)
}

/// Applies `activation`, in place where libtorch can: nothing else holds the tensor.
fn activate(mut x: Tensor, activation: Activation) -> tch::Result<Tensor> {
    match activation {
        Activation::Linear => Ok(x),
        // The gradient of a pooling in oneDNN's layout needs its output unchanged.
        Activation::Relu if x.is_mkldnn() => x.f_relu(),
        Activation::Relu => x.f_relu_(),
        // The others have no gradient in oneDNN's layout.
        Activation::Sigmoid => to_plain_layout(x)?.f_sigmoid_(),
        Activation::Tanh => to_plain_layout(x)?.f_tanh_(),
        Activation::Softmax => to_plain_layout(x)?.f_softmax(1, WEIGHT_KIND),
    }
}

/// Images in the layout that oneDNN chooses for itself, blocks of 16 channels side by side, in which they stay from one
/// convolution or pooling to the next. On the CPU forward and backward of the lesson's CNN take 6.2 ms that way and 6.9
/// with the channels of a pixel side by side (channels last); on CUDA libtorch's own choice is left alone. The dense
/// layers behind stay with oneDNN, whose products are faster than MKL's: a step of the lesson's last net takes 1.84 ms
/// instead of 1.98, and where the two cores share no cache 2.8 instead of 3.5. A net of dense layers only gains nothing.
///
/// oneDNN's pooling and ReLU treat NaN as a small number: images are checked before (`check_images`), and weights while
/// training ([`all_finite`]).
fn to_onednn(images: Tensor, device: Device) -> tch::Result<Tensor> {
    /// A libtorch for another processor may have been built without oneDNN.
    static HAS_ONEDNN: OnceLock<bool> = OnceLock::new();
    let has_onednn = || {
        let image = Tensor::f_zeros([1, 1, 1, 1], (WEIGHT_KIND, Device::Cpu));
        image.and_then(|image| image.f_to_mkldnn(None)).is_ok()
    };
    if device != Device::Cpu || images.is_mkldnn() || !*HAS_ONEDNN.get_or_init(has_onednn) {
        return Ok(images);
    }
    images.f_contiguous()?.f_to_mkldnn(None)
}

fn to_plain_layout(x: Tensor) -> tch::Result<Tensor> {
    if x.is_mkldnn() {
        x.f_to_dense(None, false)
    } else {
        Ok(x)
    }
}

/// Whether no number is NaN or infinite. A finite sum says so, at a fraction of the cost of a look at each.
pub(crate) fn all_finite(numbers: &Tensor) -> tch::Result<bool> {
    let is_finite = |tensor: Tensor| bool::try_from(tensor.f_isfinite()?.f_all()?);
    // A sum of huge numbers may overflow where each of them is finite.
    Ok(is_finite(numbers.f_sum(WEIGHT_KIND)?)? || is_finite(numbers.shallow_clone())?)
}
