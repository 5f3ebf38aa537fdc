//! Everything that the reference offers by name is there: flags, keys of the configuration file, options that can be asked
//! for, fields of IDENTIFY, of `/stats` and `/info`, paths, and names in statsd. The lists are the reference's.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::UdpSocket;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tests::daemon::{Nsqd, run_to_end};
use tests::wait;

/// Flags with a value that is allowed and needs nothing else, and their keys where these are not the flag's name.
const FLAGS: &[(&str, &str, &str)] = &[
    ("log-level", "info", ""),
    ("log-prefix", "'[n] '", ""),
    ("node-id", "7", "id"),
    ("tcp-address", "127.0.0.1:0", ""),
    ("http-address", "127.0.0.1:0", ""),
    ("https-address", "127.0.0.1:0", ""),
    ("broadcast-address", "b.example", ""),
    ("broadcast-tcp-port", "4150", ""),
    ("broadcast-http-port", "4151", ""),
    (
        "lookupd-tcp-address",
        "127.0.0.1:1",
        "nsqlookupd_tcp_addresses",
    ),
    ("auth-http-address", "127.0.0.1:1", "auth_http_addresses"),
    ("auth-http-request-method", "get", ""),
    ("http-client-connect-timeout", "2s", ""),
    ("http-client-request-timeout", "5s", ""),
    ("topology-region", "r", ""),
    ("topology-zone", "z", ""),
    ("mem-queue-size", "10000", ""),
    ("max-bytes-per-file", "104857600", ""),
    ("sync-every", "2500", ""),
    ("sync-timeout", "2s", ""),
    ("queue-scan-worker-pool-max", "4", ""),
    ("queue-scan-selection-count", "20", ""),
    ("msg-timeout", "1m", ""),
    ("max-msg-timeout", "15m", ""),
    ("max-msg-size", "1048576", ""),
    ("max-req-timeout", "1h", ""),
    ("max-body-size", "5242880", ""),
    ("max-heartbeat-interval", "1m", ""),
    ("max-rdy-count", "2500", ""),
    ("max-output-buffer-size", "65536", ""),
    ("max-output-buffer-timeout", "30s", ""),
    ("min-output-buffer-timeout", "25ms", ""),
    ("output-buffer-timeout", "250ms", ""),
    ("max-channel-consumers", "0", ""),
    ("statsd-address", "127.0.0.1:1", ""),
    ("statsd-interval", "1m", ""),
    ("statsd-mem-stats", "true", ""),
    ("statsd-prefix", "nsq.%s", ""),
    ("statsd-udp-packet-size", "508", ""),
    ("statsd-exclude-ephemeral", "false", ""),
    (
        "e2e-processing-latency-percentile",
        "0.99",
        "e2e_processing_latency_percentiles",
    ),
    ("e2e-processing-latency-window-time", "10m", ""),
    ("tls-cert", "", ""),
    ("tls-key", "", ""),
    ("tls-client-auth-policy", "", ""),
    ("tls-root-ca-file", "", ""),
    ("tls-required", "false", ""),
    ("tls-min-version", "tls1.2", ""),
    ("deflate", "true", ""),
    ("max-deflate-level", "6", ""),
    ("snappy", "true", ""),
    ("enable-experiment", "topology-aware-consumption", ""),
];

const IDENTIFY: &str = "client_id hostname user_agent feature_negotiation heartbeat_interval output_buffer_size \
    output_buffer_timeout tls_v1 deflate deflate_level snappy sample_rate msg_timeout topology_region topology_zone";
const IDENTIFY_ANSWER: &str = "max_rdy_count version max_msg_timeout msg_timeout tls_v1 deflate deflate_level \
    max_deflate_level snappy sample_rate auth_required output_buffer_size output_buffer_timeout topology_region topology_zone";
const INFO: &str = "version broadcast_address hostname http_port tcp_port start_time max_heartbeat_interval \
    max_output_buffer_size max_output_buffer_timeout max_deflate_level topology_zone topology_region";
