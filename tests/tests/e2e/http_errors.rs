//! The HTTP API where it refuses: status and text, in the order in which things are checked.

use tests::daemon::Nsqd;
use tests::http;
use tests::wire::batch;

#[track_caller]
fn check(nsqd: &Nsqd, request: &str, body: impl AsRef<[u8]>, status: u16, message: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    let answer = http::request(nsqd.http(), method, path, body.as_ref());
    let expected = format!(r#"{{"message":"{message}"}}"#);
    assert_eq!(
        (answer.status, answer.body),
        (status, expected),
        "{request}"
    );
}

#[test]
fn routes() {
    let nsqd = Nsqd::start(&[]);
    check(&nsqd, "GET /nowhere", "", 404, "NOT_FOUND");
    check(&nsqd, "GET /", "", 404, "NOT_FOUND");
    check(&nsqd, "GET /topic", "", 404, "NOT_FOUND");
    check(&nsqd, "GET /pub?topic=t", "", 405, "METHOD_NOT_ALLOWED");
    check(
        &nsqd,
        "PUT /topic/create?topic=t",
        "",
        405,
        "METHOD_NOT_ALLOWED",
    );
    check(&nsqd, "POST /stats", "", 405, "METHOD_NOT_ALLOWED");
    check(&nsqd, "DELETE /ping", "", 405, "METHOD_NOT_ALLOWED");
    let answer = nsqd.get("/pub?topic=t");
    assert!(
        answer
            .header("allow")
            .is_some_and(|allow| allow.contains("POST")),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
}

#[test]
fn publish() {
    let nsqd = Nsqd::start(&["--max-msg-size=100", "--max-req-timeout=10s"]);
    let check = |query: &str, body: &[u8], status, message| {
        check(&nsqd, &format!("POST /pub{query}"), body, status, message);
    };
    check("", &[b'x'; 101], 413, "MSG_TOO_BIG");
    check("", b"", 400, "MSG_EMPTY");
    check("?topic=%zz", b"m", 400, "INVALID_REQUEST");
    check("?topic=t;x=y", b"m", 400, "INVALID_REQUEST");
    check("", b"m", 400, "MISSING_ARG_TOPIC");
    check("?topic=", b"m", 400, "INVALID_TOPIC");
    check("?topic=a%20b", b"m", 400, "INVALID_TOPIC");
    check("?topic=t&defer=x", b"m", 400, "INVALID_DEFER");
    check("?topic=t&defer=-1", b"m", 400, "INVALID_DEFER");
    check("?topic=t&defer=1.5", b"m", 400, "INVALID_DEFER");
    check("?topic=t&defer=10001", b"m", 400, "INVALID_DEFER");
    check("?topic=t&defer=", b"m", 400, "INVALID_DEFER");
    assert_eq!(nsqd.topic("t")["message_count"], 0);
    assert_eq!(nsqd.post("/pub?topic=t", [b'x'; 100]).body, "OK");
}

#[test]
fn publish_many() {
    let nsqd = Nsqd::start(&["--max-msg-size=100", "--max-body-size=1000"]);
    let check = |query: &str, body: &[u8], status, message| {
        check(&nsqd, &format!("POST /mpub{query}"), body, status, message);
    };
    check("", &[b'x'; 1001], 413, "BODY_TOO_BIG");
    check("?topic=%zz", b"m", 400, "INVALID_REQUEST");
    check("", b"m", 400, "MISSING_ARG_TOPIC");
    check("?topic=$", b"m", 400, "INVALID_TOPIC");
    let long_line = [&b"good\n"[..], &[b'x'; 101]].concat();
    check("?topic=t", &long_line, 413, "MSG_TOO_BIG");
    let binary = "?topic=t&binary=true";
    check(binary, b"", 413, "BAD_BODY");
    check(binary, b"\0\0\0\0", 413, "BAD_BODY");
    check(binary, b"\0\0\x10\0", 413, "BAD_BODY");
    check(binary, b"\0\0\0\x01\0\0\0\x05abc", 413, "BAD_MESSAGE");
    check(binary, &batch(&["good", ""]), 413, "BAD_MESSAGE");
    check(binary, &batch(&[[b'x'; 101]]), 413, "BAD_MESSAGE");
    assert_eq!(nsqd.topic("t")["message_count"], 0);
}

#[test]
fn topics() {
    let nsqd = Nsqd::start(&[]);
    for action in ["create", "delete", "empty", "pause", "unpause"] {
        let path = format!("POST /topic/{action}");
        check(
            &nsqd,
            &format!("{path}?topic=%zz"),
            "",
            400,
            "INVALID_REQUEST",
        );
        check(&nsqd, &path, "", 400, "MISSING_ARG_TOPIC");
    }
    for action in ["delete", "empty", "pause", "unpause"] {
        check(
            &nsqd,
            &format!("POST /topic/{action}?topic=no"),
            "",
            404,
            "TOPIC_NOT_FOUND",
        );
    }
    for action in ["create", "empty"] {
        check(
            &nsqd,
            &format!("POST /topic/{action}?topic=a%20b"),
            "",
            400,
            "INVALID_TOPIC",
        );
    }
    for action in ["delete", "pause", "unpause"] {
        check(
            &nsqd,
            &format!("POST /topic/{action}?topic=a%20b"),
            "",
            404,
            "TOPIC_NOT_FOUND",
        );
    }
}

#[test]
fn channels() {
    let nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=t");
    for action in ["create", "delete", "empty", "pause", "unpause"] {
        let check = |query: &str, status, message| {
            check(
                &nsqd,
                &format!("POST /channel/{action}{query}"),
                "",
                status,
                message,
            );
        };
        check("?topic=%zz", 400, "INVALID_REQUEST");
        check("", 400, "MISSING_ARG_TOPIC");
        check("?topic=a%20b", 400, "INVALID_ARG_TOPIC");
        check("?topic=t", 400, "MISSING_ARG_CHANNEL");
        check("?topic=t&channel=a%20b", 400, "INVALID_ARG_CHANNEL");
        check("?topic=no&channel=c", 404, "TOPIC_NOT_FOUND");
        if action != "create" {
            check("?topic=t&channel=no", 404, "CHANNEL_NOT_FOUND");
        }
    }
}

#[test]
fn stats_and_config() {
    let nsqd = Nsqd::start(&["--max-msg-size=1000"]);
    check(&nsqd, "GET /stats?format=%zz", "", 400, "INVALID_REQUEST");
    check(&nsqd, "GET /config/nothing", "", 400, "INVALID_OPTION");
    check(&nsqd, "GET /config/verbose", "", 400, "INVALID_OPTION");
    check(&nsqd, "PUT /config/log_level", "", 413, "INVALID_VALUE");
    check(
        &nsqd,
        "PUT /config/log_level",
        [b'x'; 1001],
        413,
        "INVALID_VALUE",
    );
    check(&nsqd, "PUT /config/log_level", "loud", 400, "INVALID_VALUE");
    check(
        &nsqd,
        "PUT /config/nsqlookupd_tcp_addresses",
        "no json",
        400,
        "INVALID_VALUE",
    );
    check(
        &nsqd,
        "PUT /config/mem_queue_size",
        "1",
        400,
        "INVALID_OPTION",
    );
    check(&nsqd, "PUT /config/nothing", "1", 400, "INVALID_OPTION");
}

#[test]
fn a_length_that_lies() {
    let nsqd = Nsqd::start(&["--max-msg-size=100"]);
    let head = "POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let too_big = format!("{head}Content-Length: 1000000000\r\n\r\nx");
    assert_eq!(http::raw(nsqd.http(), too_big.as_bytes()).status, 413);
    let endless = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n400\r\n{}\r\n",
        "x".repeat(1024)
    );
    assert_eq!(http::raw(nsqd.http(), endless.as_bytes()).status, 413);
    for nonsense in [
        "Content-Length: -1",
        "Content-Length: x",
        "Transfer-Encoding: what",
    ] {
        let request = format!("{head}{nonsense}\r\n\r\nm");
        let status = http::raw(nsqd.http(), request.as_bytes()).status;
        assert!(matches!(status, 400 | 501), "{nonsense}: {status}");
    }
    assert!(nsqd.topic("t").is_null());
}
