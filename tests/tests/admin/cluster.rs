//! What operators see and do, on nsqds that live.

use serde_json::json;
use tests::wait;

use super::World;

#[test]
fn a_backlog_is_seen_explained_and_emptied() {
    let world = World::start(&[], &[]);
    for nsqd in [&world.a, &world.b] {
        nsqd.act("/topic/create?topic=orders");
        nsqd.act("/channel/create?topic=orders&channel=archive");
        nsqd.publish("orders", "one");
        nsqd.publish("orders", "two");
    }
    world.await_depth("orders", "archive", 4);
    let channel = world.json("/api/live?view=channel&topic=orders&channel=archive");
    assert_eq!(channel["verdict"], "no_consumers", "{channel}");
    let impact = world.json("/api/impact?action=empty&topic=orders&channel=archive");
    assert_eq!(
        (
            &impact["lost_messages"],
            impact["nodes"].as_array().map(Vec::len)
        ),
        (&json!(4), Some(2))
    );

    let emptied = world.post("/api/topics/orders/archive", &json!({"action": "empty"}));
    assert_eq!(
        (emptied.status, &emptied.json()["message"]),
        (200, &json!(""))
    );
    world.await_depth("orders", "archive", 0);
    let deed = &world.json("/api/audit")["deeds"][0];
    assert_eq!(
        (&deed["action"], deed["nodes"].as_array().map(Vec::len)),
        (&json!("empty_channel"), Some(2))
    );
    assert!(
        world.admin.log().contains("empty_channel"),
        "a deed is a line in the log"
    );
}

#[test]
fn a_published_message_arrives_at_a_consumer_and_is_counted() {
    let world = World::start(&[], &[]);
    let mut consumer = world.a.consumer("greetings", "c");
    wait::until("the topic is known", || {
        world.json("/api/topics")["topics"] == json!(["greetings"])
    });
    let node = format!("{}", world.a.http());
    let body = json!({"topic": "greetings", "body": "hello", "node": node});
    let answer = world.post("/api/publish", &body);
    assert_eq!(
        (answer.status, &answer.json()["node"]),
        (200, &json!(node)),
        "{}",
        answer.body
    );
    consumer.ready(1);
    assert_eq!(consumer.message().body, b"hello");
    wait::until("the consumer is listed", || {
        world.json("/api/consumers?topic=greetings")["total"] == 1
    });
    wait::until("history has it", || {
        let history = world.json("/api/history?topic=greetings");
        let counts = history["series"]["in_flight_count"].as_array().cloned();
        counts
            .unwrap_or_default()
            .last()
            .is_some_and(|last| *last == 1.0)
    });
    assert!(
        world
            .admin
            .get("/metrics")
            .body
            .contains("nsq_cluster_channel_in_flight{topic=\"greetings\",channel=\"c\"} 1\n")
    );
}

#[test]
fn a_node_that_dies_is_missed_and_hides_nobody() {
    let mut world = World::start(&[], &[]);
    world.a.publish("t", "here");
    world.b.kill();
    wait::until("the node is missed", || {
        let alerts = world.json("/api/alerts");
        let mut alerts = alerts["alerts"]
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter();
        alerts.any(|alert| alert["rule"] == "node_missing")
    });
    let topics = world.json("/api/live?view=topics");
    assert_eq!(topics["rows"][0][0], "t", "{topics}");
}

#[test]
fn each_nsqlookupd_is_explained() {
    let world = World::start(&["--lookupd-http-address=127.0.0.1:1"], &[]);
    world.a.publish("t", "x");
    let explained = world.json("/api/lookup");
    assert_eq!(explained["nsqlookupds"][0]["node_count"], 2, "{explained}");
    assert!(
        explained["nsqlookupds"][1]["error"]
            .as_str()
            .is_some_and(|error| error.contains("connect"))
    );
}
