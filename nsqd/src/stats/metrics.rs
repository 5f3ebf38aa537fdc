//! GET `/metrics`: the figures for Prometheus, in the text form of `OpenMetrics`.
//!
//! A table per kind of thing: name, meaning, and where the value comes from. Counters get `_total` behind their names,
//! and start at 0 with the process. Topics and channels have their names as labels `topic` and `channel`.

use std::fmt;
use std::time::Duration;

use client::daemon::flags::COMPATIBLE_VERSION;
use client::daemon::log::dropped_lines;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{Selection, TopicFigures, health, process, topics};
use crate::channel::{self, Locality};
use crate::node::Node;
use crate::topic;

/// What [`metrics`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns all figures in the text form of `OpenMetrics`.
pub fn metrics(node: &Node) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures::now(node)));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("a string takes any text");
    out
}

/// A metric of things `T`.
struct Metric<T> {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&T) -> u64,
}

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Metric<T> {
    let kind = MetricType::Counter;
    Metric {
        name,
        help,
        kind,
        value,
    }
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Metric<T> {
    let kind = MetricType::Gauge;
    Metric {
        name,
        help,
        kind,
        value,
    }
}

const TOPIC: [Metric<topic::Snapshot>; 10] = [
    gauge(
        "nsqd_topic_depth",
        "Messages that no channel has been shown",
        |topic| topic.depth.messages,
    ),
    gauge(
        "nsqd_topic_backend_depth",
        "Messages on disk that no channel has been shown",
        |topic| topic.depth.on_disk,
    ),
    counter("nsqd_topic_messages", "Messages published", |topic| {
        topic.message_count
    }),
    counter(
        "nsqd_topic_bytes",
        "Bytes of the bodies of messages published",
        |topic| topic.message_bytes,
    ),
    gauge(
        "nsqd_topic_paused",
        "1 while channels are shown nothing new",
        |topic| u64::from(topic.paused),
    ),
    counter(
        "nsqd_topic_dropped_messages",
        "Messages lost by ephemeral channels for lack of memory",
        |topic| topic.dropped,
    ),
    counter(
        "nsqd_topic_damaged_messages",
        "Messages that could not be read back from disk",
        |topic| topic.damaged,
    ),
    counter(
        "nsqd_topic_commits",
        "Group commits made for publishers",
        |topic| topic.commits,
    ),
    counter(
        "nsqd_topic_storage_failures",
        "Times that messages could not be brought to disk",
        |topic| topic.storage_failures,
    ),
    gauge(
        "nsqd_topic_storage_fault",
        "1 while messages can't be brought to disk",
        |topic| u64::from(topic.storage_fault),
    ),
];

const CHANNEL: [Metric<channel::Snapshot>; 12] = [
    gauge("nsqd_channel_depth", "Messages waiting", |channel| {
        channel.depth.messages
    }),
    gauge(
        "nsqd_channel_backend_depth",
        "Messages waiting on disk",
        |channel| channel.depth.on_disk,
    ),
    gauge(
        "nsqd_channel_in_flight",
        "Messages held by consumers",
        |channel| channel.in_flight_count,
    ),
    gauge(
        "nsqd_channel_deferred",
        "Messages that are not due yet",
        |channel| channel.deferred_count,
    ),
    counter(
        "nsqd_channel_messages",
        "Messages received from the topic",
        |channel| channel.message_count,
    ),
    counter(
        "nsqd_channel_requeues",
        "Messages given back by consumers",
        |channel| channel.requeue_count,
    ),
    counter(
        "nsqd_channel_timeouts",
        "Messages not finished in time",
        |channel| channel.timeout_count,
    ),
    counter(
        "nsqd_channel_zone_local_messages",
        "Messages handed to consumers in the zone of this host",
        |channel| *channel.handed_out.at(Locality::Zone),
    ),
    counter(
        "nsqd_channel_region_local_messages",
        "Messages handed to consumers elsewhere in the region of this host",
        |channel| *channel.handed_out.at(Locality::Region),
    ),
    counter(
        "nsqd_channel_global_messages",
        "Messages handed to consumers anywhere else",
        |channel| *channel.handed_out.at(Locality::Global),
    ),
    gauge("nsqd_channel_clients", "Consumers", |channel| {
        channel.client_count as u64
    }),
    gauge(
        "nsqd_channel_paused",
        "1 while delivery stands still",
        |channel| u64::from(channel.paused),
    ),
];

const PROCESS: [Metric<Figures>; 9] = [
    gauge(
        "nsqd_healthy",
        "0 while messages can't be moved to disk",
        |figures| u64::from(figures.healthy),
    ),
    gauge(
        "nsqd_connections",
        "Connections of the TCP protocol",
        |figures| figures.connections,
    ),
    gauge(
        "nsqd_message_memory_bytes",
        "Memory that holds messages",
        |figures| figures.message_memory_bytes,
    ),
    gauge(
        "nsqd_message_memory_budget_bytes",
        "Memory that messages may take before they go to disk (--mem-queue-bytes)",
        |figures| figures.message_memory_budget_bytes,
    ),
    gauge(
        "process_start_time_seconds",
        "When it started, in Unix seconds",
        |figures| figures.start_time,
    ),
    counter(
        "nsqd_connections_refused",
        "Connections of the TCP protocol that there was no room for",
        |node| node.connections_refused,
    ),
    counter(
        "nsqd_log_lines_dropped",
        "Log lines dropped, as nobody read them",
        |_| dropped_lines(),
    ),
    gauge("process_resident_memory_bytes", "Memory in RAM", |_| {
        process::resident_bytes()
    }),
    gauge("process_open_fds", "Open file descriptors", |_| {
        process::open_fds()
    }),
];

/// A snapshot of the node.
#[derive(Debug)]
struct Figures {
    topics: Vec<TopicFigures>,
    healthy: bool,
    connections: u64,
    connections_refused: u64,
    message_memory_bytes: u64,
    message_memory_budget_bytes: u64,
    start_time: u64,
}

impl Figures {
    fn now(node: &Node) -> Self {
        Self {
            topics: topics(node, &Selection::FIGURES).unwrap_or_default(),
            healthy: health(node).is_ok(),
            connections: node.connections().count() as u64,
            connections_refused: node.connections().refused(),
            message_memory_bytes: node.memory().used() as u64,
            message_memory_budget_bytes: node.options().mem_queue_bytes as u64,
            start_time: u64::try_from(node.started_at()).unwrap_or(0),
        }
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        encode_build(encoder)?;
        for metric in &PROCESS {
            metric.encode_one(encoder, self)?;
        }
        encode_cpu(encoder)?;
        for metric in &TOPIC {
            let topics = self.topics.iter();
            let rows = topics.map(|topic| ([("topic", topic.name.as_str())], &topic.figures));
            metric.encode_all(encoder, rows)?;
        }
        for metric in &CHANNEL {
            let rows = self.topics.iter().flat_map(|topic| {
                let channels = topic.channels.iter();
                channels.map(|channel| {
                    let names = [
                        ("topic", topic.name.as_str()),
                        ("channel", channel.name.as_str()),
                    ];
                    (names, &channel.figures)
                })
            });
            metric.encode_all(encoder, rows)?;
        }
        encode_latencies(encoder, &self.topics)
    }
}

/// Apart from the table, as each channel has several, told apart by their quantile. Absent unless they are measured.
fn encode_latencies(encoder: &mut DescriptorEncoder<'_>, topics: &[TopicFigures]) -> fmt::Result {
    let channels = topics.iter().flat_map(|topic| {
        let channels = topic.channels.iter();
        channels.map(|channel| (topic.name.as_str(), channel))
    });
    let mut values = channels.flat_map(|(topic, channel)| {
        let percentiles = channel.latency.percentiles.iter().flatten();
        percentiles.map(move |percentile| (topic, channel.name.as_str(), percentile))
    });
    let Some(first) = values.next() else {
        return Ok(());
    };
    let (name, help) = (
        "nsqd_channel_e2e_processing_latency_seconds",
        "Time from publish to finish that this share of messages took at the most",
    );
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (topic, channel, percentile) in std::iter::once(first).chain(values) {
        let quantile = percentile.quantile.to_string();
        let labels = [
            ("topic", topic),
            ("channel", channel),
            ("quantile", quantile.as_str()),
        ];
        let seconds = Duration::from_nanos(percentile.value).as_secs_f64();
        ConstGauge::new(seconds).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_build(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Versions: of the program, and of the NSQ that it is compatible with";
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("compatible", COMPATIBLE_VERSION),
    ];
    encoder
        .encode_descriptor("nsqd_build", help, None, MetricType::Info)?
        .encode_info(&labels)
}

/// Apart from the table, as it is the one figure with a fraction.
fn encode_cpu(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (name, help) = ("process_cpu_seconds", "Processor time used");
    let one = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(process::cpu_seconds()).encode(one)
}

impl<T> Metric<T> {
    /// Writes the metric of one thing, which needs no labels.
    fn encode_one(&self, encoder: &mut DescriptorEncoder<'_>, thing: &T) -> fmt::Result {
        let one = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        self.encode_value(one, thing)
    }

    /// Writes the metric of each of many things, told apart by labels.
    fn encode_all<'a, const N: usize>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        things: impl Iterator<Item = ([(&'a str, &'a str); N], &'a T)>,
    ) -> fmt::Result
    where
        T: 'a,
    {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, thing) in things {
            self.encode_value(family.encode_family(&labels)?, thing)?;
        }
        Ok(())
    }

    fn encode_value(&self, encoder: MetricEncoder<'_>, thing: &T) -> fmt::Result {
        let value = (self.value)(thing);
        match self.kind {
            MetricType::Counter => ConstCounter::new(value).encode(encoder),
            _ => ConstGauge::new(value).encode(encoder),
        }
    }
}
