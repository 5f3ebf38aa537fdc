//! What nsqlookupd and nsqd answer, as far as it is used here.
//!
//! Versions differ in what they send: what is missing or `null` is taken for empty.

use serde::{Deserialize, Deserializer};

/// nsqlookupd `/topics`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Topics {
    #[serde(deserialize_with = "or_default")]
    pub(super) topics: Vec<String>,
}

/// nsqlookupd `/channels`, and those of `/lookup`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Channels {
    #[serde(deserialize_with = "or_default")]
    pub(super) channels: Vec<String>,
}

/// nsqlookupd `/lookup` and `/nodes`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Producers {
    #[serde(deserialize_with = "or_default")]
    pub(super) producers: Vec<Producer>,
}

/// An nsqd, as nsqlookupd tells of it; also nsqd's own `/info`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Producer {
    pub(super) remote_address: String,
    pub(super) hostname: String,
    pub(super) broadcast_address: String,
    #[serde(deserialize_with = "port")]
    pub(super) tcp_port: u16,
    #[serde(deserialize_with = "port")]
    pub(super) http_port: u16,
    pub(super) version: String,
    pub(super) topology_zone: String,
    pub(super) topology_region: String,
    /// Only in `/nodes`.
    #[serde(deserialize_with = "or_default")]
    pub(super) topics: Vec<String>,
    /// One for each topic; may be shorter.
    #[serde(deserialize_with = "or_default")]
    pub(super) tombstones: Vec<bool>,
}

/// nsqd `/stats?format=json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stats {
    #[serde(deserialize_with = "or_default")]
    pub(super) topics: Vec<TopicStats>,
    pub(super) memory: Option<Memory>,
}

/// The memory of an nsqd. The reference's is that of its heap, ours that of the process.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    pub(super) heap_in_use_bytes: u64,
}

/// A topic on one nsqd.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TopicStats {
    pub(super) topic_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) channels: Vec<ChannelStats>,
    pub(super) depth: i64,
    pub(super) backend_depth: i64,
    pub(super) message_count: i64,
    pub(super) paused: bool,
    pub(super) e2e_processing_latency: Option<LatencyStats>,
}

/// A channel on one nsqd.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChannelStats {
    pub(super) channel_name: String,
    pub(super) depth: i64,
    pub(super) backend_depth: i64,
    pub(super) in_flight_count: i64,
    pub(super) deferred_count: i64,
    pub(super) requeue_count: i64,
    pub(super) timeout_count: i64,
    pub(super) message_count: i64,
    pub(super) zone_local_msg_count: i64,
    pub(super) region_local_msg_count: i64,
    pub(super) global_msg_count: i64,
    pub(super) client_count: i64,
    pub(super) clients: Option<Vec<ClientStats>>,
    pub(super) paused: bool,
    pub(super) e2e_processing_latency: Option<LatencyStats>,
}

/// A consumer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the reference"
)]
pub(super) struct ClientStats {
    pub(super) remote_address: String,
    pub(super) version: String,
    pub(super) client_id: String,
    pub(super) hostname: String,
    pub(super) user_agent: String,
    pub(super) connect_ts: i64,
    pub(super) in_flight_count: i64,
    pub(super) ready_count: i64,
    pub(super) finish_count: i64,
    pub(super) requeue_count: i64,
    pub(super) message_count: i64,
    pub(super) sample_rate: i64,
    pub(super) deflate: bool,
    pub(super) snappy: bool,
    pub(super) authed: bool,
    pub(super) auth_identity: String,
    pub(super) auth_identity_url: String,
    pub(super) topology_region: String,
    pub(super) topology_zone: String,
    pub(super) tls: bool,
    pub(super) tls_cipher_suite: String,
    pub(super) tls_version: String,
    pub(super) tls_negotiated_protocol: String,
    pub(super) tls_negotiated_protocol_is_mutual: bool,
}

/// End-to-end latency on one nsqd.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LatencyStats {
    pub(super) count: i64,
    pub(super) percentiles: Option<Vec<PercentileStats>>,
}

/// One percentile of it, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PercentileStats {
    pub(super) quantile: f64,
    pub(super) value: f64,
}

/// A port; 0 for those that are none, such as the -1 of a unix socket.
fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let port: Option<i64> = Option::deserialize(deserializer)?;
    Ok(port.and_then(|port| port.try_into().ok()).unwrap_or(0))
}

/// `null` is the default too.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
