//! Pictures: they show themselves in the notebook and save themselves as PNG or SVG.

mod activation_grid;
mod axis;
mod chart;
pub(crate) mod comparison;
mod confusion;
mod figure;
mod filters;
mod gallery;
pub(crate) mod history;
mod scene;
mod tiles;

pub use activation_grid::{activation_grid, activation_grid_of};
pub use figure::Figure;
pub use filters::{activation_map, filters};
pub use gallery::{Examples, confusion_matrix, gallery, gallery_of_answers, mistakes};
pub use history::histories;
