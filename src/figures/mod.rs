//! Pictures: they show themselves in the notebook and save themselves as PNG or SVG.

mod activation_grid;
mod axis;
mod chart;
mod comparison;
mod confusion;
mod figure;
mod filters;
mod gallery;
mod history;
mod scene;
mod tiles;

pub use figure::Figure;