const STATS: &str = "version health start_time topics memory producers";
const MEMORY: &str = "heap_objects heap_idle_bytes heap_in_use_bytes heap_released_bytes gc_pause_usec_100 \
    gc_pause_usec_99 gc_pause_usec_95 next_gc_bytes gc_total_runs";
const TOPIC: &str = "topic_name channels depth backend_depth message_count message_bytes paused e2e_processing_latency";
const CHANNEL: &str = "channel_name depth backend_depth in_flight_count deferred_count message_count global_msg_count \
    requeue_count timeout_count client_count clients paused e2e_processing_latency";
const CLIENT: &str = "client_id hostname version remote_address state ready_count in_flight_count message_count \
    finish_count requeue_count connect_ts sample_rate deflate snappy user_agent topology_zone topology_region tls \
    tls_cipher_suite tls_version tls_negotiated_protocol tls_negotiated_protocol_is_mutual";
const PATHS: &[(&str, &str)] = &[
    ("GET", "/ping"),
    ("GET", "/info"),
    ("GET", "/stats"),
    ("POST", "/pub"),
    ("POST", "/mpub"),
    ("POST", "/topic/create"),
    ("POST", "/topic/delete"),
    ("POST", "/topic/empty"),
    ("POST", "/topic/pause"),
    ("POST", "/topic/unpause"),
    ("POST", "/channel/create"),
    ("POST", "/channel/delete"),
    ("POST", "/channel/empty"),
    ("POST", "/channel/pause"),
    ("POST", "/channel/unpause"),
    ("GET", "/config/log_level"),
    ("PUT", "/config/log_level"),
    ("PUT", "/config/nsqlookupd_tcp_addresses"),
    ("GET", "/debug/pprof/"),
    ("PUT", "/debug/setblockrate"),
    ("POST", "/debug/freememory"),
];
const STATSD: &str = "topic.t.message_count|c topic.t.message_bytes|c topic.t.depth|g topic.t.backend_depth|g \
    topic.t.e2e_processing_latency_99|g topic.t.channel.c.message_count|c topic.t.channel.c.depth|g \
    topic.t.channel.c.backend_depth|g topic.t.channel.c.in_flight_count|g topic.t.channel.c.deferred_count|g \
    topic.t.channel.c.requeue_count|c topic.t.channel.c.timeout_count|c topic.t.channel.c.clients|g \
    topic.t.channel.c.e2e_processing_latency_99|g mem.heap_objects|g mem.heap_idle_bytes|g mem.heap_in_use_bytes|g \
    mem.heap_released_bytes|g mem.gc_pause_usec_100|g mem.gc_pause_usec_99|g mem.gc_pause_usec_95|g mem.next_gc_bytes|g \
    mem.gc_runs|c";

fn key((flag, _, key): &(&str, &str, &str)) -> String {
    if key.is_empty() {
        flag.replace('-', "_")
    } else {
        (*key).to_owned()
    }
}

/// An object has all of these fields.
#[track_caller]
fn check(what: &str, object: &Value, fields: &str) {
    let object = object
        .as_object()
        .unwrap_or_else(|| panic!("{what}: {object}"));
    let missing: Vec<_> = fields
        .split_whitespace()
        .filter(|field| !object.contains_key(*field))
        .collect();
    assert!(missing.is_empty(), "{what} has no {missing:?}");
}

#[test]
fn every_flag_is_taken_and_every_setting_can_be_asked_for() {
    // `worker-id` and `verbose` do nothing and have no key; `version` and `config` are tried by other tests.
    let mut flags: Vec<_> = ["--worker-id", "--verbose"].map(String::from).into();
    let taken = FLAGS.iter().filter(|(_, value, _)| !value.is_empty());
    flags.extend(taken.map(|(flag, value, _)| format!("-{flag}={value}")));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let nsqd = Nsqd::start(&flags);
    for flag in FLAGS {
        let answer = nsqd.get(&format!("/config/{}", key(flag)));
        assert_eq!(answer.status, 200, "{}", flag.0);
    }
    let usage = run_to_end(&["--help"]).stderr;
    let all = FLAGS.iter().map(|(flag, ..)| *flag);
    for flag in all.chain(["version", "config", "data-path", "verbose", "worker-id"]) {
        assert!(usage.contains(flag), "{flag} in {usage}");
    }
}

