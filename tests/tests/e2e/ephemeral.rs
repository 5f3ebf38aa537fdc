//! Topics and channels whose names end in `#ephemeral`: they live for their consumers and never touch the disk.

use std::fs;

use tests::daemon::Nsqd;
use tests::wait;

#[test]
fn an_ephemeral_channel_goes_with_its_last_consumer() {
    let nsqd = Nsqd::start(&[]);
    let first = nsqd.consumer("t", "c#ephemeral");
    let second = nsqd.consumer("t", "c#ephemeral");
    drop(first);
    nsqd.await_channel("t", "c#ephemeral", "client_count", 1);
    drop(second);
    wait::until("the channel is gone", || {
        nsqd.channel("t", "c#ephemeral").is_null()
    });
    assert!(!nsqd.topic("t").is_null(), "its topic is not ephemeral");
}

#[test]
fn an_ephemeral_topic_goes_with_its_last_channel() {
    let nsqd = Nsqd::start(&[]);
    let consumer = nsqd.consumer("t#ephemeral", "c#ephemeral");
    drop(consumer);
    wait::until("the topic is gone", || nsqd.topic("t#ephemeral").is_null());
}

#[test]
fn a_durable_channel_keeps_an_ephemeral_topic() {
    let nsqd = Nsqd::start(&[]);
    let consumer = nsqd.consumer("t#ephemeral", "c");
    let other = nsqd.consumer("t#ephemeral", "o#ephemeral");
    drop((consumer, other));
    wait::until("the ephemeral channel is gone", || {
        nsqd.channel("t#ephemeral", "o#ephemeral").is_null()
    });
    nsqd.await_channel("t#ephemeral", "c", "client_count", 0);
    nsqd.act("/channel/delete?topic=t%23ephemeral&channel=c");
    wait::until("the topic is gone", || nsqd.topic("t#ephemeral").is_null());
}

#[test]
fn an_ephemeral_topic_without_channels_stays() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t#ephemeral", "m");
    let mut consumer = nsqd.consumer("t#ephemeral", "c#ephemeral");
    consumer.ready(1);
    assert_eq!(consumer.message().text(), "m");
}

#[test]
fn an_ephemeral_channel_made_over_http_waits_for_a_consumer() {
    let nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c%23ephemeral");
    nsqd.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c#ephemeral");
    consumer.ready(1);
    assert_eq!(consumer.consume(1)[0].text(), "m");
}

#[test]
fn overflow_is_dropped_and_publishers_are_told_ok() {
    let nsqd = Nsqd::start(&["--mem-queue-size=10"]);
    let mut consumer = nsqd.consumer("t#ephemeral", "c#ephemeral");
    let mut producer = nsqd.peer();
    for number in 0..5000 {
        producer.publish("t#ephemeral", format!("{number}: {}", "x".repeat(1000)));
    }
    assert_eq!(nsqd.topic("t#ephemeral")["message_count"], 5000);
    consumer.ready(1);
    let message = consumer.consume(1).remove(0);
    assert!(message.body.len() > 1000);
    producer.publish("t#ephemeral", "the newest");
    consumer.ready(2500);
    let newest =
        (0..5001).find_map(|_| (consumer.consume(1)[0].body == b"the newest").then_some(()));
    assert!(
        newest.is_some(),
        "an ephemeral channel loses its oldest messages, not its newest"
    );
}

#[test]
fn nothing_ephemeral_survives_a_restart_or_touches_the_disk() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    let body = "ephemeral-canary".repeat(100);
    let _consumer = nsqd.consumer("t", "c#ephemeral");
    let _other = nsqd.consumer("e#ephemeral", "c");
    for _ in 0..100 {
        nsqd.publish("e#ephemeral", &body);
    }
    assert!(nsqd.terminate().success());
    for entry in walk(nsqd.data_path()) {
        let bytes = fs::read(&entry).unwrap();
        let found = bytes
            .windows(16)
            .any(|window| window == b"ephemeral-canary");
        assert!(!found, "{} holds an ephemeral message", entry.display());
    }
    nsqd.restart();
    assert!(nsqd.topic("e#ephemeral").is_null());
    assert!(nsqd.channel("t", "c#ephemeral").is_null());
    assert!(!nsqd.topic("t").is_null());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
