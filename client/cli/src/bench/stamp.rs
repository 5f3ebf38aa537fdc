//! When a message was published, as its first bytes: the run, so that what an earlier one left
//! behind is told apart, and the time since the run began. u64 each, big endian, nanoseconds.

use std::time::{Duration, Instant};

/// Length of a stamp.
pub(super) const BYTES: usize = 16;

/// The clock of one run, and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    run: [u8; 8],
    started: Instant,
}

impl Stamps {
    pub(super) fn new(started: Instant) -> Stamps {
        Stamps {
            run: fastrand::u64(..).to_be_bytes(),
            started,
        }
    }

    /// The stamp of a message that is published now.
    pub(super) fn stamp(&self, now: Instant) -> [u8; BYTES] {
        let mut stamp = [0; BYTES];
        stamp[..8].copy_from_slice(&self.run);
        stamp[8..].copy_from_slice(&nanos(now - self.started).to_be_bytes());
        stamp
    }

    /// How long ago a message of this run was published; `None` if it is not of this run.
    pub(super) fn age(&self, body: &[u8], now: Instant) -> Option<Duration> {
        let at = body.strip_prefix(&self.run)?.first_chunk()?;
        let now = nanos(now - self.started);
        Some(Duration::from_nanos(
            now.saturating_sub(u64::from_be_bytes(*at)),
        ))
    }
}

/// Nanoseconds, up to 584 years of them.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_the_age_within_its_run() {
        let started = Instant::now();
        let stamps = Stamps::new(started);
        let at = |ms| started + Duration::from_millis(ms);
        let stamp = stamps.stamp(at(5));
        assert_eq!(stamps.age(&stamp, at(7)), Some(Duration::from_millis(2)));
        assert_eq!(
            stamps.age(&[stamp.as_slice(), b"xx"].concat(), at(5)),
            Some(Duration::ZERO)
        );
        assert_eq!(stamps.age(&stamp[..BYTES - 1], at(7)), None);
        assert_eq!(Stamps::new(started).age(&stamp, at(7)), None);
    }
}
