//! AUTH: who may do what, by an authorization server that a test scripts.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use tests::authd::{Authd, Reply};
use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::{Frame, Peer, batch, with_body};

/// A secret that must be nowhere but in a question.
const CANARY: &str = "canary-7e3f";

fn start(authd: &Authd, flags: &[&str]) -> Nsqd {
    let auth = authd.flag();
    let flags: Vec<&str> = flags.iter().copied().chain([auth.as_str()]).collect();
    Nsqd::start(&flags)
}

fn auth(peer: &mut Peer, secret: &str) {
    peer.send(with_body("AUTH", secret));
}

/// A connection that has said AUTH.
#[track_caller]
fn authorized(nsqd: &Nsqd) -> Peer {
    let mut peer = nsqd.peer();
    auth(&mut peer, "s");
    peer.response();
    peer
}

/// The commands that need a permission, each with its name.
fn guarded(topic: &str, channel: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("SUB", format!("SUB {topic} {channel}\n").into_bytes()),
        ("PUB", with_body(&format!("PUB {topic}"), "m")),
        ("MPUB", with_body(&format!("MPUB {topic}"), batch(&["m"]))),
        ("DPUB", with_body(&format!("DPUB {topic} 1"), "m")),
    ]
}

#[test]
fn nothing_is_done_before_auth() {
    let authd = Authd::start(Reply::all());
    let nsqd = start(&authd, &[]);
    let identified = nsqd.peer().identify(&json!({"feature_negotiation": true}));
    assert_eq!(identified["auth_required"], true);
    for (command, bytes) in guarded("t", "c") {
        let mut peer = nsqd.peer();
        peer.send(bytes);
        assert_eq!(
            peer.error(),
            format!("E_AUTH_FIRST AUTH required before {command}")
        );
        peer.expect_closed();
    }
    assert!(nsqd.topic("t").is_null() && authd.requests().is_empty());
}

#[test]
fn question_and_answer_byte_for_byte() {
    let authd = Authd::start(Reply::all());
    let nsqd = start(&authd, &[]);
    let mut peer = nsqd.peer();
    auth(&mut peer, "sec&ret");
    assert_eq!(
        peer.response(),
        r#"{"identity":"joe","identity_url":"http://x","permission_count":1}"#
    );
    let request = authd.requests().remove(0);
    let query = "/auth?common_name=&remote_ip=127.0.0.1&secret=sec%26ret&tls=false";
    assert!(
        request.starts_with(&format!("GET {query} HTTP/1.1\r\n")),
        "{request}"
    );
    let accept = "accept: application/vnd.nsq; version=1.0\r\n";
    assert!(request.to_lowercase().contains(accept), "{request}");

    auth(&mut peer, "again");
    assert_eq!(peer.error(), "E_INVALID AUTH already set");
}

