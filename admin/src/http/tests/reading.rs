//! What the API tells, over nodes that answer, are slow, are away, or talk nonsense.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{World, stats};
use crate::testing::{Fake, Reply, request, start};

#[tokio::test]
async fn everything_is_read_over_all_nodes() {
    let world = World::start(&[]).await;
    assert_eq!(
        world.json("/api/topics").await,
        json!({"topics": ["idle", "t"], "message": ""})
    );
    let inactive = world.json("/api/topics?inactive=true").await;
    assert_eq!(inactive, json!({"topics": {"idle": ["c1"]}, "message": ""}));

    let topic = world.json("/api/topics/t").await;
    assert_eq!(
        (&topic["node"], &topic["depth"], &topic["message"]),
        (&json!("*"), &json!(10), &json!(""))
    );
    assert_eq!(topic["channels"][0]["depth"], 14);
    assert_eq!(topic["nodes"][0]["hostname"], "host-a");
    let channel = world.json("/api/topics/t/c").await;
    assert_eq!(
        (
            &channel["in_flight_count"],
            channel["clients"].as_array().unwrap().len()
        ),
        (&json!(2), 2)
    );

    let nodes = world.json("/api/nodes").await;
    assert_eq!(
        nodes["nodes"][1]["topics"],
        json!([{"topic": "t", "tombstoned": false}])
    );
    let name = world.a.address();
    let node = world.json(&format!("/api/nodes/{name}")).await;
    assert_eq!(
        (
            &node["node"],
            &node["total_messages"],
            &node["total_clients"]
        ),
        (&json!(name), &json!(1200), &json!(1))
    );
    let counter = world.json("/api/counter").await;
    assert_eq!(counter["stats"][format!("t:c:{name}")]["message_count"], 9);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let world = World::start(&[]).await;
    world
        .check("GET /api/topics/nope", "", 404, "TOPIC_NOT_FOUND")
        .await;
    world
        .check("GET /api/topics/t/nope", "", 404, "CHANNEL_NOT_FOUND")
        .await;
    world
        .check("GET /api/nodes/127.0.0.1:1", "", 404, "NODE_NOT_FOUND")
        .await;
    world.check("GET /api/nope", "", 404, "NOT_FOUND").await;
    world
        .check("PATCH /api/topics", "", 405, "METHOD_NOT_ALLOWED")
        .await;
    world
        .check("GET /api/topics?a=%zz", "", 400, "INVALID_REQUEST")
        .await;
    let idle = world.json("/api/topics/idle").await;
    assert_eq!(
        (&idle["node"], &idle["nodes"], &idle["message"]),
        (&json!(""), &json!(null), &json!(""))
    );
}

