//! What nobody may read: passwords and messages, in logs and answers.

use serde_json::json;
use tests::http;
use tests::nsqadmin::password_line;

use super::World;

const CANARY: &str = "canary-in-a-coal-mine";

#[test]
fn passwords_and_messages_are_nowhere_to_be_read() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let path = folder.path().join("passwords");
    std::fs::write(&path, password_line("joe", "admin", CANARY)).expect("it can be written");
    let flag = format!("--password-file={}", path.display());
    let lookupd_free = [
        "--nsqd-http-address=127.0.0.1:1",
        "--log-level=debug",
        "--allowed-host=nsqd",
        &flag,
    ];
    let admin = tests::nsqadmin::Nsqadmin::start(&lookupd_free);
    let login = json!({"user": "joe", "password": CANARY}).to_string();
    let post = |path: &str, body: &str| http::request(admin.http(), "POST", path, body.as_bytes());
    assert_eq!(post("/api/login", &login).status, 200);
    assert_eq!(
        post("/api/login", &login.replace("joe", CANARY)).status,
        401
    );
    for path in [
        "/config/password_file",
        "/api/me",
        "/metrics",
        "/api/audit",
        "/",
    ] {
        let answer = admin.get(path);
        assert!(
            !answer.body.contains(CANARY) && !answer.body.contains("argon2"),
            "{path}"
        );
    }
    assert!(
        !admin.log().contains(CANARY) && !admin.log().contains("argon2"),
        "{}",
        admin.log()
    );
}

#[test]
fn a_published_message_is_not_logged() {
    let world = World::start(&["--log-level=debug"], &[]);
    let answer = world.post("/api/publish", &json!({"topic": "t", "body": CANARY}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!world.admin.log().contains(CANARY), "{}", world.admin.log());
    assert!(!world.json("/api/audit").to_string().contains(CANARY));
}