#[test]
fn a_post_has_the_question_in_its_body() {
    let authd = Authd::start(Reply::all());
    let url = format!("--auth-http-address=http://{}/who?x=1", authd.address());
    let nsqd = Nsqd::start(&[&url, "--auth-http-request-method=post"]);
    authorized(&nsqd);
    let request = authd.requests().remove(0);
    assert!(
        request.starts_with("POST /who?x=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request
            .to_lowercase()
            .contains("content-type: application/json\r\n"),
        "{request}"
    );
    let body = r#"{"common_name":[""],"remote_ip":["127.0.0.1"],"secret":["s"],"tls":["false"]}"#;
    assert!(request.ends_with(body), "{request}");
}

#[test]
fn each_command_needs_its_permission() {
    let lines = r#"{"topic":"^in$","channels":[".*"],"permissions":["publish"]},
        {"topic":"^out$","channels":["^c$"],"permissions":["subscribe"]}"#;
    let authd = Authd::start(Reply::grant(3600, lines));
    let nsqd = start(&authd, &[]);
    for (topic, channel, subscribes, publishes) in [
        ("in", "c", false, true),
        ("out", "c", true, false),
        ("out", "d", false, false),
        ("other", "c", false, false),
    ] {
        for (command, bytes) in guarded(topic, channel) {
            let (allowed, shown) = match command {
                "SUB" => (subscribes, channel),
                _ => (publishes, ""),
            };
            let mut peer = authorized(&nsqd);
            peer.send(bytes);
            if allowed {
                peer.expect_ok();
                continue;
            }
            let expected =
                format!(r#"E_UNAUTHORIZED AUTH failed for {command} on "{topic}" "{shown}""#);
            assert_eq!(peer.error(), expected);
            peer.expect_closed();
        }
    }
    assert!(nsqd.topic("other").is_null());
}

#[test]
fn patterns_are_searched_for_unless_they_are_to_be_anchored() {
    let line = r#"{"topic":"test","channels":[".*"],"permissions":["publish"]}"#;
    let authd = Authd::start(Reply::grant(3600, line));
    let as_the_reference = start(&authd, &[]);
    authorized(&as_the_reference).publish("mytest2", "m");
    authorized(&as_the_reference).publish("test", "m");
    let told = as_the_reference.log();
    assert_eq!(told.matches("--auth-anchor-patterns").count(), 1, "{told}");

    let anchored = start(&authd, &["--auth-anchor-patterns"]);
    authorized(&anchored).publish("test", "m");
    let mut peer = authorized(&anchored);
    peer.send(with_body("PUB mytest2", "m"));
    assert!(peer.error().starts_with("E_UNAUTHORIZED "));
    assert!(!anchored.log().contains("--auth-anchor-patterns"));
}

#[test]
fn a_doubt_grants_nothing_and_the_log_says_why() {
    let authd = Authd::start(Reply::all());
    let nsqd = start(
        &authd,
        &["--http-client-request-timeout=300ms", "--log-level=debug"],
    );
    let answer = |body: &str| Reply::Answer(200, body.to_owned());
    let line = |line: &str| Reply::grant(1, line);
    let endless = vec![b' '; 3 << 20];
    for (reply, reason) in [
        (Reply::Answer(403, CANARY.to_owned()), "status 403"),
        (
            Reply::Answer(500, format!(r#"{{"message":"{CANARY}"}}"#)),
            "status 500",
        ),
        (Reply::Answer(302, String::new()), "status 302"),
        (answer(CANARY), "not understood"),
        (
            answer(&format!(r#"{{"ttl":"{CANARY}"}}"#)),
            "not understood",
        ),
        (answer("{}"), "ttl must be above 0"),
        (Reply::grant(-5, ""), "not -5"),
        (
            line(r#"{"permissions":["own"]}"#),
            "permissions are subscribe and publish",
        ),
        (line(r#"{"topic":"("}"#), "can't be used"),
        (line(r#"{"channels":["a{1000}{1000}"]}"#), "can't be used"),
        (
            Reply::Answer(200, " ".repeat(2 << 20)),
            "more than 1048576 bytes",
        ),
        (
            Reply::Bytes(b"SSH-2.0-x\r\n".to_vec()),
            "not an HTTP answer",
        ),
        (
            Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()),
            "broken off",
        ),
        (Reply::Bytes(Vec::new()), "not an HTTP answer"),
        (Reply::Bytes(endless), "not an HTTP answer"),
        (Reply::Never, "no answer within 300ms"),
    ] {
        authd.set(reply.clone());
        let lines_before = nsqd.log().lines().count();
        let mut peer = nsqd.peer();
        auth(&mut peer, CANARY);
        assert_eq!(peer.error(), "E_AUTH_FAILED AUTH failed", "{reply:.80?}");
        peer.expect_closed();
        wait::until(reason, || {
            let log = nsqd.log();
            log.lines().skip(lines_before).any(|line| {
                line.contains("authorization server grants nothing") && line.contains(reason)
            })
        });
    }
    authd.set(Reply::grant(60, ""));
    let mut peer = nsqd.peer();
    auth(&mut peer, CANARY);
    assert_eq!(peer.error(), "E_UNAUTHORIZED AUTH no authorizations found");
    assert!(!nsqd.log().contains(CANARY), "{}", nsqd.log());
}

#[test]
fn another_server_is_asked_when_one_fails() {
    let (good, bad) = (
        Authd::start(Reply::all()),
        Authd::start(Reply::Answer(500, String::new())),
    );
    let nobody = "--auth-http-address=127.0.0.1:1";
    let nsqd = Nsqd::start(&[&bad.flag(), nobody, &good.flag()]);
    for number in 0..20 {
        let mut peer = nsqd.peer();
        auth(&mut peer, &number.to_string());
        peer.response();
    }
    assert_eq!(good.requests().len(), 20);
    // The first one is asked by chance: never with a probability of (2/3)^20, 0.03 %.
    let asked = bad.requests().len();
    assert!((1..20).contains(&asked), "{asked}");
}

#[test]
fn who_waits_for_the_server_gets_heartbeats_and_others_do_not_wait() {
    let authd = Authd::start(Reply::Never);
    let nsqd = start(&authd, &["--http-client-request-timeout=3s"]);
    let mut waiting = nsqd.peer();
    waiting.identify(&json!({"feature_negotiation": true, "heartbeat_interval": 1000}));
    auth(&mut waiting, "slow");
    wait::until("the server is asked", || !authd.requests().is_empty());
    authd.set(Reply::all());

    let mut other = authorized(&nsqd);
    other.publish("t", "m");
    let mut heartbeats = 0;
    loop {
        match waiting.frame() {
            Frame::Response(text) if text == "_heartbeat_" => heartbeats += 1,
            Frame::Error(text) => break assert_eq!(text, "E_AUTH_FAILED AUTH failed"),
            frame => panic!("{frame:?}"),
        }
    }
    assert!((2..=3).contains(&heartbeats), "{heartbeats}");
}

#[test]
fn who_asks_the_same_at_the_same_time_shares_the_answer() {
    let Reply::Answer(status, body) = Reply::all() else {
        unreachable!("a grant is an answer")
    };
    let authd = Authd::start(Reply::Late(Duration::from_secs(1), status, body));
    let nsqd = start(&authd, &[]);
    let mut peers: Vec<Peer> = (0..20).map(|_| nsqd.peer()).collect();
    for peer in &mut peers {
        auth(peer, "same");
    }
    for peer in &mut peers {
        peer.response();
    }
    let asked = authd.requests().len();
    assert!(asked < 5, "asked {asked} times");
}

#[test]
fn a_grant_is_renewed_and_ends_when_it_is_not() {
    let all = r#"{"topic":".*","channels":[".*"],"permissions":["publish"]}"#;
    let authd = Authd::start(Reply::grant(1, all));
    let nsqd = start(&authd, &[]);
    let mut peer = authorized(&nsqd);
    wait::until("it was renewed twice", || {
        peer.publish("t", "m");
        authd.requests().len() >= 3
    });
    authd.set(Reply::Answer(403, String::new()));
    let ended = wait::some("it has ended", || {
        peer.send(with_body("PUB t", "m"));
        match peer.frame() {
            Frame::Error(text) => Some(text),
            _ => None,
        }
    });
    assert_eq!(ended, "E_AUTH_FAILED AUTH failed");
    peer.expect_closed();
}

#[test]
fn a_consumer_goes_when_it_is_denied_but_not_when_nobody_can_be_asked() {
    let all = r#"{"topic":".*","channels":[".*"],"permissions":["subscribe","publish"]}"#;
    let authd = Authd::start(Reply::grant(1, all));
    let nsqd = start(&authd, &[]);
    let mut consumer = authorized(&nsqd);
    consumer.subscribe("t", "c");
    consumer.ready(1);
    wait::until("the server was asked again", || authd.requests().len() >= 2);
    authd.set(Reply::grant(
        1,
        r#"{"topic":"^u$","channels":[".*"],"permissions":["subscribe"]}"#,
    ));
    assert_eq!(
        consumer.error(),
        r#"E_UNAUTHORIZED AUTH failed for SUB on "t" "c""#
    );
    consumer.expect_closed();

    authd.set(Reply::grant(1, all));
    let mut consumer = authorized(&nsqd);
    consumer.subscribe("t", "c");
    consumer.ready(1);
    authd.set(Reply::Answer(500, String::new()));
    wait::until("the server has failed", || {
        nsqd.log().contains("status 500")
    });
    nsqd.publish("t", "still there");
    assert_eq!(consumer.message().text(), "still there");
}

#[test]
fn statistics_tell_who_a_client_is() {
    let authd = Authd::start(Reply::all());
    let nsqd = start(&authd, &[]);
    let mut producer = authorized(&nsqd);
    producer.publish("t", "m");
    let client = &nsqd.stats()["producers"][0];
    assert_eq!(client["authed"], true);
    assert_eq!(
        (&client["auth_identity"], &client["auth_identity_url"]),
        (&json!("joe"), &json!("http://x"))
    );
}

/// Secrets are in questions only: not in a log at any level, nor in any answer of nsqd.
#[test]
fn a_secret_is_told_to_nobody_else() {
    let authd = Authd::start(Reply::all());
    let nowhere = "--auth-http-address=127.0.0.1:1";
    let mut nsqd = start(&authd, &["--log-level=debug", nowhere]);
    let mut told = String::new();
    for reply in [
        Reply::all(),
        Reply::grant(1, ""),
        Reply::Answer(403, CANARY.to_owned()),
        Reply::Answer(200, format!(r#"{{"ttl":"{CANARY}"}}"#)),
        Reply::Bytes(CANARY.as_bytes().to_vec()),
    ] {
        authd.set(reply);
        let mut peer = nsqd.peer();
        auth(&mut peer, CANARY);
        write!(told, "{:?}", peer.frame()).unwrap();
        // The same again, as an error, and as a body of the wrong size.
        auth(&mut peer, CANARY);
        peer.send(with_body("AUTH extra", CANARY));
    }
    let mut producer = nsqd.peer();
    authd.set(Reply::all());
    auth(&mut producer, CANARY);
    producer.response();
    producer.publish("t", "m");
    for path in [
        "/stats",
        "/stats?format=json",
        "/metrics",
        "/debug/vars",
        "/config/auth_http_addresses",
    ] {
        told.push_str(&nsqd.get(path).body);
    }
    assert!(nsqd.terminate().success());
    assert!(
        authd
            .requests()
            .iter()
            .any(|request| request.contains(CANARY))
    );
    assert!(!told.contains(CANARY), "{told}");
    assert!(!nsqd.log().contains(CANARY), "{}", nsqd.log());
}
