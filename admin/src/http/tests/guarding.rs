//! What is kept from whom: actions, settings, addresses, browsers.

use serde_json::json;

use super::World;
use crate::testing::{request, request_with};

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
    assert_eq!(act(&open, "Origin: http://127.0.0.1\r\n").await, 403);
    let proof = "Origin: http://127.0.0.1\r\nX-Requested-With: nsqadmin\r\n";
    assert_eq!(act(&open, proof).await, 200);
}

#[tokio::test]
async fn every_answer_keeps_browsers_from_mischief() {
    let world = World::start(&[]).await;
    for line in [
        "GET /",
        "GET /static/style.css",
        "GET /ping",
        "GET /nope",
        "GET /topics/",
        "PUT /",
        "OPTIONS /api/topics",
        "GET /api/topics",
        "GET /topics/nope",
        "GET /api/live",
        "GET /metrics",
        "GET /static/nope.css",
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
async fn settings_are_told_and_two_of_them_change_for_those_who_may() {
    let world = World::start(&[]).await;
    assert_eq!(world.get("/config/log_level").await.body, "5");
    let put = async |world: &World, body: &str| {
        let answer = request(&world.admin, "PUT", "/config/log_level", body).await;
        (answer.status, answer.body)
    };
    assert_eq!(put(&world, "error").await, (200, "4".to_owned()));
    assert_eq!(put(&world, "loud").await.0, 400);
    assert_eq!(put(&world, "").await.0, 413);
    for (option, value) in [
        ("base_path", "/"),
        ("http_client_connect_timeout", "2000000000"),
        ("admin_users", "[]"),
        ("statsd_prefix", "nsq.%s"),
    ] {
        assert_eq!(
            world.get(&format!("/config/{option}")).await.body,
            value,
            "{option}"
        );
    }
    world
        .check("GET /config/nope", "", 400, "INVALID_OPTION")
        .await;
    world
        .check("PUT /config/base_path", "x", 400, "INVALID_OPTION")
        .await;
    world
        .check(
            "PUT /config/nsqlookupd_http_addresses",
            "[\"x\"]",
            400,
            "INVALID_VALUE",
        )
        .await;
    let put_lookupds = request(
        &world.admin,
        "PUT",
        "/config/nsqlookupd_http_addresses",
        "[]",
    )
    .await;
    assert_eq!(
        (put_lookupds.status, put_lookupds.body.as_str()),
        (200, "[]")
    );
    world
        .check(
            "GET /api/topics",
            "",
            502,
            "UPSTREAM_ERROR: failed to query any nsqlookupd: ",
        )
        .await;
    let closed = World::start(&["--allow-config-from-cidr=10.0.0.0/8"]).await;
    assert_eq!(put(&closed, "error").await.0, 403);
    assert_eq!(closed.get("/config/log_level").await.status, 403);
}
