//! `/stats` in JSON and as text, and `/metrics`.

use serde_json::{Value, json};
use tests::daemon::Nsqd;
use tests::wait;

const LATENCY: &str = r#""e2e_processing_latency":{"count":0,"percentiles":null}"#;

/// The statistics without what differs from run to run: version and start time.
fn body(nsqd: &Nsqd, query: &str) -> String {
    let text = nsqd.get(&format!("/stats?format=json{query}")).body;
    let info = nsqd.get("/info").json();
    let head = format!(
        r#"{{"version":{},"health":"OK","start_time":{},"#,
        info["version"], info["start_time"]
    );
    text.strip_prefix(&head)
        .unwrap_or_else(|| panic!("{text} does not start with {head}"))
        .into()
}

/// Asserts that these keys follow one another in a JSON text.
fn keys_in_order(text: &str, keys: &[&str]) {
    let mut rest = text;
    for key in keys {
        let quoted = format!("\"{key}\":");
        let (_, behind) = rest
            .split_once(&quoted)
            .unwrap_or_else(|| panic!("{key} in {rest}"));
        rest = behind;
    }
}

#[test]
fn an_empty_daemon() {
    let nsqd = Nsqd::start(&[]);
    assert_eq!(
        body(&nsqd, "&include_mem=false"),
        r#""topics":[],"producers":null}"#
    );
}

#[test]
fn topics_and_channels_byte_for_byte() {
    let nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=zeta");
    nsqd.act("/topic/pause?topic=zeta");
    nsqd.act("/topic/create?topic=orders");
    nsqd.act("/channel/create?topic=orders&channel=billing");
    nsqd.act("/channel/create?topic=orders&channel=archive");
    nsqd.act("/channel/pause?topic=orders&channel=billing");
    nsqd.publish("orders", "hello");
    nsqd.await_channel("orders", "archive", "depth", 1);
    let channel = |name: &str, paused: bool| {
        format!(
            r#"{{"channel_name":"{name}","depth":1,"backend_depth":0,"in_flight_count":0,"deferred_count":0,"message_count":1,"requeue_count":0,"timeout_count":0,"client_count":0,"clients":[],"paused":{paused},{LATENCY}}}"#
        )
    };
    let (archive, billing) = (channel("archive", false), channel("billing", true));
    let expected = format!(
        r#""topics":[{{"topic_name":"orders","channels":[{archive},{billing}],"depth":0,"backend_depth":0,"message_count":1,"message_bytes":5,"paused":false,{LATENCY},"durability":"memory"}},{{"topic_name":"zeta","channels":[],"depth":0,"backend_depth":0,"message_count":0,"message_bytes":0,"paused":true,{LATENCY},"durability":"memory"}}],"producers":null}}"#
    );
    assert_eq!(body(&nsqd, "&include_mem=false"), expected);
}

#[test]
fn keys_of_a_client_and_of_memory_are_in_order() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(5);
    let mut producer = nsqd.peer();
    producer.publish("t", "m");
    consumer.message();
    let text = nsqd.get("/stats?format=json").body;
    let client = [
        "client_id",
        "hostname",
        "version",
        "remote_address",
        "state",
        "ready_count",
        "in_flight_count",
        "message_count",
        "finish_count",
        "requeue_count",
        "connect_ts",
        "sample_rate",
        "deflate",
        "snappy",
        "user_agent",
        "topology_zone",
        "topology_region",
    ];
    let tls = [
        "tls",
        "tls_cipher_suite",
        "tls_version",
        "tls_negotiated_protocol",
        "tls_negotiated_protocol_is_mutual",
    ];
    let memory = [
        "memory",
        "heap_objects",
        "heap_idle_bytes",
        "heap_in_use_bytes",
        "heap_released_bytes",
        "gc_pause_usec_100",
        "gc_pause_usec_99",
        "gc_pause_usec_95",
        "next_gc_bytes",
        "gc_total_runs",
    ];
    let consumer_keys = [&["clients"][..], &client, &tls, &["paused"]].concat();
    let producer_keys = [
        &["producers"][..],
        &client,
        &["pub_counts", "topic", "count"],
        &tls,
    ]
    .concat();
    keys_in_order(
        &text,
        &[consumer_keys, memory.to_vec(), producer_keys].concat(),
    );
}

#[test]
fn what_a_consumer_and_a_producer_did() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(4);
    let mut producer = nsqd.peer();
    producer.publish_many("t", &["a", "b", "c"]);
    let held = consumer.messages(3);
    consumer.finish(&held[0]);
    consumer.requeue(&held[1], 60_000);
    nsqd.await_channel("t", "c", "in_flight_count", 1);
    let channel = nsqd.channel("t", "c");
    let client = &channel["clients"][0];
    let check = |object: &Value, expected: Value| {
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&object[key], value, "{key} of {object}");
        }
    };
    check(
        &channel,
        json!({ "deferred_count": 1, "requeue_count": 1, "message_count": 3 }),
    );
    check(
        client,
        json!({
            "version": "V2", "state": 3, "ready_count": 4, "in_flight_count": 1,
            "message_count": 3, "finish_count": 1, "requeue_count": 1, "tls": false,
        }),
    );
    let producers = nsqd.stats()["producers"].clone();
    assert_eq!(
        producers.as_array().unwrap().len(),
        1,
        "only who published is a producer"
    );
    check(
        &producers[0],
        json!({ "state": 0, "pub_counts": [{ "topic": "t", "count": 3 }], "message_count": 0 }),
    );
    drop(producer);
    wait::until("the producer left", || nsqd.stats()["producers"].is_null());
}

