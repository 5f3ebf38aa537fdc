//! How long messages take from publish to finish, in the last while: two sketches per channel, each for half a window.
//!
//! ```text
//!            ──────── half a window ────────▶
//!  older: what was finished in the last half   current: what is finished now
//!            at its end: older is forgotten, current becomes older
//! ```
//!
//! A query merges both, so it covers between half a window and a whole one, as in the reference. A sketch counts
//! latencies in buckets that are 2 % wide, so that a percentile is within 1 % of a latency that was measured; it takes
//! 16 KiB at the most, however many messages there are.

use std::time::Duration;

use serde::{Serialize, Serializer};
use sketches_ddsketch::{Config, DDSketch};
use tokio::time::Instant;

/// Percentiles are within this share of a latency that was measured.
const ERROR: f64 = 0.01;
/// Buckets of a sketch, 8 bytes each. From 1 µs on, 2048 of them reach far beyond the age of any message.
const BUCKETS_MAX: u32 = 2048;
/// What is shorter counts as 0.
const SHORTEST_NS: f64 = 1000.0;

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Shares of messages that were faster, above 0 to 1 (`--e2e-processing-latency-percentile`).
    pub quantiles: Vec<f64>,
    /// The time that is looked back on, above 0 (`--e2e-processing-latency-window-time`).
    pub window: Duration,
}

/// The latencies of a channel in the last while.
#[derive(Debug)]
pub struct Window {
    half: Duration,
    /// When the current half is over.
    turn_at: Instant,
    current: Sketch,
    older: Sketch,
}

impl Window {
    /// An empty window of this length that begins now.
    pub fn new(length: Duration, now: Instant) -> Self {
        let half = length / 2;
        Self {
            half,
            turn_at: now + half,
            current: Sketch::default(),
            older: Sketch::default(),
        }
    }

    /// Adds a latency in nanoseconds. A negative one, which is what a step of the clock makes of it, counts as 0.
    pub fn add(&mut self, now: Instant, latency_ns: i64) {
        self.turn(now);
        self.current.add(latency_ns);
    }

    /// All that was added in the last while.
    pub fn sketch(&mut self, now: Instant) -> Sketch {
        self.turn(now);
        let mut both = self.older.clone();
        both.merge(&self.current);
        both
    }

    fn turn(&mut self, now: Instant) {
        if now < self.turn_at {
            return;
        }
        let current = std::mem::take(&mut self.current);
        let is_recent = now < self.turn_at + self.half;
        self.older = if is_recent {
            current
        } else {
            Sketch::default()
        };
        self.turn_at = now + self.half;
    }
}

/// Latencies, of which only the buckets that they are in are known.
#[derive(Clone, Default)]
pub struct Sketch(Option<Box<DDSketch>>);

impl Sketch {
    fn add(&mut self, latency_ns: i64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "far below the error of a bucket"
        )]
        let latency_ns = latency_ns.max(0) as f64;
        self.0.get_or_insert_with(empty).add(latency_ns);
    }

    /// Adds all latencies of another one.
    pub fn merge(&mut self, other: &Self) {
        let Some(other) = &other.0 else { return };
        let own = self.0.get_or_insert_with(empty);
        own.merge(other).expect("all sketches are configured alike");
    }

    /// The percentiles that are asked for; all 0 if there are no latencies.
    pub fn percentiles(&self, quantiles: &[f64]) -> Latency {
        let value = |quantile| {
            let nanoseconds = self.0.as_ref()?.quantile(quantile).ok()??;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "latencies are not negative, and `as` stops at the end of the type"
            )]
            let whole = nanoseconds.round() as u64;
            Some(whole)
        };
        let percentile = |&quantile| Percentile {
            quantile,
            value: value(quantile).unwrap_or(0),
        };
        Latency {
            count: self.0.as_ref().map_or(0, |sketch| sketch.count() as u64),
            percentiles: Some(quantiles.iter().map(percentile).collect()),
        }
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.as_ref().map_or(0, |sketch| sketch.count());
        f.debug_struct("Sketch").field("count", &count).finish()
    }
}

