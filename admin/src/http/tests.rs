//! The API and the pages, over nodes that answer, are slow, are away, or talk nonsense.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Daemon;
use crate::testing::{Answer, Fake, Reply, request, request_with, start};

/// Two nsqds that have `t`, known to one nsqlookupd, and an nsqadmin that asks it.
struct World {
    admin: Daemon,
    lookupd: Fake,
    a: Fake,
    b: Fake,
}

impl World {
    async fn start(flags: &[&str]) -> Self {
        let (lookupd, a, b) = (
            Fake::start().await,
            Fake::start().await,
            Fake::start().await,
        );
        let producers =
            json!({"producers": [producer(&a, "host-a"), producer(&b, "host-b")]}).to_string();
        lookupd.says("/topics", r#"{"topics":["t","idle"]}"#);
        lookupd.says("/nodes", &*producers);
        lookupd.says("/lookup?topic=t", &*producers);
        lookupd.says("/lookup?topic=idle", r#"{"channels":[],"producers":[]}"#);
        lookupd.says("/channels?topic=idle", r#"{"channels":["c1"]}"#);
        for node in [&a, &b] {
            node.says("/stats", stats("t", "c").to_string());
        }
        for node in [&lookupd, &a, &b] {
            node.says("/topic/", "");
            node.says("/channel/", "");
        }
        let source = format!("--lookupd-http-address={}", lookupd.address());
        let flags: Vec<&str> = flags.iter().copied().chain([source.as_str()]).collect();
        let admin = start(&flags).await;
        Self {
            admin,
            lookupd,
            a,
            b,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        request(&self.admin, "GET", path, "").await
    }

    /// GET must be answered with 200; the JSON.
    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    async fn check(&self, request_line: &str, body: &str, status: u16, message: &str) {
        let (method, path) = request_line.split_once(' ').unwrap();
        let answer = request(&self.admin, method, path, body).await;
        let told = (answer.status, answer.json()["message"].clone());
        assert_eq!(told, (status, json!(message)), "{request_line} {body}");
    }
}

fn producer(node: &Fake, hostname: &str) -> Value {
    json!({"remote_address": "r:1", "hostname": hostname, "broadcast_address": "127.0.0.1", "tcp_port": node.port,
        "http_port": node.port, "version": "1.3.0", "topics": ["t"], "tombstones": []})
}

fn stats(topic: &str, channel: &str) -> Value {
    json!({"version": "1.3.0", "topics": [{"topic_name": topic, "depth": 5, "message_count": 1200, "channels": [
        {"channel_name": channel, "depth": 7, "in_flight_count": 1, "message_count": 9, "client_count": 1,
         "clients": [{"client_id": "id", "hostname": "<i>h</i>", "user_agent": "\"><script>x</script>"}]}]}]})
}

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
    let page = request(&admin, "GET", "/", "").await;
    assert!(
        page.status == 502 && page.body.contains("<h1>Nothing to show</h1>"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn link_local_nodes_are_not_connected_to() {
    let world = World::start(&[]).await;
    let producer =
        json!({"producers": [{"broadcast_address": "169.254.169.254", "http_port": 80}]});
    world.lookupd.says("/lookup?topic=t", producer.to_string());
    let answer = world.get("/api/topics/t").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("link-local"), "{}", answer.body);
}

#[tokio::test]
async fn without_nsqlookupds_the_given_nsqds_are_the_cluster() {
    let nsqd = Fake::start().await;
    nsqd.says(
        "/info",
        r#"{"broadcast_address":"elsewhere","hostname":"h","http_port":4151,"version":"1.3.0"}"#,
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
async fn only_admins_act_and_only_from_where_their_name_is_believed() {
    let act = async |world: &World, lines: &str| {
        let lines = format!("Host: 127.0.0.1\r\n{lines}");
        let body = r#"{"action":"pause"}"#;
        request_with(&world.admin, "POST", "/api/topics/t", &lines, body)
            .await
            .status
    };
    let believed = World::start(&["--admin-user=joe", "--trusted-proxy=127.0.0.0/8"]).await;
    assert_eq!(act(&believed, "").await, 403);
    assert_eq!(act(&believed, "X-Forwarded-User: Joe\r\n").await, 403);
    assert_eq!(act(&believed, "X-Forwarded-User: joe\r\n").await, 200);
    assert_eq!(believed.get("/api/topics").await.status, 200);
    let direct = World::start(&["--admin-user=joe"]).await;
    assert_eq!(act(&direct, "X-Forwarded-User: joe\r\n").await, 403);
    let open = World::start(&[]).await;
    assert_eq!(act(&open, "Sec-Fetch-Site: cross-site\r\n").await, 403);
    assert_eq!(act(&open, "Origin: http://evil\r\n").await, 403);
    assert_eq!(act(&open, "Origin: http://127.0.0.1\r\n").await, 200);
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

#[tokio::test]
async fn every_answer_keeps_browsers_from_mischief() {
    let world = World::start(&[]).await;
    for line in [
        "GET /",
        "GET /style.css",
        "GET /ping",
        "GET /nope",
        "GET /topics/",
        "PUT /",
        "OPTIONS /api/topics",
        "GET /api/topics",
        "GET /topics/nope",
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let head = request(&world.admin, method, path, "")
            .await
            .head
            .to_ascii_lowercase();
        for header in [
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.contains(header), "{line}: {head}");
        }
    }
    let evil = request_with(&world.admin, "GET", "/", "Host: evil\r\n", "").await;
    assert!(
        evil.status == 403 && evil.body.contains("--allowed-host"),
        "{}",
        evil.body
    );
}

#[tokio::test]
async fn pages_show_what_there_is_and_escape_what_nodes_say() {
    let world = World::start(&[]).await;
    let odd = "a<b>&\"c'/#%";
    let figures = stats(odd, "<script>alert(1)</script>").to_string();
    world.a.says("/stats", figures);
    let node = world.a.address();
    for (path, parts) in [
        (
            "/".to_owned(),
            &[
                "1,200",
                "/topics/a%3Cb%3E%26%22c%27%2F%23%25",
                "a&#60;b&#62;&#38;&#34;c&#39;/#%",
                "on no node",
            ][..],
        ),
        (
            "/topics/t".to_owned(),
            &["Waiting in topic", "/topics/t/c", "host-b"][..],
        ),
        (
            "/topics/t/c".to_owned(),
            &["&#60;i&#62;h&#60;/i&#62;", "&#34;&#62;&#60;script&#62;x"][..],
        ),
        ("/nodes".to_owned(), &["1.3.0", node.as_str(), "r:1"][..]),
        (
            format!("/nodes/{node}"),
            &["&#60;script&#62;alert(1)", "Published since start"][..],
        ),
    ] {
        let page = world.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(
            page.head.contains("text/html; charset=utf-8"),
            "{}",
            page.head
        );
        for part in parts {
            assert!(
                page.body.contains(part),
                "{path} lacks {part}: {}",
                page.body
            );
        }
        assert!(
            !page.body.contains("<script") && !page.body.contains("<i>"),
            "{path}"
        );
        assert!(
            page.body.contains("<html lang=\"en\">") && page.body.contains("<h1>"),
            "{path}"
        );
    }
    let missing = world.get("/topics/%3Cb%3E").await;
    assert!(
        missing.status == 404 && missing.body.contains("Nobody knows"),
        "{}",
        missing.body
    );
}

#[tokio::test]
async fn a_base_path_stands_before_everything() {
    let world = World::start(&["--base-path=nsq//x/"]).await;
    assert_eq!(world.get("/nsq/x/ping").await.body, "OK");
    assert_eq!(
        world.json("/nsq/x/api/topics").await["topics"],
        json!(["idle", "t"])
    );
    let page = world.get("/nsq/x").await.body;
    assert!(
        page.contains("href=\"/nsq/x/topics/t\"") && page.contains("href=\"/nsq/x/style.css\""),
        "{page}"
    );
    for path in ["/", "/ping", "/nsq", "/nsq/xy", "/api/topics"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    let moved = world.get("/nsq/x/").await;
    assert_eq!(moved.status, 301);
    assert!(
        moved
            .head
            .to_ascii_lowercase()
            .contains("location: /nsq/x\r\n"),
        "{}",
        moved.head
    );
}

#[tokio::test]
async fn the_log_level_changes_for_those_who_may() {
    let world = World::start(&[]).await;
    assert_eq!(world.get("/config/log_level").await.body, "5");
    let put = async |world: &World, body: &str| {
        let answer = request(&world.admin, "PUT", "/config/log_level", body).await;
        (answer.status, answer.body)
    };
    assert_eq!(put(&world, "error").await, (200, "4".to_owned()));
    assert_eq!(put(&world, "loud").await.0, 400);
    assert_eq!(put(&world, &"e".repeat(99)).await.0, 413);
    let closed = World::start(&["--allow-config-from-cidr=10.0.0.0/8"]).await;
    assert_eq!(put(&closed, "error").await.0, 403);
    assert_eq!(closed.get("/config/log_level").await.status, 403);
}
