//! Names that are nobody else's.

use std::time::UNIX_EPOCH;

/// Differs from call to call, in every thread and process. The clock makes it: a counter would start again in every cell,
/// which has its own copy of the statics.
pub(crate) fn unique() -> String {
    let now = UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{}-{:x}", std::process::id(), now.as_nanos())
}
