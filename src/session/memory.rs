//! How much memory there is.

use std::fs;

/// Bytes of the machine's memory, or of the container's if it was given less; `u64::MAX` where the system does not say.
pub(crate) fn total() -> u64 {
    let read = |path| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| machine(&text));
    // A container's own limit; without one there is no number.
    let container = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    let known = [machine, container].into_iter().flatten();
    known.min().unwrap_or(u64::MAX)
}

fn machine(meminfo: &str) -> Option<u64> {
    let rest = meminfo.strip_prefix("MemTotal:")?;
    let kilobytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_the_first_line() {
        let text = "MemTotal:       24689764 kB\nMemFree:         1000 kB\n";
        assert_eq!(machine(text), Some(24_689_764 * 1024));
        assert_eq!(machine("MemTotal: many kB"), None);
        assert_eq!(machine(""), None);
    }
}
