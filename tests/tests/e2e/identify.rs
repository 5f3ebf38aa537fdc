//! IDENTIFY: what may be asked, what is granted, and what heartbeats do with a connection.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::daemon::Nsqd;
use tests::wire::{End, Frame, with_body};

/// The answer to a negotiation which asks for nothing, the version left out.
const DEFAULTS: &str = r#","max_msg_timeout":900000,"msg_timeout":60000,"tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":0,"auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250,"topology_region":"","topology_zone":""}"#;

#[test]
fn without_negotiation_the_answer_is_ok() {
    let nsqd = Nsqd::start(&[]);
    for body in [
        "{}",
        "null",
        r#"{"feature_negotiation":false,"tls_v1":true,"snappy":true}"#,
    ] {
        let mut peer = nsqd.peer();
        peer.send(with_body("IDENTIFY", body));
        peer.expect_ok();
    }
}

#[test]
fn negotiation_answers_every_key_in_order() {
    let nsqd = Nsqd::start(&[]);
    let version = &nsqd.get("/info").json()["version"];
    let mut peer = nsqd.peer();
    peer.send(with_body("IDENTIFY", r#"{"feature_negotiation":true}"#));
    let expected = format!(r#"{{"max_rdy_count":2500,"version":{version}{DEFAULTS}"#);
    assert_eq!(peer.response(), expected);
}

#[test]
fn upgrades_that_are_not_offered_are_answered_false() {
    let nsqd = Nsqd::start(&["--snappy=false", "--deflate=false"]);
    for wish in ["tls_v1", "snappy", "deflate"] {
        let mut peer = nsqd.peer();
        assert_eq!(peer.identify(&json!({ wish: true }))[wish], false, "{wish}");
        peer.publish("t", "still plain");
    }
}

#[test]
fn granted_values_are_those_asked_for() {
    let nsqd = Nsqd::start(&[]);
    let check = |field: &str, asked: i64, granted: i64| {
        let answer = nsqd.peer().identify(&json!({ field: asked }));
        assert_eq!(answer[field], granted, "{field} {asked}");
    };
    check("msg_timeout", 0, 60_000);
    check("msg_timeout", 1000, 1000);
    check("msg_timeout", 900_000, 900_000);
    check("sample_rate", 0, 0);
    check("sample_rate", 99, 99);
    check("output_buffer_size", 0, 16_384);
    check("output_buffer_size", 64, 64);
    check("output_buffer_size", 65_536, 65_536);
    check("output_buffer_size", -1, 1);
    check("output_buffer_timeout", 0, 250);
    check("output_buffer_timeout", 25, 25);
    check("output_buffer_timeout", 30_000, 30_000);
}

#[test]
fn values_outside_their_range_end_the_connection() {
    let nsqd = Nsqd::start(&[]);
    let check = |field: &str, asked: i64, what: &str| {
        let mut peer = nsqd.peer();
        peer.send(with_body("IDENTIFY", json!({ field: asked }).to_string()));
        let expected = format!("E_BAD_BODY IDENTIFY {what} ({asked}) is invalid");
        assert_eq!(peer.error(), expected);
        peer.expect_closed();
    };
    check("heartbeat_interval", -2, "heartbeat interval");
    check("heartbeat_interval", 999, "heartbeat interval");
    check("heartbeat_interval", 60_001, "heartbeat interval");
    check("output_buffer_timeout", -2, "output buffer timeout");
    check("output_buffer_timeout", 24, "output buffer timeout");
    check("output_buffer_timeout", 30_001, "output buffer timeout");
    check("output_buffer_size", -2, "output buffer size");
    check("output_buffer_size", 63, "output buffer size");
    check("output_buffer_size", 65_537, "output buffer size");
    check("sample_rate", -1, "sample rate");
    check("sample_rate", 100, "sample rate");
    check("msg_timeout", -1, "msg timeout");
    check("msg_timeout", 999, "msg timeout");
    check("msg_timeout", 900_001, "msg timeout");
}

#[test]
fn a_body_that_is_no_json_object_ends_the_connection() {
    let nsqd = Nsqd::start(&[]);
    let bodies = [
        "[]",
        "nonsense",
        "{} {}",
        "7",
        r#"{"sample_rate":"5"}"#,
        r#"{"sample_rate":5.5}"#,
        r#"{"client_id":5}"#,
        r#"{"snappy":1}"#,
        r#"{"sample_rate":4294967301}"#,
    ];
    for body in bodies {
        let mut peer = nsqd.peer();
        peer.send(with_body("IDENTIFY", body));
        assert_eq!(
            peer.error(),
            "E_BAD_BODY IDENTIFY failed to decode JSON body",
            "{body}"
        );
        peer.expect_closed();
    }
}

#[test]
fn keys_match_in_any_case_and_unknown_ones_are_ignored() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    let body = r#"{"Feature_Negotiation":true,"MSG_TIMEOUT":5000,"short_id":"x","client_id":null}"#;
    peer.send(with_body("IDENTIFY", body));
    let answer: Value = serde_json::from_str(&peer.response()).unwrap();
    assert_eq!(answer["msg_timeout"], 5000);
}

#[test]
fn identify_may_be_repeated_until_sub() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    assert_eq!(
        peer.identify(&json!({ "msg_timeout": 2000 }))["msg_timeout"],
        2000
    );
    assert_eq!(
        peer.identify(&json!({ "msg_timeout": 3000 }))["msg_timeout"],
        3000
    );
    peer.subscribe("t", "c");
    peer.send(with_body("IDENTIFY", "{}"));
    assert_eq!(peer.error(), "E_INVALID cannot IDENTIFY in current state");
    peer.expect_closed();
}

#[test]
fn who_a_client_is_shows_in_the_stats() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    peer.identify(&json!({
        "client_id": "c-1", "hostname": "h.example", "user_agent": "ua/1", "sample_rate": 7,
        "topology_zone": "z", "topology_region": "r",
    }));
    peer.subscribe("t", "c");
    let client = nsqd.channel("t", "c")["clients"][0].clone();
    assert_eq!(client["client_id"], "c-1");
    assert_eq!(client["hostname"], "h.example");
    assert_eq!(client["user_agent"], "ua/1");
    assert_eq!(client["sample_rate"], 7);
    assert_eq!(client["topology_zone"], "z");
    assert_eq!(client["topology_region"], "r");
}

