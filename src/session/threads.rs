//! How many threads libtorch computes with: no more than the work is worth, than the process may use, and than it gets.
//!
//! libtorch's threads meet at the end of each of a step's many parallel parts, and those that arrive first spin. If one of
//! them isn't scheduled, all wait for it: on two cores an epoch of the lesson's CNN took 16 s alone, 58 s beside one busy
//! process and 98 s beside another training; with one thread 23 s, whatever the others do.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Multiplications of a forward pass that, with the backward pass, are worth one more thread: about 0.2 ms.
const PER_THREAD: i64 = 4_000_000;

/// How much of a core others may take before it is left to them: below that a waiting thread costs less than a missing one.
const TOLERATED: f64 = 0.4;

/// The time from one look at the machine to the next.
const LOOK: Duration = Duration::from_millis(250);

/// How long a core must be free before it is used again. Longer: a thread too many costs more than one too few.
const FREE: Duration = Duration::from_secs(1);

/// Keeps libtorch from starting more threads than the process may use, by its affinity and by its control group's quota
/// of processor time, of which libtorch knows nothing.
pub(crate) fn limit() {
    if !set_by_user() {
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        tch::set_num_threads(tch::get_num_threads().min(usable as i32));
    }
}

/// Whether the number of threads is the user's own.
fn set_by_user() -> bool {
    std::env::var("OMP_NUM_THREADS").is_ok_and(|number| number.trim().parse::<u32>().is_ok())
}

/// While it lives, libtorch uses no more threads than the work of a step is worth, nor, wherever
/// [`follow`](Self::follow) is called, than the process gets beside others.
///
/// Threads that share a small step wait for each other and fetch the weights from each other's caches. A step of the
/// lesson's dense net takes 0.48 ms with one thread; with two 0.43 ms where their cores share a cache, 0.85 ms where they
/// don't. Two gain on the lesson's last net (2.8 ms with one, 1.8 or 2.8 with two).
///
/// The number of threads affects rounding: a seed repeats its numbers bit for bit only with the same number.
pub(crate) struct Threads {
    before: i32,
    worth: i32,
    follows: bool,
}

impl Threads {
    /// `multiplications`: those of a forward pass of one batch.
    pub(crate) fn for_work(multiplications: i64) -> Self {
        let all = i64::from(tch::get_num_threads());
        let mut threads = Self::fixed((multiplications / PER_THREAD).clamp(1, all));
        threads.follows = threads.worth > 1 && !set_by_user();
        threads.follow();
        threads
    }

