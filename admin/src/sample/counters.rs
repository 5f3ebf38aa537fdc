//! Two looks at a node into rates.

use std::collections::HashMap;
use std::time::Instant;

use super::answer::{ChannelStats, NodeStats, TopicStats};
use super::{Figures, Sample};

/// What a node had counted when it was looked at last.
#[derive(Debug)]
pub(super) struct Counters {
    at: Instant,
    start_time: i64,
    topics: HashMap<Box<str>, TopicCounters>,
}

#[derive(Debug, Default)]
struct TopicCounters {
    messages: i64,
    channels: HashMap<Box<str>, ChannelCounters>,
}

#[derive(Clone, Copy, Debug)]
struct ChannelCounters {
    messages: i64,
    requeues: i64,
    timeouts: i64,
    /// Waiting, in flight and deferred.
    unfinished: i64,
}

/// Adds what a node said at `at` to the sample, and returns the node's own sums, its count of messages, and what to compare its next words with.
pub(super) fn add(
    sample: &mut Sample,
    stats: NodeStats,
    at: Instant,
    before: Option<&Counters>,
) -> (Figures, i64, Counters) {
    // Another start is another count, even if it has grown larger by now.
    let before = before.filter(|before| before.start_time == stats.start_time);
    let seconds = before.map_or(0.0, |before| {
        at.saturating_duration_since(before.at).as_secs_f64()
    });
    let mut counters = Counters {
        at,
        start_time: stats.start_time,
        topics: HashMap::with_capacity(stats.topics.len()),
    };
    let (mut total, mut message_count) = (Figures::default(), 0_i64);
    for topic in stats.topics {
        message_count = message_count.saturating_add(topic.message_count);
        let before = before.and_then(|before| before.topics.get(topic.topic_name.as_str()));
        let name = topic.topic_name.clone();
        let (figures, now) = add_topic(sample, topic, before, seconds);
        total += figures;
        counters.topics.insert(name.into_boxed_str(), now);
    }
    (total, message_count, counters)
}

fn add_topic(
    sample: &mut Sample,
    stats: TopicStats,
    before: Option<&TopicCounters>,
    seconds: f64,
) -> (Figures, TopicCounters) {
    if !sample.topics.contains_key(&stats.topic_name) {
        let name = stats.topic_name.clone();
        sample.topics.insert(name, super::TopicSample::default());
    }
    let topic = sample.topics.get_mut(&stats.topic_name);
    let topic = topic.expect("inserted above");
    let mut figures = Figures {
        depth: stats.depth,
        message_rate: rate(
            before.map(|before| before.messages),
            stats.message_count,
            seconds,
        ),
        ..Figures::default()
    };
    let mut counters = TopicCounters {
        messages: stats.message_count,
        channels: HashMap::with_capacity(stats.channels.len()),
    };
    for channel in stats.channels {
        let before = before.and_then(|before| before.channels.get(channel.channel_name.as_str()));
        let (own, now) = channel_figures(&channel, before, seconds);
        // Received by channels is not published to the topic: one message is received by each.
        figures += Figures {
            message_rate: 0.0,
            ..own
        };
        if !topic.channels.contains_key(&channel.channel_name) {
            let name = channel.channel_name.clone();
            topic.channels.insert(name, super::ChannelSample::default());
        }
        let sum = topic.channels.get_mut(&channel.channel_name);
        let sum = sum.expect("inserted above");
        sum.figures += own;
        sum.message_count = sum.message_count.saturating_add(channel.message_count);
        sum.nodes += 1;
        sum.paused_nodes += u32::from(channel.paused);
        if channel.depth > sum.node_depth_max {
            sum.node_depth_max = channel.depth;
            sum.fullest_client_count = channel.client_count;
        }
        let name = channel.channel_name.into_boxed_str();
        counters.channels.insert(name, now);
    }
    topic.figures += figures;
    topic.queue_depth = topic.queue_depth.saturating_add(stats.depth);
    topic.message_count = topic.message_count.saturating_add(stats.message_count);
    topic.nodes += 1;
    topic.paused_nodes += u32::from(stats.paused);
    (figures, counters)
}

