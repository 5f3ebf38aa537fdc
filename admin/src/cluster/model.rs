//! What the API tells: the reference's objects, with its names, order and absent fields.

#![expect(
    clippy::struct_field_names,
    reason = "fields have the reference's names"
)]

use serde::{Serialize, Serializer};

/// An nsqd.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Node {
    /// `<nsqlookupd>/<address>` for each nsqlookupd that knows it; `None` where there is no nsqlookupd.
    pub(crate) remote_addresses: Option<Vec<String>>,
    pub(crate) remote_address: String,
    pub(crate) hostname: String,
    pub(crate) broadcast_address: String,
    pub(crate) tcp_port: u16,
    pub(crate) http_port: u16,
    pub(crate) version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_zone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_region: String,
    /// By name; `None` if it has none.
    pub(crate) topics: Option<Vec<NodeTopic>>,
    /// True if another node has a later version.
    pub(crate) out_of_date: bool,
    /// Where it is asked: what the operator gave, or what it announces.
    #[serde(skip)]
    pub(crate) http_address: String,
}

impl Node {
    /// A node of which only the address is known.
    pub(crate) fn at(address: &str) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        Self {
            broadcast_address: host.trim_matches(['[', ']']).to_owned(),
            http_port: port.parse().unwrap_or_default(),
            http_address: address.to_owned(),
            ..Self::default()
        }
    }

    /// The name under which the API and the pages know it: `broadcast_address:http_port`.
    pub(crate) fn name(&self) -> String {
        host_port(&self.broadcast_address, self.http_port)
    }
}

/// `host:port`, an IPv6 host in brackets.
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        return format!("[{host}]:{port}");
    }
    format!("{host}:{port}")
}

/// A topic that a node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NodeTopic {
    pub(crate) topic: String,
    /// Hidden from consumers for a while.
    pub(crate) tombstoned: bool,
}

/// A topic on one node, or on all (`node` is `*`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Topic {
    pub(crate) node: String,
    pub(crate) hostname: String,
    pub(crate) topic_name: String,
    pub(crate) depth: i64,
    pub(crate) memory_depth: i64,
    pub(crate) backend_depth: i64,
    pub(crate) message_count: i64,
    /// Always 0: nsqd counts deliveries by channel.
    pub(crate) delivery_msg_count: i64,
    pub(crate) nodes: Option<Vec<Topic>>,
    pub(crate) channels: Option<Vec<Channel>>,
    pub(crate) paused: bool,
    pub(crate) e2e_processing_latency: Option<Latency>,
}

/// A channel on one node, or on all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Channel {
    pub(crate) node: String,
    pub(crate) hostname: String,
    pub(crate) topic_name: String,
    pub(crate) channel_name: String,
    pub(crate) depth: i64,
    pub(crate) memory_depth: i64,
    pub(crate) backend_depth: i64,
    pub(crate) in_flight_count: i64,
    pub(crate) deferred_count: i64,
    pub(crate) requeue_count: i64,
    pub(crate) timeout_count: i64,
    pub(crate) message_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) delivery_msg_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) zone_local_msg_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) region_local_msg_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) global_msg_count: i64,
    pub(crate) client_count: i64,
    pub(crate) nodes: Option<Vec<Channel>>,
    /// `None` if they were not asked for.
    pub(crate) clients: Option<Vec<Client>>,
    pub(crate) paused: bool,
    pub(crate) e2e_processing_latency: Option<Latency>,
}

/// A consumer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the reference"
)]
pub(crate) struct Client {
    pub(crate) node: String,
    pub(crate) remote_address: String,
    pub(crate) version: String,
    pub(crate) client_id: String,
    pub(crate) hostname: String,
    pub(crate) user_agent: String,
    /// Unix seconds, by the clock of nsqd.
    pub(crate) connect_ts: i64,
    /// Nanoseconds since then, by our clock: below 0 if the clocks differ.
    pub(crate) connected: i64,
    pub(crate) in_flight_count: i64,
    pub(crate) ready_count: i64,
    pub(crate) finish_count: i64,
    pub(crate) requeue_count: i64,
    pub(crate) message_count: i64,
    pub(crate) sample_rate: i64,
    pub(crate) deflate: bool,
    pub(crate) snappy: bool,
    pub(crate) authed: bool,
    pub(crate) auth_identity: String,
    pub(crate) auth_identity_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) node_topology_region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) node_topology_zone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topology_zone: String,
    pub(crate) tls: bool,
    pub(crate) tls_cipher_suite: String,
    pub(crate) tls_version: String,
    pub(crate) tls_negotiated_protocol: String,
    pub(crate) tls_negotiated_protocol_is_mutual: bool,
}

impl Client {
    /// How much of what it is ready for is in flight: 0 to 1.
    pub(crate) fn load(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
        let load = self.in_flight_count as f64 / self.ready_count.max(1) as f64;
        load.clamp(0.0, 1.0)
    }

    /// True if it is in the zone of its node.
    pub(crate) fn is_near(&self) -> bool {
        self.topology_region == self.node_topology_region
            && self.topology_zone == self.node_topology_zone
    }
}

/// End-to-end latency.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: i64,
    pub(crate) percentiles: Option<Vec<Percentile>>,
    pub(crate) topic: String,
    pub(crate) channel: String,
    /// `*` for all nodes, empty for one.
    pub(crate) host: String,
}

/// One percentile, in nanoseconds, over the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentile {
    /// The nodes' values, weighted with their counts. A mean of percentiles is no percentile: `max` is safer.
    #[serde(serialize_with = "as_go")]
    pub(crate) average: f64,
    pub(crate) count: i64,
    #[serde(serialize_with = "as_go")]
    pub(crate) max: f64,
    #[serde(serialize_with = "as_go")]
    pub(crate) min: f64,
    pub(crate) quantile: f64,
    /// What the node says; nothing for several.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_go_some")]
    pub(crate) value: Option<f64>,
}

/// A node with what it is doing.
#[derive(Debug, Default, Serialize)]
pub(crate) struct NodeDetail {
    pub(crate) node: String,
    pub(crate) topics: Vec<Topic>,
    pub(crate) total_messages: i64,
    pub(crate) total_clients: i64,
    /// As it is registered.
    #[serde(skip)]
    pub(crate) registration: Node,
    /// Memory in use; 0 if it does not say.
    #[serde(skip)]
    pub(crate) memory_bytes: u64,
}

/// What a channel on a node has received in all.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Counter {
    pub(crate) node: String,
    pub(crate) topic_name: String,
    pub(crate) channel_name: String,
    pub(crate) message_count: i64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// A number without a fraction as Go writes it: without a point.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn as_go<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it has no fraction, and fits"
        )]
        return serializer.serialize_i64(*value as i64);
    }
    serializer.serialize_f64(*value)
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference")]
fn as_go_some<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    as_go(&value.unwrap_or_default(), serializer)
}

/// Below this, 2^53, each integer is a floating point number of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
