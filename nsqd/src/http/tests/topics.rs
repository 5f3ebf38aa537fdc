//! Topics and channels: created, deleted, emptied, paused.

use super::*;

#[tokio::test]
async fn topics() {
    let server = start().await;
    for (request, expected) in [
        ("POST /topic/create?topic=t;", "400 INVALID_REQUEST"),
        ("POST /topic/create", "400 MISSING_ARG_TOPIC"),
        ("POST /topic/create?topic=a%2Fb", "400 INVALID_TOPIC"),
        ("POST /topic/create?topic=t", "200 "),
        ("POST /topic/create?topic=t", "200 "),
        ("POST /topic/pause?topic=t;", "400 INVALID_REQUEST"),
        ("POST /topic/pause", "400 MISSING_ARG_TOPIC"),
        ("POST /topic/pause?topic=a%2Fb", "404 TOPIC_NOT_FOUND"),
        ("POST /topic/unpause?topic=none", "404 TOPIC_NOT_FOUND"),
        ("POST /topic/empty", "400 MISSING_ARG_TOPIC"),
        ("POST /topic/empty?topic=a%2Fb", "400 INVALID_TOPIC"),
        ("POST /topic/empty?topic=none", "404 TOPIC_NOT_FOUND"),
        ("POST /topic/delete?topic=%", "400 INVALID_REQUEST"),
        ("POST /topic/delete", "400 MISSING_ARG_TOPIC"),
        ("POST /topic/delete?topic=a%2Fb", "404 TOPIC_NOT_FOUND"),
    ] {
        server.check(request, "ignored", expected).await;
    }
    for paused in [true, true, false, false] {
        let verb = if paused { "pause" } else { "unpause" };
        server
            .check(&format!("POST /topic/{verb}?topic=t"), "", "200 ")
            .await;
        assert_eq!(server.topic("t").paused, paused);
    }
    server.check("POST /pub?topic=t", "a", "200 OK").await;
    assert_eq!(server.topic("t").depth.messages, 1);
    server.check("POST /topic/empty?topic=t", "", "200 ").await;
    assert_eq!(server.topic("t").depth.messages, 0);
    server.check("POST /topic/delete?topic=t", "", "200 ").await;
    server
        .check("POST /topic/delete?topic=t", "", "404 TOPIC_NOT_FOUND")
        .await;
    server.stop().await;
}

#[tokio::test]
async fn channels() {
    let server = start().await;
    server.check("POST /topic/create?topic=t", "", "200 ").await;
    for verb in ["create", "delete", "empty", "pause", "unpause"] {
        for (query, expected) in [
            ("?topic=t&channel=c;", "400 INVALID_REQUEST"),
            ("?channel=c", "400 MISSING_ARG_TOPIC"),
            ("?topic=a%2Fb", "400 INVALID_ARG_TOPIC"),
            ("?topic=none", "400 MISSING_ARG_CHANNEL"),
            ("?topic=none&channel=a+b", "400 INVALID_ARG_CHANNEL"),
            ("?topic=none&channel=c", "404 TOPIC_NOT_FOUND"),
        ] {
            server
                .check(&format!("POST /channel/{verb}{query}"), "", expected)
                .await;
        }
        if verb != "create" {
            let request = format!("POST /channel/{verb}?topic=t&channel=c");
            server.check(&request, "", "404 CHANNEL_NOT_FOUND").await;
        }
    }
    assert!(server.node.topic("none").is_none());
    server
        .check("POST /channel/create?topic=t&channel=c", "", "200 ")
        .await;
    server
        .check("POST /channel/create?topic=t&channel=c", "", "200 ")
        .await;
    for paused in [true, true, false, false] {
        let verb = if paused { "pause" } else { "unpause" };
        server
            .check(
                &format!("POST /channel/{verb}?topic=t&channel=c"),
                "",
                "200 ",
            )
            .await;
        assert_eq!(server.channel("t", "c").paused, paused);
    }
    server.check("POST /pub?topic=t", "a", "200 OK").await;
    server
        .check("POST /pub?topic=t&defer=9000", "a", "200 OK")
        .await;
    assert_eq!(server.channel("t", "c").depth.messages, 1);
    assert_eq!(server.channel("t", "c").deferred_count, 1);
    server
        .check("POST /channel/empty?topic=t&channel=c", "", "200 ")
        .await;
    assert_eq!(server.channel("t", "c").depth.messages, 0);
    assert_eq!(server.channel("t", "c").deferred_count, 0);
    server
        .check("POST /channel/delete?topic=t&channel=c", "", "200 ")
        .await;
    server
        .check(
            "POST /channel/delete?topic=t&channel=c",
            "",
            "404 CHANNEL_NOT_FOUND",
        )
        .await;
    server.stop().await;
}

#[tokio::test]
async fn topics_channels_and_pauses_are_on_disk_when_answered() {
    let server = start().await;
    let metadata = server.node.options().data_path.join("nsqd.dat");
    for (request, part) in [
        (
            "/topic/create?topic=t",
            r#"{"name":"t","paused":false,"channels":null}"#,
        ),
        (
            "/channel/create?topic=t&channel=c",
            r#""channels":[{"name":"c","paused":false}]"#,
        ),
        ("/topic/pause?topic=t", r#"{"name":"t","paused":true"#),
        (
            "/channel/pause?topic=t&channel=c",
            r#"{"name":"c","paused":true}"#,
        ),
        (
            "/channel/unpause?topic=t&channel=c",
            r#"{"name":"c","paused":false}"#,
        ),
        ("/topic/unpause?topic=t", r#"{"name":"t","paused":false"#),
        ("/channel/delete?topic=t&channel=c", r#""channels":null"#),
        ("/topic/delete?topic=t", r#"{"topics":null"#),
    ] {
        server.check(&format!("POST {request}"), "", "200 ").await;
        let written = std::fs::read_to_string(&metadata).unwrap();
        assert!(
            written.contains(part),
            "{request}: {part} is not in {written}"
        );
    }
    server.stop().await;
}
