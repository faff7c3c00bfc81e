//! The layers with their weights: from images to the last layer's sums, and back to gradients.
//!
//! What makes it fast stands here, each with its reason: oneDNN's own layout ([`to_own_layout`]), the order of activation
//! and pooling ([`Network::run`]), the flat weights.

use std::sync::OnceLock;

use tch::{Device, Tensor};

use super::layer::{Activation, Kind, LayerPlan};
use super::optimizer::WEIGHT_KIND;

/// A layer and where its weights are.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub plan: LayerPlan,
    /// Which of the network's weights are its kernel and its bias.
    weights: Option<(usize, usize)>,
}

/// A list of layers with weights on a device.
#[derive(Debug)]
pub(crate) struct Network {
    pub slots: Vec<Slot>,
    pub device: Device,
    /// All weights in one row: an optimiser's step is then a handful of operations, not a handful for each layer.
    pub flat: Tensor,
    /// Each layer's kernel and bias: windows into `flat`, with gradients.
    views: Vec<Tensor>,
}

/// Why a forward pass is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Dropout works, gradients are kept.
    Training,
    /// Dropout does nothing.
    Inference,
}

impl Network {
    /// Allocates and fills the weights of layers whose shapes have been worked out.
    pub(crate) fn new(layers: Vec<LayerPlan>, device: Device) -> tch::Result<Self> {
        let mut shapes = Vec::new();
        let mut slots = Vec::new();
        for plan in layers {
            let weights = plan.layer.weight_shapes(&plan.input).map(|(kernel, bias)| {
                shapes.extend([kernel, bias]);
                (shapes.len() - 2, shapes.len() - 1)
            });
            slots.push(Slot { plan, weights });
        }
        let sizes: Vec<i64> = shapes.iter().map(|shape| shape.iter().product()).collect();
        let flat = Tensor::f_zeros([sizes.iter().sum::<i64>()], (WEIGHT_KIND, device))?;
        let mut views = Vec::new();
        let mut offset = 0;
        for (shape, size) in shapes.iter().zip(&sizes) {
            views.push(
                flat.f_narrow(0, offset, *size)?
                    .f_view(shape.as_slice())?
                    .f_detach()?,
            );
            offset += size;
        }
        let mut network = Self {
            slots,
            device,
            flat,
            views,
        };
        network.initialise()?;
        for view in &mut network.views {
            *view = view.f_set_requires_grad(true)?;
        }
        Ok(network)
    }

    /// Glorot uniform kernels, as Keras's: between ±√(6 / (fan in + fan out)). Biases stay zero.
    fn initialise(&mut self) -> tch::Result<()> {
        let _guard = tch::no_grad_guard();
        for slot in &self.slots {
            let Some((kernel, _)) = slot.weights else {
                continue;
            };
            let kernel = &mut self.views[kernel];
            let size = kernel.size();
            let window: i64 = size[2..].iter().product();
            let limit = (6.0 / ((size[0] + size[1]) * window) as f64).sqrt();
            // Drawn on the CPU: a seed gives the same weights on every device.
            let mut values = Tensor::f_empty(&size, (WEIGHT_KIND, Device::Cpu))?;
            let _ = values.f_uniform_(-limit, limit)?;
            kernel.f_copy_(&values)?;
        }
        Ok(())
    }

    /// Each weight tensor with its name: `conv2d.kernel`, `conv2d.bias`, …
    pub(crate) fn named_weights(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.slots
            .iter()
            .filter_map(|slot| slot.weights.map(|at| (slot, at)))
            .flat_map(|(slot, (kernel, bias))| {
                [
                    (format!("{}.kernel", slot.plan.at.name), &self.views[kernel]),
                    (format!("{}.bias", slot.plan.at.name), &self.views[bias]),
                ]
            })
    }

    /// How many multiplications the weights take part in while one image goes forward.
    pub(crate) fn multiplications(&self) -> i64 {
        let of = |slot: &Slot| {
            let kernel = slot.weights.map(|(kernel, _)| self.views[kernel].numel());
            // A convolution's kernel works at every place of its output.
            let places: i64 = slot.plan.output[1..].iter().product();
            kernel.unwrap_or(0) as i64 * places
        };
        self.slots.iter().map(of).sum()
    }

    /// A tensor that is laid out as `flat` (gradients, an optimiser's moments), cut into the shapes of the weights.
    pub(crate) fn windows(&self, flat: &Tensor) -> tch::Result<Vec<Tensor>> {
        let mut offset = 0;
        let cut = |view: &Tensor| {
            let len = view.numel() as i64;
            let window = flat
                .f_narrow(0, offset, len)?
                .f_view(view.size().as_slice())?;
            offset += len;
            Ok(window)
        };
        self.views.iter().map(cut).collect()
    }

