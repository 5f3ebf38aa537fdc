//! What becomes of a message between its producer and its channels.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::{Frame, batch, sized, with_body};

#[test]
fn a_message_arrives_as_it_was_sent() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let before = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    nsqd.peer().publish("t", b"\0\xff binary \n and text");
    let message = consumer.message();
    let after = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    assert_eq!(message.body, b"\0\xff binary \n and text");
    assert_eq!(message.attempts, 1);
    assert_eq!(message.id.len(), 16);
    assert!(
        message
            .id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{message:?}"
    );
    let timestamp = u128::try_from(message.timestamp).unwrap();
    assert!(
        (before..=after).contains(&timestamp),
        "{before} <= {timestamp} <= {after}"
    );
}

#[test]
fn order_is_kept_through_one_channel() {
    let nsqd = Nsqd::start(&[]);
    let mut producer = nsqd.peer();
    producer.publish("t", "0");
    producer.publish_many("t", &["1", "2", "3"]);
    producer.publish("t", "4");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(10);
    let bodies: Vec<_> = consumer
        .messages(5)
        .into_iter()
        .map(|m| m.text().to_owned())
        .collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
}

#[test]
fn the_first_channel_gets_the_backlog_and_later_ones_start_at_the_end() {
    let nsqd = Nsqd::start(&[]);
    nsqd.peer().publish_many("t", &["a", "b"]);
    assert_eq!(nsqd.topic("t")["depth"], 2);
    let _first = nsqd.consumer("t", "first");
    nsqd.await_channel("t", "first", "depth", 2);
    assert_eq!(nsqd.topic("t")["depth"], 0);
    let _second = nsqd.consumer("t", "second");
    assert_eq!(nsqd.channel("t", "second")["depth"], 0);
    nsqd.publish("t", "c");
    nsqd.await_channel("t", "first", "depth", 3);
    nsqd.await_channel("t", "second", "depth", 1);
}

#[test]
fn every_channel_gets_every_message() {
    let nsqd = Nsqd::start(&[]);
    let mut consumers: Vec<_> = ["a", "b", "c"]
        .map(|channel| nsqd.consumer("t", channel))
        .into();
    nsqd.peer().publish_many("t", &["1", "2"]);
    for consumer in &mut consumers {
        consumer.ready(2);
        let got = consumer.consume(2);
        assert_eq!((got[0].text(), got[1].text()), ("1", "2"));
    }
}

#[test]
fn a_consumer_may_publish() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.consumer("t", "c");
    peer.publish("t", "to myself");
    peer.ready(1);
    assert_eq!(peer.message().text(), "to myself");
    peer.send("CLS\n");
    assert_eq!(peer.response(), "CLOSE_WAIT");
    peer.publish("t", "while closing");
}

#[test]
fn replies_come_in_the_order_of_the_commands() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    let mut input = Vec::new();
    for round in 0..200 {
        input.extend(with_body("PUB t", format!("{round}")));
        input.extend(with_body("MPUB t", batch(&["x", "y"])));
        input.extend_from_slice(b"NOP\n");
    }
    input.extend_from_slice(b"SUB t c\nFIN 0123456789abcdef\n");
    peer.send(input);
    for _ in 0..401 {
        peer.expect_ok();
    }
    assert!(peer.error().starts_with("E_FIN_FAILED"));
    nsqd.await_channel("t", "c", "depth", 600);
}

#[test]
fn input_may_arrive_in_any_pieces() {
    let nsqd = Nsqd::start(&[]);
    let mut random = tests::random::seeded("input_may_arrive_in_any_pieces");
    let mut input = b"  V2".to_vec();
    for number in 0..300 {
        input.extend(with_body("PUB t", format!("{number}")));
    }
    let mut peer = nsqd.silent_peer();
    let mut rest = &input[..];
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(random.usize(1..=rest.len().min(40)));
        peer.send(piece);
        rest = behind;
    }
    for _ in 0..300 {
        peer.expect_ok();
    }
    assert_eq!(nsqd.topic("t")["message_count"], 300);
}

#[test]
fn a_connection_cut_at_any_byte_stores_all_or_nothing() {
    let nsqd = Nsqd::start(&[]);
    let whole = with_body("MPUB cut", batch(&["first", "second", "third"]));
    for bytes in 0..whole.len() {
        let mut peer = nsqd.peer();
        peer.send(&whole[..bytes]);
        peer.end_sending();
        // Whatever it says, it closes; then the command has been handled.
        while let Ok(frame) = peer.frame_within(wait::PATIENCE) {
            assert!(matches!(frame, Frame::Error(_)), "{frame:?}");
        }
    }
    let stored = nsqd.topic("cut");
    assert!(stored.is_null() || stored["message_count"] == 0, "{stored}");
    nsqd.peer().publish_many("cut", &["a", "b"]);
    assert_eq!(nsqd.topic("cut")["message_count"], 2);
}

#[test]
fn an_mpub_with_one_bad_message_stores_nothing() {
    let nsqd = Nsqd::start(&["--max-msg-size=100"]);
    for bad in [vec![b'x'; 101], vec![]] {
        let mut peer = nsqd.peer();
        peer.send(with_body(
            "MPUB t",
            batch(&[b"good".to_vec(), bad, b"good".to_vec()]),
        ));
        assert!(peer.error().starts_with("E_BAD_MESSAGE MPUB"));
        peer.expect_closed();
    }
    assert_eq!(nsqd.topic("t")["message_count"].as_u64().unwrap_or(0), 0);
}

#[test]
fn the_largest_message_passes_and_one_byte_more_does_not() {
    let nsqd = Nsqd::start(&[]);
    let largest = vec![b'x'; 1024 * 1024];
    let mut peer = nsqd.peer();
    peer.publish("t", &largest);
    peer.subscribe("t", "c");
    peer.ready(1);
    assert_eq!(peer.message().body.len(), largest.len());
    let mut peer = nsqd.peer();
    peer.send(b"PUB t\n");
    peer.send(sized([&largest[..], b"!"].concat()));
    assert_eq!(
        peer.error(),
        "E_BAD_MESSAGE PUB message too big 1048577 > 1048576"
    );
}

#[test]
fn ids_are_unique_across_topics_and_restarts() {
    let mut nsqd = Nsqd::start(&[]);
    let mut ids = HashSet::new();
    for round in 0..2 {
        for topic in ["a", "b", "c"] {
            let bodies = vec!["m"; 3000];
            nsqd.peer().publish_many(topic, &bodies);
            let mut consumer = nsqd.consumer(topic, "c");
            consumer.ready(2500);
            for message in consumer.consume(bodies.len()) {
                assert!(
                    ids.insert(message.id.clone()),
                    "{} twice, round {round}",
                    message.id
                );
            }
            // The answer to a publish proves that the FINs before it have been handled.
            consumer.expect_nothing();
        }
        nsqd.restart();
    }
}

#[test]
fn counters_count_messages_and_bytes() {
    let nsqd = Nsqd::start(&[]);
    let mut producer = nsqd.peer();
    producer.publish("t", "12345");
    producer.publish_many("t", &["1", "22", "333"]);
    producer.publish_deferred("t", 60_000, "late");
    let topic = nsqd.topic("t");
    assert_eq!(topic["message_count"], 5);
    assert_eq!(topic["message_bytes"], 15);
}
