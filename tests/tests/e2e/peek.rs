//! Looking at messages that wait, without taking them.

use serde_json::Value;
use tests::daemon::Nsqd;

fn peek(nsqd: &Nsqd, arguments: &str) -> Vec<Value> {
    let answer = nsqd.get(&format!("/channel/peek?topic=t&channel=c{arguments}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["messages"].as_array().unwrap().clone()
}

fn bodies(nsqd: &Nsqd, arguments: &str) -> Vec<String> {
    let messages = peek(nsqd, arguments);
    messages
        .iter()
        .map(|message| message["body"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn messages_are_shown_and_stay() {
    let nsqd = Nsqd::start(&["--enable-peek"]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    for body in ["foo", "foob", "fooba", "foobar"] {
        nsqd.publish("t", body);
    }
    assert_eq!(
        bodies(&nsqd, ""),
        ["Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
    );
    assert_eq!(bodies(&nsqd, "&n=2&offset=1"), ["Zm9vYg==", "Zm9vYmE="]);
    assert!(bodies(&nsqd, "&offset=18446744073709551615").is_empty());
    assert!(bodies(&nsqd, "&n=0").is_empty());
    let cut = &peek(&nsqd, "&n=1&offset=3&max_bytes=3")[0];
    assert_eq!(
        (cut["body"].as_str(), cut["size"].as_u64()),
        (Some("Zm9v"), Some(6))
    );
    assert_eq!(cut["body_truncated"], true);
    assert_eq!(nsqd.channel("t", "c")["depth"], 4);

    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2);
    let taken = consumer.messages(2);
    let held = peek(&nsqd, "&state=in_flight");
    let ids: Vec<_> = held
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [&taken[0].id, &taken[1].id]);
    assert_eq!(held[0]["timestamp"], taken[0].timestamp);
    assert_eq!(held[0]["attempts"], 1);
    consumer.ready(0);
    consumer.requeue(&taken[0], 60_000);
    nsqd.await_channel("t", "c", "deferred_count", 1);
    let deferred = peek(&nsqd, "&state=deferred");
    assert_eq!(deferred[0]["id"], taken[0].id.as_str());
    let wait = deferred[0]["due"].as_i64().unwrap() - taken[0].timestamp;
    assert!((59_000_000_000..120_000_000_000).contains(&wait), "{wait}");
    // What comes back goes before what nobody has seen.
    drop(consumer);
    nsqd.await_channel("t", "c", "in_flight_count", 0);
    let queued = peek(&nsqd, "");
    let told: Vec<_> = queued.iter().map(|message| &message["attempts"]).collect();
    assert_eq!(told, [1, 0, 0]);
    assert_eq!(queued[0]["id"], taken[1].id.as_str());
    assert_eq!(bodies(&nsqd, "&offset=2"), ["Zm9vYmFy"]);
}

#[test]
fn messages_on_disk_are_shown_within_bounds() {
    let mut nsqd = Nsqd::start(&["--enable-peek", "--mem-queue-size=0"]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let mut producer = nsqd.peer();
    for size in 1..=150 {
        producer.publish("t", vec![b'x'; size * 300]);
    }
    nsqd.restart();
    let shown = peek(&nsqd, "&n=100&offset=1&max_bytes=1");
    assert_eq!(shown.len(), 100);
    assert_eq!(shown[99]["size"], 101 * 300);
    let large = peek(&nsqd, "&n=100&offset=50&max_bytes=1048576");
    assert!(
        (30..70).contains(&large.len()),
        "a MiB of bodies: {}",
        large.len()
    );
    assert_eq!(nsqd.channel("t", "c")["depth"], 150);
}

#[test]
fn wrong_questions_are_refused() {
    let nsqd = Nsqd::start(&["--enable-peek"]);
    assert_eq!(nsqd.get("/info").json()["peek"], true);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let wrong = [
        ("", 400, "MISSING_ARG_TOPIC"),
        ("topic=t", 400, "MISSING_ARG_CHANNEL"),
        ("topic=t&channel=a%20b", 400, "INVALID_ARG_CHANNEL"),
        ("topic=u&channel=c", 404, "TOPIC_NOT_FOUND"),
        ("topic=t&channel=d", 404, "CHANNEL_NOT_FOUND"),
        ("topic=t&channel=c&n=101", 400, "INVALID_N"),
        ("topic=t&channel=c&offset=-1", 400, "INVALID_OFFSET"),
        ("topic=t&channel=c&state=lost", 400, "INVALID_STATE"),
        (
            "topic=t&channel=c&max_bytes=1048577",
            400,
            "INVALID_MAX_BYTES",
        ),
    ];
    for (query, status, message) in wrong {
        let answer = nsqd.get(&format!("/channel/peek?{query}"));
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.json()["message"], message, "{query}");
    }
}

#[test]
fn nothing_is_shown_unless_it_is_allowed() {
    let nsqd = Nsqd::start(&[]);
    assert_eq!(nsqd.get("/info").json().get("peek"), None);
    assert_eq!(nsqd.get("/channel/peek?topic=t&channel=c").status, 404);
}
