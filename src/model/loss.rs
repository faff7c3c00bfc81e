//! The loss, and the number of correct predictions.

use tch::{Kind, Tensor};

/// What training minimises: the mean of `−log p(label)`, for labels that are class numbers.
///
/// It is computed from the logits, what the last layer gives before its softmax: that stays exact where a probability would
/// round to 0. A last layer that is linear is taken to give logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SparseCategoricalCrossentropy;

/// The mean loss of a batch: `labels` are class numbers.
pub(crate) fn cross_entropy(logits: &Tensor, labels: &Tensor) -> tch::Result<Tensor> {
    logits.f_cross_entropy_loss::<Tensor>(labels, None, tch::Reduction::Mean, -100, 0.0)
}

/// How many images of a batch are classified correctly, as a tensor of one number.
pub(crate) fn count_correct(logits: &Tensor, labels: &Tensor) -> tch::Result<Tensor> {
    logits
        .f_argmax(-1, false)?
        .f_eq_tensor(labels)?
        .f_sum(Kind::Float)
}
