//! A clean stop and a start lose nothing, at any level of durability.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::{Message, Peer};

#[test]
fn waiting_in_flight_and_finished_messages_are_where_they_were() {
    let mut nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    let _idle = nsqd.consumer("t", "idle");
    nsqd.peer().publish_many("t", &["a", "b", "c", "d", "e"]);
    consumer.ready(1);
    let first = consumer.message();
    consumer.requeue(&first, 0);
    consumer.ready(3);
    let held = consumer.messages(3);
    consumer.ready(0);
    consumer.finish(&held[1]);
    nsqd.await_channel("t", "c", "in_flight_count", 2);
    nsqd.restart();
    assert_eq!(nsqd.channel("t", "c")["depth"], 4);
    assert_eq!(nsqd.channel("t", "c")["in_flight_count"], 0);
    assert_eq!(nsqd.channel("t", "idle")["depth"], 5);

    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(10);
    let mut left: Vec<(String, u16)> = consumer.consume(4).iter().map(seen).collect();
    left.sort();
    // "b" and "d" were in flight, "a" had been requeued, nobody had seen "e" yet.
    let expected = [("a", 2), ("b", 2), ("d", 2), ("e", 1)];
    assert_eq!(
        left,
        expected.map(|(body, attempts)| (body.to_owned(), attempts))
    );
    consumer.expect_nothing();
}

fn seen(message: &Message) -> (String, u16) {
    (message.text().to_owned(), message.attempts)
}

#[test]
fn messages_keep_id_and_timestamp() {
    let mut nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let before = consumer.message();
    nsqd.restart();
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let after = consumer.message();
    assert_eq!(
        after,
        Message {
            attempts: 2,
            ..before
        }
    );
}

#[test]
fn a_finished_message_never_comes_back() {
    let mut nsqd = Nsqd::start(&[]);
    nsqd.peer().publish_many("t", &vec!["m"; 1000]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1000);
    let held = consumer.messages(1000);
    // Every second one, so that what is finished is no single run.
    let (odd, even): (Vec<_>, Vec<_>) = held.into_iter().enumerate().partition(|(i, _)| i % 2 == 1);
    let finished: Vec<_> = odd.into_iter().map(|(_, message)| message).collect();
    consumer.finish_all(&finished);
    nsqd.await_channel("t", "c", "in_flight_count", 500);
    nsqd.restart();
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2500);
    let left: BTreeSet<_> = consumer
        .consume(500)
        .into_iter()
        .map(|message| message.id)
        .collect();
    assert_eq!(
        left,
        even.into_iter().map(|(_, message)| message.id).collect()
    );
    consumer.expect_nothing();
}

#[test]
fn deferred_messages_keep_their_due_time() {
    let mut nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    let start = Instant::now();
    nsqd.peer().publish_deferred("t", 3000, "deferred");
    nsqd.publish("t", "requeued");
    consumer.ready(1);
    let message = consumer.message();
    let requeued = Instant::now();
    consumer.requeue(&message, 3000);
    nsqd.await_channel("t", "c", "deferred_count", 2);
    nsqd.restart();
    assert_eq!(nsqd.channel("t", "c")["deferred_count"], 2);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2);
    let almost = Duration::from_millis(2950);
    let first = consumer.message();
    assert_eq!((first.text(), first.attempts), ("deferred", 1));
    assert!(start.elapsed() >= almost, "{:?}", start.elapsed());
    let second = consumer.message();
    assert_eq!((second.text(), second.attempts), ("requeued", 2));
    assert!(requeued.elapsed() >= almost, "{:?}", requeued.elapsed());
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_deferred_message_that_fell_due_meanwhile_comes_at_once() {
    let mut nsqd = Nsqd::start(&[]);
    let _consumer = nsqd.consumer("t", "c");
    let start = Instant::now();
    nsqd.peer().publish_deferred("t", 300, "m");
    assert!(nsqd.terminate().success());
    wait::until("the message is due", || {
        start.elapsed() > Duration::from_millis(300)
    });
    nsqd.restart();
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    assert_eq!(consumer.message().text(), "m");
}

#[test]
fn a_topic_without_channels_keeps_its_backlog() {
    let mut nsqd = Nsqd::start(&[]);
    nsqd.peer().publish_many("t", &["a", "b", "c"]);
    nsqd.restart();
    assert_eq!(nsqd.topic("t")["depth"], 3);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(3);
    let bodies: Vec<_> = consumer
        .consume(3)
        .iter()
        .map(|m| m.text().to_owned())
        .collect();
    assert_eq!(bodies, ["a", "b", "c"]);
}

