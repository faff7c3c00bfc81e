//! The C library's allocator, told to keep what training gives back.
//!
//! glibc returns each big buffer to the system and faults it in again at the next step: a training step of the lesson's
//! CNN took 15 ms that way and 10 ms with its memory kept. A dataset's images (188 MB as floats) shall go back at once,
//! though: kept, they left the lesson's peak at 1,024 MB.

/// From here on a buffer goes back to the system, in MiB: larger than the activations of a batch of 512 images of the
/// lesson's CNN, smaller than the dataset. The setting is the process's, so saying it again is harmless.
const USUAL: i32 = 128;
/// While something is trained, whose batches may be larger.
const TRAINING: i32 = 512;

/// Keeps buffers of the usual sizes.
pub(crate) fn keep_buffers() {
    keep(USUAL);
}

/// Keeps those of larger batches too, from a step in a loop of the learner's own to the end of the next `fit`.
pub(crate) fn keep_large_buffers() {
    keep(TRAINING);
}

/// Keeps every buffer of a training, until the value goes. At first it gives back to the system what lies unused since
/// the last big work, which takes 2–36 ms.
pub(crate) struct Training;

impl Training {
    pub(crate) fn begin() -> Self {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        #[allow(unsafe_code)]
        // The call has no other door. Sound: it only returns pages that nothing uses.
        unsafe {
            libc::malloc_trim(0);
        }
        keep(TRAINING);
        Self
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        keep(USUAL);
    }
}

/// Keeps buffers below `limit` MiB.
fn keep(limit: i32) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // The setting has no other door. Sound: `mallopt` only changes two numbers of the allocator's.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, limit << 20);
        // All buffers of a step together: four of the largest. Near the most that `mallopt` takes.
        libc::mallopt(libc::M_TRIM_THRESHOLD, (4 * limit - 1) << 20);
    }
}
