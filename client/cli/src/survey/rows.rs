//! A line of statistics: one topic, or one channel, over all nsqds.

use std::ops::AddAssign;

use client::http::{ChannelStats, TopicStats};
use serde::Serialize;

/// One topic, or one channel of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Its topic.
    pub(crate) topic: String,
    /// The channel; `None` is the topic itself.
    pub(crate) channel: Option<String>,
    /// Sums over the nsqds.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// What happens in a second; `None` until there are two measurements of the same run of an nsqd.
    pub(crate) rates: Option<Rates>,
    /// True if it is paused on any nsqd.
    pub(crate) paused: bool,
    /// nsqds that have it.
    pub(crate) nodes: usize,
    /// True if an nsqd that may have it did not answer: the sums may be too low.
    pub(crate) incomplete: bool,
}

/// What nsqds count, by the names in their `/stats`. What only channels have is 0 for a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Messages waiting.
    pub(crate) depth: i64,
    /// Those of them on disk only.
    pub(crate) backend_depth: i64,
    /// Messages handed out and not yet answered for.
    pub(crate) in_flight_count: i64,
    /// Messages that wait for a due time.
    pub(crate) deferred_count: i64,
    /// Messages given back by consumers.
    pub(crate) requeue_count: i64,
    /// Messages kept too long by consumers.
    pub(crate) timeout_count: i64,
    /// Messages that came in.
    pub(crate) message_count: i64,
    /// Consumers.
    pub(crate) client_count: i64,
}

/// What happens in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Rates {
    /// Messages that come in.
    pub(crate) ingress: f64,
    /// Messages that leave the queue: what came in, less what the depth grew by.
    pub(crate) egress: f64,
    /// Messages given back.
    pub(crate) requeues: f64,
    /// Messages kept too long.
    pub(crate) timeouts: f64,
}

impl Counts {
    /// Messages waiting in memory.
    pub(crate) fn memory_depth(&self) -> i64 {
        self.depth - self.backend_depth
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.depth, other.depth);
        add(&mut self.backend_depth, other.backend_depth);
        add(&mut self.in_flight_count, other.in_flight_count);
        add(&mut self.deferred_count, other.deferred_count);
        add(&mut self.requeue_count, other.requeue_count);
        add(&mut self.timeout_count, other.timeout_count);
        add(&mut self.message_count, other.message_count);
        add(&mut self.client_count, other.client_count);
    }
}

impl AddAssign for Rates {
    fn add_assign(&mut self, other: Self) {
        self.ingress += other.ingress;
        self.egress += other.egress;
        self.requeues += other.requeues;
        self.timeouts += other.timeouts;
    }
}

impl From<&TopicStats> for Counts {
    fn from(topic: &TopicStats) -> Self {
        Self {
            depth: topic.depth,
            backend_depth: topic.backend_depth,
            message_count: topic.message_count,
            ..Self::default()
        }
    }
}

impl From<&ChannelStats> for Counts {
    fn from(channel: &ChannelStats) -> Self {
        Self {
            depth: channel.depth,
            backend_depth: channel.backend_depth,
            in_flight_count: channel.in_flight_count,
            deferred_count: channel.deferred_count,
            requeue_count: channel.requeue_count,
            timeout_count: channel.timeout_count,
            message_count: channel.message_count,
            client_count: channel.client_count,
        }
    }
}
