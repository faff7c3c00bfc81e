//! An interrupt (Jupyter's button, Ctrl-C) that ends a computation and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

use super::display;

/// Set by the signal. Each evcxr cell has its own copy, and its own handler with it.
static REQUESTED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    REQUESTED.store(true, Ordering::Relaxed);
}

/// While it lives, SIGINT only sets a flag; drop restores the previous handler.
pub(crate) struct InterruptGuard {
    previous: libc::sigaction,
}

impl InterruptGuard {
    pub(crate) fn new() -> Self {
        REQUESTED.store(false, Ordering::Relaxed);
        // The standard library has no way to handle a signal, and a handler for the whole life of the process would
        // take Ctrl-C away from the learner's own loops.
        #[allow(unsafe_code)]
        // SAFETY: zero bytes are valid for both structures, which are plain data; the pointers live through the call; and
        // the handler only stores to an atomic, which a signal handler may do. SIGINT is one that can be handled: the call
        // can't fail.
        let previous = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut previous: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGINT, &raw const action, &raw mut previous);
            previous
        };
        display::interruptible(true);
        Self { previous }
    }

    /// Whether an interrupt has come since the guard was made.
    pub(crate) fn requested(&self) -> bool {
        REQUESTED.load(Ordering::Relaxed)
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        display::interruptible(false);
        #[allow(unsafe_code)]
        // SAFETY: the structure came from `sigaction` itself, and the pointer lives through the call.
        unsafe {
            libc::sigaction(libc::SIGINT, &raw const self.previous, std::ptr::null_mut());
        }
    }
}
