//! Peeking and publishing: what reaches which node, and what is refused.

use serde_json::json;

use super::World;
use crate::testing::{Fake, Reply, request};

#[tokio::test]
async fn messages_of_all_nodes_are_shown_and_of_one_if_asked() {
    let world = World::start(&[]).await;
    for node in [&world.a, &world.b] {
        node.says(
            "/channel/peek",
            r#"{"messages":[{"id":"x","attempts":1,"size":2,"body":"aGk="}]}"#,
        );
    }
    let all = world.json("/api/peek?topic=t&channel=c&n=5").await;
    assert_eq!(all["messages"].as_array().unwrap().len(), 2);
    assert_eq!(all["messages"][0]["body"], "aGk=");
    let asked = world.b.asked();
    assert_eq!(
        asked.last().unwrap(),
        "GET /channel/peek?topic=t&channel=c&n=5&offset=0"
    );
    world
        .json("/api/peek?topic=t&channel=c&state=deferred")
        .await;
    let asked = world.b.asked();
    assert_eq!(
        asked.last().unwrap(),
        "GET /channel/peek?topic=t&channel=c&n=10&offset=0&state=deferred"
    );
    let one = world
        .json(&format!(
            "/api/peek?topic=t&channel=c&node={}",
            world.a.address()
        ))
        .await;
    assert_eq!(one["messages"].as_array().unwrap().len(), 1);
    let evil = Fake::start().await;
    let line = format!("GET /api/peek?topic=t&channel=c&node={}", evil.address());
    world.check(&line, "", 404, "NODE_NOT_FOUND").await;
    assert!(evil.asked().is_empty());
    for (query, message) in [
        ("channel=c", "MISSING_ARG_TOPIC"),
        ("topic=t", "MISSING_ARG_CHANNEL"),
        ("topic=t&channel=c&n=0", "INVALID_ARG_N"),
        ("topic=t&channel=c&n=101", "INVALID_ARG_N"),
        ("topic=t&channel=c&offset=-1", "INVALID_ARG_OFFSET"),
        ("topic=t&channel=c&state=gone", "INVALID_ARG_STATE"),
    ] {
        world
            .check(&format!("GET /api/peek?{query}"), "", 400, message)
            .await;
    }
}

#[tokio::test]
async fn a_message_goes_to_one_node_and_to_another_only_if_the_first_is_away() {
    let world = World::start(&[]).await;
    world.a.says("/mpub", "OK");
    world.a.says("/pub", "OK");
    // Nobody listens where the second node was.
    let gone = json!({"producers": [
        {"broadcast_address": "127.0.0.1", "tcp_port": 1, "http_port": 1},
        {"broadcast_address": "127.0.0.1", "tcp_port": 2, "http_port": world.a.port},
    ]});
    world.lookupd.says("/lookup?topic=t", gone.to_string());
    for _ in 0..8 {
        let body = json!({"topic": "t", "body": "hi", "defer_ms": 50}).to_string();
        let answer = request(&world.admin, "POST", "/api/publish", &body).await;
        assert_eq!(
            (answer.status, &answer.json()["node"]),
            (200, &json!(world.a.address()))
        );
    }
    assert_eq!(
        world.a.asked().last().unwrap(),
        "POST /pub?topic=t&defer=50 hi"
    );
    let batch = json!({"topic": "t", "body_base64": "YQpi", "batch": true}).to_string();
    assert_eq!(
        request(&world.admin, "POST", "/api/publish", &batch)
            .await
            .status,
        200
    );
    assert_eq!(world.a.asked().last().unwrap(), "POST /mpub?topic=t a\nb");
    let audit = world.json("/api/audit?n=1").await;
    assert_eq!(audit["deeds"][0]["detail"], "3 bytes", "never a body");
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    let world = World::start(&[]).await;
    for node in [&world.a, &world.b] {
        node.does("/pub", Reply::Silence);
    }
    let body = json!({"topic": "t", "body": "once"}).to_string();
    let answer = request(&world.admin, "POST", "/api/publish", &body).await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    let asked = [world.a.asked(), world.b.asked()].concat();
    assert_eq!(
        asked.iter().filter(|asked| asked.contains("once")).count(),
        1,
        "{asked:?}"
    );
}

#[tokio::test]
async fn wrong_messages_are_refused() {
    let world = World::start(&[]).await;
    for (body, status, message) in [
        (json!({"topic": "a b", "body": "x"}), 400, "INVALID_TOPIC"),
        (json!({"topic": "t"}), 400, "MSG_EMPTY"),
        (
            json!({"topic": "t", "body": "x", "body_base64": "eA=="}),
            400,
            "INVALID_BODY",
        ),
        (
            json!({"topic": "t", "body_base64": "?"}),
            400,
            "INVALID_BODY",
        ),
        (
            json!({"topic": "t", "body": "x", "batch": true, "defer_ms": 1}),
            400,
            "INVALID_DEFER",
        ),
        (
            json!({"topic": "t", "body": "x".repeat(6 << 20)}),
            413,
            "MSG_TOO_BIG",
        ),
        (
            json!({"topic": "t", "body": "x".repeat(9 << 20)}),
            413,
            "BODY_TOO_LARGE",
        ),
        (
            json!({"topic": "t", "body": "x", "node": "n:1"}),
            404,
            "NODE_NOT_FOUND",
        ),
    ] {
        let text = body.to_string();
        let answer = request(&world.admin, "POST", "/api/publish", &text).await;
        let told = (answer.status, answer.json()["message"].clone());
        assert_eq!(told, (status, json!(message)));
    }
}
