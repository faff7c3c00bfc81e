//! Small neural networks over libtorch, for the convolution lesson in a Rust notebook.
//!
//! A [`Sequential`] model is a list of layers, data are plain [`tch::Tensor`]s, values show themselves in a notebook:
//!
//! ```no_run
//! use svertka::prelude::*;
//! # fn main() -> svertka::Result<()> {
//! let mut model = Sequential::new([
//!     conv2d(64, (3, 3), Relu),
//!     max_pooling2d(2, 2),
//!     flatten(),
//!     dense(10, Softmax),
//! ])
//! .input_shape([1, 28, 28]);
//! println!("{}", model.summary()?);
//! # Ok(())
//! # }
//! ```
//!
//! Images are `[images, channels, height, width]`, as libtorch's. Every call that can fail returns a [`Result`] whose
//! error stands on one line. Messages are in Russian or English: `SVERTKA_LANG=ru|en`, otherwise the system's locale.
//!
//! The project's notebooks bring all they need. Elsewhere `LIBTORCH` must name a folder with libtorch 2.13 when this is built.

pub mod datasets;
mod explorer;
mod figures;
mod lab;
mod model;
mod session;

pub use explorer::{Explorer, explore};
pub use figures::{Figure, activation_grid, confusion_matrix, gallery, kernel_grid, misclassified};
pub use lab::{Comparison, Exercise, Finding, Variant};
pub use model::{
    Activation, Adam, Callback, Control, EarlyStopping, Epoch, Fit, History, Layer, LayerInfo,
    LayerOutput, LearningRateSchedule, Optimizer, Padding, Score, Sequential, Sgd, Size,
    SparseCategoricalCrossentropy, StopAtAccuracy, StopAtLoss, Stopped, Summary, SummaryRow,
    Verbosity, conv2d, dense, dropout, flatten, max_pooling2d,
};
pub use session::{Versions, versions};

/// A result whose error stands on one line: what was wrong, where, and what to do.
pub type Result<T> = anyhow::Result<T>;

/// Makes what follows repeatable: the same seed gives the same initial weights, the same order of images and the same
/// dropout, bit for bit on one machine and device with the same number of threads. That number follows what other programs
/// leave free, unless [`Fit::threads`] or the environment variable `OMP_NUM_THREADS` sets it.
pub fn seed(seed: i64) {
    // Seeding asks libtorch about CUDA, and libtorch remembers its first answer: what finds a GPU must have been before.
    let _ = session::device::choose();
    tch::manual_seed(seed);
}

/// All that a notebook needs: `use svertka::prelude::*;`.
pub mod prelude {
    pub use std::ops::ControlFlow;

    pub use tch::{Device, IndexOp, Kind, Tensor};

    pub use crate::Activation::{self, Linear, Relu, Sigmoid, Softmax, Tanh};
    pub use crate::Padding::{self, Same, Valid};
    pub use crate::{
        Adam, Callback, Comparison, Control, EarlyStopping, Epoch, Exercise, Explorer, Figure,
        Finding, Fit, History, Layer, LayerInfo, LayerOutput, LearningRateSchedule, Optimizer,
        Score, Sequential, Sgd, SparseCategoricalCrossentropy, StopAtAccuracy, StopAtLoss, Stopped,
        Summary, Variant, Verbosity, Versions, activation_grid, confusion_matrix, conv2d, datasets,
        dense, dropout, explore, flatten, gallery, kernel_grid, max_pooling2d, misclassified, seed,
        versions,
    };
}
