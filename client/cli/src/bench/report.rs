//! What a run came to, as a table for people and as JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::stamp::nanos;
use crate::figures;

/// Durations from 1 ns to an hour, to three digits.
#[derive(Clone, Debug)]
pub(super) struct Histogram(hdrhistogram::Histogram<u64>);

impl Histogram {
    const HOUR_NS: u64 = 3_600_000_000_000;

    pub(super) fn new() -> Histogram {
        let durations = hdrhistogram::Histogram::new_with_bounds(1, Histogram::HOUR_NS, 3);
        Histogram(durations.expect("the bounds and digits are valid"))
    }

    /// What is longer than an hour is counted as an hour.
    pub(super) fn record(&mut self, duration: Duration) {
        self.0.saturating_record(nanos(duration));
    }

    pub(super) fn add(&mut self, other: &Histogram) {
        self.0
            .add(&other.0)
            .expect("all histograms have the same bounds");
    }

    /// `None` if nothing was recorded.
    pub(super) fn latency(&self) -> Option<Latency> {
        let at = |quantile| self.0.value_at_quantile(quantile);
        (!self.0.is_empty()).then(|| Latency {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: self.0.max(),
        })
    }
}

/// Percentiles, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Latency {
    p50: u64,
    p90: u64,
    p99: u64,
    p99_9: u64,
    max: u64,
}

/// Messages in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Flow {
    pub(super) messages: u64,
    /// Bodies together.
    pub(super) bytes: u64,
    seconds: f64,
    messages_per_second: f64,
    /// Of 10^6 bytes.
    megabytes_per_second: f64,
}

impl Flow {
    pub(super) fn new(messages: u64, bytes: u64, elapsed: Duration) -> Flow {
        Flow {
            messages,
            bytes,
            seconds: elapsed.as_secs_f64(),
            messages_per_second: figures::per_second(messages, elapsed),
            megabytes_per_second: figures::per_second(bytes, elapsed) / 1e6,
        }
    }
}

/// What a run came to; what it did not do is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Report {
    /// What was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Flow>,
    /// From command to `OK`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) publish_latency_ns: Option<Latency>,
    /// What was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) received: Option<Flow>,
    /// From publish to consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_to_end_latency_ns: Option<Latency>,
}

impl Report {
    pub(super) fn to_json(self) -> String {
        serde_json::to_string_pretty(&self).expect("numbers are always JSON") + "\n"
    }

    pub(super) fn to_table(self) -> String {
        let mut table = String::new();
        let flows = [("published", self.published), ("received", self.received)];
        row(
            &mut table,
            "",
            &["messages", "seconds", "messages/s", "MB/s"],
        );
        for (name, flow) in flows {
            let Some(flow) = flow else { continue };
            let seconds = format!("{:.3}", flow.seconds);
            let rate = figures::rate(flow.messages_per_second);
            let megabytes = format!("{:.1}", flow.megabytes_per_second);
            row(
                &mut table,
                name,
                &[&figures::count(flow.messages), &seconds, &rate, &megabytes],
            );
        }
        let latencies = [
            ("publish to OK", self.publish_latency_ns),
            ("publish to consumer", self.end_to_end_latency_ns),
        ];
        if latencies.iter().all(|(_, latency)| latency.is_none()) {
            return table;
        }
        table.push('\n');
        row(&mut table, "", &["p50", "p90", "p99", "p99.9", "max"]);
        for (name, latency) in latencies {
            let Some(latency) = latency else { continue };
            let cell = |nanos| figures::duration(Duration::from_nanos(nanos));
            let Latency {
                p50,
                p90,
                p99,
                p99_9,
                max,
            } = latency;
            let cells = [p50, p90, p99, p99_9, max].map(cell);
            row(&mut table, name, &cells.each_ref().map(String::as_str));
        }
        table
    }
}

fn row(table: &mut String, name: &str, cells: &[&str]) {
    write!(table, "{name:<19}").expect("writing to a String cannot fail");
    for cell in cells {
        write!(table, " {cell:>12}").expect("writing to a String cannot fail");
    }
    table.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut latency = Histogram::new();
        for ms in 1..=1000 {
            latency.record(Duration::from_millis(ms));
        }
        Report {
            published: Some(Flow::new(1_000_000, 200_000_000, Duration::from_secs(2))),
            publish_latency_ns: latency.latency(),
            ..Report::default()
        }
    }

    #[test]
    fn the_table_has_a_row_for_what_was_done() {
        let expected = [
            "                        messages      seconds   messages/s         MB/s",
            "published              1,000,000        2.000      500,000        100.0",
            "",
            "                             p50          p90          p99        p99.9          max",
            "publish to OK             500 ms       900 ms       990 ms       999 ms       1.00 s",
            "",
        ]
        .join("\n");
        assert_eq!(report().to_table(), expected);
    }

    #[test]
    fn json_has_the_same_figures() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!(json["published"]["messages"], 1_000_000);
        assert_eq!(json["published"]["messages_per_second"], 500_000.0);
        assert_eq!(json["published"]["megabytes_per_second"], 100.0);
        assert!(
            json["publish_latency_ns"]["p50"]
                .as_u64()
                .unwrap()
                .abs_diff(500_000_000)
                < 500_000
        );
        assert_eq!(json.get("received"), None);
    }

    #[test]
    fn an_empty_histogram_has_no_latency() {
        assert_eq!(Histogram::new().latency(), None);
    }
}
