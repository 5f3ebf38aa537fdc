//! The JSON of `/stats`: keys and their order are the reference's, as are the places of `null`, `[]` and absent keys.

use client::wire::TopicName;
use serde::Serialize;

use super::clients::Clients;
use super::{ChannelFigures, TopicFigures, process};
use crate::channel::Locality;
use crate::latency::Latency;
use crate::topic::Durability;

/// The whole answer.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// The version of NSQ that this is compatible with.
    pub version: &'static str,
    /// `OK`, or `NOK - ` and why.
    pub health: String,
    /// Unix seconds.
    pub start_time: i64,
    /// By name; `None` if the topic that was asked for does not exist.
    pub topics: Option<Vec<TopicStats>>,
    /// Absent if it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStats>,
    /// Connections that have published, in no order; `None` if there are none, or clients were not asked for.
    pub producers: Option<Vec<ClientStats>>,
}

/// A topic.
#[derive(Debug, Clone, Serialize)]
pub struct TopicStats {
    /// Its name.
    pub topic_name: String,
    /// By name.
    pub channels: Vec<ChannelStats>,
    /// Messages that no channel has been shown.
    pub depth: u64,
    /// Those of them on disk.
    pub backend_depth: u64,
    /// Messages published since the process started.
    pub message_count: u64,
    /// Bytes of their bodies.
    pub message_bytes: u64,
    /// Whether channels are shown nothing new.
    pub paused: bool,
    /// From publish to finish, on all its channels.
    pub e2e_processing_latency: Latency,
    /// What OK promises. Ours, not the reference's.
    pub durability: Durability,
}

/// A channel.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ChannelStats {
    /// Its name.
    pub channel_name: String,
    /// Messages waiting.
    pub depth: u64,
    /// Those of them on disk.
    pub backend_depth: u64,
    /// Messages held by consumers.
    pub in_flight_count: u64,
    /// Messages that are not due yet.
    pub deferred_count: u64,
    /// Messages received from the topic.
    pub message_count: u64,
    /// Those handed to consumers in the zone of this host; absent if 0, as the next two.
    #[serde(skip_serializing_if = "is_zero")]
    pub zone_local_msg_count: u64,
    /// Those handed to consumers elsewhere in its region.
    #[serde(skip_serializing_if = "is_zero")]
    pub region_local_msg_count: u64,
    /// Those handed to consumers anywhere else; all, unless nearness is looked at.
    #[serde(skip_serializing_if = "is_zero")]
    pub global_msg_count: u64,
    /// Messages given back by consumers.
    pub requeue_count: u64,
    /// Messages not finished in time.
    pub timeout_count: u64,
    /// Consumers, also when they are not listed.
    pub client_count: usize,
    /// The consumers, in no order; `None` if clients were not asked for.
    pub clients: Option<Vec<ClientStats>>,
    /// Whether delivery stands still.
    pub paused: bool,
    /// From publish to finish.
    pub e2e_processing_latency: Latency,
}