#[test]
fn parts_can_be_left_out() {
    let nsqd = Nsqd::start(&[]);
    let _consumer = nsqd.consumer("t", "c");
    let mut producer = nsqd.peer();
    producer.publish("t", "m");
    for off in ["false", "0"] {
        let stats = nsqd
            .get(&format!("/stats?format=json&include_clients={off}"))
            .json();
        assert!(stats["topics"][0]["channels"][0]["clients"].is_null());
        assert!(stats["producers"].is_null());
        assert_eq!(stats["topics"][0]["channels"][0]["client_count"], 1);
        let stats = nsqd
            .get(&format!("/stats?format=json&include_mem={off}"))
            .json();
        assert!(stats.as_object().unwrap().get("memory").is_none());
    }
    assert!(nsqd.get("/stats?format=json&include_mem=yes").json()["memory"].is_object());
}

#[test]
fn filters() {
    let nsqd = Nsqd::start(&[]);
    for (topic, channel) in [("a", "x"), ("a", "y"), ("b", "x")] {
        drop(nsqd.consumer(topic, channel));
    }
    let names = |query: &str| {
        let stats = nsqd.get(&format!("/stats?format=json{query}")).json();
        let topics = stats["topics"].as_array().cloned().unwrap_or_default();
        let channels = |topic: &Value| topic["channels"].as_array().map_or(0, Vec::len);
        topics
            .iter()
            .map(|t| format!("{}{}", t["topic_name"].as_str().unwrap(), channels(t)))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["a2", "b1"]);
    assert_eq!(names("&topic=a"), ["a2"]);
    assert_eq!(names("&channel=y"), ["a1"]);
    assert_eq!(names("&topic=b&channel=y"), Vec::<String>::new());
    let unknown = nsqd.get("/stats?format=json&topic=nobody").json();
    assert!(
        unknown["topics"].is_null() && unknown["producers"].is_null(),
        "{unknown}"
    );
    assert_eq!(
        nsqd.get("/stats?format=json&channel=nobody").json()["topics"],
        json!([])
    );
}

#[test]
fn text_shows_the_same_in_columns() {
    let nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=zeta");
    nsqd.act("/topic/pause?topic=zeta");
    nsqd.act("/topic/create?topic=orders");
    nsqd.act("/channel/create?topic=orders&channel=billing");
    nsqd.act("/channel/pause?topic=orders&channel=billing");
    nsqd.publish("orders", "m");
    nsqd.await_channel("orders", "billing", "depth", 1);
    let answer = nsqd.get("/stats");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let (head, topics) = answer.body.split_once("\nTopics:\n").unwrap();
    let lines: Vec<_> = head.lines().collect();
    assert!(lines[0].starts_with("nsqd v"), "{head}");
    assert!(
        lines[1].starts_with("start_time ") && lines[2].starts_with("uptime "),
        "{head}"
    );
    assert_eq!(lines[3..5], ["", "Health: OK"]);
    assert!(
        head.contains("\nMemory:\n   heap_objects             \t"),
        "{head}"
    );
    let expected = [
        "   [orders         ] depth: 0     be-depth: 0     msgs: 1        e2e%: ",
        "   *P [billing                  ] depth: 1     be-depth: 0     inflt: 0    def: 0    re-q: 0     timeout: 0     msgs: 1        e2e%: ",
        "",
        "*P [zeta           ] depth: 0     be-depth: 0     msgs: 0        e2e%: ",
        "",
        "Producers: None",
        "",
    ];
    assert_eq!(topics, expected.join("\n"));
    assert!(
        !nsqd
            .get("/stats?include_mem=false")
            .body
            .contains("Memory:")
    );
}

#[test]
fn text_of_an_empty_daemon_and_of_clients() {
    let nsqd = Nsqd::start(&[]);
    let text = nsqd.get("/stats?include_mem=false").body;
    assert!(
        text.ends_with("\nTopics: None\n\nProducers: None\n"),
        "{text:?}"
    );
    let mut consumer = nsqd.peer();
    consumer.identify(&json!({ "hostname": "c.example", "user_agent": "cli/1.0" }));
    consumer.subscribe("t", "c");
    consumer.ready(2);
    // RDY has no answer: its effect is waited for.
    wait::until("a line with the consumer and its ready count", || {
        let text = nsqd.get("/stats").body;
        text.contains("\n        [V2 c.example:")
            && text.contains(" cli/1.0] state: 3 inflt: 0    rdy: 2    fin: 0        re-q: 0        msgs: 0        connected: ")
    });
}

#[test]
fn metrics_are_there_for_prometheus() {
    let nsqd = Nsqd::start(&[]);
    drop(nsqd.consumer("orders", "billing"));
    nsqd.publish("orders", "m");
    let answer = nsqd.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .body
            .lines()
            .any(|line| line.starts_with("# TYPE nsq")),
        "{}",
        answer.body
    );
    let channel = |line: &str| line.contains("\"orders\"") && line.contains("\"billing\"");
    assert!(answer.body.lines().any(channel), "{}", answer.body);
}
