//! Every row of the table of endpoints, asked of a daemon with two nsqds.

use std::time::Duration;

use crate::Daemon;
use crate::testing::{Nsqd, get, request, start};

/// A daemon that `a` (x with c1, c2; y) and `b` (x with c1) are registered with.
struct World {
    daemon: Daemon,
    a: Nsqd,
    b: Nsqd,
}

impl World {
    async fn start(flags: &[&str]) -> Self {
        let daemon = start(flags).await;
        let mut a = Nsqd::identified(&daemon, "a").await;
        let mut b = Nsqd::identified(&daemon, "b").await;
        for line in ["REGISTER x c1", "REGISTER x c2", "REGISTER y"] {
            assert_eq!(a.ask(line).await, "OK");
        }
        assert_eq!(b.ask("REGISTER x c1").await, "OK");
        Self { daemon, a, b }
    }

    /// The request must be answered with this status and body.
    async fn check(&self, request_line: &str, status: u16, body: &str) {
        let (method, path) = request_line.split_once(' ').unwrap();
        let answer = request(&self.daemon, method, path, "").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{request_line}"
        );
    }

    async fn refuses(&self, request_line: &str, status: u16, code: &str) {
        let body = format!(r#"{{"message":"{code}"}}"#);
        self.check(request_line, status, &body).await;
    }

    /// Does a change that must succeed.
    async fn act(&self, path: &str) {
        self.check(&format!("POST {path}"), 200, "").await;
    }

    /// The hosts that have the topic, for consumers.
    async fn hosts(&self, topic: &str) -> Vec<String> {
        let body = get(&self.daemon, &format!("/lookup?topic={topic}")).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let producers = body["producers"].as_array().unwrap().iter();
        producers
            .map(|p| p["broadcast_address"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until the hosts that have `x` are these.
    async fn until_hosts(&self, hosts: &[&str]) {
        let wait = async {
            while self.hosts("x").await != hosts {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(waited.is_ok(), "{hosts:?} never came");
    }
}

#[tokio::test]
async fn questions() {
    let world = World::start(&[]).await;
    world.check("GET /ping", 200, "OK").await;
    world
        .check("GET /info", 200, r#"{"version":"1.3.0"}"#)
        .await;
    world
        .check("GET /topics", 200, r#"{"topics":["x","y"]}"#)
        .await;
    world
        .check("GET /channels?topic=x", 200, r#"{"channels":["c1","c2"]}"#)
        .await;
    world
        .check("GET /channels?topic=nope", 200, r#"{"channels":[]}"#)
        .await;
    world
        .check("GET /channels?topic=*", 200, r#"{"channels":[]}"#)
        .await;
    world
        .refuses("GET /channels", 400, "MISSING_ARG_TOPIC")
        .await;
    world
        .refuses("GET /channels?topic=%zz", 400, "INVALID_REQUEST")
        .await;
    world.refuses("GET /lookup", 400, "MISSING_ARG_TOPIC").await;
    world
        .refuses("GET /lookup?topic=%zz", 400, "INVALID_REQUEST")
        .await;
    for topic in ["", "nope", "*", "a%20b"] {
        world
            .refuses(
                &format!("GET /lookup?topic={topic}"),
                404,
                "TOPIC_NOT_FOUND",
            )
            .await;
    }
    world.act("/topic/create?topic=empty").await;
    world
        .check(
            "GET /lookup?topic=empty",
            200,
            r#"{"channels":[],"producers":[]}"#,
        )
        .await;
}

#[tokio::test]
async fn an_empty_directory_answers_with_empty_lists() {
    let daemon = start(&[]).await;
    for (path, body) in [
        ("/topics", r#"{"topics":[]}"#),
        ("/nodes", r#"{"producers":[]}"#),
        ("/debug", "{}"),
    ] {
        assert_eq!(get(&daemon, path).await, body, "{path}");
    }
}

#[tokio::test]
async fn producers_have_the_fields_of_the_reference_in_its_order() {
    let world = World::start(&[]).await;
    let fields = |nsqd: &Nsqd, host: &str| {
        let address = nsqd.address();
        format!(
            r#""remote_address":"{address}","hostname":"host-{host}","broadcast_address":"{host}","tcp_port":4150,"http_port":4151,"version":"1.3.0","topology_zone":"","topology_region":"""#
        )
    };
    let (a, b) = (fields(&world.a, "a"), fields(&world.b, "b"));
    let lookup = format!(r#"{{"channels":["c1","c2"],"producers":[{{{a}}},{{{b}}}]}}"#);
    world.check("GET /lookup?topic=x", 200, &lookup).await;
    world.act("/topic/tombstone?topic=x&node=b:4151").await;
    let nodes = format!(
        r#"{{"producers":[{{{a},"tombstones":[false,false],"topics":["x","y"]}},{{{b},"tombstones":[true],"topics":["x"]}}]}}"#
    );
    world.check("GET /nodes", 200, &nodes).await;
    let debug = get(&world.daemon, "/debug").await;
    let debug: serde_json::Value = serde_json::from_str(&debug).unwrap();
    let keys: Vec<&String> = debug.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "channel:x:c1",
            "channel:x:c2",
            "client::",
            "topic:x:",
            "topic:y:"
        ]
    );
    assert_eq!(debug["topic:x:"][1]["id"], world.b.address());
    assert_eq!(debug["topic:x:"][1]["tombstoned"], true);
}

#[tokio::test]
async fn changes() {
    let world = World::start(&[]).await;
    world.act("/topic/create?topic=t3").await;
    world.act("/topic/create?topic=t3").await;
    world.act("/channel/create?topic=t4&channel=c1").await;
    world
        .check("GET /topics", 200, r#"{"topics":["t3","t4","x","y"]}"#)
        .await;
    world
        .check("GET /channels?topic=t4", 200, r#"{"channels":["c1"]}"#)
        .await;
    world.act("/channel/delete?topic=t4&channel=c1").await;
    world
        .refuses(
            "POST /channel/delete?topic=t4&channel=c1",
            404,
            "CHANNEL_NOT_FOUND",
        )
        .await;
    world.act("/topic/delete?topic=t3").await;
    for nothing in ["nope", "*", ""] {
        world.act(&format!("/topic/delete?topic={nothing}")).await;
        world
            .act(&format!("/topic/tombstone?topic={nothing}&node=a:4151"))
            .await;
    }
    world
        .check("GET /topics", 200, r#"{"topics":["t4","x","y"]}"#)
        .await;
    assert_eq!(world.hosts("x").await, ["a", "b"]);
}

#[tokio::test]
async fn wrong_arguments_are_refused_in_the_order_of_the_reference() {
    let world = World::start(&[]).await;
    for path in [
        "/topic/create",
        "/topic/delete",
        "/topic/tombstone",
        "/channel/create",
        "/channel/delete",
    ] {
        world
            .refuses(&format!("POST {path}"), 400, "MISSING_ARG_TOPIC")
            .await;
        world
            .refuses(&format!("POST {path}?topic=%"), 400, "INVALID_REQUEST")
            .await;
    }
    for path in ["/topic/create", "/channel/create", "/channel/delete"] {
        for topic in ["", "*", "a%20b"] {
            world
                .refuses(
                    &format!("POST {path}?topic={topic}"),
                    400,
                    "INVALID_ARG_TOPIC",
                )
                .await;
        }
    }
    for path in ["/channel/create", "/channel/delete"] {
        world
            .refuses(&format!("POST {path}?topic=x"), 400, "MISSING_ARG_CHANNEL")
            .await;
        for channel in ["", "*"] {
            let line = format!("POST {path}?topic=x&channel={channel}");
            world.refuses(&line, 400, "INVALID_ARG_CHANNEL").await;
        }
    }
    world
        .refuses("POST /topic/tombstone?topic=x", 400, "MISSING_ARG_NODE")
        .await;
}

#[tokio::test]
async fn wrong_methods_and_paths() {
    let world = World::start(&[]).await;
    for (line, allow) in [
        ("PUT /topics", "Allow: GET, OPTIONS"),
        ("GET /topic/create?topic=t", "Allow: OPTIONS, POST"),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let answer = request(&world.daemon, method, path, "").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (405, r#"{"message":"METHOD_NOT_ALLOWED"}"#)
        );
        assert!(answer.head.contains(allow), "{line}: {}", answer.head);
    }
    for path in [
        "/",
        "/nope",
        "/create_topic?topic=t",
        "/debug/pprof",
        "/config",
    ] {
        world
            .refuses(&format!("GET {path}"), 404, "NOT_FOUND")
            .await;
    }
    let redirected = request(&world.daemon, "GET", "/Topics/?a=b", "").await;
    assert_eq!(redirected.status, 301);
    assert!(
        redirected.head.contains("Location: /topics?a=b"),
        "{}",
        redirected.head
    );
}

#[tokio::test]
async fn answers_carry_the_headers_that_clients_need() {
    let world = World::start(&[]).await;
    let json = request(&world.daemon, "GET", "/topics", "").await.head;
    assert!(
        json.contains("Content-Type: application/json; charset=utf-8"),
        "{json}"
    );
    assert!(
        json.contains("X-Nsq-Content-Type: nsq; version=1.0"),
        "{json}"
    );
    let empty = request(&world.daemon, "POST", "/topic/create?topic=t", "a body")
        .await
        .head;
    assert!(empty.contains("X-Nsq-Content-Type"), "{empty}");
    assert!(!empty.contains("\r\nContent-Type"), "{empty}");
    let plain = request(&world.daemon, "GET", "/ping", "").await.head;
    assert!(!plain.contains("X-Nsq-Content-Type"), "{plain}");
}

#[tokio::test]
async fn a_tombstone_hides_a_node_until_it_ends_or_the_node_unregisters() {
    let mut world = World::start(&["--tombstone-lifetime=1h"]).await;
    world.act("/topic/tombstone?topic=x&node=a:4151").await;
    assert_eq!(world.hosts("x").await, ["b"]);
    assert_eq!(world.hosts("y").await, ["a"]);
    assert_eq!(world.a.ask("REGISTER x").await, "OK");
    assert_eq!(world.hosts("x").await, ["b"]);
    assert_eq!(world.a.ask("UNREGISTER x").await, "OK");
    assert_eq!(world.a.ask("REGISTER x").await, "OK");
    assert_eq!(world.hosts("x").await, ["a", "b"]);

    let world = World::start(&["--tombstone-lifetime=100ms"]).await;
    world.act("/topic/tombstone?topic=x&node=a:4151").await;
    world.until_hosts(&["a", "b"]).await;
}

#[tokio::test]
async fn silent_nsqds_vanish_until_they_ping_and_lost_ones_at_once() {
    let mut world = World::start(&["--inactive-producer-timeout=1s"]).await;
    world.until_hosts(&[]).await;
    assert_eq!(get(&world.daemon, "/nodes").await, r#"{"producers":[]}"#);
    assert!(get(&world.daemon, "/debug").await.contains("client::"));
    assert_eq!(world.a.ask("PING").await, "OK");
    world.until_hosts(&["a"]).await;

    let World { daemon, a, b } = World::start(&[]).await;
    drop(a);
    let world = World {
        a: Nsqd::silent(&daemon).await,
        daemon,
        b,
    };
    world.until_hosts(&["b"]).await;
    assert_eq!(
        get(&world.daemon, "/channels?topic=x").await,
        r#"{"channels":["c1","c2"]}"#
    );
}

#[tokio::test]
async fn there_are_as_many_names_as_allowed() {
    let world = World::start(&["--max-names=5"]).await;
    world.act("/topic/create?topic=last").await;
    world.act("/topic/create?topic=last").await;
    world
        .refuses("POST /topic/create?topic=more", 503, "TOO_MANY_NAMES")
        .await;
    world
        .refuses(
            "POST /channel/create?topic=x&channel=more",
            503,
            "TOO_MANY_NAMES",
        )
        .await;
}

#[tokio::test]
async fn metrics_tell_what_is_there_and_what_was_done() {
    let mut world = World::start(&[]).await;
    assert_eq!(world.b.ask("PING").await, "OK");
    world.b.send("nonsense\n").await;
    assert!(world.b.reply().await.unwrap().starts_with("E_INVALID"));
    world.until_hosts(&["a"]).await;

    let answer = request(&world.daemon, "GET", "/metrics", "").await;
    assert!(
        answer
            .head
            .contains("Content-Type: application/openmetrics-text"),
        "{}",
        answer.head
    );
    for line in [
        "nsqlookupd_producers 1",
        "nsqlookupd_inactive_producers 0",
        "nsqlookupd_topics 2",
        "nsqlookupd_channels 2",
        "nsqlookupd_registrations 4",
        r#"nsqlookupd_commands_total{command="REGISTER"} 4"#,
        r#"nsqlookupd_commands_total{command="IDENTIFY"} 2"#,
        r#"nsqlookupd_commands_total{command="PING"} 1"#,
        r#"nsqlookupd_refused_total{code="E_INVALID"} 1"#,
    ] {
        assert!(
            answer.body.lines().any(|other| other == line),
            "{line}: {}",
            answer.body
        );
    }
    assert!(
        answer.body.contains("nsqlookupd_connections "),
        "{}",
        answer.body
    );
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
}

#[tokio::test]
async fn the_log_level_is_read_and_refused() {
    let world = World::start(&[]).await;
    world.check("GET /config/log_level", 200, "5").await;
    for body in ["", "loud", "warn\n", "a body that is far too long"] {
        let status = request(&world.daemon, "PUT", "/config/log_level", body)
            .await
            .status;
        assert!([400, 413].contains(&status), "{body:?}: {status}");
    }
    let answer = request(&world.daemon, "PUT", "/config/log_level", "FATAL").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "5"));
}
