//! Figures as lines of statsd: names, kinds and order of the reference.

use std::collections::HashMap;
use std::fmt::Display;

use crate::latency::Latency;
use crate::stats::{ChannelStats, MemoryStats, Stats, TopicStats};

/// What one push after the other says.
#[derive(Debug)]
pub(super) struct Push {
    prefix: String,
    /// Each counter as it was at the last push; those that are gone are forgotten.
    counted: HashMap<String, u64>,
}

/// The lines of one push.
struct Lines<'a> {
    prefix: &'a str,
    before: HashMap<String, u64>,
    counted: HashMap<String, u64>,
    out: Vec<String>,
}

impl Push {
    /// Nothing was pushed yet; every name will begin with `prefix`.
    pub(super) fn new(prefix: String) -> Self {
        Self {
            prefix,
            counted: HashMap::new(),
        }
    }

    /// The lines for these figures, each with its line feed.
    pub(super) fn lines(&mut self, stats: &Stats, exclude_ephemeral: bool) -> Vec<String> {
        let mut lines = Lines {
            prefix: &self.prefix,
            before: std::mem::take(&mut self.counted),
            counted: HashMap::new(),
            out: Vec::new(),
        };
        let told = |name: &str| !(exclude_ephemeral && name.ends_with("#ephemeral"));
        for topic in stats.topics.iter().flatten() {
            if !told(&topic.topic_name) {
                continue;
            }
            lines.topic(topic);
            let channels = topic.channels.iter();
            for channel in channels.filter(|channel| told(&channel.channel_name)) {
                lines.channel(&topic.topic_name, channel);
            }
        }
        if let Some(memory) = &stats.memory {
            lines.memory(memory);
        }
        let Lines { counted, out, .. } = lines;
        self.counted = counted;
        out
    }
}

