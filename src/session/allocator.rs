//! The C library's allocator, told to keep what training gives back.
//!
//! glibc returns each big buffer to the system and faults it in again at the next step: a training step of the lesson's
//! CNN took 15 ms that way and 10 ms with its memory kept. A dataset's images (188 MB as floats) shall go back at once,
//! though: kept, they left the lesson's peak at 1,024 MB.

/// From here on a buffer goes back to the system, in MiB: larger than the activations of a batch of 512 images of the
/// lesson's CNN, smaller than the dataset. The setting is the process's, so saying it again is harmless.
pub(crate) const USUAL: i32 = 128;
/// While something is trained, whose batches may be larger: also from a step in a loop of the learner's own to the end of
/// the next `fit`.
pub(crate) const TRAINING: i32 = 512;
/// The most that glibc takes before 2.35: `DEFAULT_MMAP_THRESHOLD_MAX` of its manual.
const OLD: i32 = 32;

/// Gives back to the system what lies unused since the last big work, which takes 2–36 ms.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: the call only returns pages that nothing uses.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Keeps every buffer of a training, until the value goes.
pub(crate) struct Training;

impl Training {
    pub(crate) fn begin() -> Self {
        give_back();
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
pub(crate) fn keep(limit: i32) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep_by(limit, |setting, bytes| {
        #[allow(unsafe_code)]
        // SAFETY: `mallopt` only changes two numbers of the allocator's.
        unsafe {
            libc::mallopt(setting, bytes)
        }
    });
}

/// Keeps buffers below `limit` MiB, or as large ones as `mallopt` takes. It answers 0 to what it doesn't take.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_by(limit: i32, mut mallopt: impl FnMut(libc::c_int, libc::c_int) -> libc::c_int) {
    let taken = [limit, OLD]
        .into_iter()
        .any(|limit| mallopt(libc::M_MMAP_THRESHOLD, limit << 20) != 0);
    // Set alone it would leave large buffers at the default of 128 KiB, and no longer growing with use.
    if taken {
        // All buffers of a step together: four of the largest. Near the most that an `int` holds.
        mallopt(libc::M_TRIM_THRESHOLD, (4 * limit - 1) << 20);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// The settings made by an allocator that takes no more MiB than `most` for the size of a buffer.
    fn settings(limit: i32, most: i32) -> Vec<(&'static str, i32)> {
        let mut made = Vec::new();
        keep_by(limit, |setting, bytes| {
            let name = match setting {
                libc::M_MMAP_THRESHOLD if bytes > most << 20 => return 0,
                libc::M_MMAP_THRESHOLD => "mmap",
                libc::M_TRIM_THRESHOLD => "trim",
                other => panic!("setting {other}"),
            };
            made.push((name, bytes >> 20));
            1
        });
        made
    }

    #[test]
    fn an_older_allocator_keeps_what_it_can_and_one_that_refuses_is_left_alone() {
        assert_eq!(
            settings(TRAINING, 2047),
            [("mmap", TRAINING), ("trim", 2047)]
        );
        assert_eq!(settings(TRAINING, OLD), [("mmap", OLD), ("trim", 2047)]);
        assert_eq!(settings(USUAL, OLD), [("mmap", OLD), ("trim", 511)]);
        assert_eq!(settings(USUAL, 0), []);
    }
}
