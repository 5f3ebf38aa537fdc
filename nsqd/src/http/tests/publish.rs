//! `/pub` and `/mpub`: what is taken and what is refused.

use super::*;

#[tokio::test]
async fn publish() {
    let server = start().await;
    for (request, body, expected) in [
        ("POST /pub?topic=t", "0123456789", "200 OK"),
        ("POST /pub?topic=t&topic=b%20d", "a\nb", "200 OK"),
        ("POST /pub?topic=t&defer=0", "a", "200 OK"),
        ("POST /pub?topic=t&defer=60000", "a", "200 OK"),
        ("POST /pub?topic=big&%zz", "0123456789a", "413 MSG_TOO_BIG"),
        ("POST /pub?;", "", "400 MSG_EMPTY"),
        ("POST /pub?topic=t;", "a", "400 INVALID_REQUEST"),
        ("POST /pub?topic=%t", "a", "400 INVALID_REQUEST"),
        ("POST /pub", "a", "400 MISSING_ARG_TOPIC"),
        ("POST /pub?topic=", "a", "400 INVALID_TOPIC"),
        ("POST /pub?topic=a%20b&defer=x", "a", "400 INVALID_TOPIC"),
        ("POST /pub?topic=d&defer=", "a", "400 INVALID_DEFER"),
        ("POST /pub?topic=d&defer=-1", "a", "400 INVALID_DEFER"),
        ("POST /pub?topic=d&defer=1.5", "a", "400 INVALID_DEFER"),
        ("POST /pub?topic=d&defer=60001", "a", "400 INVALID_DEFER"),
        (
            "POST /pub?topic=d&defer=9223372036854775808",
            "a",
            "400 INVALID_DEFER",
        ),
    ] {
        server.check(request, body, expected).await;
    }
    assert_eq!(server.topic("t").message_count, 4);
    assert_eq!(server.topic("t").message_bytes, 15);
    // Refused after the topic was created, and before.
    assert_eq!(server.topic("d").message_count, 0);
    assert!(server.node.topic("big").is_none());
    server.stop().await;
}

#[tokio::test]
async fn publish_many_lines() {
    let server = start().await;
    for (request, body, expected) in [
        ("POST /mpub?topic=t", "a\n\nbc\r\n", "200 OK"),
        ("POST /mpub?topic=t&binary=0", "0123456789", "200 OK"),
        ("POST /mpub?topic=t&binary=false", "a\nb\nc", "200 OK"),
        ("POST /mpub?topic=t", "", "200 OK"),
        ("POST /mpub?topic=t", "\n\n", "200 OK"),
        ("POST /mpub?topic=t", "a\n0123456789a\n", "413 MSG_TOO_BIG"),
        ("POST /mpub?topic=t;", "a", "400 INVALID_REQUEST"),
        ("POST /mpub", "a", "400 MISSING_ARG_TOPIC"),
        ("POST /mpub?topic=*", "a", "400 INVALID_TOPIC"),
    ] {
        server.check(request, body, expected).await;
    }
    server
        .check(
            "POST /mpub?topic=large;",
            "\n".repeat(61),
            "413 BODY_TOO_BIG",
        )
        .await;
    server
        .check("POST /mpub?topic=large", "\n".repeat(60), "200 OK")
        .await;
    assert_eq!(server.topic("t").message_count, 6);
    assert_eq!(server.topic("t").message_bytes, 17);
    server.stop().await;
}

#[tokio::test]
async fn publish_many_binary() {
    let server = start().await;
    let batch = [&[0, 0, 0, 2, 0, 0, 0, 1][..], b"a", &[0, 0, 0, 2], b"bc"].concat();
    let with_more = [&batch[..], b"more"].concat();
    let large = [&[0, 0, 0, 1, 0, 0, 0, 11][..], b"0123456789a"].concat();
    for (request, body, expected) in [
        ("POST /mpub?topic=t&binary=true", &batch[..], "200 OK"),
        ("POST /mpub?topic=t&binary=1", &batch, "200 OK"),
        ("POST /mpub?topic=t&binary=what", &batch, "200 OK"),
        ("POST /mpub?topic=t&binary=", &with_more, "200 OK"),
        ("POST /mpub?topic=t&binary=true", b"", "413 BAD_BODY"),
        (
            "POST /mpub?topic=t&binary=true",
            b"\0\0\0\0",
            "413 BAD_BODY",
        ),
        ("POST /mpub?topic=t&binary=true", b"a\nb\n", "413 BAD_BODY"),
        (
            "POST /mpub?topic=t&binary=true",
            &batch[..12],
            "413 BAD_MESSAGE",
        ),
        ("POST /mpub?topic=t&binary=true", &large, "413 BAD_MESSAGE"),
    ] {
        server.check(request, body, expected).await;
    }
    assert_eq!(server.topic("t").message_count, 8);
    server.stop().await;
}

#[tokio::test]
async fn bodies_of_unknown_length_have_the_same_limits() {
    let server = start().await;
    for (target, body, expected) in [
        ("/pub?topic=t", "5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n", 200),
        (
            "/pub?topic=t",
            "5\r\nabcde\r\n6\r\nfghijk\r\n0\r\n\r\n",
            413,
        ),
        ("/pub?topic=t", "0\r\n\r\n", 400),
        ("/pub?topic=t", "zz\r\n", 500),
        ("/mpub?topic=t", "2\r\na\n\r\n1\r\nb\r\n0\r\n\r\n", 200),
        (
            "/mpub?topic=t",
            "3d\r\n0123456789\n0123456789\n0123456789\n0123456789\n0123456789\n012345\r\n0\r\n\r\n",
            413,
        ),
        ("/config/log_level", "b\r\n0123456789a\r\n0\r\n\r\n", 413),
    ] {
        let method = if target.starts_with("/config") {
            "PUT"
        } else {
            "POST"
        };
        let request = format!("{method} {target}");
        let headers = "Transfer-Encoding: chunked\r\n";
        let answer = server.ask_with(&request, headers, body.as_bytes()).await;
        assert_eq!(
            answer.status, expected,
            "{target} {body:?}: {}",
            answer.body
        );
    }
    assert_eq!(server.topic("t").message_count, 3);
    server.stop().await;
}

#[tokio::test]
async fn publishing_is_refused_while_the_daemon_stops() {
    let server = start().await;
    server.check("POST /topic/create?topic=t", "", "200 ").await;
    server.node.begin_stop();
    server.node.topic("t").unwrap().exit();
    server.check("POST /pub?topic=t", "a", "503 EXITING").await;
    server
        .check("POST /pub?topic=t&defer=5", "a", "503 EXITING")
        .await;
    server.check("POST /mpub?topic=t", "a", "503 EXITING").await;
    server.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_cannot_publish() {
    let server = start().await;
    let headers = "Origin: http://evil.example\r\nContent-Length: 1\r\n";
    let answer = server.ask_with("POST /pub?topic=t", headers, b"a").await;
    assert_eq!(answer.status, 403);
    assert!(server.node.topic("t").is_none());
    server.stop().await;
}