impl Lines<'_> {
    fn topic(&mut self, topic: &TopicStats) {
        let of = format!("topic.{}", topic.topic_name);
        self.counter(&of, "message_count", topic.message_count);
        self.counter(&of, "message_bytes", topic.message_bytes);
        self.gauge(&of, "depth", topic.depth);
        self.gauge(&of, "backend_depth", topic.backend_depth);
        self.latency(&of, &topic.e2e_processing_latency);
    }

    fn channel(&mut self, topic: &str, channel: &ChannelStats) {
        let of = format!("topic.{topic}.channel.{}", channel.channel_name);
        self.counter(&of, "message_count", channel.message_count);
        self.gauge(&of, "depth", channel.depth);
        self.gauge(&of, "backend_depth", channel.backend_depth);
        self.gauge(&of, "in_flight_count", channel.in_flight_count);
        self.gauge(&of, "deferred_count", channel.deferred_count);
        self.counter(&of, "requeue_count", channel.requeue_count);
        self.counter(&of, "timeout_count", channel.timeout_count);
        self.gauge(&of, "clients", channel.client_count as u64);
        self.latency(&of, &channel.e2e_processing_latency);
    }

    fn latency(&mut self, of: &str, latency: &Latency) {
        for percentile in latency.percentiles.iter().flatten() {
            let name = format!("e2e_processing_latency_{}", percentile.percent());
            self.gauge(of, &name, percentile.value);
        }
    }

    fn memory(&mut self, memory: &MemoryStats) {
        for (name, value) in memory.gauges() {
            self.gauge("mem", name, value);
        }
        self.counter("mem", "gc_runs", memory.gc_total_runs);
    }

    fn gauge(&mut self, of: &str, name: &str, value: u64) {
        let name = format!("{of}.{name}");
        self.line(&name, value, 'g');
    }

    /// A counter that went back belongs to a topic or channel that was deleted and made again: it starts from 0.
    fn counter(&mut self, of: &str, name: &str, value: u64) {
        let name = format!("{of}.{name}");
        let before = self.before.get(&name).copied().unwrap_or(0);
        self.line(&name, value.checked_sub(before).unwrap_or(value), 'c');
        self.counted.insert(name, value);
    }

    fn line(&mut self, name: &str, value: impl Display, kind: char) {
        self.out
            .push(format!("{}{name}:{value}|{kind}\n", self.prefix));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Percentile;
    use crate::topic::Durability;

    fn latency(value: u64) -> Latency {
        let percentile = |quantile| Percentile { quantile, value };
        Latency {
            count: 1,
            percentiles: Some(vec![percentile(1.0), percentile(0.95)]),
        }
    }

    fn channel(name: &str, message_count: u64) -> ChannelStats {
        ChannelStats {
            channel_name: name.into(),
            depth: 1,
            backend_depth: 2,
            in_flight_count: 3,
            deferred_count: 4,
            message_count,
            requeue_count: 6,
            timeout_count: 7,
            client_count: 8,
            clients: None,
            e2e_processing_latency: latency(9),
            ..ChannelStats::default()
        }
    }

    fn stats(topic: &str, message_count: u64, channels: Vec<ChannelStats>) -> Stats {
        let topic = TopicStats {
            topic_name: topic.into(),
            channels,
            depth: 10,
            backend_depth: 11,
            message_count,
            message_bytes: 12,
            paused: false,
            e2e_processing_latency: Latency::default(),
            durability: Durability::Memory,
        };
        Stats {
            version: "",
            health: String::new(),
            start_time: 0,
            topics: Some(vec![topic]),
            memory: None,
            producers: None,
        }
    }

    #[test]
    fn every_name_of_a_topic_and_a_channel_byte_for_byte() {
        let mut push = Push::new("nsq.h_1.".into());
        let lines = push.lines(&stats("t", 13, vec![channel("c", 5)]), false);
        let expected = "\
nsq.h_1.topic.t.message_count:13|c
nsq.h_1.topic.t.message_bytes:12|c
nsq.h_1.topic.t.depth:10|g
nsq.h_1.topic.t.backend_depth:11|g
nsq.h_1.topic.t.channel.c.message_count:5|c
nsq.h_1.topic.t.channel.c.depth:1|g
nsq.h_1.topic.t.channel.c.backend_depth:2|g
nsq.h_1.topic.t.channel.c.in_flight_count:3|g
nsq.h_1.topic.t.channel.c.deferred_count:4|g
nsq.h_1.topic.t.channel.c.requeue_count:6|c
nsq.h_1.topic.t.channel.c.timeout_count:7|c
nsq.h_1.topic.t.channel.c.clients:8|g
nsq.h_1.topic.t.channel.c.e2e_processing_latency_100:9|g
nsq.h_1.topic.t.channel.c.e2e_processing_latency_95:9|g
";
        assert_eq!(lines.concat(), expected);
    }

    #[test]
    fn memory_comes_last() {
        let stats = Stats {
            topics: None,
            memory: Some(MemoryStats {
                heap_in_use_bytes: 5,
                ..MemoryStats::default()
            }),
            ..stats("t", 0, Vec::new())
        };
        let expected = "\
mem.heap_objects:0|g
mem.heap_idle_bytes:0|g
mem.heap_in_use_bytes:5|g
mem.heap_released_bytes:0|g
mem.gc_pause_usec_100:0|g
mem.gc_pause_usec_99:0|g
mem.gc_pause_usec_95:0|g
mem.next_gc_bytes:0|g
mem.gc_runs:0|c
";
        assert_eq!(
            Push::new(String::new()).lines(&stats, false).concat(),
            expected
        );
    }

    #[test]
    fn counters_tell_what_came_since_the_last_push() {
        let mut push = Push::new(String::new());
        let mut pushed = |count| push.lines(&stats("t", count, Vec::new()), false)[0].clone();
        for (count, told) in [(5, 5), (5, 0), (12, 7), (3, 3)] {
            assert_eq!(pushed(count), format!("topic.t.message_count:{told}|c\n"));
        }
    }

    #[test]
    fn ephemeral_ones_can_be_left_out() {
        let channels = || vec![channel("c", 1), channel("d#ephemeral", 1)];
        let told = |topic, exclude| {
            let lines = Push::new(String::new()).lines(&stats(topic, 1, channels()), exclude);
            let counts = lines.iter().filter(|line| line.contains("message_count"));
            counts.count()
        };
        assert_eq!([told("t", false), told("t", true)], [3, 2]);
        assert_eq!(
            [told("t#ephemeral", false), told("t#ephemeral", true)],
            [3, 0]
        );
    }
}
