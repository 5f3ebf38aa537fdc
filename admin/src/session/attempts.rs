//! How often somebody may guess a password: a few times a minute, by user and by address.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Guesses of the last minute, by who made them and whom they were about.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<String, Window>);

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

impl Attempts {
    /// Notes a guess under each of these keys; false if one of them has had enough.
    pub(super) fn begin(&mut self, now: Instant, keys: &[String]) -> bool {
        self.0
            .retain(|_, window| now.saturating_duration_since(window.since) < WINDOW);
        // While so many guess, nobody new may.
        if self.0.len() + keys.len() > KEYS_MAX {
            return false;
        }
        let mut is_allowed = true;
        for key in keys {
            let window = self.0.entry(key.clone()).or_insert(Window {
                since: now,
                count: 0,
            });
            window.count = window.count.saturating_add(1);
            is_allowed &= window.count <= ATTEMPTS_MAX;
        }
        is_allowed
    }

    /// Forgets the guesses of who has proved to be right.
    pub(super) fn forgive(&mut self, keys: &[String]) {
        for key in keys {
            self.0.remove(key);
        }
    }
}

/// Guesses in a [`WINDOW`].
pub(super) const ATTEMPTS_MAX: u32 = 5;
const WINDOW: Duration = Duration::from_mins(1);
const KEYS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_guesses_a_minute_are_allowed() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let mut guess = |seconds, key: &str| {
            let now = start + Duration::from_secs(seconds);
            attempts.begin(now, &[key.to_owned()])
        };
        let first: Vec<bool> = (0..6).map(|second| guess(second, "a")).collect();
        assert_eq!(first, [true, true, true, true, true, false]);
        assert!(guess(7, "b") && !guess(59, "a") && guess(60, "a"));
    }

    #[test]
    fn nobody_fills_the_memory() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let allowed = (0..2 * KEYS_MAX).filter(|key| attempts.begin(now, &[key.to_string()]));
        assert_eq!(allowed.count(), KEYS_MAX);
    }
}