#[test]
fn whoever_did_not_identify_is_known_by_its_address() {
    let nsqd = Nsqd::start(&[]);
    let _consumer = nsqd.consumer("t", "c");
    let client = nsqd.channel("t", "c")["clients"][0].clone();
    assert_eq!(
        (&client["client_id"], &client["hostname"]),
        (&"127.0.0.1".into(), &"127.0.0.1".into())
    );
}

#[test]
fn a_peer_that_does_not_answer_heartbeats_is_closed_after_two_intervals() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    peer.identify(&json!({ "heartbeat_interval": 1000 }));
    let start = Instant::now();
    assert_eq!(peer.frame(), Frame::Response("_heartbeat_".into()));
    assert!(
        start.elapsed() >= Duration::from_millis(900),
        "{:?}",
        start.elapsed()
    );
    let end = loop {
        match peer.frame_within(Duration::from_secs(5)) {
            Ok(frame) => assert_eq!(frame, Frame::Response("_heartbeat_".into())),
            Err(end) => break end,
        }
    };
    assert_eq!(end, End::Closed);
    assert!(
        start.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_peer_that_answers_heartbeats_stays() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    peer.identify(&json!({ "heartbeat_interval": 1000 }));
    for _ in 0..4 {
        assert_eq!(peer.frame(), Frame::Response("_heartbeat_".into()));
        peer.send("NOP\n");
    }
    peer.publish("t", "m");
}

#[test]
fn without_heartbeats_a_producer_is_left_alone_and_cannot_subscribe() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    peer.identify(&json!({ "heartbeat_interval": -1 }));
    peer.publish("t", "m");
    peer.send("SUB t c\n");
    assert_eq!(
        peer.error(),
        "E_INVALID cannot SUB with heartbeats disabled"
    );
    peer.expect_closed();
}

#[test]
fn limits_from_flags_apply() {
    let flags = [
        "--max-rdy-count=10",
        "--max-msg-timeout=2m",
        "--msg-timeout=30s",
    ];
    let nsqd = Nsqd::start(&[&flags[..], &["--output-buffer-timeout=100ms"]].concat());
    let answer = nsqd.peer().identify(&json!({}));
    assert_eq!(answer["max_rdy_count"], 10);
    assert_eq!(answer["max_msg_timeout"], 120_000);
    assert_eq!(answer["msg_timeout"], 30_000);
    assert_eq!(answer["output_buffer_timeout"], 100);
}
