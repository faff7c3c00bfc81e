//! x
mod session;

/// A result whose error stands on one line: what was wrong, where, and what to do.
pub type Result<T> = anyhow::Result<T>;
