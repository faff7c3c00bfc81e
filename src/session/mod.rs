//! What touches the process: language, errors, the display channel, progress, device, allocator, interrupts, files.

pub(crate) mod allocator;
pub(crate) mod device;
pub(crate) mod display;
mod error;
pub(crate) mod files;
pub(crate) mod interrupt;
pub(crate) mod memory;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod texts;
pub(crate) mod threads;
mod unique;
mod versions;

pub(crate) use error::{compute, error, torch};
pub(crate) use files::plain;
pub(crate) use unique::unique;
pub use versions::{Versions, versions};
