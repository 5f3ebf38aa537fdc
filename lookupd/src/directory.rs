//! What all connections share: the registry behind one short lock, the clock, the counters.

use client::daemon::log::LogHandle;
use client::wire::lookup::LookupdInfo;
use parking_lot::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::metrics::Metrics;
use crate::registry::{Registry, Rules};

/// The directory that every session and every request works on.
#[derive(Debug)]
pub(crate) struct Directory {
    registry: Mutex<Registry>,
    clock: Clock,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// The level of the log.
    pub(crate) log: LogHandle,
    /// The reply to IDENTIFY, the same for everybody.
    pub(crate) about: Vec<u8>,
}

impl Directory {
    /// Returns an empty directory that answers IDENTIFY with `about`.
    pub(crate) fn new(rules: Rules, about: &LookupdInfo, log: LogHandle) -> Self {
        Self {
            registry: Mutex::new(Registry::new(rules)),
            clock: Clock::start(),
            metrics: Metrics::default(),
            log,
            about: about.to_json(),
        }
    }

    /// Runs `action` on the registry. Everybody else waits for it, so it must neither write a log line nor encode an answer.
    pub(crate) fn with<R>(&self, action: impl FnOnce(&mut Registry, Timestamp) -> R) -> R {
        let now = self.clock.now();
        action(&mut self.registry.lock(), now)
    }
}
