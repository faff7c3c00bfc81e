//! What touches the process: language, errors, the display channel, device, allocator, interrupts.

pub(crate) mod display;
pub(crate) mod error;
pub(crate) mod texts;

pub(crate) use error::{error, torch};
