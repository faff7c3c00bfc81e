//! A model is a list of layers, as in Keras: it works out its own shapes, trains, and shows what it is.

mod callbacks;
mod file;
mod layer;
mod network;
mod optimizer;
mod sequential;
mod summary;
mod training;

pub use callbacks::{
    Callback, Control, EarlyStopping, LearningRateSchedule, StopAtAccuracy, StopAtLoss, TimeLimit,
};
pub use layer::{Activation, Layer, conv2d, dense, dropout, flatten, max_pooling2d};
pub use optimizer::{Adam, Optimizer, Sgd};
pub use sequential::{LayerOutput, Sequential};
pub use summary::{Summary, SummaryRow};
pub use training::{Epoch, Fit, History, Score, SparseCategoricalCrossentropy, Verbosity};

pub(crate) use layer::{Kind as LayerKind, Place};
pub(crate) use sequential::{check_images, check_labels, count};
pub(crate) use summary::thousands;
pub(crate) use training::Companion;
