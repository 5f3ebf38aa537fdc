//! Answers as nodes of several versions give them, merged.

use serde_json::json;

use super::super::answers::Producers;
use super::*;

fn producers_of(value: serde_json::Value) -> Vec<Producer> {
    let told: Producers = serde_json::from_value(value).unwrap();
    told.producers
}

fn stats(value: serde_json::Value) -> Stats {
    serde_json::from_value(value).unwrap()
}

fn node_at(host: &str) -> Node {
    node(Producer {
        broadcast_address: host.to_owned(),
        hostname: format!("host-{host}"),
        http_port: 4151,
        topology_region: "eu".to_owned(),
        topology_zone: "eu-1".to_owned(),
        ..Producer::default()
    })
}

fn rows(told: &[(&str, serde_json::Value)]) -> Vec<Topic> {
    let row = |(host, topic): &(&str, serde_json::Value)| {
        topic_row(
            &node_at(host),
            serde_json::from_value(topic.clone()).unwrap(),
            1000,
        )
    };
    told.iter().map(row).collect()
}

#[test]
fn names_are_a_sorted_union() {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(
        names([list(&["b", "a"]), list(&["a", "B"])]),
        ["B", "a", "b"]
    );
    assert!(names([]).is_empty());
}

#[test]
fn a_node_known_to_two_lookupds_is_one_node_with_two_addresses() {
    let told = |remote: &str, topic: &str| {
        producers_of(
            json!({"producers": [{"remote_address": remote, "hostname": "h", "broadcast_address": "n",
            "tcp_port": 1, "http_port": 2, "version": "1.3.0", "topics": [topic], "tombstones": [true]}]}),
        )
    };
    let nodes = nodes([
        ("l1:1".to_owned(), told("r1", "t")),
        ("l2:1".to_owned(), told("", "u")),
    ]);
    let [node] = &nodes[..] else {
        panic!("{nodes:?}")
    };
    assert_eq!(
        node.remote_addresses.as_deref().unwrap(),
        ["l1:1/r1", "l2:1/N/A"]
    );
    let topics = node.topics.as_deref().unwrap();
    let topics: Vec<_> = topics
        .iter()
        .map(|t| (t.topic.as_str(), t.tombstoned))
        .collect();
    assert_eq!(topics, [("t", true), ("u", true)]);
    assert!(!node.out_of_date);
}

#[test]
fn nodes_survive_short_tombstones_and_nulls_and_are_compared() {
    let told = producers_of(json!({"producers": [
        {"hostname": "b", "broadcast_address": "::1", "http_port": 4151, "version": "1.2.1", "topics": ["z", "a"], "tombstones": [true]},
        {"hostname": "a", "broadcast_address": "a", "version": "1.3.0", "topics": null, "tombstones": null},
    ]}));
    let nodes = nodes([("l:1".to_owned(), told)]);
    let told: Vec<_> = nodes
        .iter()
        .map(|node| (node.name(), node.out_of_date))
        .collect();
    assert_eq!(
        told,
        [("a:0".to_owned(), false), ("[::1]:4151".to_owned(), true)]
    );
    assert_eq!(nodes[0].topics, None);
    let topics: Vec<_> = nodes[1]
        .topics
        .iter()
        .flatten()
        .map(|t| (t.topic.as_str(), t.tombstoned))
        .collect();
    assert_eq!(topics, [("a", false), ("z", true)]);
}

#[test]
fn counts_add_up_and_rows_keep_their_own() {
    let channel = |depth: i64| {
        json!({"channel_name": "c", "depth": depth, "backend_depth": 1, "in_flight_count": 2,
        "deferred_count": 3, "requeue_count": 4, "timeout_count": 5, "message_count": 6, "client_count": 7,
        "zone_local_msg_count": 1, "global_msg_count": 2})
    };
    let total = topic(
        "t",
        rows(&[
            (
                "b",
                json!({"topic_name": "t", "depth": 10, "backend_depth": 4, "message_count": 100, "channels": [channel(8)]}),
            ),
            (
                "a",
                json!({"topic_name": "t", "depth": 1, "message_count": 1, "paused": true, "channels": [channel(3)]}),
            ),
        ]),
    );
    assert_eq!((total.node.as_str(), total.hostname.as_str()), ("*", ""));
    assert_eq!(
        (total.depth, total.memory_depth, total.backend_depth),
        (11, 7, 4)
    );
    assert!(total.paused);
    assert_eq!(total.e2e_processing_latency, None);
    let nodes = total.nodes.as_deref().unwrap();
    let names: Vec<_> = nodes.iter().map(|row| row.node.as_str()).collect();
    assert_eq!(names, ["a:4151", "b:4151"]);
    let [channel] = total.channels.as_deref().unwrap() else {
        panic!("one channel in all")
    };
    assert_eq!(
        (channel.depth, channel.memory_depth, channel.message_count),
        (11, 9, 12)
    );
    assert_eq!(
        (
            channel.in_flight_count,
            channel.deferred_count,
            channel.client_count
        ),
        (4, 6, 14)
    );
    assert_eq!(
        (
            channel.requeue_count,
            channel.timeout_count,
            channel.delivery_msg_count
        ),
        (8, 10, 6)
    );
    assert_eq!(channel.nodes.as_ref().unwrap().len(), 2);
    assert_eq!(channel.clients, None);
    // What a node has is the node's: the reference shows the totals here.
    assert_eq!(nodes[0].channels.as_ref().unwrap()[0].depth, 3);
}