#[test]
fn paused_stays_paused() {
    let mut nsqd = Nsqd::start(&[]);
    for topic in ["paused", "running"] {
        nsqd.act(&format!("/topic/create?topic={topic}"));
        nsqd.act(&format!("/channel/create?topic={topic}&channel=paused"));
        nsqd.act(&format!("/channel/create?topic={topic}&channel=running"));
        nsqd.act(&format!("/channel/pause?topic={topic}&channel=paused"));
    }
    nsqd.act("/topic/pause?topic=paused");
    nsqd.publish("paused", "m");
    // Pausing is on disk before it is answered, so even a crash keeps it.
    nsqd.kill();
    nsqd.restart();
    for topic in ["paused", "running"] {
        assert_eq!(nsqd.topic(topic)["paused"], topic == "paused");
        assert_eq!(nsqd.channel(topic, "paused")["paused"], true);
        assert_eq!(nsqd.channel(topic, "running")["paused"], false);
    }
}

#[test]
fn deleted_and_emptied_stay_so() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    for topic in ["deleted", "emptied"] {
        let _consumer = nsqd.consumer(topic, "c");
        nsqd.peer().publish_many(topic, &["a", "b"]);
        nsqd.await_channel(topic, "c", "depth", 2);
    }
    nsqd.act("/topic/delete?topic=deleted");
    nsqd.act("/channel/empty?topic=emptied&channel=c");
    nsqd.restart();
    assert!(nsqd.topic("deleted").is_null());
    assert_eq!(nsqd.channel("emptied", "c")["depth"], 0);
    nsqd.publish("deleted", "new");
    let mut consumer = nsqd.consumer("deleted", "c");
    consumer.ready(2);
    assert_eq!(consumer.message().text(), "new");
    consumer.expect_nothing();
}

#[test]
fn a_backlog_far_above_the_memory_limit_comes_back_in_order() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=100"]);
    let _consumer = nsqd.consumer("t", "c");
    let mut producer = nsqd.peer();
    let filler = "x".repeat(2000);
    for batch in 0..50 {
        let bodies: Vec<_> = (0..100)
            .map(|i| format!("{:05} {filler}", batch * 100 + i))
            .collect();
        producer.publish_many("t", &bodies);
    }
    wait::until("most of the backlog is on disk only", || {
        nsqd.channel("t", "c")["backend_depth"].as_u64() >= Some(4000)
    });
    nsqd.restart();
    assert_eq!(nsqd.channel("t", "c")["depth"], 5000);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(100);
    for (number, message) in consumer.consume(5000).iter().enumerate() {
        let (prefix, rest) = message.text().split_once(' ').unwrap();
        assert_eq!(
            (prefix, rest.len()),
            (format!("{number:05}").as_str(), 2000)
        );
    }
    consumer.expect_nothing();
}

#[test]
fn restarts_without_consumers_change_nothing() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=10"]);
    let _consumer = nsqd.consumer("t", "c");
    let mut producer = nsqd.peer();
    producer.publish_many("t", &vec!["m"; 500]);
    producer.publish_deferred("t", 3_600_000, "late");
    for _ in 0..4 {
        nsqd.restart();
        let channel = nsqd.channel("t", "c");
        assert_eq!(
            (&channel["depth"], &channel["deferred_count"]),
            (&json!(500), &json!(1))
        );
    }
}

#[test]
fn any_history_of_answers_survives_any_number_of_restarts() {
    let mut random =
        tests::random::seeded("any_history_of_answers_survives_any_number_of_restarts");
    let mut nsqd = Nsqd::start(&["--mem-queue-size=50"]);
    let mut owed = BTreeSet::new();
    let mut published = 0;
    for _ in 0..6 {
        let mut consumer = nsqd.consumer("t", "c");
        let bodies: Vec<_> = (published..published + 200)
            .map(|n| n.to_string())
            .collect();
        published += bodies.len();
        nsqd.peer().publish_many("t", &bodies);
        owed.extend(bodies);
        answer_at_random(&mut consumer, &mut random, &mut owed);
        drop(consumer);
        nsqd.restart();
    }
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2500);
    let left = consumer.consume(owed.len());
    assert_eq!(
        left.iter()
            .map(|m| m.text().to_owned())
            .collect::<BTreeSet<_>>(),
        owed
    );
    consumer.expect_nothing();
}

/// Takes some messages and finishes, requeues or keeps each; finished ones are no longer owed.
fn answer_at_random(consumer: &mut Peer, random: &mut fastrand::Rng, owed: &mut BTreeSet<String>) {
    let count = random.usize(1..owed.len().min(300));
    consumer.ready(count as u64);
    let taken = consumer.messages(count);
    consumer.ready(0);
    for message in taken {
        assert!(
            owed.contains(message.text()),
            "{} came after it was finished",
            message.text()
        );
        match random.u8(0..4) {
            0 => {}
            1 => consumer.requeue(&message, random.u64(0..200)),
            _ => {
                consumer.finish(&message);
                owed.remove(message.text());
            }
        }
    }
    consumer.expect_nothing();
}