fn channel_figures(
    stats: &ChannelStats,
    before: Option<&ChannelCounters>,
    seconds: f64,
) -> (Figures, ChannelCounters) {
    let counts = [stats.depth, stats.in_flight_count, stats.deferred_count];
    let now = ChannelCounters {
        messages: stats.message_count,
        requeues: stats.requeue_count,
        timeouts: stats.timeout_count,
        unfinished: counts.into_iter().fold(0, i64::saturating_add),
    };
    let finished =
        |counters: &ChannelCounters| counters.messages.saturating_sub(counters.unfinished);
    let figures = Figures {
        depth: stats.depth,
        in_flight_count: stats.in_flight_count,
        deferred_count: stats.deferred_count,
        client_count: stats.client_count,
        message_rate: rate(before.map(|before| before.messages), now.messages, seconds),
        finish_rate: rate(before.map(finished), finished(&now), seconds),
        requeue_rate: rate(before.map(|before| before.requeues), now.requeues, seconds),
        timeout_rate: rate(before.map(|before| before.timeouts), now.timeouts, seconds),
    };
    (figures, now)
}

/// By how much a count has grown in a second. One that has fallen has begun anew, and has no rate yet.
fn rate(before: Option<i64>, now: i64, seconds: f64) -> f64 {
    let grown = before.and_then(|before| now.checked_sub(before));
    let grown = grown.filter(|grown| *grown > 0 && seconds > 0.0);
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
    grown.map_or(0.0, |grown| grown as f64 / seconds)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these figures are exact in binary")]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A node with one topic and one channel: published, received, depth, in flight.
    fn stats(start_time: i64, counts: [i64; 4]) -> NodeStats {
        let [published, received, depth, in_flight] = counts;
        let channel = ChannelStats {
            channel_name: "c".to_owned(),
            depth,
            in_flight_count: in_flight,
            message_count: received,
            requeue_count: published / 10,
            client_count: 1,
            ..ChannelStats::default()
        };
        let topic = TopicStats {
            topic_name: "t".to_owned(),
            depth: 3,
            message_count: published,
            channels: vec![channel],
            ..TopicStats::default()
        };
        NodeStats {
            start_time,
            topics: vec![topic],
            ..NodeStats::default()
        }
    }

    #[test]
    fn rates_follow_from_two_looks_and_the_time_between_them() {
        let start = Instant::now();
        let (_, _, first) = add(
            &mut Sample::default(),
            stats(1, [100, 100, 10, 5]),
            start,
            None,
        );
        let mut sample = Sample::default();
        let later = start + Duration::from_millis(2500);
        let (node, messages, _) = add(
            &mut sample,
            stats(1, [350, 350, 60, 5]),
            later,
            Some(&first),
        );
        let topic = &sample.topics["t"];
        assert_eq!(topic.figures.message_rate, 100.0);
        // 250 came, 50 more are waiting.
        assert_eq!(topic.channels["c"].figures.finish_rate, 80.0);
        assert_eq!(topic.channels["c"].figures.requeue_rate, 10.0);
        assert_eq!((topic.figures.depth, topic.queue_depth), (63, 3));
        assert_eq!((node, messages), (topic.figures, 350));
    }

    #[test]
    fn a_restart_or_a_falling_count_is_no_rate() {
        let start = Instant::now();
        let (_, _, before) = add(
            &mut Sample::default(),
            stats(1, [100, 100, 10, 5]),
            start,
            None,
        );
        let later = start + Duration::from_secs(2);
        let rates = |stats| {
            let mut sample = Sample::default();
            let (node, ..) = add(&mut sample, stats, later, Some(&before));
            node.message_rate + node.finish_rate + node.requeue_rate
        };
        assert_eq!(rates(stats(2, [900, 900, 10, 5])), 0.0, "another start");
        assert_eq!(rates(stats(1, [9, 9, 9, 0])), 0.0, "fallen counts");
        assert_eq!(
            rates(stats(1, [i64::MIN, i64::MIN, i64::MAX, i64::MAX])),
            0.0
        );
    }

    #[test]
    fn nodes_add_up_and_garbage_stops_at_the_largest_number() {
        let (mut sample, now) = (Sample::default(), Instant::now());
        add(&mut sample, stats(1, [i64::MAX, 1, i64::MAX, 1]), now, None);
        add(&mut sample, stats(1, [i64::MAX, 1, 7, 1]), now, None);
        let topic = &sample.topics["t"];
        assert_eq!((topic.nodes, topic.message_count), (2, i64::MAX));
        let channel = &topic.channels["c"];
        assert_eq!(
            (channel.figures.depth, channel.figures.in_flight_count),
            (i64::MAX, 2)
        );
    }
}
