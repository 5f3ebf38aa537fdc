//! What the daemon did: one snapshot of its figures, told in three forms.
//!
//! | form | for | in |
//! | --- | --- | --- |
//! | text | people | `text.rs` |
//! | JSON | nsqadmin and scripts | `json.rs` |
//! | `OpenMetrics` | Prometheus | `metrics.rs` |
//!
//! Topics, channels and connections are listed first, then each is asked for its numbers, so that no lock is held for
//! longer than copying a few of them. The figures of one topic or channel belong together; those of two may be some
//! microseconds apart.

mod clients;
mod json;
mod metrics;
pub(crate) mod process;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::sync::Arc;

use client::daemon::flags::COMPATIBLE_VERSION;
use client::wire::{ChannelName, TopicName};

pub use json::{ChannelStats, ClientStats, MemoryStats, PubCount, Stats, TopicStats};
pub use metrics::{CONTENT_TYPE as METRICS_CONTENT_TYPE, metrics};
pub use text::text;

use crate::channel::{self, Channel};
use crate::latency::{Latency, Sketch};
use crate::node::Node;
use crate::topic::{self, Topic};

/// What is to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Only of this topic.
    pub topic: Option<String>,
    /// Only of channels with this name, and of topics that have one.
    pub channel: Option<String>,
    /// Of each consumer and producer.
    pub clients: bool,
    /// Of the process's memory.
    pub memory: bool,
}

impl Selection {
    /// All topics and channels, without clients and memory.
    pub(crate) const FIGURES: Self = Self {
        topic: None,
        channel: None,
        clients: false,
        memory: false,
    };
}

/// Whether the daemon can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health(Option<String>);

impl Health {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.0.is_none()
    }
}

/// `OK`, or `NOK - ` and why not.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("OK"),
            Some(fault) => write!(f, "NOK - {fault}"),
        }
    }
}

/// Whether the daemon can do its work: it can't, while messages can't be moved to disk.
pub fn health(node: &Node) -> Health {
    Health(node.fault())
}

/// Gathers what `/stats` tells.
pub fn collect(node: &Node, selection: &Selection) -> Stats {
    let topics = topics(node, selection);
    let known = topics.is_some();
    let mut clients = if selection.clients && known {
        clients::collect(node, selection.topic.as_deref())
    } else {
        clients::Clients::default()
    };
    let topics = topics.map(|topics| {
        let stats = |topic| TopicStats::new(topic, selection.clients.then_some(&mut clients));
        topics.into_iter().map(stats).collect()
    });
    Stats {
        version: COMPATIBLE_VERSION,
        health: health(node).to_string(),
        start_time: node.started_at(),
        topics,
        memory: selection.memory.then(MemoryStats::now),
        producers: (!clients.producers.is_empty()).then_some(clients.producers),
    }
}

/// A topic's figures and its channels'.
#[derive(Debug)]
struct TopicFigures {
    name: TopicName,
    figures: topic::Snapshot,
    channels: Vec<ChannelFigures>,
    latency: Latency,
}

#[derive(Debug)]
struct ChannelFigures {
    name: ChannelName,
    figures: channel::Snapshot,
    latency: Latency,
}

/// The topics that were selected, by name; `None` if the one asked for does not exist.
fn topics(node: &Node, selection: &Selection) -> Option<Vec<TopicFigures>> {
    let topics = match &selection.topic {
        Some(name) => vec![node.topic(name)?],
        None => node.topics(),
    };
    let latency = node.options().latency.as_ref();
    let quantiles = latency.map_or(&[][..], |settings| &settings.quantiles);
    let figures = |topic: &Arc<Topic>| {
        let channels = match &selection.channel {
            Some(name) => vec![topic.channel(name)?],
            None => topic.channels(),
        };
        Some(topic_figures(topic, &channels, quantiles))
    };
    Some(topics.iter().filter_map(figures).collect())
}

/// A topic's latencies are those of all its channels together; with none there are none to tell.
fn topic_figures(topic: &Topic, channels: &[Arc<Channel>], quantiles: &[f64]) -> TopicFigures {
    let mut all: Option<Sketch> = None;
    let told = |sketch: &Sketch| sketch.percentiles(quantiles);
    let channels = channels.iter().map(|channel| {
        let latencies = channel.latencies();
        if let Some(latencies) = &latencies {
            all.get_or_insert_default().merge(latencies);
        }
        ChannelFigures {
            name: channel.name().clone(),
            figures: channel.snapshot(),
            latency: latencies.as_ref().map(told).unwrap_or_default(),
        }
    });
    TopicFigures {
        name: topic.name().clone(),
        channels: channels.collect(),
        figures: topic.snapshot(),
        latency: all.as_ref().map(told).unwrap_or_default(),
    }
}