#[test]
fn every_key_of_the_configuration_file_counts() {
    let data = TempDir::new().unwrap();
    let file = data.path().join("nsqd.cfg");
    // A list, as it is not wrong for any of them alone: what is wrong is refused with the key's flag.
    for flag in FLAGS {
        std::fs::write(&file, format!("{} = {{ }}\n", key(flag))).unwrap();
        let config = format!("--config={}", file.display());
        let path = format!("--data-path={}", data.path().display());
        let ended = run_to_end(&[&config, &path]);
        assert_eq!(ended.status, Some(1), "{}: {}", flag.0, ended.stderr);
        assert!(
            ended.stderr.contains(flag.0) || ended.stderr.contains(&key(flag)),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn every_field_of_identify_is_known() {
    let nsqd = Nsqd::start(&[]);
    let answer = nsqd
        .peer()
        .identify(&json!({ "feature_negotiation": true }));
    check("the answer to IDENTIFY", &answer, IDENTIFY_ANSWER);
    // An object fits none of them; a field that is not known would be ignored.
    for field in IDENTIFY.split_whitespace() {
        let mut peer = nsqd.peer();
        let mut wrong = Map::new();
        wrong.insert(field.to_owned(), json!({}));
        let body = Value::from(wrong).to_string();
        peer.send(tests::wire::with_body("IDENTIFY\n", body));
        assert!(peer.error().starts_with("E_BAD_BODY"), "{field}");
    }
}

#[test]
fn every_figure_is_told() {
    let nsqd = Nsqd::start(&["--e2e-processing-latency-percentile=0.99"]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let mut producer = nsqd.peer();
    producer.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    consumer.message();
    check("/info", &nsqd.get("/info").json(), INFO);
    let stats = nsqd.stats();
    check("/stats", &stats, STATS);
    check("memory", &stats["memory"], MEMORY);
    let topic = &stats["topics"][0];
    check("a topic", topic, TOPIC);
    let channel = &topic["channels"][0];
    check("a channel", channel, CHANNEL);
    check("a consumer", &channel["clients"][0], CLIENT);
    check(
        "a producer",
        &stats["producers"][0],
        &format!("{CLIENT} pub_counts"),
    );
    check(
        "a latency",
        &channel["e2e_processing_latency"],
        "count percentiles",
    );
}

#[test]
fn every_path_is_served() {
    let nsqd = Nsqd::start(&[]);
    for (method, path) in PATHS {
        let answer = tests::http::request(nsqd.http(), method, path, b"");
        assert!(
            !matches!(answer.status, 404 | 405),
            "{method} {path}: {}",
            answer.status
        );
    }
}

#[test]
fn every_name_is_pushed_to_statsd() {
    let statsd = UdpSocket::bind("127.0.0.1:0").unwrap();
    statsd.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let address = format!("--statsd-address={}", statsd.local_addr().unwrap());
    let nsqd = Nsqd::start(&[
        &address,
        "--statsd-interval=1100ms",
        "--statsd-prefix=",
        "--e2e-processing-latency-percentile=0.99",
    ]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let mut missing: BTreeSet<_> = STATSD.split_whitespace().collect();
    let mut told = String::new();
    let mut packet = vec![0; 1 << 16];
    while !missing.is_empty() {
        let length = statsd
            .recv(&mut packet)
            .unwrap_or_else(|error| panic!("{error}: no {missing:?} in {told}"));
        let text = std::str::from_utf8(&packet[..length]).unwrap();
        for line in text.lines() {
            let (name, value) = line.split_once(':').unwrap();
            let (_, kind) = value.split_once('|').unwrap();
            missing.remove(format!("{name}|{kind}").as_str());
        }
        write!(told, "{text}").unwrap();
    }
}
