//! The HTTP API where it succeeds.

use serde_json::{Value, json};
use tests::daemon::Nsqd;
use tests::http;
use tests::wire::batch;

const NSQ_HEADER: &str = "x-nsq-content-type";

#[test]
fn ping_is_plain() {
    let nsqd = Nsqd::start(&[]);
    let answer = nsqd.get("/ping");
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header(NSQ_HEADER), None);
}

#[test]
fn info_tells_who_it_is() {
    let nsqd = Nsqd::start(&["--broadcast-address=host-1"]);
    let answer = nsqd.get("/info");
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(answer.header(NSQ_HEADER), Some("nsq; version=1.0"));
    let info = answer.json();
    let expected = format!(
        r#"{{"version":{},"broadcast_address":"host-1","hostname":{},"http_port":{},"tcp_port":{},"start_time":{},"max_heartbeat_interval":60000000000,"max_output_buffer_size":65536,"max_output_buffer_timeout":30000000000,"max_deflate_level":6,"topology_zone":"","topology_region":""}}"#,
        info["version"],
        info["hostname"],
        nsqd.http().port(),
        nsqd.tcp().port(),
        info["start_time"],
    );
    assert_eq!(answer.body, expected);
}

#[test]
fn answers_without_data_are_empty() {
    let nsqd = Nsqd::start(&[]);
    let answer = nsqd.post("/topic/create?topic=t", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), Some("0"));
    assert_eq!(answer.header("content-type"), None);
    assert_eq!(answer.header(NSQ_HEADER), Some("nsq; version=1.0"));
}

#[test]
fn pub_takes_the_body_as_it_is() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(10);
    for body in [&b"text"[..], b"\0binary\xff\n", b"a=b&c=d", b"\n"] {
        let answer = nsqd.post("/pub?topic=t", body);
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(consumer.consume(1)[0].body, body);
    }
}

#[test]
fn mpub_splits_lines() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(10);
    let mut check = |query: &str, body: &str, expected: &[&str]| {
        let answer = nsqd.post(&format!("/mpub?topic=t{query}"), body);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "OK"),
            "{body:?}"
        );
        let got: Vec<_> = consumer
            .consume(expected.len())
            .iter()
            .map(|m| m.text().to_owned())
            .collect();
        assert_eq!(got, expected);
        consumer.expect_nothing();
    };
    check("", "a\nb\nc", &["a", "b", "c"]);
    check("", "a\nb\n", &["a", "b"]);
    check("", "\n\na\n\n", &["a"]);
    check("", "a\r\nb", &["a\r", "b"]);
    check("", "", &[]);
    check("&binary=false", "a\nb", &["a", "b"]);
    check("&binary=0", "a\nb", &["a", "b"]);
}

#[test]
fn mpub_takes_binary() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(10);
    for binary in ["true", "1", "anything"] {
        let mut body = batch(&["a\nb", "c"]);
        body.extend_from_slice(b"what follows is ignored");
        let answer = nsqd.post(&format!("/mpub?topic=t&binary={binary}"), body);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "OK"),
            "{binary}"
        );
        let got = consumer.consume(2);
        assert_eq!((got[0].text(), got[1].text()), ("a\nb", "c"));
    }
}

#[test]
fn creating_what_exists_is_fine_and_the_first_value_of_a_key_counts() {
    let nsqd = Nsqd::start(&[]);
    for _ in 0..2 {
        nsqd.act("/topic/create?topic=t&topic=other");
        nsqd.act("/channel/create?topic=t&channel=c");
    }
    assert!(nsqd.topic("other").is_null());
    assert!(!nsqd.channel("t", "c").is_null());
}

#[test]
fn chunked_bodies_are_taken() {
    let nsqd = Nsqd::start(&[]);
    let request = "POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = http::raw(nsqd.http(), request.as_bytes());
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    assert_eq!(nsqd.topic("t")["message_bytes"], 5);
}

