//! How fast topics are published to: the difference between what two views of the overview saw.
//!
//! Nothing is asked for the sake of rates. Who looks for the first time, or after more than a minute, sees none yet.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Messages a second, by topic.
pub(crate) type PerSecond = HashMap<String, f64>;

/// What the last view saw, shared by all viewers.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Seen>);

impl Rates {
    /// Notes how many messages each topic has had at `now`, and returns the rates since the view before.
    pub(crate) fn observe(&self, now: Instant, counts: HashMap<String, i64>) -> PerSecond {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.observe(now, counts)
    }

    /// Forgets what was seen: when a node is missing, counts fall and rise for no reason of theirs.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// When, and how many messages each topic had had.
    base: Option<(Instant, HashMap<String, i64>)>,
    /// The rates told last, for views that follow too fast to have their own.
    rates: PerSecond,
}

impl Seen {
    fn observe(&mut self, now: Instant, counts: HashMap<String, i64>) -> PerSecond {
        let age = self
            .base
            .as_ref()
            .map(|(at, _)| now.saturating_duration_since(*at));
        if age.is_some_and(|age| age < AGE_MIN) {
            return self.rates.clone();
        }
        let base = self.base.replace((now, counts));
        let base = base.filter(|_| age.is_some_and(|age| age <= AGE_MAX));
        self.rates = match (base, &self.base) {
            (Some((at, before)), Some((_, counts))) => difference(&before, counts, now - at),
            _ => PerSecond::new(),
        };
        self.rates.clone()
    }
}

/// A count that has fallen, as its node has started anew, has no rate; nor has a topic that was not there before.
fn difference(
    before: &HashMap<String, i64>,
    counts: &HashMap<String, i64>,
    time: Duration,
) -> PerSecond {
    let rate = |(topic, count): (&String, &i64)| {
        let grown = count.checked_sub(*before.get(topic)?)?;
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
        let rate = grown as f64 / time.as_secs_f64();
        (grown >= 0).then(|| (topic.clone(), rate))
    };
    counts.iter().filter_map(rate).collect()
}

/// Less than this apart, two views say nothing about a rate.
const AGE_MIN: Duration = Duration::from_secs(1);
/// A rate over more than this is not one of the moment.
const AGE_MAX: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, i64)]) -> HashMap<String, i64> {
        pairs
            .iter()
            .map(|(topic, count)| ((*topic).to_owned(), *count))
            .collect()
    }

    #[test]
    fn rates_are_between_two_views_that_are_neither_too_close_nor_too_far() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let rates = Rates::default();
        assert_eq!(
            rates.observe(at(0), counts(&[("t", 100), ("u", 50)])),
            PerSecond::new()
        );
        let seen = rates.observe(at(2000), counts(&[("t", 300), ("u", 10), ("new", 9)]));
        assert_eq!(seen, PerSecond::from([("t".to_owned(), 100.0)]));
        assert_eq!(rates.observe(at(2500), counts(&[("t", 9999)])), seen);
        let seen = rates.observe(at(4000), counts(&[("t", 300)]));
        assert_eq!(seen, PerSecond::from([("t".to_owned(), 0.0)]));
        assert_eq!(
            rates.observe(at(64_001), counts(&[("t", 400)])),
            PerSecond::new()
        );
        let seen = rates.observe(at(65_001), counts(&[("t", 410)]));
        assert_eq!(seen, PerSecond::from([("t".to_owned(), 10.0)]));
        rates.forget();
        assert_eq!(
            rates.observe(at(66_001), counts(&[("t", 420)])),
            PerSecond::new()
        );
    }

    #[test]
    fn no_count_is_too_large() {
        let (start, rates) = (Instant::now(), Rates::default());
        rates.observe(start, counts(&[("t", i64::MIN)]));
        let later = start + Duration::from_secs(1);
        assert_eq!(
            rates.observe(later, counts(&[("t", i64::MAX)])),
            PerSecond::new()
        );
    }
}
