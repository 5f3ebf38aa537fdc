//! What nodes, clients and nsqlookupds may say, all of it meant badly: it stays text. And where they may lead: nowhere.

use std::time::Duration;

use serde_json::{Value, json};

use super::{World, producer};
use crate::testing::{Fake, Reply};

/// Each would do something, written into a page as it is.
const PAYLOADS: [&str; 7] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</title><script>alert(1)</script>",
    "--><iframe src=javascript:alert(1)>",
];

/// A node on which everything that is text is `payload`, and links to `url`.
fn node_of(payload: &str, url: &str) -> Value {
    let client = json!({
        "client_id": payload, "hostname": payload, "version": payload, "user_agent": payload, "remote_address": payload,
        "authed": true, "auth_identity": payload, "auth_identity_url": url, "tls": true, "tls_version": payload,
        "tls_cipher_suite": payload, "tls_negotiated_protocol": payload, "topology_zone": payload, "topology_region": payload,
        "pub_counts": [{"topic": payload, "count": 1}],
    });
    let channel = |name: &str| json!({"channel_name": name, "depth": 1, "client_count": 1, "clients": [client]});
    json!({"version": payload, "health": payload, "producers": [client], "topics": [
        {"topic_name": "t", "message_count": 1, "channels": [channel("c"), channel(payload)]},
        {"topic_name": payload, "message_count": 1, "channels": [channel(payload)]},
    ]})
}

const PAGES: [&str; 9] = [
    "/",
    "/topics",
    "/topics/t",
    "/topics/t/c",
    "/nodes",
    "/consumers",
    "/lookup",
    "/counter",
    "/audit",
];

#[tokio::test]
async fn whatever_a_node_says_is_shown_as_text_on_every_page() {
    let world = World::start(&["--sample-interval=100ms"]).await;
    for payload in PAYLOADS {
        let mut registered = producer(&world.a, payload);
        registered["version"] = json!(payload);
        registered["topics"] = json!(["t", payload]);
        let producers = json!({"producers": [registered]}).to_string();
        world.lookupd.says("/nodes", &*producers);
        world.lookupd.says("/lookup", &*producers);
        world
            .lookupd
            .says("/topics", json!({"topics": ["t", payload]}).to_string());
        world
            .a
            .says("/stats", node_of(payload, payload).to_string());
        let escaped = askama_escaped(payload);
        while !world.get("/").await.body.contains(&escaped) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let node = format!("/nodes/{}", world.a.address());
        for path in PAGES.into_iter().chain([node.as_str()]) {
            let page = world.get(path).await;
            assert!(!page.body.contains(payload), "{path}: {}", page.body);
        }
        let channel = world.get("/topics/t/c").await;
        assert_eq!(channel.status, 200, "{}", channel.body);
        assert!(
            channel.body.contains(&escaped),
            "{payload}: {}",
            channel.body
        );
    }
}

/// As the templates write it.
fn askama_escaped(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '<' | '>' | '"' | '\'' | '&' => format!("&#{};", u32::from(c)),
        other => other.to_string(),
    });
    escaped.collect()
}

#[tokio::test]
async fn no_address_that_a_client_was_given_is_a_link() {
    let world = World::start(&[]).await;
    for url in [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "//evil/x",
        "https://id.example.com/joe",
    ] {
        for node in [&world.a, &world.b] {
            node.says("/stats", node_of("id", url).to_string());
        }
        for path in ["/topics/t/c", "/consumers"] {
            let page = world.get(path).await;
            assert_eq!(page.status, 200, "{path}");
            let links = ["href=\"", "src=\"", "action=\""].map(|link| format!("{link}{url}"));
            assert!(
                links.iter().all(|link| !page.body.contains(link)),
                "{path} leads to {url}"
            );
        }
    }
}

#[tokio::test]
async fn what_an_upstream_s_error_says_is_text_too() {
    let world = World::start(&[]).await;
    for payload in PAYLOADS {
        world
            .b
            .does("/stats", Reply::Status(500, payload.to_owned()));
        // Even JSON is harmless to who takes it for a page.
        let told = world.get("/api/topics/t").await;
        assert!(!told.body.contains(['<', '>']), "{}", told.body);
        for path in ["/topics/t", "/topics/t/c"] {
            let answer = world.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(!answer.body.contains(payload), "{path}: {}", answer.body);
        }
        world
            .lookupd
            .does("/lookup", Reply::Status(500, payload.to_owned()));
        let answer = world.get("/topics/x").await;
        assert_eq!(answer.status, 502);
        assert!(!answer.body.contains(payload), "{}", answer.body);
        let producers = json!({"producers": [producer(&world.a, "a"), producer(&world.b, "b")]});
        world.lookupd.says("/lookup", producers.to_string());
    }
}

#[tokio::test]
async fn announced_nodes_outside_of_the_allowed_ranges_are_never_connected_to() {
    let world = World::start(&[
        "--producer-allow-cidr=10.0.0.0/8",
        "--producer-allow-cidr=fd00::/8",
    ])
    .await;
    let answer = world.get("/api/topics/t").await;
    assert_eq!(answer.status, 502);
    assert!(
        answer.body.contains("--producer-allow-cidr"),
        "{}",
        answer.body
    );
    for (line, body) in [
        ("POST /api/topics/t", r#"{"action":"pause"}"#),
        ("DELETE /api/topics/t", ""),
        ("POST /api/publish", r#"{"topic":"t","body":"x"}"#),
        ("GET /api/peek?topic=t&channel=c", ""),
        ("GET /api/consumers", ""),
        ("GET /", ""),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        crate::testing::request(&world.admin, method, path, body).await;
    }
    assert_eq!((world.a.asked(), world.b.asked()), (vec![], vec![]));

    // Those that were given are asked wherever they are.
    let given = Fake::start().await;
    given.says("/", super::stats("t", "c").to_string());
    let source = format!("--nsqd-http-address={}", given.address());
    let admin = crate::testing::start(&["--producer-allow-cidr=10.0.0.0/8", &source]).await;
    let answer = crate::testing::request(&admin, "GET", "/api/topics", "").await;
    assert_eq!(answer.json()["topics"], json!(["t"]));
}

#[tokio::test]
async fn redirects_are_not_followed_and_endless_answers_end() {
    let world = World::start(&[]).await;
    let elsewhere = Fake::start().await;
    let location = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}/latest/meta-data\r\nContent-Length: 0\r\n\r\n",
        elsewhere.address()
    );
    world.a.does("/stats", Reply::Raw(location.into_bytes()));
    world.b.does("/stats", Reply::Endless);
    let answer = world.get("/api/topics/t").await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(answer.body.contains("answered 302"), "{}", answer.body);
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
}
