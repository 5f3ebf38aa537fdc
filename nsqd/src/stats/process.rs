//! What the system knows of this process. Where it does not tell (`/proc` is Linux's), the figures are 0.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// Bytes of memory that are in RAM.
pub(super) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident_in(&status)
}

fn resident_in(status: &str) -> u64 {
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|resident| resident.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Processor time used so far, by all threads, in seconds.
pub(super) fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
    let seconds = used.tv_sec as f64;
    #[expect(clippy::cast_precision_loss, reason = "below a billion")]
    let nanoseconds = used.tv_nsec as f64;
    seconds + nanoseconds / 1e9
}

/// File descriptors in use, the one for looking included.
pub(super) fn open_fds() -> u64 {
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
    fn this_process_has_memory_files_and_used_time() {
        assert!(resident_bytes() > 100_000);
        assert!(open_fds() > 2);
        assert!(cpu_seconds() > 0.0);
    }
}
