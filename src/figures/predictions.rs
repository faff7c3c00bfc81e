//! What a model takes labelled images for.

use tch::Tensor;

use crate::Result;
use crate::model::Sequential;
use crate::session::compute;

/// A model's predictions for labelled images, one of each an image.
pub(crate) struct Predictions {
    /// How many classes there are.
    pub possible: usize,
    pub labels: Vec<i64>,
    /// The most probable class.
    pub classes: Vec<i64>,
    /// Its probability, 0 to 1.
    pub probabilities: Vec<f64>,
}

impl Predictions {
    /// # Errors
    /// As [`Sequential::evaluate`].
    pub(crate) fn of(model: &Sequential, images: &Tensor, labels: &Tensor) -> Result<Self> {
        let (_, labels) = model.checked(images, labels)?;
        let all = model.predict(images)?;
        compute(|| {
            let (probabilities, classes) = all.f_max_dim(-1, false)?;
            Ok(Self {
                possible: all.size()[1] as usize,
                labels: Vec::try_from(&labels)?,
                classes: Vec::try_from(&classes)?,
                probabilities: Vec::try_from(&probabilities)?,
            })
        })
    }
}
