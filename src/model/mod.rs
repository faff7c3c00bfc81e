//! A model is a list of layers, as in Keras: it works out its own shapes, trains, and shows itself.
//!
//! To be read in this order, in which a file uses only files before it: `layer`, `loss`, `optimizer`, `network`, `history`,
//! `callbacks`, `summary`, `sequential`, `file`, `training`.

mod callbacks;
mod file;
mod history;
mod layer;
mod loss;
mod network;
mod optimizer;
mod sequential;
mod summary;
mod training;

pub use callbacks::{
    Callback, Control, EarlyStopping, LearningRateSchedule, StopAtAccuracy, StopAtLoss,
};
pub use history::{Epoch, History, Score, Stopped};
pub use layer::{Activation, Layer, Padding, Size, conv2d, dense, dropout, flatten, max_pooling2d};
pub use loss::SparseCategoricalCrossentropy;
pub use optimizer::{Adam, Optimizer, Sgd};
pub use sequential::{LayerInfo, LayerOutput, Sequential};
pub use summary::{Summary, SummaryRow};
pub use training::{Fit, Verbosity};

pub(crate) use layer::{LayerKind, LayerPlan};
pub(crate) use sequential::{batch_len, check_images, whole_numbers};
pub(crate) use summary::thousands;
