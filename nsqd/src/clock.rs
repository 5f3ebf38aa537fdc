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

/// A clock and a dice that a test controls.
#[cfg(test)]
pub(crate) mod manual {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use fastrand::Rng;
    use parking_lot::Mutex;

    use super::{Clock, Instant, Random};

    /// A clock that stands still until it is moved.
    #[derive(Debug)]
    pub(crate) struct StoppedClock {
        start: Instant,
        passed: Mutex<Duration>,
        /// How far somebody has set the wall clock forward, or back.
        step_ns: AtomicI64,
    }

    impl StoppedClock {
        pub(crate) fn new() -> Self {
            Self {
                start: Instant::now(),
                passed: Mutex::default(),
                step_ns: AtomicI64::new(0),
            }
        }

        /// Steps the wall clock only.
        pub(crate) fn step_wall(&self, seconds: i64) {
            self.step_ns
                .fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
        }

        pub(crate) fn advance(&self, by: Duration) {
            *self.passed.lock() += by;
        }
    }

    impl Clock for StoppedClock {
        fn now(&self) -> Instant {
            self.start + *self.passed.lock()
        }

        fn wall_ns(&self) -> i64 {
            let since_2025 = i64::try_from(self.passed.lock().as_nanos()).unwrap();
            1_735_689_600_000_000_000 + since_2025 + self.step_ns.load(Ordering::Relaxed)
        }
    }

    /// The same numbers for the same seed.
    #[derive(Debug)]
    pub(crate) struct Dice(Mutex<Rng>);

    impl Dice {
        pub(crate) fn new(seed: u64) -> Self {
            Self(Mutex::new(Rng::with_seed(seed)))
        }
    }

    impl Random for Dice {
        fn next_u64(&self) -> u64 {
            self.0.lock().u64(..)
        }
    }
}
