//! What the API changes: where it arrives, what is refused, who is told.

use serde_json::{Value, json};

use super::World;
use crate::testing::{Fake, Reply, request};

#[tokio::test]
async fn changes_reach_lookupds_and_then_nodes() {
    let world = World::start(&[]).await;
    let node = world.a.address();
    let tombstone = format!("DELETE /api/nodes/{node}");
    let hidden = format!(
        "POST /topic/tombstone?topic=t&node={}",
        node.replace(':', "%3A")
    );
    for (line, body, lookupd, nsqd) in [
        (
            "POST /api/topics",
            r#"{"topic":"t","channel":"c#ephemeral"}"#,
            "POST /channel/create?topic=t&channel=c%23ephemeral",
            "POST /channel/create?topic=t&channel=c%23ephemeral",
        ),
        (
            "POST /api/topics/t",
            r#"{"action":"pause"}"#,
            "",
            "POST /topic/pause?topic=t",
        ),
        (
            "POST /api/topics/t",
            r#"{"action":"empty"}"#,
            "",
            "POST /topic/empty?topic=t",
        ),
        (
            "POST /api/topics/t/c",
            r#"{"action":"unpause"}"#,
            "",
            "POST /channel/unpause?topic=t&channel=c",
        ),
        (
            "DELETE /api/topics/t/c",
            "",
            "POST /channel/delete?topic=t&channel=c",
            "POST /channel/delete?topic=t&channel=c",
        ),
        (
            "DELETE /api/topics/t",
            "",
            "POST /topic/delete?topic=t",
            "POST /topic/delete?topic=t",
        ),
        (
            &tombstone,
            r#"{"topic":"t"}"#,
            &hidden,
            "POST /topic/delete?topic=t",
        ),
    ] {
        world.check(line, body, 200, "").await;
        let (to_lookupd, to_nsqd) = (world.lookupd.asked(), world.a.asked());
        assert!(
            lookupd.is_empty() || to_lookupd.iter().any(|asked| asked == lookupd),
            "{line}: {to_lookupd:?}"
        );
        assert_eq!(to_nsqd.last().map(String::as_str), Some(nsqd), "{line}");
    }
    let to_b = world.b.asked();
    assert_eq!(
        to_b.iter()
            .filter(|asked| *asked == "POST /topic/delete?topic=t")
            .count(),
        1,
        "{to_b:?}"
    );
}

