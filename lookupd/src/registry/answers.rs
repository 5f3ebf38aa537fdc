//! What the registry answers, as the HTTP API shows it: field names and their order are the reference's.

use std::sync::Arc;

use client::wire::lookup::PeerInfo;
use client::wire::{ChannelName, TopicName};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::clock::Timestamp;

/// An nsqd as it is shown to consumers. Never changes while it is connected.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Producer {
    /// Address of its connection, `ip:port`.
    pub remote_address: String,
    /// Name of its host.
    pub hostname: String,
    /// Host name or address to dial.
    pub broadcast_address: String,
    /// Port for consumers.
    pub tcp_port: i64,
    /// Port of its HTTP API.
    pub http_port: i64,
    /// Its version.
    pub version: String,
    /// Zone of its host.
    pub topology_zone: String,
    /// Region of its host.
    pub topology_region: String,
}

impl Producer {
    /// Returns the nsqd that said `info` over the connection from `remote_address`.
    pub fn new(remote_address: String, info: PeerInfo) -> Self {
        Self {
            remote_address,
            hostname: info.hostname,
            broadcast_address: info.broadcast_address,
            tcp_port: info.tcp_port,
            http_port: info.http_port,
            version: info.version,
            topology_zone: info.topology_zone,
            topology_region: info.topology_region,
        }
    }

    /// True if `node` is the address of its HTTP API: `host:port`, or `[host]:port` as IPv6 addresses are written.
    pub(super) fn is_node(&self, node: &str) -> bool {
        let Some((host, port)) = node.rsplit_once(':') else {
            return false;
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_host = host == self.broadcast_address || bare == Some(&self.broadcast_address);
        is_host && port == self.http_port.to_string()
    }
}

/// Who has a topic, and its channels.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lookup {
    /// All channels, whoever has them.
    pub channels: Vec<ChannelName>,
    /// Those that are active and not tombstoned.
    pub producers: Vec<Arc<Producer>>,
}

/// An nsqd with its topics.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Node {
    /// The nsqd.
    #[serde(flatten)]
    pub producer: Arc<Producer>,
    /// Whether it is tombstoned for each of `topics`, in the same order.
    pub tombstones: Vec<bool>,
    /// The topics that it has.
    pub topics: Vec<TopicName>,
}

/// One registration of one nsqd, for `/debug`.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The nsqd.
    pub producer: Arc<Producer>,
    /// When it last identified or pinged.
    pub last_update: Timestamp,
    /// When it was tombstoned, however long ago.
    pub tombstoned_at: Option<Timestamp>,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let producer = &self.producer;
        let mut fields = serializer.serialize_struct("Entry", 11)?;
        fields.serialize_field("broadcast_address", &producer.broadcast_address)?;
        fields.serialize_field("hostname", &producer.hostname)?;
        fields.serialize_field("http_port", &producer.http_port)?;
        fields.serialize_field("id", &producer.remote_address)?;
        fields.serialize_field("last_update", &self.last_update)?;
        fields.serialize_field("tcp_port", &producer.tcp_port)?;
        fields.serialize_field("tombstoned", &self.tombstoned_at.is_some())?;
        fields.serialize_field("tombstoned_at", &self.tombstoned_at.unwrap_or(NEVER))?;
        fields.serialize_field("topology_region", &producer.topology_region)?;
        fields.serialize_field("topology_zone", &producer.topology_zone)?;
        fields.serialize_field("version", &producer.version)?;
        fields.end()
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// nsqds connected and identified.
    pub producers: usize,
    /// Those of them that are inactive.
    pub inactive_producers: usize,
    /// Topics known.
    pub topics: usize,
    /// Channels known.
    pub channels: usize,
    /// Topics and channels of all nsqds, each counted for each nsqd that has it.
    pub registrations: usize,
}

/// What the reference shows for a time that was never set.
const NEVER: Timestamp = Timestamp(-6_795_364_578_871_345_152);
