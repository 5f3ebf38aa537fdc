//! Pausing, emptying and deleting topics and channels.

use tests::daemon::Nsqd;

#[test]
fn a_paused_topic_keeps_its_messages_from_its_channels() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(10);
    nsqd.act("/topic/pause?topic=t");
    assert_eq!(nsqd.topic("t")["paused"], true);
    nsqd.publish("t", "m");
    consumer.expect_nothing();
    assert_eq!(nsqd.topic("t")["depth"], 1);
    assert_eq!(nsqd.channel("t", "c")["depth"], 0);
    nsqd.act("/topic/unpause?topic=t");
    assert_eq!(consumer.message().text(), "m");
    assert_eq!(nsqd.topic("t")["paused"], false);
}

#[test]
fn a_channel_made_while_its_topic_is_paused_gets_the_backlog_afterwards() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    nsqd.act("/topic/pause?topic=t");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    consumer.expect_nothing();
    nsqd.act("/topic/unpause?topic=t");
    assert_eq!(consumer.message().text(), "m");
}

#[test]
fn a_paused_channel_stops_but_finishes_what_is_in_flight() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    let mut other = nsqd.consumer("t", "other");
    nsqd.peer().publish_many("t", &["a", "b"]);
    consumer.ready(1);
    let held = consumer.message();
    nsqd.act("/channel/pause?topic=t&channel=c");
    assert_eq!(nsqd.channel("t", "c")["paused"], true);
    consumer.finish(&held);
    consumer.expect_nothing();
    other.ready(2);
    other.consume(2);
    nsqd.act("/channel/unpause?topic=t&channel=c");
    assert_eq!(consumer.message().text(), "b");
}

#[test]
fn pausing_twice_is_fine() {
    let nsqd = Nsqd::start(&[]);
    let _consumer = nsqd.consumer("t", "c");
    for _ in 0..2 {
        nsqd.act("/topic/pause?topic=t");
        nsqd.act("/channel/pause?topic=t&channel=c");
    }
    for _ in 0..2 {
        nsqd.act("/topic/unpause?topic=t");
        nsqd.act("/channel/unpause?topic=t&channel=c");
    }
    assert_eq!(nsqd.channel("t", "c")["paused"], false);
}

#[test]
fn emptying_a_topic_drops_what_no_channel_has_seen() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("alone", "m");
    nsqd.act("/topic/empty?topic=alone");
    assert_eq!(nsqd.topic("alone")["depth"], 0);
    let mut consumer = nsqd.consumer("alone", "c");
    consumer.ready(1);
    consumer.expect_nothing();

    nsqd.act("/channel/create?topic=alone&channel=c");
    nsqd.publish("alone", "seen");
    consumer.ready(0);
    nsqd.act("/topic/empty?topic=alone");
    consumer.ready(1);
    assert_eq!(consumer.message().text(), "seen");
}

#[test]
fn emptying_a_channel_drops_waiting_in_flight_and_deferred() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    let _other = nsqd.consumer("t", "other");
    let mut producer = nsqd.peer();
    producer.publish_many("t", &["a", "b", "c"]);
    producer.publish_deferred("t", 60_000, "late");
    consumer.ready(1);
    let held = consumer.message();
    nsqd.act("/channel/empty?topic=t&channel=c");
    let channel = nsqd.channel("t", "c");
    for field in ["depth", "in_flight_count", "deferred_count"] {
        assert_eq!(channel[field], 0, "{field} of {channel}");
    }
    assert_eq!(channel["clients"][0]["in_flight_count"], 0);
    assert_eq!(nsqd.channel("t", "other")["depth"], 3);
    consumer.finish(&held);
    let error = format!("E_FIN_FAILED FIN {} failed ID not in flight", held.id);
    assert_eq!(consumer.error(), error);
    nsqd.publish("t", "new");
    assert_eq!(consumer.message().text(), "new");
}

#[test]
fn a_deleted_topic_starts_anew() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    nsqd.publish("t", "old");
    nsqd.act("/topic/delete?topic=t");
    consumer.expect_closed();
    assert!(nsqd.topic("t").is_null());
    nsqd.publish("t", "new");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2);
    assert_eq!(consumer.message().text(), "new");
    consumer.expect_nothing();
    assert_eq!(nsqd.topic("t")["message_count"], 1);
}

#[test]
fn a_deleted_channel_forgets_and_the_others_do_not() {
    let nsqd = Nsqd::start(&[]);
    let _kept = nsqd.consumer("t", "kept");
    let mut gone = nsqd.consumer("t", "gone");
    nsqd.publish("t", "m");
    nsqd.await_channel("t", "gone", "depth", 1);
    nsqd.act("/channel/delete?topic=t&channel=gone");
    gone.expect_closed();
    assert!(nsqd.channel("t", "gone").is_null());
    let mut again = nsqd.consumer("t", "gone");
    again.ready(1);
    again.expect_nothing();
    assert_eq!(nsqd.channel("t", "kept")["depth"], 1);
}

#[test]
fn churn_against_publishers_and_consumers_never_stalls() {
    let nsqd = Nsqd::start(&[]);
    let mut random = tests::random::seeded("churn_against_publishers_and_consumers_never_stalls");
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut producer = nsqd.peer();
            for number in 0..2000 {
                producer.publish("t", format!("{number}"));
            }
        });
        while !publisher.is_finished() {
            let action = random
                .choice(["pause", "unpause", "empty", "delete", "create"])
                .unwrap();
            let object = random.choice(["topic", "channel"]).unwrap();
            let path = format!("/{object}/{action}?topic=t&channel=c");
            let status = nsqd.post(&path, "").status;
            assert!(matches!(status, 200 | 404), "{path}: {status}");
            let mut consumer = nsqd.peer();
            consumer.send("SUB t c\nRDY 10\n");
        }
    });
    nsqd.post("/topic/delete?topic=t", "");
    nsqd.publish("t", "still here");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    assert_eq!(consumer.message().text(), "still here");
}
