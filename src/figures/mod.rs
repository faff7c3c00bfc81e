//! Pictures: they show themselves in the notebook and save themselves as PNG or SVG.

mod activation_grid;
mod axis;
mod figure;
mod history;
mod scene;

pub use figure::Figure;
