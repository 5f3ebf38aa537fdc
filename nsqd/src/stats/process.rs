//! What the system knows of this process. Where it does not tell (`/proc` is Linux's), the figures are 0.

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Bytes of memory that are in RAM.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident_in(&status)
}

fn resident_in(status: &str) -> u64 {
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|resident| resident.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Processor time used so far, by all threads, in seconds.
pub(crate) fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
    let seconds = used.tv_sec as f64;
    #[expect(clippy::cast_precision_loss, reason = "below a billion")]
    let nanoseconds = used.tv_nsec as f64;
    seconds + nanoseconds / 1e9
}

/// A thread of this process.
#[derive(Debug, Serialize)]
pub(crate) struct Thread {
    /// What it was called when it was made; the kernel keeps 15 bytes.
    pub(crate) name: String,
    /// Processor time used so far.
    pub(crate) cpu_seconds: f64,
}

/// All threads, in the order of their making.
pub(crate) fn threads() -> Vec<Thread> {
    let Ok(entries) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    // One that has ended in between has no file any more.
    let stats = paths
        .iter()
        .filter_map(|path| fs::read_to_string(path.join("stat")).ok());
    stats.filter_map(|stat| thread_in(&stat)).collect()
}

/// The name is in brackets, and may hold any byte; user and system time are the 12th and 13th field behind it, in hundredths
/// of a second (`USER_HZ`).
fn thread_in(stat: &str) -> Option<Thread> {
    let (head, fields) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<u32> = ticks.map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(Thread {
        name: name.to_owned(),
        cpu_seconds: ticks.into_iter().map(f64::from).sum::<f64>() / 100.0,
    })
}

/// File descriptors in use, the one for looking included.
pub(crate) fn open_fds() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_what_the_kernel_writes() {
        let status = "Name:\tnsqd\nVmHWM:\t    9999 kB\nVmRSS:\t    1234 kB\nThreads:\t4\n";
        assert_eq!(resident_in(status), 1234 * 1024);
        for unknown in ["", "VmRSS:\n", "VmRSS: x kB\n", "VmRSS: 5 MB\n"] {
            assert_eq!(resident_in(unknown), 0, "{unknown:?}");
        }
    }

    #[test]
    fn a_thread_may_be_called_anything() {
        let stat = "7 (a) (b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0";
        let thread = thread_in(stat).unwrap();
        assert_eq!(thread.name, "a) (b");
        assert!((thread.cpu_seconds - 2.0).abs() < 1e-9, "{thread:?}");
        assert!(thread_in("7 (a) S 1").is_none_or(|thread| thread.cpu_seconds == 0.0));
        assert!(thread_in("").is_none());
        assert!(!threads().is_empty());
    }

    #[test]
    fn this_process_has_memory_files_and_used_time() {
        assert!(resident_bytes() > 100_000);
        assert!(open_fds() > 2);
        assert!(cpu_seconds() > 0.0);
    }
}
