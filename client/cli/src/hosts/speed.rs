//! How fast a target answers: an average over five minutes in which the youngest answers weigh most.

use std::time::{Duration, Instant};

const BUCKETS: usize = 120;
const BUCKET: Duration = Duration::from_millis(2500);

/// Response times in 120 buckets of 2.5 s.
#[derive(Debug)]
pub(super) struct Speed {
    /// Sum in milliseconds, and count; the current one is at `current`.
    buckets: Vec<(f64, u32)>,
    current: usize,
    current_since: Instant,
}

impl Speed {
    pub(super) fn new(now: Instant) -> Speed {
        Speed {
            buckets: vec![(0.0, 0); BUCKETS],
            current: 0,
            current_since: now,
        }
    }

    pub(super) fn add(&mut self, took: Duration, now: Instant) {
        self.advance(now);
        let (sum, count) = &mut self.buckets[self.current];
        *sum += took.as_secs_f64() * 1000.0;
        *count += 1;
    }

    /// The average in milliseconds; `None` before any answer. Where nothing was answered, the value before goes on.
    pub(super) fn average_millis(&mut self, now: Instant) -> Option<f64> {
        self.advance(now);
        let (mut sum, mut weights) = (0.0, 0.0);
        let mut last = None;
        let mut weight = 0.0;
        for age in (0..BUCKETS).rev() {
            weight += 1.0 / 120.0;
            let bucket = self.buckets[(self.current + BUCKETS - age) % BUCKETS];
            if bucket.1 > 0 {
                last = Some(bucket.0 / f64::from(bucket.1));
            }
            if let Some(value) = last {
                sum += value * weight;
                weights += weight;
            }
        }
        // An answer faster than the clock is no reason to divide by zero.
        last.map(|_| (sum / weights).max(f64::EPSILON))
    }

    fn advance(&mut self, now: Instant) {
        let mut steps = 0;
        while now.saturating_duration_since(self.current_since) >= BUCKET && steps < BUCKETS {
            self.current = (self.current + 1) % BUCKETS;
            self.buckets[self.current] = (0.0, 0);
            self.current_since += BUCKET;
            steps += 1;
        }
        if steps == BUCKETS {
            self.current_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_weigh_most_and_the_old_are_forgotten() {
        let start = Instant::now();
        let mut speed = Speed::new(start);
        assert_eq!(speed.average_millis(start), None);
        speed.add(Duration::from_millis(100), start);
        let close = |value: Option<f64>, expected: f64| {
            let value = value.unwrap();
            assert!((value - expected).abs() < 1.0, "{value} is not {expected}");
        };
        close(speed.average_millis(start), 100.0);
        // 48 buckets of 2.5 s go on with 100 ms; then there is one of 10 ms, which weighs a bit more than each of them.
        let later = start + Duration::from_mins(2);
        speed.add(Duration::from_millis(10), later);
        close(speed.average_millis(later), 97.7);
        let last = later + Duration::from_mins(4);
        close(speed.average_millis(last), 10.0);
        assert_eq!(speed.average_millis(start + Duration::from_hours(1)), None);
    }
}