    /// The last layer's output before a softmax: what the loss wants, and what has the same largest class.
    pub(crate) fn logits(&self, images: &Tensor, pass: Pass) -> tch::Result<Tensor> {
        self.run(images, pass, true, |_, _| ())
    }

    /// Every layer's output, in order, softmax included.
    pub(crate) fn outputs(&self, images: &Tensor) -> tch::Result<Vec<Tensor>> {
        let mut outputs = Vec::new();
        let _ = self.run(images, Pass::Inference, false, |_, output| {
            outputs.push(output.shallow_clone())
        })?;
        Ok(outputs)
    }

    /// One pass through the layers. `fast` leaves out the last softmax, swaps activation and pooling and takes oneDNN's
    /// layout; otherwise `each` sees every layer's true output.
    fn run(
        &self,
        images: &Tensor,
        pass: Pass,
        fast: bool,
        mut each: impl FnMut(usize, &Tensor),
    ) -> tch::Result<Tensor> {
        let mut x = images.f_to_kind(WEIGHT_KIND)?;
        let mut waiting = Activation::Linear;
        for (i, slot) in self.slots.iter().enumerate() {
            x = match slot.plan.layer.0 {
                Kind::Conv2d { .. } | Kind::MaxPooling2d { .. } if fast => {
                    to_own_layout(x, self.device)?
                }
                // They take either layout, and give what they took.
                Kind::Flatten | Kind::Dense { .. } => x,
                _ => to_plain_layout(x)?,
            };
            x = match (&slot.plan.layer.0, slot.weights) {
                (Kind::Conv2d { .. }, Some((kernel, bias))) => x.f_conv2d(
                    &self.views[kernel],
                    Some(&self.views[bias]),
                    [1, 1],
                    [0, 0],
                    [1, 1],
                    1,
                )?,
                (Kind::Dense { .. }, Some((kernel, bias))) => {
                    x.f_linear(&self.views[kernel], Some(&self.views[bias]))?
                }
                (&Kind::MaxPooling2d { pool: (h, w) }, _) => {
                    x.f_max_pool2d([h, w], [h, w], [0, 0], [1, 1], false)?
                }
                (Kind::Flatten, _) => x.f_flatten(1, -1)?,
                (Kind::Dropout { rate }, _) => x.f_dropout(*rate, pass == Pass::Training)?,
                // A layer with weights has them: `new` gave them.
                (Kind::Conv2d { .. } | Kind::Dense { .. }, None) => x,
            };
            let activation = match slot.plan.layer.activation() {
                Activation::Linear => std::mem::take(&mut waiting),
                own => own,
            };
            let next = self.slots.get(i + 1).map(|slot| &slot.plan.layer.0);
            if fast && matches!(next, Some(Kind::MaxPooling2d { .. })) {
                // All activations rise with their input, so the largest of a window stays the largest: after the
                // pooling the values are the same, on a quarter of the data.
                waiting = activation;
            } else if !(fast && activation == Activation::Softmax) {
                x = activate(x, activation)?;
            }
            each(i, &x);
        }
        to_plain_layout(x)
    }

    /// Whether no weight is NaN or infinite.
    pub(crate) fn is_finite(&self) -> tch::Result<bool> {
        all_finite(&self.flat)
    }

    /// The gradient of `loss`, laid out as `flat`.
    pub(crate) fn gradient(&self, loss: &Tensor) -> tch::Result<Tensor> {
        let gradients = Tensor::f_run_backward(&[loss], &self.views, false, false)?;
        let rows = gradients.iter().map(|gradient| gradient.f_reshape([-1]));
        Tensor::f_cat(&rows.collect::<tch::Result<Vec<_>>>()?, 0)
    }
}

/// Applies `activation`, in place where libtorch can: nothing else holds the sums.
fn activate(mut x: Tensor, activation: Activation) -> tch::Result<Tensor> {
    match activation {
        Activation::Linear => Ok(x),
        // In oneDNN's layout a pooling wants its output as it was, for its gradient.
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
/// oneDNN's pooling and ReLU take a NaN for a small number. So images are looked through before
/// (`check_images`), and weights while training ([`Network::is_finite`]).
fn to_own_layout(images: Tensor, device: Device) -> tch::Result<Tensor> {
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

/// Whether no number is NaN or infinite. The sum tells, at a fraction of what a look at each costs.
pub(crate) fn all_finite(numbers: &Tensor) -> tch::Result<bool> {
    let is_finite = |tensor: Tensor| bool::try_from(tensor.f_isfinite()?.f_all()?);
    // A sum of huge numbers may overflow where each of them is finite.
    Ok(is_finite(numbers.f_sum(WEIGHT_KIND)?)? || is_finite(numbers.shallow_clone())?)
}