#[tokio::test]
async fn a_topic_with_channels_is_made_at_once_where_it_is_wanted() {
    let world = World::start(&[]).await;
    // Nobody has it yet.
    world
        .lookupd
        .says("/lookup?topic=new", r#"{"producers":[]}"#);
    let (a, evil) = (world.a.address(), Fake::start().await);
    let body = json!({"topic": "new", "channels": ["c", "d"], "nodes": [a]}).to_string();
    let answer = request(&world.admin, "POST", "/api/topics", &body).await;
    assert_eq!(answer.json(), json!({"nodes": [a], "message": ""}));
    let posts = |fake: &Fake| {
        let mut asked = fake.asked();
        asked.retain(|line| line.starts_with("POST"));
        asked
    };
    let made = [
        "POST /topic/create?topic=new",
        "POST /channel/create?topic=new&channel=c",
        "POST /channel/create?topic=new&channel=d",
    ];
    assert_eq!(
        (posts(&world.lookupd), posts(&world.a)),
        (
            made.map(str::to_owned).to_vec(),
            made.map(str::to_owned).to_vec()
        )
    );
    assert_eq!(posts(&world.b), Vec::<String>::new());
    let deeds = world.json("/api/audit").await;
    assert_eq!(deeds["deeds"].as_array().unwrap().len(), 3, "{deeds}");

    let body = json!({"topic": "new", "nodes": [evil.address()]}).to_string();
    world
        .check("POST /api/topics", &body, 404, "NODE_NOT_FOUND")
        .await;
    assert!(evil.asked().is_empty() && posts(&world.lookupd).is_empty());
}

#[tokio::test]
async fn wrong_changes_are_refused_and_nobody_is_asked() {
    let world = World::start(&[]).await;
    for (line, body, status, message) in [
        ("POST /api/topics", "", 400, "INVALID_BODY"),
        ("POST /api/topics", "[1]", 400, "INVALID_BODY"),
        (
            "POST /api/topics",
            r#"{"topic":"a b"}"#,
            400,
            "INVALID_TOPIC",
        ),
        (
            "POST /api/topics",
            r#"{"topic":"a","channel":"?"}"#,
            400,
            "INVALID_CHANNEL",
        ),
        (
            "POST /api/topics/t",
            r#"{"action":"delete"}"#,
            400,
            "INVALID_ACTION",
        ),
        ("POST /api/topics/t/c", "{}", 400, "INVALID_ACTION"),
        ("DELETE /api/nodes/n:1", "{}", 400, "INVALID_TOPIC"),
        ("POST /api/nodes/n:1", "{}", 405, "METHOD_NOT_ALLOWED"),
    ] {
        world.check(line, body, status, message).await;
    }
    world
        .check(
            "POST /api/topics",
            &" ".repeat(70_000),
            413,
            "BODY_TOO_LARGE",
        )
        .await;
    assert_eq!((world.lookupd.asked(), world.a.asked()), (vec![], vec![]));

    let evil = Fake::start().await;
    let line = format!("DELETE /api/nodes/{}", evil.address());
    world
        .check(&line, r#"{"topic":"t"}"#, 404, "NODE_NOT_FOUND")
        .await;
    world
        .check(
            "POST /api/topics/nope",
            r#"{"action":"pause"}"#,
            404,
            "TOPIC_NOT_FOUND",
        )
        .await;
    world
        .check("DELETE /api/topics/nope", "", 404, "TOPIC_NOT_FOUND")
        .await;
    assert!(evil.asked().is_empty());
}

#[tokio::test]
async fn what_only_some_nodes_did_is_a_warning() {
    let world = World::start(&[]).await;
    let missing = Reply::Status(404, r#"{"message":"CHANNEL_NOT_FOUND"}"#.to_owned());
    world.b.does("/channel/", missing.clone());
    let answer = request(
        &world.admin,
        "POST",
        "/api/topics/t/c",
        r#"{"action":"pause"}"#,
    )
    .await;
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 200);
    assert!(
        message.starts_with("WARNING: ") && message.contains("CHANNEL_NOT_FOUND"),
        "{message}"
    );
    world.check("DELETE /api/topics/t/c", "", 200, "").await;
    world.a.does("/channel/", missing);
    world
        .check(
            "POST /api/topics/t/c",
            r#"{"action":"pause"}"#,
            404,
            "CHANNEL_NOT_FOUND",
        )
        .await;
}

#[tokio::test]
async fn changes_are_told_to_the_endpoint_with_their_result() {
    let hook = Fake::start().await;
    hook.says("/hook", "");
    let endpoint = format!(
        "--notification-http-endpoint=http://{}/hook?k=v",
        hook.address()
    );
    let world = World::start(&[&endpoint]).await;
    world
        .check(
            "POST /api/topics",
            r#"{"topic":"t","channel":"c"}"#,
            200,
            "",
        )
        .await;
    let told = hook.was_asked("create_channel").await;
    let json: Value = serde_json::from_str(told.strip_prefix("POST /hook?k=v ").unwrap()).unwrap();
    assert_eq!(
        (&json["topic"], &json["channel"], &json["result"]),
        (&json!("t"), &json!("c"), &json!(""))
    );
    assert_eq!(json["url"], "http://127.0.0.1/api/topics");
    assert!(json.get("node").is_none() && json["timestamp"].as_i64().unwrap() > 0);
    hook.was_asked("create_topic").await;
    world
        .check(
            "POST /api/topics/nope",
            r#"{"action":"empty"}"#,
            404,
            "TOPIC_NOT_FOUND",
        )
        .await;
    assert!(
        hook.was_asked("empty_topic")
            .await
            .contains("TOPIC_NOT_FOUND")
    );
    world.admin.stop().await;
}
