//! An interrupt (Jupyter's button, Ctrl-C) that ends a computation and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

use super::display;

/// Set by the signal. Each evcxr cell has its own copy, and its own handler with it.
static REQUESTED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    REQUESTED.store(true, Ordering::Relaxed);
}

/// While it lives an interrupt is noted instead of ending the process; then the former handler returns.
pub(crate) struct Watch {
    former: Option<libc::sigaction>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        REQUESTED.store(false, Ordering::Relaxed);
        // The standard library has no way to handle a signal, and a handler for the whole life of the process would
        // take Ctrl-C away from the learner's own loops.
        #[allow(unsafe_code)]
        // Sound: both structures are plain data, and the handler only stores to an atomic.
        let former = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut former: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            (libc::sigaction(libc::SIGINT, &raw const action, &raw mut former) == 0)
                .then_some(former)
        };
        display::interruptible(true);
        Self { former }
    }

    /// Whether an interrupt has come since the watch began.
    pub(crate) fn requested(&self) -> bool {
        REQUESTED.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        display::interruptible(false);
        if let Some(former) = self.former {
            #[allow(unsafe_code)]
            // Sound: the structure came from the system.
            unsafe {
                libc::sigaction(libc::SIGINT, &raw const former, std::ptr::null_mut());
            }
        }
    }
}
