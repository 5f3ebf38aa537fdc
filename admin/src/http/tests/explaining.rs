//! What pages say beyond figures: what is the matter with a channel, with a node, with who did not answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::{World, producer};

/// One node's statistics of `t`/`c`, on which `depth` messages wait for one consumer.
fn waiting(depth: i64, ready_count: i64) -> Value {
    let client = json!({"client_id": "id", "hostname": "h", "remote_address": "r:1", "ready_count": ready_count});
    let latency = |value| json!({"count": 10, "percentiles": [{"quantile": 0.99, "value": value}]});
    let channel = json!({"channel_name": "c", "depth": depth, "message_count": 9, "client_count": 1, "clients": [client],
        "zone_local_msg_count": 6, "global_msg_count": 3, "e2e_processing_latency": latency(2e6)});
    json!({"version": "1.3.0", "health": "OK", "memory": {"heap_in_use_bytes": 3 << 20}, "topics": [
        {"topic_name": "t", "message_count": 9, "channels": [channel], "e2e_processing_latency": latency(5e9)}]})
}

async fn await_page(world: &World, path: &str, part: &str) -> String {
    let look = async {
        loop {
            let page = world.get(path).await;
            if page.body.contains(part) {
                return page.body;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), look).await;
    seen.unwrap_or_else(|_| panic!("{path} never said {part}"))
}

#[tokio::test]
async fn consumers_that_are_not_ready_are_told_where_the_channel_is_looked_at() {
    let world = World::start(&["--sample-interval=100ms"]).await;
    for node in [&world.a, &world.b] {
        node.says("/stats", waiting(5, 0).to_string());
    }
    await_page(&world, "/topics/t/c", "none is ready for a message").await;
    let live = world.json("/api/live?view=channel&topic=t&channel=c").await;
    assert_eq!(live["verdict"], "not_ready", "{live}");
    world.a.says("/stats", waiting(5, 1).to_string());
    let live = world.json("/api/live?view=channel&topic=t&channel=c").await;
    assert_ne!(live["verdict"], "not_ready", "{live}");
}

#[tokio::test]
async fn latency_and_distance_are_shown_where_nodes_measure_them() {
    let world = World::start(&[]).await;
    let plain = world.get("/topics/t/c").await.body;
    assert!(
        !plain.contains("% within") && !plain.contains("own zone"),
        "{plain}"
    );
    for (node, value) in [(&world.a, 1e6), (&world.b, 132e6)] {
        let mut stats = waiting(0, 1);
        let latency = json!({"count": 10, "percentiles": [{"quantile": 0.99, "value": value}]});
        stats["topics"][0]["channels"][0]["e2e_processing_latency"] = latency;
        node.says("/stats", stats.to_string());
    }
    let channel = world.get("/topics/t/c").await.body;
    for part in ["99 % within", "132 ms", "1.00 ms", "own zone <b>66 %</b>"] {
        assert!(channel.contains(part), "{part}: {channel}");
    }
    let topic = world.get("/topics/t").await.body;
    assert!(
        topic.contains("132 ms") && topic.contains("5.00 s"),
        "{topic}"
    );
}

#[tokio::test]
async fn a_node_tells_what_it_is_and_what_is_left_to_do_before_it_goes() {
    let world = World::start(&["--sample-interval=100ms"]).await;
    let path = format!("/nodes/{}", world.a.address());
    world.a.says("/stats", waiting(5, 1).to_string());
    let busy = await_page(&world, &path, "3.0 MiB").await;
    let registered = format!("{}/r:1", world.lookupd.address());
    for part in ["in use", "TCP port", &registered] {
        assert!(busy.contains(part), "{part}: {busy}");
    }
    world.a.says("/stats", waiting(0, 1).to_string());
    await_page(&world, &path, "good\">drained").await;
}

#[tokio::test]
async fn who_does_not_answer_is_named_with_what_may_be_the_matter() {
    let world = World::start(&[]).await;
    // Nothing listens at port 1 of this host.
    let mut away = producer(&world.b, "host-b");
    away["http_port"] = json!(1);
    let both = json!({"producers": [producer(&world.a, "host-a"), away]});
    world.lookupd.says("/lookup?topic=t", both.to_string());
    let page = world.get("/topics/t").await;
    assert_eq!(page.status, 200);
    let parts = [
        "Incomplete",
        "127.0.0.1:1",
        "cannot connect",
        "--broadcast-address",
    ];
    for part in parts {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let alone = json!({"producers": [both["producers"][1]]});
    world.lookupd.says("/lookup?topic=t", alone.to_string());
    let page = world.get("/topics/t").await;
    assert_eq!(page.status, 502);
    for part in ["Nobody answers", "127.0.0.1:1", "--broadcast-address"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
}

#[tokio::test]
async fn the_form_for_messages_is_only_where_a_node_shows_them_and_the_visitor_may_look() {
    let world = World::start(&[]).await;
    let page = world.get("/topics/t/c").await.body;
    assert!(
        page.contains("--enable-peek") && !page.contains("id=\"peek\""),
        "{page}"
    );
    world.b.says("/info", r#"{"version":"1.3.0","peek":true}"#);
    let page = world.get("/topics/t/c").await.body;
    assert!(
        page.contains("id=\"peek\"") && !page.contains("--enable-peek"),
        "{page}"
    );

    let closed = World::start(&["--admin-user=joe"]).await;
    closed.a.says("/info", r#"{"peek":true}"#);
    let page = closed.get("/topics/t/c").await.body;
    assert!(
        !page.contains("id=\"peek\"") && !page.contains("--enable-peek"),
        "{page}"
    );
    assert!(!closed.a.asked().iter().any(|asked| asked.contains("/info")));
}
