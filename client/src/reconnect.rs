//! How long to wait before the next attempt to connect; producers and consumers share the rule.

use std::time::Duration;

/// Waits that double from failure to failure, up to a bound, and differ by chance: half of each is
/// fixed, half is drawn, so that clients which lost the same nsqd do not come back as one crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The longest wait after the first failure. Default 250 ms.
    pub first: Duration,
    /// The longest wait ever; below `first` it counts as `first`. Default 15 s.
    pub max: Duration,
}

impl Default for Reconnect {
    fn default() -> Reconnect {
        Reconnect {
            first: Duration::from_millis(250),
            max: Duration::from_secs(15),
        }
    }
}

impl Reconnect {
    /// The wait after this many failures in a row: between half of [`Reconnect::bound`] and all of
    /// it, drawn anew by each call.
    pub fn delay(&self, failures: u32) -> Duration {
        let half = self.bound(failures) / 2;
        half + half.mul_f64(fastrand::f64())
    }

    /// The longest wait after this many failures in a row; none after no failure.
    pub fn bound(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first
            .saturating_mul(factor)
            .min(self.max.max(self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Reconnect = Reconnect {
        first: Duration::from_millis(100),
        max: Duration::from_secs(1),
    };

    fn check(failures: u32, bound_ms: u64) {
        assert_eq!(RULE.bound(failures), Duration::from_millis(bound_ms));
    }

    #[test]
    fn bounds_double_until_the_longest() {
        check(0, 0);
        check(1, 100);
        check(2, 200);
        check(4, 800);
        check(5, 1000);
        check(33, 1000);
        check(u32::MAX, 1000);
    }

    #[test]
    fn a_longest_below_the_first_counts_as_the_first() {
        let max = Duration::ZERO;
        assert_eq!(Reconnect { max, ..RULE }.bound(3), RULE.first);
    }

    #[test]
    fn waits_are_drawn_from_the_upper_half() {
        let waits: Vec<Duration> = (0..100).map(|_| RULE.delay(5)).collect();
        let (half, bound) = (RULE.bound(5) / 2, RULE.bound(5));
        assert!(waits.iter().all(|wait| (half..=bound).contains(wait)));
        assert!(waits.iter().any(|wait| *wait != waits[0]), "all the same");
        assert_eq!(RULE.delay(0), Duration::ZERO);
    }
}
