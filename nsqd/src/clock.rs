//! Time and randomness as arguments: what the daemon takes from the world goes through these two small traits,
//! so that the same code runs under a clock and a dice that a test controls.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The two clocks: one that only goes forward, for timeouts and deferrals, and the wall's, for stamps on messages.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time; steps of the wall clock do not move it.
    fn now(&self) -> Instant;

    /// Nanoseconds since the Unix epoch as the wall clock tells; may step in both directions.
    fn wall_ns(&self) -> i64;
}

/// A source of random numbers.
pub trait Random: Debug + Send + Sync {
    /// Returns 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The machine's clocks and the thread's random generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_ns(&self) -> i64 {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
    }
}

impl Random for System {
    fn next_u64(&self) -> u64 {
        fastrand::u64(..)
    }
}
