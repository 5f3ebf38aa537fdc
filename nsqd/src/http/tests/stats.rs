//! `/stats` and `/metrics` of a daemon with topics and sessions.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn stats_of_what_is_selected() {
    let server = start().await;
    for target in [
        "/channel/create?topic=a&channel=c",
        "/channel/create?topic=b&channel=d",
    ] {
        let (_, query) = target.split_once('?').unwrap();
        server
            .check(&format!("POST /topic/create?{query}"), "", "200 ")
            .await;
        server.check(&format!("POST {target}"), "", "200 ").await;
    }
    let answer = server.ask("GET /stats?topic=%", "").await;
    assert_eq!(answer.status, 400);
    let start_time = server.node.started_at();
    let head = format!(r#"{{"version":"1.3.0","health":"OK","start_time":{start_time},"topics":"#);
    for (query, topics) in [
        ("", "a b"),
        ("&topic=", "a b"),
        ("&topic=a", "a"),
        ("&topic=a&channel=c", "a"),
        ("&channel=d", "b"),
        ("&topic=a&channel=d", ""),
        ("&channel=none", ""),
    ] {
        let body = server.get(&format!("/stats?format=json{query}")).await;
        assert!(body.starts_with(&format!("{head}[")), "{query}: {body}");
        let stats: serde_json::Value = serde_json::from_str(&body).unwrap();
        let names = stats["topics"].as_array().unwrap().iter();
        let names: Vec<_> = names
            .map(|topic| topic["topic_name"].as_str().unwrap())
            .collect();
        assert_eq!(names.join(" "), topics, "{query}");
        assert!(
            stats["memory"]["heap_in_use_bytes"].as_u64().unwrap() > 0,
            "{query}"
        );
    }
    let body = server
        .get("/stats?format=json&topic=none&include_mem=0")
        .await;
    assert_eq!(body, format!("{head}null,\"producers\":null}}"));
    let text = server
        .get("/stats?format=text&channel=none&include_mem=false")
        .await;
    let (_, text) = text.split_once("\n\n").unwrap();
    assert_eq!(text, "Health: OK\n\nTopics: None\n\nProducers: None\n");
    server.stop().await;
}

/// Connects to the TCP protocol, sends `commands` and waits for as many `OK`.
async fn session(server: &Server, commands: &[u8], oks: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.tcp_port))
        .await
        .unwrap();
    let body = r#"{"client_id":"<id>","hostname":"h","user_agent":"u/1"}"#;
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let head = [b"  V2IDENTIFY\n", &length[..], body.as_bytes(), commands].concat();
    stream.write_all(&head).await.unwrap();
    let mut answer = vec![0; 10 * (oks + 1)];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"\0\0\0\x06\0\0\0\0OK".repeat(oks + 1));
    stream
}

#[tokio::test]
async fn stats_list_consumers_and_producers() {
    let server = start().await;
    let consumer = session(&server, b"SUB t c\nRDY 7\n", 1).await;
    let both = b"PUB other\n\0\0\0\x01aPUB t\n\0\0\0\x01bSUB t c\n";
    let both = session(&server, both, 3).await;
    // RDY is not answered: wait until it was seen.
    let consumer_of = |body: &str| -> serde_json::Value {
        let stats: serde_json::Value = serde_json::from_str(body).unwrap();
        let clients = stats["topics"][1]["channels"][0]["clients"]
            .as_array()
            .unwrap();
        clients
            .iter()
            .find(|client| client["pub_counts"].is_null())
            .unwrap()
            .clone()
    };
    let mut body = server.get("/stats?format=json").await;
    while consumer_of(&body)["in_flight_count"] != 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        body = server.get("/stats?format=json").await;
    }
    let found = consumer_of(&body);
    assert_eq!(
        (&found["state"], &found["ready_count"]),
        (&3.into(), &7.into())
    );
    assert_eq!(
        found["remote_address"],
        consumer.local_addr().unwrap().to_string()
    );
    assert!(body.contains(r#""client_id":"\u003cid\u003e""#), "{body}");
    assert!(body.contains(r#""client_count":2,"clients":[{"#), "{body}");
    let counts = r#""pub_counts":[{"topic":"other","count":1},{"topic":"t","count":1}]"#;
    // As a consumer, and as a producer.
    assert_eq!(body.matches(counts).count(), 2, "{body}");

    let body = server.get("/stats?format=json&topic=other").await;
    assert!(
        body.contains(r#""pub_counts":[{"topic":"other","count":1}]"#),
        "{body}"
    );
    let body = server.get("/stats?format=json&channel=none").await;
    assert!(
        body.contains(r#""topics":[],"#) && body.contains(counts),
        "{body}"
    );
    let body = server.get("/stats?format=json&include_clients=false").await;
    assert!(
        body.contains(r#""client_count":2,"clients":null"#),
        "{body}"
    );
    assert!(body.ends_with(r#""producers":null}"#), "{body}");
    let text = server.get("/stats").await;
    let port = both.local_addr().unwrap().port();
    let id = format!("h:{port} u/1");
    let line = format!("\n   [V2 {id:<21}] msgs: 2        topics: other=1,t=1 connected: ");
    assert!(text.contains(&line), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_open_metrics() {
    let server = start().await;
    server.check("POST /mpub?topic=t", "a\nbc", "200 OK").await;
    server.check("POST /topic/create?topic=u", "", "200 ").await;
    server
        .check("POST /channel/create?topic=t&channel=c", "", "200 ")
        .await;
    server
        .check("POST /channel/pause?topic=t&channel=c", "", "200 ")
        .await;
    let answer = server.ask("GET /metrics", "").await;
    let content_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(answer.head.contains(content_type), "{}", answer.head);
    for line in [
        "# TYPE nsqd_topic_messages counter",
        "nsqd_topic_messages_total{topic=\"t\"} 2",
        "nsqd_topic_messages_total{topic=\"u\"} 0",
        "nsqd_topic_bytes_total{topic=\"t\"} 3",
        "nsqd_topic_depth{topic=\"t\"} 0",
        "nsqd_topic_backend_depth{topic=\"t\"} 0",
        "nsqd_topic_dropped_messages_total{topic=\"t\"} 0",
        "nsqd_topic_damaged_messages_total{topic=\"t\"} 0",
        "# TYPE nsqd_channel_depth gauge",
        "nsqd_channel_depth{topic=\"t\",channel=\"c\"} 2",
        "nsqd_channel_paused{topic=\"t\",channel=\"c\"} 1",
        "nsqd_channel_messages_total{topic=\"t\",channel=\"c\"} 2",
        "nsqd_channel_requeues_total{topic=\"t\",channel=\"c\"} 0",
        "nsqd_healthy 1",
        "nsqd_connections 0",
        "nsqd_build_info{version=\"0.1.0\",compatible=\"1.3.0\"} 1",
        "# EOF",
    ] {
        let found = answer.body.lines().any(|found| found == line);
        assert!(found, "{line} is not in {}", answer.body);
    }
    server.stop().await;
}

#[tokio::test]
async fn every_metric_is_documented() {
    let server = start().await;
    server.check("POST /topic/create?topic=t", "", "200 ").await;
    server
        .check("POST /channel/create?topic=t&channel=c", "", "200 ")
        .await;
    let readme = include_str!("../../../README.md");
    let answer = server.ask("GET /metrics", "").await;
    let samples = answer.body.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<_> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
    server.stop().await;
}
