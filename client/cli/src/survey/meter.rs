//! Surveys into rows: sums over nsqds, and rates from one survey to the next.
//!
//! Rates are measured on each nsqd by the time between its two answers. Counts that went down, or another start time, mean
//! that nsqd or the channel began anew: then there is no rate until the next survey.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::{Counts, Filter, NodeStats, Rates, Row, Survey};

/// Remembers the last survey.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    before: HashMap<String, Before>,
}

/// What an nsqd said the last time.
#[derive(Debug)]
struct Before {
    at: Instant,
    start_time: i64,
    counts: HashMap<Key, Counts>,
}

/// A topic, or a channel of it.
type Key = (String, Option<String>);

impl Meter {
    /// The rows of a survey, sorted by name, with rates against the survey before.
    pub(crate) fn rows(&mut self, survey: &Survey, filter: &Filter) -> Vec<Row> {
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        let mut now = HashMap::with_capacity(survey.nodes.len());
        for node in &survey.nodes {
            let counted = counted(node, filter);
            let before = self.before.get(&node.address);
            let before = before.filter(|before| before.start_time == node.stats.start_time);
            for (key, counts, paused) in &counted {
                let row = rows.entry(key.clone()).or_insert_with(|| Row {
                    topic: key.0.clone(),
                    channel: key.1.clone(),
                    ..Row::default()
                });
                row.counts += *counts;
                row.paused |= paused;
                row.nodes += 1;
                if let Some(rates) = before.and_then(|before| before.rates(key, counts, node.at)) {
                    *row.rates.get_or_insert_default() += rates;
                }
            }
            let counts = counted.into_iter().map(|(key, counts, _)| (key, counts));
            let said = Before {
                at: node.at,
                start_time: node.stats.start_time,
                counts: counts.collect(),
            };
            now.insert(node.address.clone(), said);
        }
        self.before = now;
        let mut rows: Vec<Row> = rows.into_values().collect();
        mark_incomplete(&mut rows, survey);
        rows
    }
}

impl Before {
    fn rates(&self, key: &Key, now: &Counts, at: Instant) -> Option<Rates> {
        let before = self.counts.get(key)?;
        let elapsed = at.duration_since(self.at);
        let is_anew = now.message_count < before.message_count
            || now.requeue_count < before.requeue_count
            || now.timeout_count < before.timeout_count;
        if is_anew || elapsed.is_zero() {
            return None;
        }
        let came = now.message_count - before.message_count;
        let grown = now.depth - before.depth;
        Some(Rates {
            ingress: per_second(came, elapsed),
            // A channel that was given back more than it handed out had no egress.
            egress: per_second((came - grown).max(0), elapsed),
            requeues: per_second(now.requeue_count - before.requeue_count, elapsed),
            timeouts: per_second(now.timeout_count - before.timeout_count, elapsed),
        })
    }
}

/// What an nsqd counts, as far as it is looked at, and whether it is paused.
fn counted(node: &NodeStats, filter: &Filter) -> Vec<(Key, Counts, bool)> {
    let mut counted = Vec::new();
    for topic in &node.stats.topics {
        let name = &topic.topic_name;
        if filter.has_topic(name) {
            counted.push(((name.clone(), None), Counts::from(topic), topic.paused));
        }
        for channel in &topic.channels {
            if filter.has_channel(name, &channel.channel_name) {
                let key = (name.clone(), Some(channel.channel_name.clone()));
                counted.push((key, Counts::from(channel), channel.paused));
            }
        }
    }
    counted
}