fn empty() -> Box<DDSketch> {
    Box::new(DDSketch::new(Config::new(ERROR, BUCKETS_MAX, SHORTEST_NS)))
}

/// What `/stats` tells of latencies, in the form of the reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Messages finished in the last while.
    pub count: u64,
    /// In the order asked for; `None` if nothing is measured.
    pub percentiles: Option<Vec<Percentile>>,
}

/// How long a share of the messages took at the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentile {
    /// The share, above 0 to 1.
    #[serde(serialize_with = "as_go_does")]
    pub quantile: f64,
    /// Nanoseconds.
    pub value: u64,
}

impl Percentile {
    /// The quantile in whole percent, as it is part of names in statsd.
    pub fn percent(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 100"
        )]
        let percent = (self.quantile * 100.0).round() as u64;
        percent
    }
}

/// A whole number without a fraction: `1`, not `1.0`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn as_go_does<S: Serializer>(quantile: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if *quantile >= 1.0 {
        serializer.serialize_u64(1)
    } else {
        serializer.serialize_f64(*quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn percentiles_are_within_one_percent() {
        let now = Instant::now();
        let mut window = Window::new(WINDOW, now);
        for micros in 1..=10_000 {
            window.add(now, micros * 1000);
        }
        let quantiles = [1.0, 0.99, 0.5];
        let latency = window.sketch(now).percentiles(&quantiles);
        assert_eq!(latency.count, 10_000);
        let expected = [10_000_000, 9_900_000, 5_000_000_u64];
        for (percentile, expected) in latency.percentiles.unwrap().iter().zip(expected) {
            let off = percentile.value.abs_diff(expected);
            assert!(off <= expected / 100, "{percentile:?}, not {expected}");
        }
    }

    #[test]
    fn what_is_older_than_a_window_is_forgotten() {
        let start = Instant::now();
        let mut window = Window::new(WINDOW, start);
        let mut count = |seconds| {
            let sketch = window.sketch(second(start, seconds));
            sketch.percentiles(&[0.5]).count
        };
        assert_eq!(count(0), 0);
        window.add(start, 5000);
        window.add(second(start, 6), 5000);
        let mut count = |seconds| {
            let sketch = window.sketch(second(start, seconds));
            sketch.percentiles(&[0.5]).count
        };
        assert_eq!(count(10), 2);
        assert_eq!(count(11), 1);
        assert_eq!(count(16), 0);
        window.add(second(start, 17), 5000);
        let long_after = window.sketch(second(start, 100));
        assert_eq!(long_after.percentiles(&[0.5]).count, 0);
    }

    #[test]
    fn without_latencies_percentiles_are_0() {
        let latency = Sketch::default().percentiles(&[1.0, 0.99]);
        let json = serde_json::to_string(&latency).unwrap();
        let expected =
            r#"{"count":0,"percentiles":[{"quantile":1,"value":0},{"quantile":0.99,"value":0}]}"#;
        assert_eq!(json, expected);
        let unmeasured = serde_json::to_string(&Latency::default()).unwrap();
        assert_eq!(unmeasured, r#"{"count":0,"percentiles":null}"#);
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_negative_latency() {
        let now = Instant::now();
        let mut window = Window::new(WINDOW, now);
        window.add(now, i64::MIN);
        window.add(now, 3_000_000);
        let latency = window.sketch(now).percentiles(&[1.0, 0.1]);
        let values: Vec<u64> = latency
            .percentiles
            .unwrap()
            .iter()
            .map(|p| p.value)
            .collect();
        assert_eq!(values, [3_000_000, 0]);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let now = Instant::now();
        let mut window = Window::new(WINDOW, now);
        for shift in 0..63 {
            window.add(now, 1 << shift);
        }
        let buckets = window.current.0.as_ref().unwrap().length();
        assert!(buckets <= BUCKETS_MAX as usize, "{buckets}");
    }

    #[test]
    fn names_in_statsd_have_whole_percents() {
        let percent = |quantile| Percentile { quantile, value: 0 }.percent();
        assert_eq!([1.0, 0.999, 0.95, 0.29].map(percent), [100, 100, 95, 29]);
    }
}
