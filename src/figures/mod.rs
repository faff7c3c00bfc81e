//! Pictures: they show themselves in the notebook and save themselves as PNG or SVG.
//!
//! Each file imports only from files further up in this list.

mod canvas;
mod scene;
mod theme;

mod axis;
mod chart;
mod figure;
mod images;
mod predictions;
mod tiles;

mod activation_grid;
pub(crate) mod comparison;
mod confusion;
mod gallery;
pub(crate) mod history;
mod kernel_grid;

pub use activation_grid::activation_grid;
pub use confusion::confusion_matrix;
pub use figure::Figure;
pub use gallery::{gallery, misclassified};
pub use kernel_grid::kernel_grid;

pub(crate) use images::{numbers, select};
