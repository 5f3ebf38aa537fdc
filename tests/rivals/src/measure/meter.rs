//! What producers and consumers report while they run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Digits that latencies are kept with.
const DIGITS: u8 = 3;
/// The longest latency that is told from longer ones, in nanoseconds.
const LATENCY_MAX: u64 = 100_000_000_000;

/// Counts messages and latencies between [`Meter::begin`] and [`Meter::end`], from any task.
#[derive(Debug)]
pub(crate) struct Meter {
    recording: AtomicBool,
    messages: AtomicU64,
    /// In nanoseconds.
    latency: Mutex<Histogram<u64>>,
}

impl Meter {
    /// One that does not count yet.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_max(LATENCY_MAX, DIGITS).expect("both are allowed");
        Self {
            recording: AtomicBool::new(false),
            messages: AtomicU64::new(0),
            latency: Mutex::new(histogram),
        }
    }

    /// From now on it counts.
    pub(crate) fn begin(&self) {
        self.recording.store(true, Ordering::Relaxed);
    }

    /// From now on it does not; tells how many messages there were.
    pub(crate) fn end(&self) -> u64 {
        self.recording.store(false, Ordering::Relaxed);
        self.messages()
    }

    /// Messages so far.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// So many messages went through.
    pub(crate) fn count(&self, messages: usize) {
        if self.recording.load(Ordering::Relaxed) {
            self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        }
    }

    /// So long did each of these take.
    pub(crate) fn took(&self, latencies: impl IntoIterator<Item = Duration>) {
        if !self.recording.load(Ordering::Relaxed) {
            return;
        }
        let mut histogram = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        for latency in latencies {
            let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            histogram.saturating_record(nanoseconds);
        }
    }

    /// The latency that this share of messages stayed within, in microseconds; none if none was recorded.
    #[expect(
        clippy::cast_precision_loss,
        reason = "figures are read with three digits"
    )]
    pub(crate) fn quantile_us(&self, share: f64) -> Option<f64> {
        let histogram = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let value = histogram.value_at_quantile(share) as f64 / 1000.0;
        (!histogram.is_empty()).then_some(value)
    }
}

/// Times that fit into the first bytes of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamps(Instant);

impl Stamps {
    /// Bytes of a stamp.
    pub(crate) const BYTES: usize = 8;

    /// Stamps of times after `origin`.
    pub(crate) fn since(origin: Instant) -> Self {
        Self(origin)
    }

    /// The stamp of a time.
    pub(crate) fn stamp(self, at: Instant) -> [u8; Self::BYTES] {
        let nanoseconds = at.saturating_duration_since(self.0).as_nanos();
        u64::try_from(nanoseconds).unwrap_or(u64::MAX).to_be_bytes()
    }

    /// How long ago the stamp of a body is; none if it is too short for one.
    pub(crate) fn age(self, body: &[u8]) -> Option<Duration> {
        let stamp = u64::from_be_bytes(*body.first_chunk()?);
        Some(self.0.elapsed().saturating_sub(Duration::from_nanos(stamp)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_in_between_is_counted() {
        let meter = Meter::new();
        let second = || [Duration::from_secs(1); 2];
        meter.count(1);
        meter.took(second());
        assert_eq!(meter.quantile_us(0.5), None);
        meter.begin();
        meter.count(2);
        meter.took(second());
        assert_eq!(meter.end(), 2);
        meter.count(4);
        assert_eq!(meter.messages(), 2);
        let p50 = meter.quantile_us(0.5).unwrap();
        assert!((p50 - 1e6).abs() < 1e3, "{p50}");
    }

    #[test]
    fn a_stamp_tells_the_age_of_its_body() {
        let origin = Instant::now();
        let stamps = Stamps::since(origin);
        assert_eq!(stamps.stamp(origin), [0; 8]);
        let body = [&stamps.stamp(origin + Duration::from_nanos(258))[..], b"x"].concat();
        assert_eq!(&body[..8], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert!(stamps.age(&body).is_some());
        assert_eq!(stamps.age(b"short"), None);
    }
}
