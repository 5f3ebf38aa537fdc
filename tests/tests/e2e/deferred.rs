//! Messages that must wait: DPUB, `defer=`, and REQ.

use std::time::{Duration, Instant};

use tests::daemon::Nsqd;

/// A due time is kept to the millisecond, but clocks of two processes are read at two moments.
const ALMOST: Duration = Duration::from_millis(5);

#[test]
fn a_requeued_message_goes_to_the_tail() {
    let nsqd = Nsqd::start(&[]);
    nsqd.peer().publish_many("t", &["a", "b"]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let first = consumer.message();
    consumer.requeue(&first, 0);
    assert_eq!(consumer.consume(1)[0].text(), "b");
    let again = consumer.message();
    assert_eq!(
        (again.text(), again.attempts, &again.id),
        ("a", 2, &first.id)
    );
    assert_eq!(nsqd.channel("t", "c")["requeue_count"], 1);
}

#[test]
fn a_requeued_message_waits_its_delay() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let message = consumer.message();
    let start = Instant::now();
    consumer.requeue(&message, 500);
    nsqd.await_channel("t", "c", "deferred_count", 1);
    assert_eq!(nsqd.channel("t", "c")["depth"], 0);
    assert_eq!(consumer.message().attempts, 2);
    let waited = start.elapsed();
    assert!(waited + ALMOST >= Duration::from_millis(500), "{waited:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    assert_eq!(nsqd.channel("t", "c")["deferred_count"], 0);
}

#[test]
fn a_delay_above_the_limit_is_cut() {
    let nsqd = Nsqd::start(&["--max-req-timeout=300ms"]);
    nsqd.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let message = consumer.message();
    consumer.requeue(&message, 3_600_000);
    assert_eq!(consumer.message().attempts, 2);
}

#[test]
fn a_deferred_publish_waits_its_delay_in_every_channel() {
    let nsqd = Nsqd::start(&[]);
    let mut consumers = [nsqd.consumer("t", "a"), nsqd.consumer("t", "b")];
    let start = Instant::now();
    nsqd.peer().publish_deferred("t", 600, "late");
    for consumer in &mut consumers {
        consumer.ready(1);
    }
    nsqd.await_channel("t", "a", "deferred_count", 1);
    nsqd.await_channel("t", "b", "deferred_count", 1);
    for consumer in &mut consumers {
        let message = consumer.message();
        assert_eq!((message.text(), message.attempts), ("late", 1));
        assert!(
            start.elapsed() + ALMOST >= Duration::from_millis(600),
            "{:?}",
            start.elapsed()
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_new_channel_has_no_blind_spot() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("fresh", "c");
    consumer.ready(1);
    let start = Instant::now();
    nsqd.peer().publish_deferred("fresh", 100, "m");
    consumer.message();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn deferred_messages_come_by_due_time_not_by_age() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(10);
    let mut producer = nsqd.peer();
    for (delay, body) in [(1200, "third"), (800, "second"), (400, "first")] {
        producer.publish_deferred("t", delay, body);
    }
    producer.publish("t", "at once");
    let order: Vec<_> = consumer
        .messages(4)
        .iter()
        .map(|m| m.text().to_owned())
        .collect();
    assert_eq!(order, ["at once", "first", "second", "third"]);
}

#[test]
fn http_defers_too() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let start = Instant::now();
    let answer = nsqd.post("/pub?topic=t&defer=400", "m");
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    consumer.message();
    assert!(
        start.elapsed() + ALMOST >= Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_backlog_of_deferred_messages_reaches_the_first_channel() {
    let nsqd = Nsqd::start(&[]);
    let mut producer = nsqd.peer();
    producer.publish_deferred("t", 700, "late");
    producer.publish("t", "now");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2);
    assert_eq!(consumer.message().text(), "now");
    assert_eq!(consumer.message().text(), "late");
}

#[test]
fn many_deferred_messages_each_come_once() {
    let nsqd = Nsqd::start(&[]);
    let mut random = tests::random::seeded("many_deferred_messages_each_come_once");
    let mut consumer = nsqd.consumer("t", "c");
    let mut producer = nsqd.peer();
    for number in 0..1000 {
        producer.publish_deferred("t", random.u64(0..1500), format!("{number}"));
    }
    consumer.ready(1000);
    let got = consumer.consume(1000);
    let mut numbers: Vec<u32> = got.iter().map(|m| m.text().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    consumer.expect_nothing();
}
