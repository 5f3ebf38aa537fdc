//! nsqd's `/stats`, as far as it is looked at again and again.

use serde::Deserialize;

use crate::cluster::or_default;

/// What one node says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStats {
    pub(super) version: String,
    pub(super) health: String,
    pub(super) start_time: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) topics: Vec<TopicStats>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TopicStats {
    pub(super) topic_name: String,
    pub(super) depth: i64,
    pub(super) message_count: i64,
    pub(super) paused: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) channels: Vec<ChannelStats>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChannelStats {
    pub(super) channel_name: String,
    pub(super) depth: i64,
    pub(super) in_flight_count: i64,
    pub(super) deferred_count: i64,
    pub(super) requeue_count: i64,
    pub(super) timeout_count: i64,
    pub(super) message_count: i64,
    pub(super) client_count: i64,
    pub(super) paused: bool,
}