/// A connection.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the keys of the reference")]
pub struct ClientStats {
    /// What it calls itself.
    pub client_id: String,
    /// What it calls its host.
    pub hostname: String,
    /// The protocol: always `V2`.
    pub version: &'static str,
    /// `ip:port`, or `@` on a unix socket.
    pub remote_address: String,
    /// 0 connected, 3 subscribed, 4 closing.
    pub state: u8,
    /// Messages that it takes at a time.
    pub ready_count: u64,
    /// Messages that it holds.
    pub in_flight_count: u64,
    /// Messages sent to it.
    pub message_count: u64,
    /// Those of them which it got as a consumer in the zone of this host; absent if 0, as the next two, and all three
    /// unless nearness is looked at.
    #[serde(skip_serializing_if = "is_zero")]
    pub zone_local_msg_count: u64,
    /// As one elsewhere in its region.
    #[serde(skip_serializing_if = "is_zero")]
    pub region_local_msg_count: u64,
    /// As one anywhere else.
    #[serde(skip_serializing_if = "is_zero")]
    pub global_msg_count: u64,
    /// Messages that it finished.
    pub finish_count: u64,
    /// Messages that it gave back.
    pub requeue_count: u64,
    /// When it connected, in Unix seconds.
    pub connect_ts: i64,
    /// Percentage of the messages that it gets; 0: all.
    pub sample_rate: u8,
    /// Whether it is compressed with deflate.
    pub deflate: bool,
    /// Whether it is compressed with snappy.
    pub snappy: bool,
    /// Its library.
    pub user_agent: String,
    /// Whether an authorization server knows it; absent if not, as the next two.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub authed: bool,
    /// Who it is, by that server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_identity: String,
    /// Where there is more about it, by that server; not to be trusted as a link.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_identity_url: String,
    /// The zone that it says it is in.
    pub topology_zone: String,
    /// The region that it says it is in.
    pub topology_region: String,
    /// What it published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pub_counts: Vec<PubCount>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// Empty without TLS.
    pub tls_cipher_suite: String,
    /// Empty without TLS.
    pub tls_version: &'static str,
    /// Always empty: the protocol in TLS is not negotiated.
    pub tls_negotiated_protocol: &'static str,
    /// Whether it is encrypted, as the reference has it.
    pub tls_negotiated_protocol_is_mutual: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How much a connection published to a topic.
#[derive(Debug, Clone, Serialize)]
pub struct PubCount {
    /// The topic.
    pub topic: TopicName,
    /// Messages.
    pub count: u64,
}

/// The memory of the process under the names of Go's runtime; what has no meaning here is 0.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct MemoryStats {
    /// 0.
    pub heap_objects: u64,
    /// 0.
    pub heap_idle_bytes: u64,
    /// Bytes of memory that the process has in RAM.
    pub heap_in_use_bytes: u64,
    /// 0.
    pub heap_released_bytes: u64,
    /// 0: nothing is ever paused to collect garbage.
    pub gc_pause_usec_100: u64,
    /// 0.
    pub gc_pause_usec_99: u64,
    /// 0.
    pub gc_pause_usec_95: u64,
    /// 0.
    pub next_gc_bytes: u64,
    /// 0.
    pub gc_total_runs: u64,
}

impl MemoryStats {
    /// As it is now.
    pub(super) fn now() -> Self {
        Self {
            heap_in_use_bytes: process::resident_bytes(),
            ..Self::default()
        }
    }

    /// What goes up and down, by the reference's names. Counted is only `gc_total_runs`.
    pub(crate) fn gauges(&self) -> [(&'static str, u64); 8] {
        [
            ("heap_objects", self.heap_objects),
            ("heap_idle_bytes", self.heap_idle_bytes),
            ("heap_in_use_bytes", self.heap_in_use_bytes),
            ("heap_released_bytes", self.heap_released_bytes),
            ("gc_pause_usec_100", self.gc_pause_usec_100),
            ("gc_pause_usec_99", self.gc_pause_usec_99),
            ("gc_pause_usec_95", self.gc_pause_usec_95),
            ("next_gc_bytes", self.next_gc_bytes),
        ]
    }
}

impl TopicStats {
    /// The figures of a topic, and its consumers out of `clients` if they are to be listed.
    pub(super) fn new(topic: TopicFigures, mut clients: Option<&mut Clients>) -> Self {
        let TopicFigures {
            name,
            figures,
            channels,
            latency,
        } = topic;
        let channels = channels.into_iter().map(|channel| {
            let clients = clients.as_mut();
            let clients = clients.map(|all| all.take(&name, &channel.name));
            ChannelStats::new(channel, clients)
        });
        Self {
            channels: channels.collect(),
            topic_name: name.as_str().to_owned(),
            depth: figures.depth.messages,
            backend_depth: figures.depth.on_disk,
            message_count: figures.message_count,
            message_bytes: figures.message_bytes,
            paused: figures.paused,
            e2e_processing_latency: latency,
            durability: figures.durability,
        }
    }
}

impl ChannelStats {
    fn new(channel: ChannelFigures, clients: Option<Vec<ClientStats>>) -> Self {
        let figures = channel.figures;
        Self {
            channel_name: channel.name.as_str().to_owned(),
            depth: figures.depth.messages,
            backend_depth: figures.depth.on_disk,
            in_flight_count: figures.in_flight_count,
            deferred_count: figures.deferred_count,
            message_count: figures.message_count,
            zone_local_msg_count: *figures.handed_out.at(Locality::Zone),
            region_local_msg_count: *figures.handed_out.at(Locality::Region),
            global_msg_count: *figures.handed_out.at(Locality::Global),
            requeue_count: figures.requeue_count,
            timeout_count: figures.timeout_count,
            client_count: figures.client_count,
            clients,
            paused: figures.paused,
            e2e_processing_latency: channel.latency,
        }
    }
}
