//! How long requests took, in one line now and then.

use std::time::{Duration, Instant};

/// When a line is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    /// After so many requests; 0 is never.
    Requests(usize),
    /// After this time; zero is never.
    Time(Duration),
}

/// The times since the last line.
#[derive(Debug)]
pub(crate) struct Summary {
    prefix: String,
    every: Every,
    since: Instant,
    millis: Vec<f64>,
}

/// Most times that are kept; what comes beyond is left out of the figures.
const KEPT_MAX: usize = 100_000;

impl Summary {
    pub(crate) fn new(prefix: String, every: Every, now: Instant) -> Summary {
        Summary {
            prefix,
            every,
            since: now,
            millis: Vec::new(),
        }
    }

    /// Notes a time. Returns the line about those before it, if it is due.
    pub(crate) fn add(&mut self, took: Duration, now: Instant) -> Option<String> {
        let is_due = match self.every {
            Every::Requests(0) | Every::Time(Duration::ZERO) => return None,
            Every::Requests(count) => self.millis.len() >= count,
            Every::Time(time) => now.saturating_duration_since(self.since) >= time,
        };
        let line = (is_due && !self.millis.is_empty()).then(|| self.line());
        if is_due {
            self.millis.clear();
            self.since = now;
        }
        if self.millis.len() < KEPT_MAX {
            self.millis.push(took.as_secs_f64() * 1000.0);
        }
        line
    }

    fn line(&mut self) -> String {
        self.millis.sort_unstable_by(f64::total_cmp);
        let count = self.millis.len();
        #[expect(clippy::cast_precision_loss, reason = "a count below 2^52")]
        let average = self.millis.iter().sum::<f64>() / count as f64;
        format!(
            "{} finished {count} - 99th: {:.2}ms - 95th: {:.2}ms - avg: {average:.2}ms",
            self.prefix,
            self.percentile(0.99),
            self.percentile(0.95),
        )
    }

    /// As the reference picks it: number ⌈p·n + 0.5⌉ counted from 0, the last one at most.
    fn percentile(&self, part: f64) -> f64 {
        let count = self.millis.len();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count below 2^52, times a part of 1"
        )]
        let index = (part * count as f64 + 0.5).ceil() as usize;
        self.millis[index.min(count - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_with_the_request_behind_the_window() {
        let now = Instant::now();
        let mut summary = Summary::new("[aggregate]:".to_owned(), Every::Requests(4), now);
        for millis in [4, 2, 3, 1] {
            assert_eq!(summary.add(Duration::from_millis(millis), now), None);
        }
        let line = "[aggregate]: finished 4 - 99th: 4.00ms - 95th: 4.00ms - avg: 2.50ms";
        assert_eq!(summary.add(Duration::ZERO, now).as_deref(), Some(line));
        assert_eq!(summary.millis.len(), 1);
    }

    #[test]
    fn lines_may_come_by_time_or_never() {
        let now = Instant::now();
        let mut summary = Summary::new(String::new(), Every::Time(Duration::from_secs(9)), now);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert!(summary.add(Duration::ZERO, at(8)).is_none());
        assert!(summary.add(Duration::ZERO, at(9)).is_some());
        assert!(summary.add(Duration::ZERO, at(17)).is_none());
        let mut summary = Summary::new(String::new(), Every::Requests(0), now);
        for _ in 0..9 {
            assert!(summary.add(Duration::ZERO, now).is_none());
        }
    }
}
