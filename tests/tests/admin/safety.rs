//! What nsqadmin keeps from whom, on a live cluster: messages that are only looked at, nodes that may not be asked, and lines
//! of the log that nobody else may write.

use serde_json::json;
use tests::http;

use super::World;

#[test]
fn peek_shows_messages_and_consumes_none() {
    let world = World::start(&[], &["--enable-peek"]);
    world.a.act("/topic/create?topic=orders");
    world.a.act("/channel/create?topic=orders&channel=archive");
    for body in ["one", "two", "three"] {
        world.a.publish("orders", body);
    }
    world.await_depth("orders", "archive", 3);
    for _ in 0..2 {
        let peeked = world.json("/api/peek?topic=orders&channel=archive");
        let messages = peeked["messages"].as_array().cloned().unwrap_or_default();
        let bodies: Vec<_> = messages.iter().map(|message| &message["body"]).collect();
        assert_eq!(bodies, ["b25l", "dHdv", "dGhyZWU="], "{peeked}");
        let first = &messages[0];
        assert_eq!(
            (&first["size"], &first["attempts"], &first["node"]),
            (&json!(3), &json!(0), &json!(world.a.http().to_string()))
        );
    }
    let second = world.json("/api/peek?topic=orders&channel=archive&offset=1&n=1");
    assert_eq!(second["messages"][0]["body"], "dHdv", "{second}");
    assert_eq!(second["messages"].as_array().map(Vec::len), Some(1));

    let channel = world.a.channel("orders", "archive");
    assert_eq!(
        (&channel["depth"], &channel["in_flight_count"]),
        (&json!(3), &json!(0))
    );
    let mut consumer = world.a.consumer("orders", "archive");
    consumer.ready(1);
    let message = consumer.message();
    assert_eq!(
        (message.body.as_slice(), message.attempts),
        (&b"one"[..], 1)
    );
}

#[test]
fn where_peek_is_off_the_error_says_so() {
    let world = World::start(&[], &[]);
    world.a.act("/topic/create?topic=orders");
    world.a.act("/channel/create?topic=orders&channel=archive");
    world.a.publish("orders", "one");
    world.await_depth("orders", "archive", 1);
    let answer = world.admin.get("/api/peek?topic=orders&channel=archive");
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(answer.body.contains("PEEK_DISABLED"), "{}", answer.body);
}

#[test]
fn a_cluster_outside_of_the_allowed_ranges_is_named_and_not_asked() {
    let lookupd = tests::lookupd::Lookupd::start();
    let flag = lookupd.flag();
    let nsqd = tests::daemon::Nsqd::start(&[&flag, "--broadcast-address=127.0.0.1"]);
    nsqd.publish("t", "x");
    let source = format!("--lookupd-http-address={}", lookupd.http());
    let flags = [
        &source,
        "--producer-allow-cidr=10.0.0.0/8",
        "--allowed-host=nsqd",
    ];
    let admin = tests::nsqadmin::Nsqadmin::start(&flags);
    tests::wait::until("the node is registered", || {
        admin.get("/api/topics").json()["topics"] == json!(["t"])
    });
    let answer = admin.get("/api/topics/t");
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(
        answer.body.contains("--producer-allow-cidr"),
        "{}",
        answer.body
    );
    let deleted = http::request(admin.http(), "DELETE", "/api/topics/t", b"");
    assert_eq!(deleted.status, 502, "{}", deleted.body);
    assert_eq!(nsqd.topic("t")["message_count"], 1);
}

#[test]
fn names_and_headers_never_write_lines_or_colours_into_the_log() {
    let world = World::start(&["--log-level=debug"], &[]);
    let names = [
        "a%0A%5Bnsqadmin%5D%20FORGED",
        "a%1B%5B31mFORGED",
        "%00FORGED",
    ];
    for name in names {
        world.admin.get(&format!("/topics/{name}"));
        world.admin.get(&format!("/api/search?q={name}"));
    }
    for text in [
        "a\n[nsqadmin] FORGED",
        "a\u{1b}[31mFORGED",
        "\u{9b}31mFORGED",
    ] {
        world.post("/api/topics", &json!({"topic": text}));
        world.post("/api/publish", &json!({"topic": text, "body": "x"}));
        world.post(
            "/api/publish",
            &json!({"topic": "t", "body": "x", "node": text}),
        );
        world.post("/api/login", &json!({"user": text, "password": "x"}));
        world.post("/api/alerts/silence", &json!({"id": text, "minutes": 1}));
    }
    let log = world.admin.log();
    assert!(log.contains("silence_alert"), "{log}");
    let is_plain = |c: char| c == '\n' || !c.is_control();
    assert!(log.chars().all(is_plain), "{log:?}");
    for line in log.lines() {
        assert!(!line.starts_with("[nsqadmin] FORGED"), "{line}");
    }
}

#[test]
fn pages_are_small_on_the_wire_and_free_if_nothing_has_changed() {
    let world = World::start(&[], &[]);
    let get = |path: &str, lines: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: nsqd\r\nConnection: close\r\n{lines}\r\n");
        http::raw(world.admin.http(), head.as_bytes())
    };
    for path in ["/", "/static/style.css", "/api/live?view=overview"] {
        let plain = get(path, "");
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let coded = get(path, "Accept-Encoding: gzip, br\r\n");
        let length = |answer: &http::Answer| {
            let length = answer
                .header("content-length")
                .and_then(|length| length.parse().ok());
            length.unwrap_or(0_u64)
        };
        if length(&plain) >= 1024 {
            assert_eq!(coded.header("content-encoding"), Some("gzip"), "{path}");
            assert!(
                length(&coded) * 2 < length(&plain),
                "{path}: {}",
                length(&coded)
            );
        }
        assert_eq!(
            coded.header("vary").map(str::to_ascii_lowercase).as_deref(),
            Some("accept-encoding")
        );
    }
    let style = get("/static/style.css", "");
    let tag = style.header("etag").expect("assets have a tag");
    let again = get("/static/style.css", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}
