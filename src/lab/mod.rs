//! The lab of the exercises: variants of a network are trained, compared, and held against what an exercise asks for.

mod comparison;
mod exercises;

pub use comparison::{Comparison, Variant};
pub use exercises::{Exercise, Finding};
