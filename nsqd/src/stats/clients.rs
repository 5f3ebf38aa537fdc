//! The connections, as consumers of their channels and as producers.

use client::wire::{ChannelName, Settings, TopicName};
use rustc_hash::FxHashMap;

use super::json::{ClientStats, PubCount};
use crate::channel::{ConsumerSnapshot, Locality};
use crate::node::Node;
use crate::tcp::Connected;

/// What is told of connections.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// By topic and channel.
    consumers: FxHashMap<(TopicName, ChannelName), Vec<ClientStats>>,
    /// Those that have published something, whatever else they do.
    pub(super) producers: Vec<ClientStats>,
}

impl Clients {
    /// Takes out the consumers of a channel.
    pub(super) fn take(&mut self, topic: &TopicName, channel: &ChannelName) -> Vec<ClientStats> {
        let key = (topic.clone(), channel.clone());
        self.consumers.remove(&key).unwrap_or_default()
    }
}

/// Asks every connection what it does: all producers, and the consumers of `topic`, or of all topics. With `topic`,
/// producers tell only what they published to that one.
pub(super) fn collect(node: &Node, topic: Option<&str>) -> Clients {
    let mut clients = Clients::default();
    for connected in node.connections().all() {
        let published = connected.published();
        let is_producer = !published.is_empty();
        let consumes = connected.consumes();
        let consumes = consumes.filter(|(name, ..)| matches(topic, name));
        if !is_producer && consumes.is_none() {
            continue;
        }
        let figures = consumes.as_ref().map(|(.., figures)| ConsumerSnapshot {
            locality: figures.locality.filter(|_| node.options().topology_aware),
            ..*figures
        });
        let counts = pub_counts(published, topic);
        let stats = client_stats(&connected, figures.unwrap_or_default(), counts);
        if is_producer {
            clients.producers.push(stats.clone());
        }
        if let Some((topic, channel, _)) = consumes {
            let key = (topic, channel.name().clone());
            clients.consumers.entry(key).or_default().push(stats);
        }
    }
    clients
}

/// All topics that were published to, where the reference names one.
fn pub_counts(published: Vec<(TopicName, u64)>, only: Option<&str>) -> Vec<PubCount> {
    let counts = published
        .into_iter()
        .filter(|(topic, _)| matches(only, topic));
    counts
        .map(|(topic, count)| PubCount { topic, count })
        .collect()
}

fn matches(only: Option<&str>, topic: &TopicName) -> bool {
    only.is_none_or(|only| only == topic.as_str())
}

fn client_stats(
    connected: &Connected,
    consumer: ConsumerSnapshot,
    pub_counts: Vec<PubCount>,
) -> ClientStats {
    let settings: &Settings = &connected.settings();
    let tls = connected.tls();
    let auth = connected.authorization();
    let (identity, identity_url) = auth.as_ref().map_or(("", ""), |grant| {
        (grant.identity.as_str(), grant.identity_url.as_str())
    });
    let got_as = |locality| match consumer.locality {
        Some(own) if own == locality => consumer.counters.messages,
        _ => 0,
    };
    ClientStats {
        client_id: settings.client_id.clone(),
        hostname: settings.hostname.clone(),
        version: "V2",
        remote_address: connected.peer.clone(),
        state: connected.stage() as u8,
        ready_count: consumer.ready_count,
        in_flight_count: consumer.in_flight_count,
        message_count: consumer.counters.messages,
        zone_local_msg_count: got_as(Locality::Zone),
        region_local_msg_count: got_as(Locality::Region),
        global_msg_count: got_as(Locality::Global),
        finish_count: consumer.counters.finished,
        requeue_count: consumer.counters.requeued,
        connect_ts: connected.connected_at,
        sample_rate: settings.sample_rate,
        deflate: settings.deflate,
        snappy: settings.snappy,
        user_agent: settings.user_agent.clone(),
        authed: auth.is_some(),
        auth_identity: identity.to_owned(),
        auth_identity_url: identity_url.to_owned(),
        topology_zone: settings.topology_zone.clone(),
        topology_region: settings.topology_region.clone(),
        pub_counts,
        tls: tls.is_some(),
        tls_cipher_suite: tls.map(|tls| tls.cipher_suite.clone()).unwrap_or_default(),
        tls_version: tls.map(|tls| tls.version).unwrap_or_default(),
        tls_negotiated_protocol: "",
        tls_negotiated_protocol_is_mutual: tls.is_some(),
    }
}
