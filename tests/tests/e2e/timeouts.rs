//! Messages that are not answered in time, and TOUCH.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wire::Peer;

fn consumer_with_timeout(nsqd: &Nsqd, timeout_ms: u64) -> Peer {
    let mut consumer = nsqd.peer();
    consumer.identify(&json!({ "msg_timeout": timeout_ms }));
    consumer.subscribe("t", "c");
    consumer
}

#[test]
fn an_unanswered_message_comes_again() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut consumer = consumer_with_timeout(&nsqd, 1000);
    consumer.ready(1);
    let first = consumer.message();
    let start = Instant::now();
    let second = consumer.message();
    assert!(
        start.elapsed() >= Duration::from_millis(950),
        "{:?}",
        start.elapsed()
    );
    assert_eq!((first.attempts, second.attempts), (1, 2));
    assert_eq!((&first.id, first.timestamp), (&second.id, second.timestamp));
    let channel = nsqd.channel("t", "c");
    assert_eq!(channel["timeout_count"], 1);
    assert_eq!(channel["requeue_count"], 0);
}

#[test]
fn the_timeout_of_the_daemon_applies_without_identify() {
    let nsqd = Nsqd::start(&["--msg-timeout=1s"]);
    nsqd.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    assert_eq!(consumer.message().attempts, 1);
    assert_eq!(consumer.message().attempts, 2);
}

#[test]
fn an_answer_after_the_timeout_fails() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut late = consumer_with_timeout(&nsqd, 1000);
    late.ready(1);
    let message = late.message();
    late.ready(0);
    nsqd.await_channel("t", "c", "timeout_count", 1);
    late.finish(&message);
    let error = format!("E_FIN_FAILED FIN {} failed ID not in flight", message.id);
    assert_eq!(late.error(), error);
    let mut other = nsqd.consumer("t", "c");
    other.ready(1);
    assert_eq!(other.message().id, message.id);
    late.finish(&message);
    let error = format!(
        "E_FIN_FAILED FIN {} failed client does not own message",
        message.id
    );
    assert_eq!(late.error(), error);
}

#[test]
fn touch_gives_a_message_more_time() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut consumer = consumer_with_timeout(&nsqd, 1000);
    consumer.ready(1);
    let message = consumer.message();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        consumer.touch(&message);
        let _ = consumer
            .frame_within(Duration::from_millis(200))
            .map(|frame| panic!("{frame:?}"));
    }
    consumer.finish(&message);
    consumer.expect_nothing();
    assert_eq!(nsqd.channel("t", "c")["timeout_count"], 0);
}

#[test]
fn touch_cannot_pass_the_longest_timeout() {
    let nsqd = Nsqd::start(&["--max-msg-timeout=2s", "--msg-timeout=1s"]);
    nsqd.publish("t", "m");
    let mut consumer = consumer_with_timeout(&nsqd, 1000);
    consumer.ready(1);
    let message = consumer.message();
    let start = Instant::now();
    let again = loop {
        consumer.touch(&message);
        if let Ok(frame) = consumer.frame_within(Duration::from_millis(200)) {
            break frame;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "touched for ever"
        );
    };
    assert!(
        start.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        start.elapsed()
    );
    // The touch that came too late fails, or the message is here again.
    let text = format!("{again:?}");
    assert!(text.contains(&message.id), "{text}");
}

#[test]
fn many_timeouts_come_in_time_on_many_channels() {
    let nsqd = Nsqd::start(&[]);
    let mut consumers: Vec<Peer> = Vec::new();
    for number in 0..50 {
        let mut consumer = nsqd.peer();
        consumer.identify(&json!({ "msg_timeout": 1000 }));
        consumer.subscribe("t", &format!("c{number}"));
        consumer.ready(10);
        consumers.push(consumer);
    }
    nsqd.peer().publish_many("t", &["m"; 10]);
    for consumer in &mut consumers {
        consumer.messages(10);
    }
    let start = Instant::now();
    for consumer in &mut consumers {
        assert!(
            consumer
                .messages(10)
                .iter()
                .all(|message| message.attempts == 2)
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}