    /// So many threads, whatever the work and the machine.
    pub(crate) fn fixed(number: i64) -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(number as i32);
        Self {
            before,
            worth: number as i32,
            follows: false,
        }
    }

    /// Whether others leave it at most half of the threads that the work is worth: a step then takes about twice as long.
    pub(crate) fn are_halved(&self) -> bool {
        self.follows && 2 * tch::get_num_threads() <= self.worth
    }

    /// Between two steps: takes back or gives up threads as others on the machine end or begin. It costs some 50 ns.
    pub(crate) fn follow(&mut self) {
        if !self.follows {
            return;
        }
        // Each evcxr cell has its own: what it doesn't know yet it learns in its first quarter of a second.
        static SHARE: Mutex<Option<Share>> = Mutex::new(None);
        let mut share = SHARE.lock().unwrap_or_else(PoisonError::into_inner);
        match share.as_mut() {
            Some(share) if share.seen.at.elapsed() < LOOK => {}
            Some(share) => {
                if let Some(usage) = Usage::now() {
                    share.update(usage);
                }
            }
            None => *share = Usage::now().map(Share::new),
        }
        let cores = share.as_ref().map_or(self.worth, |share| share.cores);
        let number = cores.min(self.worth);
        if number != tch::get_num_threads() {
            tch::set_num_threads(number);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}

/// How many cores there are for this process: those that it uses and those that lie idle.
struct Share {
    cores: i32,
    seen: Usage,
    /// When there were last no more than `cores`.
    full: Instant,
}

impl Share {
    /// Nothing is known yet: all of them.
    fn new(usage: Usage) -> Self {
        Self {
            cores: i32::MAX,
            full: usage.at,
            seen: usage,
        }
    }

    fn update(&mut self, usage: Usage) {
        let seconds = (usage.at - self.seen.at).as_secs_f64();
        let free = (usage.used - self.seen.used) + (usage.idle - self.seen.idle);
        let cores = ((free / seconds + TOLERATED) as i32).max(1);
        if cores <= self.cores || usage.at - self.full >= FREE {
            (self.cores, self.full) = (cores, usage.at);
        }
        self.seen = usage;
    }
}

/// Seconds of processor time, counted from some moment.
struct Usage {
    at: Instant,
    /// That this process took.
    used: f64,
    /// That nobody took, of the processors that this process may use.
    idle: f64,
}

impl Usage {
    /// None where the system doesn't say: some containers count no idle time, or number the processors in another way. What
    /// has never been idle is taken for that.
    fn now() -> Option<Self> {
        let read = |path| fs::read_to_string(path).ok();
        let idle = idle(&read("/proc/stat")?, &allowed(&read("/proc/self/status")?)?);
        let used = used(&read("/proc/self/stat")?)?;
        let at = Instant::now();
        (idle > 0.0).then_some(Self { at, used, idle })
    }
}

/// Linux counts processor time for programs in hundredths of a second.
fn seconds(ticks: &str) -> Option<f64> {
    Some(ticks.parse::<f64>().ok()? / 100.0)
}

/// A process's time in its own code and in the system's, from `/proc/self/stat`.
fn used(stat: &str) -> Option<f64> {
    // Its name, in brackets, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(seconds(fields.next()?)? + seconds(fields.next()?)?)
}

/// The idle time of these processors, waiting for a disk included, from `/proc/stat`.
fn idle(stat: &str, allowed: &[usize]) -> f64 {
    let one = |line: &str| {
        let mut fields = line.strip_prefix("cpu")?.split_whitespace();
        let number = fields.next()?.parse().ok()?;
        let mut fields = fields.skip(3);
        let idle = seconds(fields.next()?)? + seconds(fields.next()?)?;
        allowed.contains(&number).then_some(idle)
    };
    stat.lines().filter_map(one).sum()
}

/// The processors that this process may use, from `/proc/self/status`: `0-3,8`.
fn allowed(status: &str) -> Option<Vec<usize>> {
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut processors: Vec<usize> = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        processors.extend(first..=last);
    }
    Some(processors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_work_gets_one_thread_and_large_work_at_most_all_that_there_were() {
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
            // Beside other tests it may be fewer.
            assert!(tch::get_num_threads() <= threads, "{work}");
            assert_eq!(guard.worth, threads, "{work}");
            drop(guard);
            assert_eq!(tch::get_num_threads(), 3, "{work}");
        }
        let guard = Threads::fixed(2);
        assert_eq!(tch::get_num_threads(), 2);
        drop(guard);
        assert_eq!(tch::get_num_threads(), 3);
    }

    /// The cores of a share after each quarter of a second in which so many cores were used and so many idle.
    fn followed(quarters: &[(f64, f64)]) -> Vec<i32> {
        let mut at = Instant::now();
        let (mut used, mut idle) = (0.0, 0.0);
        let mut share = Share::new(Usage { at, used, idle });
        let mut cores = Vec::new();
        for quarter in quarters {
            at += LOOK;
            used += quarter.0 * LOOK.as_secs_f64();
            idle += quarter.1 * LOOK.as_secs_f64();
            share.update(Usage { at, used, idle });
            cores.push(share.cores);
        }
        cores
    }

    #[test]
    fn a_core_is_left_at_once_and_taken_back_after_a_second() {
        let alone = (1.9, 0.1);
        let beside = (1.3, 0.0);
        let with_one = (1.0, 0.0);
        let others_ended = (1.0, 1.0);
        assert_eq!(followed(&[alone, alone]), [2, 2]);
        assert_eq!(followed(&[alone, beside, with_one, with_one]), [2, 1, 1, 1]);
        let mut quarters = vec![beside];
        quarters.extend([others_ended; 5]);
        assert_eq!(followed(&quarters), [1, 1, 1, 1, 2, 2]);
        // A pause of the others that is shorter than a second is none.
        let paused = [beside, others_ended, others_ended, with_one, others_ended];
        assert_eq!(followed(&paused), [1; 5]);
        // A little beside it, such as a browser's, takes no thread away.
        assert_eq!(followed(&[(1.7, 0.0), (1.65, 0.05)]), [2, 2]);
        assert_eq!(followed(&[(0.2, 0.0)]), [1]);
        assert_eq!(followed(&[(9.3, 0.4)]), [10]);
    }

    #[test]
    fn the_systems_files_are_read() {
        let stat = "42 (a ) b) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(used(stat), Some(2.0));
        assert_eq!(used("42 (a) R 1"), None);
        let stat = "cpu  9 9 9 9 9 9\ncpu0 1 2 3 400 100 6\ncpu1 1 2 3 700 0 6\nintr 5\n";
        assert_eq!(idle(stat, &[0, 1]), 12.0);
        assert_eq!(idle(stat, &[1]), 7.0);
        let status = "Name:\tx\nCpus_allowed_list:\t0-2,5,8-9\nMems_allowed:\t1\n";
        assert_eq!(allowed(status), Some(vec![0, 1, 2, 5, 8, 9]));
        assert_eq!(allowed("Cpus_allowed_list:\tall\n"), None);
    }

    #[test]
    fn what_this_process_takes_is_seen() {
        let before = Usage::now().unwrap();
        while before.at.elapsed() < Duration::from_millis(300) {
            std::hint::black_box(before.used.sqrt());
        }
        let after = Usage::now().unwrap();
        assert!(after.used > before.used && after.idle >= before.idle);
    }
}