/// Marks the rows to which an nsqd that did not answer may have something to add.
fn mark_incomplete(rows: &mut [Row], survey: &Survey) {
    for row in rows {
        row.incomplete = survey.silent.iter().any(|silent| {
            let topics = silent.topics.as_ref();
            topics.is_none_or(|topics| topics.contains(&row.topic))
        });
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is an estimate, 52 bits of it are plenty"
)]
fn per_second(count: i64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use client::http::{ChannelStats, Fault, RequestError, Stats, TopicStats};

    use super::super::Silent;
    use super::*;

    fn node(address: &str, at: Instant, start_time: i64, counts: (i64, i64)) -> NodeStats {
        let channel = ChannelStats {
            channel_name: "c".to_owned(),
            message_count: counts.0,
            depth: counts.1,
            ..ChannelStats::default()
        };
        let topic = TopicStats {
            topic_name: "t".to_owned(),
            message_count: counts.0,
            channels: vec![channel],
            ..TopicStats::default()
        };
        let stats = Stats {
            start_time,
            topics: vec![topic],
            ..Stats::default()
        };
        NodeStats {
            address: address.to_owned(),
            at,
            stats,
        }
    }

    fn survey(nodes: Vec<NodeStats>) -> Survey {
        Survey {
            nodes,
            silent: Vec::new(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn sums_are_over_nodes_and_rates_by_the_time_of_each() {
        let (mut meter, filter) = (Meter::default(), Filter::default());
        let start = Instant::now();
        let first = [node("a", start, 1, (100, 10)), node("b", start, 1, (5, 0))];
        let rows = meter.rows(&survey(first.into()), &filter);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].channel.as_deref(), rows[0].rates), (None, None));
        assert_eq!(rows[1].counts.message_count, 105);
        assert_eq!((rows[1].counts.depth, rows[1].nodes), (10, 2));

        let later = |ms| start + Duration::from_millis(ms);
        let second = [
            node("a", later(2000), 1, (300, 50)),
            node("b", later(500), 1, (10, 0)),
        ];
        let rows = meter.rows(&survey(second.into()), &filter);
        let rates = rows[1].rates.unwrap();
        assert!((rates.ingress - (100.0 + 10.0)).abs() < 1e-9, "{rates:?}");
        assert!((rates.egress - (80.0 + 10.0)).abs() < 1e-9, "{rates:?}");
    }

    #[test]
    fn a_node_that_began_anew_has_no_rate_until_the_next_survey() {
        let filter = Filter::default();
        let start = Instant::now();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        for restarted in [
            node("a", seconds(1), 2, (200, 0)),
            node("a", seconds(1), 1, (3, 0)),
        ] {
            let mut meter = Meter::default();
            meter.rows(&survey(vec![node("a", start, 1, (100, 0))]), &filter);
            let start_time = restarted.stats.start_time;
            let messages = restarted.stats.topics[0].message_count;
            let rows = meter.rows(&survey(vec![restarted]), &filter);
            assert_eq!(rows[0].rates, None);
            let next = node("a", seconds(2), start_time, (messages + 7, 0));
            let rows = meter.rows(&survey(vec![next]), &filter);
            assert!((rows[0].rates.unwrap().ingress - 7.0).abs() < 1e-9);
        }
    }

    #[test]
    fn rows_to_which_a_silent_node_may_add_are_marked() {
        let silent = |topics: Option<&str>| Silent {
            error: RequestError {
                address: "b".to_owned(),
                path: "/stats".to_owned(),
                fault: Fault::Late(Duration::from_secs(1)),
            },
            topics: topics.map(|topic| [topic.to_owned()].into()),
        };
        for (topics, expected) in [(None, true), (Some("t"), true), (Some("x"), false)] {
            let mut survey = survey(vec![node("a", Instant::now(), 1, (1, 1))]);
            survey.silent.push(silent(topics));
            let rows = Meter::default().rows(&survey, &Filter::default());
            assert_eq!(rows[0].incomplete, expected, "{topics:?}");
        }
    }

    #[test]
    fn only_what_is_looked_at_has_a_row() {
        let survey = survey(vec![node("a", Instant::now(), 1, (1, 1))]);
        let names = |filter: &str| -> Vec<Option<String>> {
            let rows = Meter::default().rows(&survey, &filter.parse().unwrap());
            rows.into_iter().map(|row| row.channel).collect()
        };
        assert_eq!(names("t"), [None, Some("c".to_owned())]);
        assert_eq!(names("*/c"), [Some("c".to_owned())]);
        assert_eq!(names("other"), []);
    }
}
