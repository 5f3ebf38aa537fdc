//! How long and how much is measured.

use std::path::PathBuf;
use std::time::Duration;

/// What every run has in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Load before anything is measured.
    pub(crate) warm_up: Duration,
    /// Load that is measured, at most.
    pub(crate) window: Duration,
    /// Bodies that are published while measured, at most, in bytes: servers keep them in memory.
    pub(crate) bytes_max: u64,
    /// Bodies of a backlog, in bytes.
    pub(crate) backlog_bytes: u64,
    /// How long a server that does nothing is watched.
    pub(crate) watch: Duration,
    /// Whether strace counts the system calls of the server, which spoils the other figures.
    pub(crate) syscalls: bool,
    /// Where servers keep their data.
    pub(crate) data: PathBuf,
}

impl Settings {
    /// For figures that are to be trusted.
    pub(crate) fn full(data: PathBuf) -> Self {
        Self {
            warm_up: Duration::from_millis(200),
            window: Duration::from_millis(800),
            bytes_max: 1_000_000_000,
            backlog_bytes: 200_000_000,
            watch: Duration::from_secs(3),
            syscalls: false,
            data,
        }
    }

    /// For finding out whether everything works.
    pub(crate) fn quick(data: PathBuf) -> Self {
        Self {
            warm_up: Duration::from_millis(50),
            window: Duration::from_millis(300),
            bytes_max: 100_000_000,
            backlog_bytes: 10_000_000,
            watch: Duration::from_secs(1),
            ..Self::full(data)
        }
    }
}
