//! Many nodes' answers into one. Pure: what was said goes in, what the API tells comes out.
//!
//! | what | rule |
//! | --- | --- |
//! | names | union, sorted by bytes |
//! | nodes | the first nsqlookupd to tell of a node wins; later ones add their address of it, and topics |
//! | counts | sums, that stop at the largest number there is |
//! | `paused` | true if it is on any node |
//! | latency | greatest, least and weighted mean of the nodes' percentiles |
//!
//! Order never depends on who answered first: the sources come in the order in which they were given.

mod latency;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::answers::{ChannelStats, ClientStats, Producer, Stats, TopicStats};
use super::model::{Channel, Client, Counter, Node, NodeDetail, NodeTopic, Topic, host_port};
use super::version::Version;

/// Each name once, sorted.
pub(super) fn names(lists: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let mut names: Vec<String> = lists.into_iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The nodes of which nsqlookupds tell: each is an address with what it said.
pub(super) fn nodes(told: impl IntoIterator<Item = (String, Vec<Producer>)>) -> Vec<Node> {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for (lookupd, producers) in told {
        for producer in producers {
            let remote = match producer.remote_address.as_str() {
                "" => "N/A",
                remote => remote,
            };
            let remote = format!("{lookupd}/{remote}");
            let key = host_port(&producer.broadcast_address, producer.tcp_port);
            let told = node(producer);
            let known = match nodes.entry(key) {
                Entry::Vacant(place) => place.insert(told),
                Entry::Occupied(known) => {
                    let known = known.into_mut();
                    add_topics(known, told.topics.unwrap_or_default());
                    known
                }
            };
            known.remote_addresses.get_or_insert_default().push(remote);
        }
    }
    compared(nodes.into_values().collect())
}

/// Adds the topics that only this nsqlookupd knows the node to have.
fn add_topics(node: &mut Node, told: Vec<NodeTopic>) {
    let topics = node.topics.get_or_insert_default();
    for topic in told {
        let place = topics.binary_search_by(|known| known.topic.cmp(&topic.topic));
        if let Err(place) = place {
            topics.insert(place, topic);
        }
    }
    node.topics.take_if(|topics| topics.is_empty());
}

/// A node as it is announced, to be asked at the address that it announces.
pub(super) fn node(producer: Producer) -> Node {
    // A list of tombstones that is too short has none at its end.
    let tombstones = producer
        .tombstones
        .into_iter()
        .chain(std::iter::repeat(false));
    let topics = producer.topics.into_iter().zip(tombstones);
    let topics = topics.map(|(topic, tombstoned)| NodeTopic { topic, tombstoned });
    let mut topics: Vec<NodeTopic> = topics.collect();
    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    Node {
        remote_addresses: None,
        remote_address: producer.remote_address,
        hostname: producer.hostname,
        http_address: host_port(&producer.broadcast_address, producer.http_port),
        broadcast_address: producer.broadcast_address,
        tcp_port: producer.tcp_port,
        http_port: producer.http_port,
        version: producer.version,
        topology_zone: producer.topology_zone,
        topology_region: producer.topology_region,
        topics: (!topics.is_empty()).then_some(topics),
        out_of_date: false,
    }
}

/// The nodes that are directly known: each is where it was asked, its `/info`, and its `/stats`.
pub(super) fn known_nodes(told: Vec<(String, Producer, Stats)>) -> Vec<Node> {
    let node = |(address, info, stats): (String, Producer, Stats)| {
        let topics = stats.topics.into_iter().map(|topic| topic.topic_name);
        Node {
            http_address: address,
            ..node(Producer {
                topics: topics.collect(),
                remote_address: String::new(),
                ..info
            })
        }
    };
    let mut nodes: Vec<Node> = told.into_iter().map(node).collect();
    sort_by_host(&mut nodes);
    nodes
}

/// Marks those that are older than another, and sorts.
fn compared(mut nodes: Vec<Node>) -> Vec<Node> {
    let versions = nodes.iter().map(|node| Version::parse(&node.version));
    let latest = versions.max().unwrap_or_default();
    for node in &mut nodes {
        node.out_of_date = Version::parse(&node.version) < latest;
    }
    sort_by_host(&mut nodes);
    nodes
}

fn sort_by_host(nodes: &mut [Node]) {
    nodes.sort_by_cached_key(|node| (node.hostname.clone(), node.name()));
}

/// The producers of a topic of which nsqlookupds tell, each once.
pub(super) fn producers(told: impl IntoIterator<Item = Vec<Producer>>) -> Vec<Node> {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for producer in told.into_iter().flatten() {
        let node = node(producer);
        nodes.entry(node.http_address.clone()).or_insert(node);
    }
    let mut nodes: Vec<Node> = nodes.into_values().collect();
    sort_by_host(&mut nodes);
    nodes
}

/// A topic on all nodes, from its rows. Without any it has neither node nor channels.
pub(super) fn topic(name: &str, mut rows: Vec<Topic>) -> Topic {
    rows.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
    let mut total = Topic {
        topic_name: name.to_owned(),
        ..Topic::default()
    };
    if rows.is_empty() {
        return total;
    }
    "*".clone_into(&mut total.node);
    let mut channels: BTreeMap<String, Vec<Channel>> = BTreeMap::new();
    for row in &rows {
        add(&mut total.depth, row.depth);
        add(&mut total.memory_depth, row.memory_depth);
        add(&mut total.backend_depth, row.backend_depth);
        add(&mut total.message_count, row.message_count);
        total.paused |= row.paused;
        for channel in row.channels.iter().flatten() {
            let rows = channels.entry(channel.channel_name.clone()).or_default();
            rows.push(channel.clone());
        }
    }
    let latencies = rows.iter().map(|row| row.e2e_processing_latency.as_ref());
    total.e2e_processing_latency = latency::over_nodes(latencies, name, "");
    let channels = channels
        .into_iter()
        .map(|(channel_name, rows)| channel(name, &channel_name, rows));
    total.channels = Some(channels.collect());
    total.nodes = Some(rows);
    total
}

/// A channel on all nodes, from its rows.
pub(super) fn channel(topic_name: &str, channel_name: &str, mut rows: Vec<Channel>) -> Channel {
    rows.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
    let mut total = Channel {
        node: "*".to_owned(),
        topic_name: topic_name.to_owned(),
        channel_name: channel_name.to_owned(),
        ..Channel::default()
    };
    for row in &rows {
        add_channel(&mut total, row);
    }
    let latencies = rows.iter().map(|row| row.e2e_processing_latency.as_ref());
    total.e2e_processing_latency = latency::over_nodes(latencies, topic_name, channel_name);
    if let Some(clients) = &mut total.clients {
        sort_by_distance(clients);
    }
    total.nodes = Some(rows);
    total
}

fn add_channel(total: &mut Channel, row: &Channel) {
    add(&mut total.depth, row.depth);
    add(&mut total.memory_depth, row.memory_depth);
    add(&mut total.backend_depth, row.backend_depth);
    add(&mut total.in_flight_count, row.in_flight_count);
    add(&mut total.deferred_count, row.deferred_count);
    add(&mut total.requeue_count, row.requeue_count);
    add(&mut total.timeout_count, row.timeout_count);
    add(&mut total.message_count, row.message_count);
    add(&mut total.delivery_msg_count, row.delivery_msg_count);
    add(&mut total.zone_local_msg_count, row.zone_local_msg_count);
    add(
        &mut total.region_local_msg_count,
        row.region_local_msg_count,
    );
    add(&mut total.global_msg_count, row.global_msg_count);
    add(&mut total.client_count, row.client_count);
    total.paused |= row.paused;
    if let Some(clients) = &row.clients {
        let all = total.clients.get_or_insert_default();
        all.extend(clients.iter().cloned());
    }
}

/// A node says what it likes: a sum too large stays at the largest.
fn add(total: &mut i64, count: i64) {
    *total = total.saturating_add(count);
}

/// By node; of a node first those in its zone, then those in its region.
fn sort_by_distance(clients: &mut [Client]) {
    clients.sort_by_cached_key(|client| {
        let in_region = client.topology_region == client.node_topology_region;
        let in_zone = in_region && client.topology_zone == client.node_topology_zone;
        let place = (client.topology_region.clone(), client.topology_zone.clone());
        let who = client.remote_address.clone();
        (client.node.clone(), !in_zone, !in_region, place, who)
    });
}

/// A topic as one node tells of it.
pub(super) fn topic_row(node: &Node, stats: TopicStats, now: i64) -> Topic {
    let name = stats.topic_name;
    let rows = stats.channels.into_iter();
    let mut channels: Vec<Channel> = rows
        .map(|channel| channel_row(node, &name, channel, now))
        .collect();
    channels.sort_by(|a, b| a.channel_name.cmp(&b.channel_name));
    Topic {
        node: node.name(),
        hostname: node.hostname.clone(),
        topic_name: name,
        depth: stats.depth,
        memory_depth: stats.depth.saturating_sub(stats.backend_depth),
        backend_depth: stats.backend_depth,
        message_count: stats.message_count,
        delivery_msg_count: 0,
        nodes: None,
        channels: Some(channels),
        paused: stats.paused,
        e2e_processing_latency: stats.e2e_processing_latency.map(latency::of_node),
    }
}

/// A channel as one node tells of it.
pub(super) fn channel_row(node: &Node, topic: &str, stats: ChannelStats, now: i64) -> Channel {
    let zones = [
        stats.zone_local_msg_count,
        stats.region_local_msg_count,
        stats.global_msg_count,
    ];
    let clients = stats.clients.map(|clients| {
        let clients = clients.into_iter().map(|stats| client(node, stats, now));
        let mut clients: Vec<Client> = clients.collect();
        sort_by_distance(&mut clients);
        clients
    });
    Channel {
        node: node.name(),
        hostname: node.hostname.clone(),
        topic_name: topic.to_owned(),
        channel_name: stats.channel_name,
        depth: stats.depth,
        memory_depth: stats.depth.saturating_sub(stats.backend_depth),
        backend_depth: stats.backend_depth,
        in_flight_count: stats.in_flight_count,
        deferred_count: stats.deferred_count,
        requeue_count: stats.requeue_count,
        timeout_count: stats.timeout_count,
        message_count: stats.message_count,
        delivery_msg_count: zones.into_iter().fold(0, i64::saturating_add),
        zone_local_msg_count: stats.zone_local_msg_count,
        region_local_msg_count: stats.region_local_msg_count,
        global_msg_count: stats.global_msg_count,
        client_count: stats.client_count,
        nodes: None,
        clients,
        paused: stats.paused,
        e2e_processing_latency: stats.e2e_processing_latency.map(latency::of_node),
    }
}

fn client(node: &Node, stats: ClientStats, now: i64) -> Client {
    let seconds = now.saturating_sub(stats.connect_ts);
    Client {
        node: node.name(),
        remote_address: stats.remote_address,
        version: stats.version,
        client_id: stats.client_id,
        hostname: stats.hostname,
        user_agent: stats.user_agent,
        connect_ts: stats.connect_ts,
        connected: seconds.saturating_mul(1_000_000_000),
        in_flight_count: stats.in_flight_count,
        ready_count: stats.ready_count,
        finish_count: stats.finish_count,
        requeue_count: stats.requeue_count,
        message_count: stats.message_count,
        sample_rate: stats.sample_rate,
        deflate: stats.deflate,
        snappy: stats.snappy,
        authed: stats.authed,
        auth_identity: stats.auth_identity,
        auth_identity_url: stats.auth_identity_url,
        node_topology_region: node.topology_region.clone(),
        node_topology_zone: node.topology_zone.clone(),
        topology_region: stats.topology_region,
        topology_zone: stats.topology_zone,
        tls: stats.tls,
        tls_cipher_suite: stats.tls_cipher_suite,
        tls_version: stats.tls_version,
        tls_negotiated_protocol: stats.tls_negotiated_protocol,
        tls_negotiated_protocol_is_mutual: stats.tls_negotiated_protocol_is_mutual,
    }
}

/// What one node is doing.
pub(super) fn node_detail(node: &Node, stats: Stats, now: i64) -> NodeDetail {
    let memory = stats.memory.unwrap_or_default();
    let rows = stats.topics.into_iter();
    let mut topics: Vec<Topic> = rows.map(|topic| topic_row(node, topic, now)).collect();
    topics.sort_by(|a, b| a.topic_name.cmp(&b.topic_name));
    let messages = topics.iter().map(|topic| topic.message_count);
    let channels = topics
        .iter()
        .flat_map(|topic| topic.channels.iter().flatten());
    let clients: usize = channels
        .map(|channel| channel.clients.as_ref().map_or(0, Vec::len))
        .sum();
    NodeDetail {
        node: node.name(),
        total_messages: messages.fold(0, i64::saturating_add),
        total_clients: i64::try_from(clients).unwrap_or(i64::MAX),
        topics,
        registration: node.clone(),
        memory_bytes: memory.heap_in_use_bytes,
    }
}

/// What each channel on each node has received, by `topic:channel:node`.
pub(super) fn counters(told: Vec<(Node, Stats)>) -> BTreeMap<String, Counter> {
    let mut counters = BTreeMap::new();
    for (node, stats) in told {
        let node = node.name();
        for topic in stats.topics {
            for channel in topic.channels {
                let counter = Counter {
                    node: node.clone(),
                    topic_name: topic.topic_name.clone(),
                    channel_name: channel.channel_name,
                    message_count: channel.message_count,
                };
                let key = format!("{}:{}:{node}", counter.topic_name, counter.channel_name);
                counters.insert(key, counter);
            }
        }
    }
    counters
}

#[cfg(test)]
mod tests;
