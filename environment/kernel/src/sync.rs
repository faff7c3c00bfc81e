//! Locking.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic elsewhere is no reason to stop.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