#[test]
fn sums_stop_at_the_largest_number() {
    let max = json!({"topic_name": "t", "depth": i64::MAX, "backend_depth": i64::MIN, "message_count": i64::MAX});
    let total = topic("t", rows(&[("a", max.clone()), ("b", max)]));
    assert_eq!((total.depth, total.backend_depth), (i64::MAX, i64::MIN));
    assert_eq!(
        (total.memory_depth, total.message_count),
        (i64::MAX, i64::MAX)
    );
}

#[test]
fn a_topic_on_no_node_has_nothing() {
    let shown = serde_json::to_value(topic("t", Vec::new())).unwrap();
    assert_eq!(
        shown,
        json!({"node": "", "hostname": "", "topic_name": "t", "depth": 0, "memory_depth": 0,
        "backend_depth": 0, "message_count": 0, "delivery_msg_count": 0, "nodes": null, "channels": null,
        "paused": false, "e2e_processing_latency": null})
    );
}

#[test]
fn percentiles_are_weighted_and_keep_their_extremes() {
    let told = |count: i64, value: f64| {
        json!({"topic_name": "t",
        "e2e_processing_latency": {"count": count, "percentiles": [{"quantile": 0.99, "value": value}]}})
    };
    let nulls =
        json!({"topic_name": "t", "e2e_processing_latency": {"count": 0, "percentiles": null}});
    let total = topic(
        "t",
        rows(&[
            ("a", told(1, 10.0)),
            ("b", told(3, 30.0)),
            ("c", nulls),
            ("d", json!({"topic_name": "t"})),
        ]),
    );
    let shown = serde_json::to_value(&total.e2e_processing_latency).unwrap();
    assert_eq!(
        shown,
        json!({"count": 4, "topic": "t", "channel": "", "host": "*",
        "percentiles": [{"average": 25, "count": 4, "max": 30, "min": 10, "quantile": 0.99}]})
    );
    let of_node = &total.nodes.unwrap()[0].e2e_processing_latency;
    let shown = serde_json::to_value(of_node).unwrap();
    assert_eq!(shown["percentiles"][0]["value"], json!(10));
}

#[test]
fn clients_of_the_same_zone_come_first_and_have_an_age() {
    let client = |address: &str, region: &str, zone: &str| {
        json!({"remote_address": address, "connect_ts": 990,
        "topology_region": region, "topology_zone": zone})
    };
    let told = stats(
        json!({"topics": [{"topic_name": "t", "channels": [{"channel_name": "c", "clients": [
        client("far", "us", "us-1"), client("region", "eu", "eu-2"), client("zone", "eu", "eu-1")]}]}]}),
    );
    let channel_stats = told.topics[0].channels[0].clone();
    let row = channel_row(&node_at("a"), "t", channel_stats, 1000);
    let total = channel("t", "c", vec![row]);
    let clients = total.clients.unwrap();
    let order: Vec<_> = clients
        .iter()
        .map(|client| client.remote_address.as_str())
        .collect();
    assert_eq!(order, ["zone", "region", "far"]);
    assert_eq!(clients[0].connected, 10_000_000_000);
    assert_eq!(clients[0].node_topology_zone, "eu-1");
}

#[test]
fn counters_are_by_topic_channel_and_node() {
    let told = stats(
        json!({"topics": [{"topic_name": "t", "channels": [{"channel_name": "c", "message_count": 5}]}]}),
    );
    let counters = counters(vec![(node_at("a"), told.clone()), (node_at("b"), told)]);
    let keys: Vec<_> = counters.keys().map(String::as_str).collect();
    assert_eq!(keys, ["t:c:a:4151", "t:c:b:4151"]);
    assert_eq!(counters["t:c:a:4151"].message_count, 5);
}

#[test]
fn a_node_tells_what_it_has_in_all() {
    let told = stats(json!({"topics": [
        {"topic_name": "u", "message_count": 2, "channels": null},
        {"topic_name": "t", "message_count": 3, "channels": [{"channel_name": "c", "clients": [{}, {}]}]}]}));
    let detail = node_detail(&node_at("a"), told, 0);
    let names: Vec<_> = detail
        .topics
        .iter()
        .map(|topic| topic.topic_name.as_str())
        .collect();
    assert_eq!(names, ["t", "u"]);
    assert_eq!((detail.total_messages, detail.total_clients), (5, 2));
}
