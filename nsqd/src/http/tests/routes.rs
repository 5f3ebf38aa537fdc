//! The small routes, and requests that no route takes.

use super::*;

#[tokio::test]
async fn config() {
    let server = start().await;
    for (request, body, expected) in [
        ("GET /config/max_msg_size", "", "200 10"),
        ("GET /config/max_req_timeout", "", "200 60000000000"),
        ("GET /config/broadcast_address", "", "200 b.example"),
        ("GET /config/nsqlookupd_tcp_addresses", "", "200 []"),
        ("GET /config/snappy", "", "200 true"),
        ("GET /config/nothing", "", "400 INVALID_OPTION"),
        ("GET /config/config", "", "400 INVALID_OPTION"),
        ("PUT /config/log_level", "", "413 INVALID_VALUE"),
        ("PUT /config/nothing", "0123456789a", "413 INVALID_VALUE"),
        ("PUT /config/log_level", "warn\n", "400 INVALID_VALUE"),
        ("PUT /config/log_level", "\u{fc}", "400 INVALID_VALUE"),
        ("PUT /config/log_level", "ERROR", "200 4"),
        ("GET /config/log_level", "", "200 4"),
        ("PUT /config/log_level", "fatal", "200 5"),
        ("PUT /config/max_msg_size", "1", "400 INVALID_OPTION"),
        ("PUT /config/nothing", "1", "400 INVALID_OPTION"),
        ("PUT /config/nsqlookupd_tcp_addresses", "[]", "200 []"),
        ("PUT /config/nsqlookupd_tcp_addresses", "null", "200 null"),
        (
            "PUT /config/nsqlookupd_tcp_addresses",
            "[\"a\"]",
            "400 INVALID_VALUE",
        ),
        (
            "PUT /config/nsqlookupd_tcp_addresses",
            "[1]",
            "400 INVALID_VALUE",
        ),
        (
            "PUT /config/nsqlookupd_tcp_addresses",
            "a",
            "400 INVALID_VALUE",
        ),
    ] {
        server.check(request, body, expected).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn ping_is_plain_text() {
    let server = start().await;
    let answer = server.ask("GET /ping", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    assert!(
        answer
            .head
            .contains("content-type: text/plain; charset=utf-8"),
        "{}",
        answer.head
    );
    assert!(
        !answer.head.contains("x-nsq-content-type"),
        "{}",
        answer.head
    );
    server.stop().await;
}

#[tokio::test]
async fn info_has_the_keys_of_the_reference_in_its_order() {
    let server = start().await;
    let options = server.node.options();
    let expected = format!(
        concat!(
            r#"{{"version":"1.3.0","broadcast_address":"b.example","hostname":"{}","http_port":{},"tcp_port":-1,"#,
            r#""start_time":{},"max_heartbeat_interval":60000000000,"max_output_buffer_size":65536,"#,
            r#""max_output_buffer_timeout":30000000000,"max_deflate_level":6,"topology_zone":"","topology_region":""}}"#,
        ),
        options.hostname,
        server.http_port,
        server.node.started_at()
    );
    assert_eq!(server.get("/info").await, expected);
    server.stop().await;
}

#[tokio::test]
async fn other_methods_and_paths() {
    let server = start().await;
    for (request, expected) in [
        ("GET /pub?topic=t", "405 METHOD_NOT_ALLOWED"),
        ("PUT /pub?topic=t", "405 METHOD_NOT_ALLOWED"),
        ("POST /stats", "405 METHOD_NOT_ALLOWED"),
        ("GET /topic/create?topic=t", "405 METHOD_NOT_ALLOWED"),
        ("POST /config/log_level", "405 METHOD_NOT_ALLOWED"),
        ("GET /nothing", "404 NOT_FOUND"),
        ("GET /config", "404 NOT_FOUND"),
        ("POST /topic", "404 NOT_FOUND"),
    ] {
        server.check(request, "", expected).await;
    }
    for (request, status, header) in [
        ("OPTIONS /pub", 200, "allow: options, post\r\n"),
        (
            "OPTIONS /config/log_level",
            200,
            "allow: get, options, put\r\n",
        ),
        ("HEAD /ping", 405, "allow: get, options\r\n"),
        (
            "GET /Stats/?format=json",
            301,
            "location: /stats?format=json\r\n",
        ),
        ("POST /PUB/?topic=t", 307, "location: /pub?topic=t\r\n"),
    ] {
        let answer = server.ask(request, "").await;
        assert_eq!(answer.status, status, "{request}");
        assert!(answer.head.contains(header), "{request}: {}", answer.head);
    }
    server.stop().await;
}
