//! Messages are shown as they come, and taken from nobody.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tests::wait;

use super::World;

/// The stream of events of `topic`, after the head of the answer.
fn tail(world: &World, topic: &str) -> BufReader<TcpStream> {
    let body = json!({"topic": topic}).to_string();
    let length = body.len();
    let mut stream = TcpStream::connect(world.admin.http()).expect("nsqadmin listens");
    let timeout = Some(Duration::from_secs(20));
    stream
        .set_read_timeout(timeout)
        .expect("a socket can be set up");
    write!(
        stream,
        "POST /api/tail HTTP/1.1\r\nHost: nsqd\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("it is read");
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(lines.read_line(&mut head).expect("it answers"), 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    lines
}

fn next(lines: &mut BufReader<TcpStream>) -> Value {
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).expect("it goes on"), 0, "ended");
        if let Some(data) = line.trim_end().strip_prefix("data: ") {
            return serde_json::from_str(data).expect("events are JSON");
        }
    }
}

/// How many channels a topic has on the first node.
fn channels(world: &World, topic: &str) -> usize {
    let channels = world.a.topic(topic)["channels"].as_array().map(Vec::len);
    channels.unwrap_or_default()
}

#[test]
fn new_messages_are_seen_and_the_channel_goes_with_who_looks() {
    let world = World::start(&[], &[]);
    for nsqd in [&world.a, &world.b] {
        nsqd.act("/topic/create?topic=orders");
        nsqd.act("/channel/create?topic=orders&channel=archive");
        nsqd.publish("orders", "before");
    }
    world.await_depth("orders", "archive", 2);
    let mut lines = tail(&world, "orders");
    wait::until("the channel is there", || {
        [&world.a, &world.b].iter().all(|nsqd| {
            let channels = nsqd.topic("orders")["channels"].as_array().map(Vec::len);
            channels == Some(2)
        })
    });
    for (nsqd, body) in [(&world.a, "one"), (&world.b, "two")] {
        nsqd.publish("orders", body);
        let seen = next(&mut lines);
        assert_eq!(
            (&seen["size"], &seen["attempts"], &seen["node"]),
            (&json!(3), &json!(1), &json!(nsqd.http().to_string())),
            "{seen}"
        );
    }
    world.await_depth("orders", "archive", 4);
    drop(lines);
    wait::until("the channel has gone", || channels(&world, "orders") == 1);
    let deeds = world.json("/api/audit");
    assert_eq!(deeds["deeds"][0]["action"], "tail_topic", "{deeds}");
}

#[test]
fn what_waits_for_a_first_channel_is_not_taken() {
    let world = World::start(&[], &[]);
    world.a.publish("lonely", "waits");
    wait::until("the topic is known", || {
        world.json("/api/topics")["topics"] == json!(["lonely"])
    });
    let refused = world.post("/api/tail", &json!({"topic": "lonely"}));
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.contains("NO_CHANNEL"), "{}", refused.body);
    assert_eq!(
        (
            channels(&world, "lonely"),
            &world.a.topic("lonely")["depth"]
        ),
        (0, &json!(1))
    );
    for (body, status) in [
        (json!({"topic": "a b"}), 400),
        (json!({"topic": "lonely", "percent": 0}), 400),
        (json!({"topic": "nobody.has.this"}), 404),
    ] {
        let answer = world.post("/api/tail", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
}
