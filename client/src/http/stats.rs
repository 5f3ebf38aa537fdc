//! What an nsqd counts (`GET /stats?format=json`). What a version does not tell is zero or empty.

use serde::{Deserialize, Deserializer};

use super::or_default;

/// An nsqd and its topics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Its version.
    pub version: String,
    /// `OK`, or what is wrong.
    pub health: String,
    /// When it started, in seconds since 1970.
    pub start_time: i64,
    /// Sorted by name.
    #[serde(deserialize_with = "or_default")]
    pub topics: Vec<TopicStats>,
}

/// A topic on one nsqd.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TopicStats {
    /// Its name.
    pub topic_name: String,
    /// Sorted by name.
    #[serde(deserialize_with = "or_default")]
    pub channels: Vec<ChannelStats>,
    /// Messages that no channel has got yet.
    pub depth: i64,
    /// Those of them on disk only.
    pub backend_depth: i64,
    /// Messages published since nsqd's start.
    pub message_count: i64,
    /// Their bytes.
    pub message_bytes: i64,
    /// True if channels get none of its messages now.
    pub paused: bool,
    /// Time from publish to finish, over all channels.
    #[serde(deserialize_with = "or_default")]
    pub e2e_processing_latency: Latency,
}

/// A channel on one nsqd. Counts are since nsqd's start.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChannelStats {
    /// Its name.
    pub channel_name: String,
    /// Messages waiting.
    pub depth: i64,
    /// Those of them on disk only.
    pub backend_depth: i64,
    /// Messages handed out and not yet answered for.
    pub in_flight_count: i64,
    /// Messages that wait for a due time.
    pub deferred_count: i64,
    /// Messages that came into the channel.
    pub message_count: i64,
    /// Messages that consumers gave back.
    pub requeue_count: i64,
    /// Messages that consumers kept too long.
    pub timeout_count: i64,
    /// Consumers.
    pub client_count: i64,
    /// The consumers, if they were asked for.
    #[serde(deserialize_with = "or_default")]
    pub clients: Vec<ClientStats>,
    /// True if consumers get no messages now.
    pub paused: bool,
    /// Time from publish to finish.
    #[serde(deserialize_with = "or_default")]
    pub e2e_processing_latency: Latency,
}

/// A consumer. Counts are since it connected.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClientStats {
    /// What it calls itself.
    pub client_id: String,
    /// What it calls its host.
    pub hostname: String,
    /// The version of the protocol, `V2`.
    pub version: String,
    /// Where its connection comes from.
    pub remote_address: String,
    /// The library or program, as it says.
    pub user_agent: String,
    /// How many messages it will take now.
    pub ready_count: i64,
    /// Messages that it holds.
    pub in_flight_count: i64,
    /// Messages handed to it.
    pub message_count: i64,
    /// Messages it has finished.
    pub finish_count: i64,
    /// Messages it gave back.
    pub requeue_count: i64,
    /// When it connected, in seconds since 1970.
    pub connect_ts: i64,
    /// Per cent of the messages that it wants; 0 is all.
    pub sample_rate: i64,
    /// True if its connection is encrypted.
    pub tls: bool,
}

/// Time from publish to finish.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Messages measured.
    pub count: i64,
    /// As nsqd's `-e2e-processing-latency-percentile` asks for; none if it measures none.
    #[serde(deserialize_with = "percentiles")]
    pub percentiles: Vec<Percentile>,
}

/// One percentile of a latency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Percentile {
    /// From 0 to 1.
    pub quantile: f64,
    /// In nanoseconds.
    pub value: f64,
}

/// A list that may be `null`, and have elements that are.
fn percentiles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Percentile>, D::Error> {
    let list: Option<Vec<Option<Percentile>>> = Option::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().flatten().collect())
}
