//! How fast messages may leave: at most so many in each second, evenly.

use std::time::{Duration, Instant};

/// What a limit on the rate splits a second into, so that its messages do not leave as one burst.
const COMMANDS_PER_SECOND: u32 = 20;

/// When the next command may leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Messages per second; 0 is no limit.
    rate: u32,
    next_at: Option<Instant>,
}

impl Pace {
    pub(super) fn new(rate: u32) -> Pace {
        Pace {
            rate,
            next_at: None,
        }
    }

    /// Most messages in one command, of the `batch` that are allowed.
    pub(super) fn batch(self, batch: u32) -> u32 {
        match self.rate {
            0 => batch,
            rate => batch.min((rate / COMMANDS_PER_SECOND).max(1)),
        }
    }

    /// From when on the next command may leave; `None` is now.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        self.next_at.filter(|at| *at > now)
    }

    /// This many messages leave now. A sender that was late by less than one second catches up.
    pub(super) fn sent(&mut self, messages: u64, now: Instant) {
        if self.rate == 0 {
            return;
        }
        let second_ago = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let from = self.next_at.map_or(now, |at| at.max(second_ago));
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.next_at = Some(from + Duration::from_secs(1) * messages / self.rate);
    }

    /// No limit any more.
    pub(super) fn lift(&mut self) {
        *self = Pace::new(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_at_the_rate() {
        let mut now = Instant::now();
        let started = now;
        let mut pace = Pace::new(100);
        assert_eq!(pace.batch(200), 5);
        for _ in 0..20 {
            now = pace.wait_until(now).unwrap_or(now);
            pace.sent(5, now);
        }
        // The last five wait for nobody behind them.
        assert_eq!(now - started, Duration::from_millis(950));
        pace.lift();
        assert_eq!(pace.wait_until(now), None);
    }

    #[test]
    fn a_long_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(10);
        pace.sent(1, start);
        let later = start + Duration::from_mins(1);
        assert_eq!(pace.wait_until(later), None);
        pace.sent(20, later);
        assert_eq!(pace.wait_until(later), Some(later + Duration::from_secs(1)));
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let now = Instant::now();
        let mut pace = Pace::new(0);
        pace.sent(1_000_000, now);
        assert_eq!(pace.wait_until(now), None);
        assert_eq!(pace.batch(200), 200);
        assert_eq!(Pace::new(3).batch(200), 1);
    }
}
