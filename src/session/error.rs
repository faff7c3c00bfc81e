//! Errors of one line.

use tch::TchError;

use super::texts;
use crate::Result;

/// An error whose message is `text`: one line that says what was wrong, where, and what to do.
pub(crate) fn error(text: String) -> anyhow::Error {
    anyhow::Error::msg(text)
}

/// What libtorch says when the GPU, and when the system, has no memory left.
const OUT_OF_MEMORY: [&str; 2] = ["CUDA out of memory", "can't allocate memory"];

/// An error of libtorch's, without its C++ backtrace: only the first line of its text is of use to a reader.
pub(crate) fn torch(error: TchError) -> anyhow::Error {
    let text = match &error {
        TchError::Torch(text) => text.clone(),
        other => other.to_string(),
    };
    if OUT_OF_MEMORY.iter().any(|sign| text.contains(sign)) {
        return self::error(texts::out_of_memory());
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    self::error(texts::libtorch(first.unwrap_or_default()))
}

/// Does several things with libtorch, each of which may fail with an error of libtorch's.
pub(crate) fn compute<T>(with_libtorch: impl FnOnce() -> tch::Result<T>) -> Result<T> {
    with_libtorch().map_err(torch)
}