#[test]
fn one_connection_serves_many_requests() {
    let nsqd = Nsqd::start(&[]);
    let one = "POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nm";
    let last = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = http::raw(nsqd.http(), format!("{one}{one}{one}{last}").as_bytes());
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body.matches("HTTP/1.1 200").count(),
        3,
        "{}",
        answer.body
    );
    assert_eq!(nsqd.topic("t")["message_count"], 3);
}

#[test]
fn config_shows_options_by_their_keys() {
    let nsqd = Nsqd::start(&[
        "--msg-timeout=90s",
        "--broadcast-address=host-1",
        "--max-rdy-count=7",
    ]);
    let check = |option: &str, expected: &str| {
        let answer = nsqd.get(&format!("/config/{option}"));
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, expected),
            "{option}"
        );
    };
    check("msg_timeout", "90000000000");
    check("broadcast_address", "host-1");
    check("max_rdy_count", "7");
    check("mem_queue_size", "10000");
    check("max_body_size", "5242880");
    check("sync_timeout", "2000000000");
    check("log_level", "2");
    check("deflate", "true");
    check("nsqlookupd_tcp_addresses", "[]");
    check("tls_required", "0");
}

#[test]
fn the_log_level_can_be_changed() {
    let nsqd = Nsqd::start(&[]);
    let put =
        |value: &str| http::request(nsqd.http(), "PUT", "/config/log_level", value.as_bytes());
    for (word, number) in [
        ("debug", "1"),
        ("WARN", "3"),
        ("Error", "4"),
        ("fatal", "5"),
        ("info", "2"),
    ] {
        assert_eq!(put(word).body, number);
        assert_eq!(nsqd.get("/config/log_level").body, number);
    }
    let answer = put("warn\n");
    assert_eq!(
        (answer.status, answer.json()),
        (400, json!({ "message": "INVALID_VALUE" }))
    );
}

#[test]
fn requests_are_logged_but_publishes_are_not() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    nsqd.get("/ping");
    tests::wait::until("the request is logged", || {
        nsqd.log().contains(" 200 GET /ping (")
    });
    assert!(!nsqd.log().contains("POST /pub"), "{}", nsqd.log());
}

#[test]
fn options_and_other_spellings_of_a_path() {
    let nsqd = Nsqd::start(&[]);
    let answer = http::request(nsqd.http(), "OPTIONS", "/ping", b"");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("allow")
            .is_some_and(|allow| allow.contains("GET")),
        "{answer:?}"
    );
    for path in ["/ping/", "/PING"] {
        let answer = nsqd.get(path);
        assert_eq!(
            (answer.status, answer.header("location")),
            (301, Some("/ping")),
            "{path}"
        );
    }
    assert_eq!(nsqd.post("/PUB?topic=t", "m").status, 307);
    assert_eq!(nsqd.stats()["topics"], Value::Array(Vec::new()));
}

#[test]
fn who_looks_inside_sees_threads_tasks_and_memory() {
    let nsqd = Nsqd::start(&[]);
    let vars = nsqd.get("/debug/vars").json();
    assert!(vars["threads"].as_array().unwrap().len() > 1, "{vars}");
    assert!(
        vars["runtime"]["alive_tasks"].as_u64().unwrap() > 0,
        "{vars}"
    );
    assert!(
        !vars["runtime"]["workers"].as_array().unwrap().is_empty(),
        "{vars}"
    );
    for key in ["resident_bytes", "message_budget_bytes", "open_fds"] {
        assert!(vars[key].as_u64().unwrap() > 0, "{key}: {vars}");
    }
    let freed = nsqd.post("/debug/freememory", "");
    assert_eq!((freed.status, freed.body.as_str()), (200, "OK"));
    let put = |path| http::request(nsqd.http(), "PUT", path, b"");
    let refused = put("/debug/setblockrate?rate=x");
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (400, "invalid block rate : x")
    );
    assert_eq!(put("/debug/setblockrate?rate=1").status, 501);
    for path in [
        "/debug/pprof/heap",
        "/debug/pprof/profile?seconds=1",
        "/debug/pprof",
    ] {
        let answer = nsqd.get(path);
        assert_eq!(answer.status, 501, "{path}");
        assert!(answer.body.contains("perf record"), "{}", answer.body);
    }
}
