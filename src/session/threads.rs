//! How many threads libtorch computes with.

/// Multiplications of a forward pass that, with the backward pass, are worth one more thread: about 0.2 ms.
const PER_THREAD: i64 = 4_000_000;

/// While it lives, libtorch uses no more threads than the work of a step is worth.
///
/// Threads that share a small step wait for each other and fetch the weights from each other's caches. A step of the
/// lesson's dense net takes 0.48 ms with one thread; with two 0.43 ms where their cores share a cache, 0.85 ms where they
/// don't. Two gain on the lesson's last net (2.8 ms with one, 1.8 or 2.8 with two). The number comes from the work alone,
/// not from a clock: it affects rounding, so the same seed must find the same number.
pub(crate) struct Threads {
    before: i32,
}

impl Threads {
    /// `multiplications`: those of a forward pass of one batch.
    pub(crate) fn for_work(multiplications: i64) -> Self {
        let before = tch::get_num_threads();
        let worth = (multiplications / PER_THREAD).max(1);
        tch::set_num_threads(i64::from(before).min(worth) as i32);
        Self { before }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_work_gets_one_thread_and_large_work_all_that_there_were() {
        // The number is the calling thread's.
        tch::set_num_threads(3);
        for (work, threads) in [
            (0, 1),
            (2 * PER_THREAD - 1, 1),
            (2 * PER_THREAD, 2),
            (3 * PER_THREAD, 3),
            (1_000 * PER_THREAD, 3),
        ] {
            let guard = Threads::for_work(work);
            assert_eq!(tch::get_num_threads(), threads, "{work}");
            drop(guard);
            assert_eq!(tch::get_num_threads(), 3, "{work}");
        }
    }
}
