//! Logging in: who may see, publish, act; what a cookie is like; how often one may guess.

use serde_json::{Value, json};

use super::World;
use crate::session::hash_password;
use crate::testing::{Answer, request, request_with};

/// A world with a password file of one user for each role, whose passwords are their names.
pub(super) async fn world(flags: &[&str]) -> (World, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines =
        ["read-only", "publisher", "admin"].map(|role| hash_password(role, role, role).unwrap());
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let flag = format!("--password-file={}", file.path().display());
    let flags: Vec<&str> = flags.iter().copied().chain([flag.as_str()]).collect();
    (World::start(&flags).await, file)
}

async fn login(world: &World, user: &str, password: &str) -> Answer {
    let body = json!({"user": user, "password": password}).to_string();
    request(&world.admin, "POST", "/api/login", &body).await
}

/// The cookie of somebody who has logged in, as browsers send it back.
pub(super) async fn cookie(world: &World, user: &str) -> String {
    let answer = login(world, user, user).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let line = answer
        .head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("set-cookie: "));
    let (_, value) = line.unwrap().split_once(": ").unwrap();
    assert!(
        value.contains("HttpOnly; SameSite=Strict") && value.contains("Path=/;"),
        "{value}"
    );
    value.split(';').next().unwrap().to_owned()
}

async fn ask(world: &World, line: &str, cookie: &str, body: &str) -> (u16, Value) {
    let (method, path) = line.split_once(' ').unwrap();
    let lines = format!("Host: 127.0.0.1\r\nX-Requested-With: nsqadmin\r\nCookie: {cookie}\r\n");
    let answer = request_with(&world.admin, method, path, &lines, body).await;
    (
        answer.status,
        serde_json::from_str(&answer.body).unwrap_or_default(),
    )
}

#[tokio::test]
async fn each_role_may_what_it_may() {
    let (world, _file) = world(&[]).await;
    world.a.says("/pub", "OK");
    world.b.says("/pub", "OK");
    for node in [&world.a, &world.b] {
        node.says(
            "/channel/peek",
            r#"{"messages":[{"id":"x","size":2,"body":"aGk="}]}"#,
        );
    }
    let publish = json!({"topic": "t", "body": "hi"}).to_string();
    let pause = json!({"action": "pause"}).to_string();
    let asks = [
        ("GET /api/topics", ""),
        ("GET /api/peek?topic=t&channel=c", ""),
        ("POST /api/publish", publish.as_str()),
        ("POST /api/topics/t", pause.as_str()),
        ("GET /api/audit", ""),
    ];
    for (user, statuses) in [
        ("", [401, 401, 401, 401, 401]),
        ("read-only", [200, 403, 403, 403, 403]),
        ("publisher", [200, 200, 200, 403, 403]),
        ("admin", [200, 200, 200, 200, 200]),
    ] {
        let cookie = if user.is_empty() {
            String::new()
        } else {
            cookie(&world, user).await
        };
        let mut seen = Vec::new();
        for (line, body) in asks {
            seen.push(ask(&world, line, &cookie, body).await.0);
        }
        assert_eq!(seen, statuses, "{user}");
    }
    for open in [
        "/ping",
        "/static/style.css",
        "/metrics",
        "/api/me",
        "/login",
    ] {
        assert_eq!(world.get(open).await.status, 200, "{open}");
    }
    let page = world.get("/").await;
    assert!(
        page.status == 303 && page.head.contains("/login"),
        "{}",
        page.head
    );

    let cookie = cookie(&world, "admin").await;
    let (_, deeds) = ask(&world, "GET /api/audit?n=3", &cookie, "").await;
    let deed = &deeds["deeds"][1];
    assert_eq!(
        (&deed["action"], &deed["user"]),
        (&json!("pause_topic"), &json!("admin"))
    );
    assert_eq!(deed["nodes"].as_array().unwrap().len(), 2, "{deeds}");
    let (_, me) = ask(&world, "GET /api/me", &cookie, "").await;
    assert_eq!(
        (&me["user"], &me["role"], &me["may_act"]),
        (&json!("admin"), &json!("admin"), &json!(true))
    );
    assert_eq!(ask(&world, "POST /api/logout", &cookie, "").await.0, 200);
    assert_eq!(ask(&world, "GET /api/topics", &cookie, "").await.0, 401);
}

#[tokio::test]
async fn a_session_without_proof_and_a_forged_token_change_nothing() {
    let (world, _file) = world(&[]).await;
    let cookie = cookie(&world, "admin").await;
    let lines = format!("Host: 127.0.0.1\r\nCookie: {cookie}\r\n");
    let pause = r#"{"action":"pause"}"#;
    let answer = request_with(&world.admin, "POST", "/api/topics/t", &lines, pause).await;
    assert!(
        answer.status == 403 && answer.body.contains("NO_PROOF"),
        "{}",
        answer.body
    );
    let forged = format!("{}0", &cookie[..cookie.len() - 1]);
    let forged = if forged == cookie {
        cookie.replace('0', "1")
    } else {
        forged
    };
    for token in [forged.as_str(), "nsqadmin_session=", "nsqadmin_session"] {
        assert_eq!(
            ask(&world, "POST /api/topics/t", token, pause).await.0,
            401,
            "{token}"
        );
    }
    assert!(
        world
            .a
            .asked()
            .iter()
            .all(|asked| !asked.starts_with("POST"))
    );
}

#[tokio::test]
async fn guessing_ends_soon_and_is_never_written_down() {
    let (world, _file) = world(&[]).await;
    for _ in 0..5 {
        assert_eq!(login(&world, "admin", "canary").await.status, 401);
    }
    let answer = login(&world, "admin", "admin").await;
    assert!(
        answer.status == 429 && answer.body.contains("TOO_MANY"),
        "{}",
        answer.body
    );
    world
        .check("POST /api/login", "{}", 400, "INVALID_BODY")
        .await;
}

#[tokio::test]
async fn behind_a_proxy_that_speaks_tls_cookies_are_secure() {
    let (world, _file) = world(&["--trusted-proxy=127.0.0.0/8"]).await;
    let body = json!({"user": "admin", "password": "admin"}).to_string();
    let lines = "Host: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n";
    let answer = request_with(&world.admin, "POST", "/api/login", lines, &body).await;
    assert!(answer.head.contains("; Secure"), "{}", answer.head);
    // Whom the proxy vouches for needs no password, and is an admin only if listed.
    let lines = "Host: 127.0.0.1\r\nX-Forwarded-User: joe\r\n";
    let me = request_with(&world.admin, "GET", "/api/me", lines, "")
        .await
        .json();
    assert_eq!(
        (&me["known_by"], &me["role"]),
        (&json!("proxy"), &json!("read-only"))
    );
}

#[tokio::test]
async fn without_a_password_file_there_is_no_login() {
    let world = World::start(&[]).await;
    world
        .check(
            "POST /api/login",
            r#"{"user":"a","password":"b"}"#,
            404,
            "NO_LOGIN",
        )
        .await;
    let me = world.json("/api/me").await;
    assert_eq!(
        (&me["role"], &me["has_login"]),
        (&json!("admin"), &json!(false))
    );
}