#[tokio::test]
async fn a_bad_node_is_a_warning_and_delays_no_longer_than_its_timeout() {
    let garbage = Reply::Raw(b"\x00\xff not HTTP\r\n\r\n".to_vec());
    let redirect = Reply::Status(302, String::new());
    for (reply, part) in [
        (Reply::Silence, "within 300ms"),
        (Reply::Endless, ""),
        (garbage, "not HTTP"),
        (Reply::Raw(Vec::new()), "not HTTP"),
        (redirect, "302"),
        (
            Reply::Status(500, r#"{"message":"BROKEN"}"#.to_owned()),
            "BROKEN",
        ),
        (Reply::Status(200, "<html>".to_owned()), "not what an NSQ"),
        (
            Reply::Status(200, r#"{"topics":[{"depth":"x"}]}"#.to_owned()),
            "not what an NSQ",
        ),
        (Reply::Status(200, "[".repeat(100_000)), "not what an NSQ"),
    ] {
        let world = World::start(&[]).await;
        world.b.does("/stats", reply.clone());
        let start = Instant::now();
        let topic = world.json("/api/topics/t").await;
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(topic["depth"], 5);
        let message = topic["message"].as_str().unwrap();
        assert!(
            message.starts_with("WARNING: ") && message.contains(part),
            "{message}"
        );
        assert!(message.contains(&world.b.address()), "{message}");
        let page = world.get("/topics/t").await;
        assert!(
            page.status == 200 && page.body.contains("Incomplete"),
            "{}",
            page.body
        );
    }
}

#[tokio::test]
async fn when_nobody_answers_the_answer_is_502_and_a_page_that_says_so() {
    let admin = start(&["--lookupd-http-address=127.0.0.1:1"]).await;
    for path in ["/api/topics", "/api/topics/t", "/api/nodes", "/api/counter"] {
        let answer = request(&admin, "GET", path, "").await;
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 502);
        assert!(
            message.starts_with("UPSTREAM_ERROR: failed to query any nsqlookupd: 127.0.0.1:1/"),
            "{message}"
        );
    }
    let page = request(&admin, "GET", "/topics", "").await;
    assert!(
        page.status == 502 && page.body.contains("<h1>Nobody answers</h1>"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn without_nsqlookupds_the_given_nsqds_are_the_cluster() {
    let nsqd = Fake::start().await;
    nsqd.says(
        "/info",
        r#"{"broadcast_address":"elsewhere","hostname":"h","http_port":4151,"tcp_port":-1,"version":"1.3.0"}"#,
    );
    nsqd.says("/stats", stats("t", "c").to_string());
    nsqd.says("/topic/", "");
    let source = format!("--nsqd-http-address={}", nsqd.address());
    let admin = start(&[&source, "--nsqd-http-address=127.0.0.1:1"]).await;
    let get = async |path: &str| request(&admin, "GET", path, "").await.json();
    let topics = get("/api/topics").await;
    assert_eq!(topics["topics"], json!(["t"]));
    assert!(
        topics["message"]
            .as_str()
            .unwrap()
            .starts_with("WARNING: 127.0.0.1:1/"),
        "{topics}"
    );
    // It is asked where it was found, whatever it calls itself.
    let nodes = get("/api/nodes").await;
    assert_eq!(nodes["nodes"][0]["remote_addresses"], json!(null));
    assert_eq!(
        get("/api/topics/t").await["nodes"][0]["node"],
        "elsewhere:4151"
    );
    assert_eq!(
        get("/api/nodes/elsewhere:4151").await["total_messages"],
        1200
    );
    assert_eq!(get("/api/topics?inactive=true").await["topics"], json!({}));
    assert_eq!(get("/api/topics/nope").await["message"], "TOPIC_NOT_FOUND");

    nsqd.asked();
    let created = request(&admin, "POST", "/api/topics", r#"{"topic":"new"}"#).await;
    assert_eq!(created.status, 200, "{}", created.body);
    assert!(
        nsqd.asked()
            .contains(&"POST /topic/create?topic=new".to_owned())
    );
}

#[tokio::test]
async fn the_topics_of_given_nodes_are_shown_from_the_last_look() {
    let nsqd = Fake::start().await;
    nsqd.says(
        "/info",
        r#"{"broadcast_address":"127.0.0.1","version":"1.3.0"}"#,
    );
    nsqd.says("/stats", stats("t", "c").to_string());
    let source = format!("--nsqd-http-address={}", nsqd.address());
    let admin = start(&[&source, "--nsqd-http-address=127.0.0.1:1"]).await;
    nsqd.asked();
    let page = request(&admin, "GET", "/topics", "").await;
    for part in ["/topics/t", "Incomplete", "127.0.0.1:1"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert_eq!(nsqd.asked(), Vec::<String>::new(), "nobody is waited for");
}

#[tokio::test]
async fn while_a_lookupd_is_silent_no_topic_is_called_inactive() {
    let world = World::start(&["--lookupd-http-address=127.0.0.1:1"]).await;
    let inactive = world.json("/api/topics?inactive=true").await;
    assert_eq!(inactive["topics"], json!({}));
    let message = inactive["message"].as_str().unwrap();
    assert!(
        message.starts_with("WARNING: 127.0.0.1:1/topics: "),
        "{message}"
    );
    assert_eq!(
        world.json("/api/topics").await["topics"],
        json!(["idle", "t"])
    );
}
