//! History, live figures, alerts, search: what the sampler sees reaches those who ask.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::World;
use crate::testing::request;

/// Looks often, so that a test need not wait.
const OFTEN: &str = "--sample-interval=100ms";

/// A connection on which the events of a view come.
async fn watch(world: &World, query: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.admin.http_address())
        .await
        .unwrap();
    let head = format!(
        "GET /api/live?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads until `part` has come; all that has.
async fn read_until(stream: &mut TcpStream, part: &str) -> String {
    let mut text = String::new();
    let mut buffer = vec![0; 64 << 10];
    let read = async {
        while !text.contains(part) {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "ended without {part}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    assert!(read.is_ok(), "{part} never came");
    text
}

#[tokio::test]
async fn history_is_told_by_cluster_node_topic_and_channel() {
    let world = World::start(&[OFTEN]).await;
    let node = format!("node={}", world.a.address());
    for (query, depth) in [
        ("", 24.0),
        ("topic=t", 24.0),
        ("topic=t&channel=c&range=10m", 14.0),
        (&node, 12.0),
    ] {
        let history = world.json(&format!("/api/history?{query}")).await;
        assert_eq!(history["step_seconds"], 0.1);
        let points = history["series"]["depth"].as_array().unwrap();
        let near = (points.last().unwrap().as_f64().unwrap() - depth).abs() < 0.1;
        assert!(near, "{query}: {points:?}");
    }
    for (query, status, message) in [
        ("topic=nope", 404, "NO_HISTORY"),
        ("channel=c", 400, "MISSING_ARG_TOPIC"),
        ("topic=t&node=n", 400, "INVALID_ARG_NODE"),
        ("range=1y", 400, "INVALID_ARG_RANGE"),
    ] {
        let line = format!("GET /api/history?{query}");
        world.check(&line, "", status, message).await;
    }
    let without = World::start(&["--no-history"]).await;
    without
        .check("GET /api/history", "", 404, "NO_HISTORY")
        .await;
}

#[tokio::test]
async fn events_come_as_figures_change_and_all_viewers_share_a_look() {
    let world = World::start(&[OFTEN]).await;
    let mut viewers = Vec::new();
    for _ in 0..5 {
        viewers.push(watch(&world, "view=topics").await);
    }
    let whole = read_until(&mut viewers[0], "\"tick\"").await;
    assert!(
        whole.contains("text/event-stream") && whole.contains("\"is_whole\":true"),
        "{whole}"
    );
    world
        .a
        .says("/stats", super::stats("fresh", "c").to_string());
    for viewer in &mut viewers {
        read_until(viewer, "\"fresh\"").await;
    }
    let mut channel = watch(&world, "view=channel&topic=t&channel=c").await;
    let seen = read_until(&mut channel, "verdict_text").await;
    assert!(seen.contains("client_id"), "{seen}");
    let polled = world.json("/api/live?view=overview").await;
    assert_eq!(
        (&polled["node_count"], &polled["topic_count"]),
        (&json!(2), &json!(2))
    );
    world
        .check("GET /api/live?view=nope", "", 400, "INVALID_ARG_VIEW")
        .await;
    world
        .check("GET /api/live?view=topic", "", 400, "MISSING_ARG_TOPIC")
        .await;
    world.admin.stop().await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(2), channel.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a stream outlives its server");
}

#[tokio::test]
async fn viewers_above_the_bound_are_refused() {
    let world = World::start(&["--live-viewers-max=1"]).await;
    let mut first = watch(&world, "").await;
    read_until(&mut first, "\"tick\"").await;
    let mut second = watch(&world, "").await;
    let refused = read_until(&mut second, "TOO_MANY_VIEWERS").await;
    assert!(refused.contains(" 503 "), "{refused}");
}

#[tokio::test]
async fn a_node_that_goes_silent_is_an_alert() {
    let world = World::start(&[OFTEN]).await;
    // Nodes on loopback addresses under other hosts' names are alerts too.
    let missing = async || {
        let alerts = world.json("/api/alerts").await["alerts"].clone();
        let mut alerts = alerts.as_array().unwrap().iter().cloned();
        alerts.find(|alert| alert["rule"] == "node_missing")
    };
    assert_eq!(missing().await, None);
    let broken = crate::testing::Reply::Status(500, "broken".to_owned());
    world.b.does("/stats", broken);
    let mut alert = None;
    for _ in 0..2000 {
        alert = missing().await;
        if alert.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let alert = alert.unwrap();
    assert_eq!(alert["node"], world.b.address(), "{alert}");
    let id = alert["id"].as_str().unwrap();
    let metrics = world.get("/metrics").await.body;
    assert!(
        metrics.contains("nsqadmin_alert{rule=\"node_missing\""),
        "{metrics}"
    );
    let silence = json!({"id": id, "minutes": 5}).to_string();
    world
        .check("POST /api/alerts/silence", &silence, 200, "")
        .await;
    assert_eq!(missing().await.unwrap()["is_silenced"], true);
    world
        .check("POST /api/alerts/silence", "{}", 400, "INVALID_BODY")
        .await;
}

#[tokio::test]
async fn names_and_people_are_found() {
    let world = World::start(&[]).await;
    let consumers = world.json("/api/consumers?topic=t&q=ID").await;
    assert_eq!(
        (
            &consumers["total"],
            &consumers["consumers"][0]["channel_name"]
        ),
        (&json!(2), &json!("c"))
    );
    assert_eq!(world.json("/api/consumers?q=nope").await["total"], 0);
    let found = world.json("/api/search?q=host-A").await["results"].clone();
    assert_eq!(
        (&found[0]["kind"], &found[0]["node"]),
        (&json!("node"), &json!(world.a.address()))
    );
    let kinds = |found: &serde_json::Value| {
        let found = found["results"].as_array().unwrap().iter();
        found
            .map(|found| found["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&world.json("/api/search?q=t/c").await), ["channel"]);
    assert_eq!(
        kinds(&world.json("/api/search?q=id").await),
        ["client", "client"]
    );
    let publishers =
        json!({"producers": [{"client_id": "p", "pub_counts": [{"topic": "t", "count": 7}]}]});
    world.a.says("/stats", publishers.to_string());
    // The lists are kept for some seconds.
    assert_eq!(world.json("/api/publishers").await["total"], 0);
    world
        .check("GET /api/search", "", 400, "MISSING_ARG_Q")
        .await;
    world
        .check("GET /api/consumers?limit=x", "", 400, "INVALID_ARG_LIMIT")
        .await;
}

#[tokio::test]
async fn what_an_action_would_touch_is_told_before() {
    let world = World::start(&[]).await;
    for (query, lost, nodes) in [
        ("action=delete&topic=t", 26, 2),
        ("action=empty&topic=t", 10, 2),
        ("action=empty&topic=t&channel=c", 16, 2),
        ("action=pause&topic=t", 0, 2),
    ] {
        let impact = world.json(&format!("/api/impact?{query}")).await;
        let told = (
            &impact["lost_messages"],
            impact["nodes"].as_array().unwrap().len(),
        );
        assert_eq!(told, (&json!(lost), nodes), "{query}: {impact}");
        assert_eq!(
            (&impact["client_count"], &impact["in_flight_count"]),
            (&json!(2), &json!(2))
        );
    }
    world
        .check(
            "GET /api/impact?action=x&topic=t",
            "",
            400,
            "INVALID_ARG_ACTION",
        )
        .await;
    world
        .check(
            "GET /api/impact?action=pause&topic=nope",
            "",
            404,
            "TOPIC_NOT_FOUND",
        )
        .await;
    assert!(
        request(&world.admin, "GET", "/api/lookup", "")
            .await
            .body
            .contains("\"latency_ms\"")
    );
}
