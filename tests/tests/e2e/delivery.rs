//! Who gets a message when: ready counts, the answers of consumers, and what closing does.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wire::End;

#[test]
fn nothing_comes_before_rdy() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.expect_nothing();
    assert_eq!(nsqd.channel("t", "c")["depth"], 1);
    consumer.ready(1);
    assert_eq!(consumer.message().text(), "m");
}

#[test]
fn the_ready_count_is_a_ceiling_that_fin_reopens() {
    let nsqd = Nsqd::start(&[]);
    nsqd.peer().publish_many("t", &["0", "1", "2", "3", "4"]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2);
    let held = consumer.messages(2);
    consumer.expect_nothing();
    assert_eq!(nsqd.channel("t", "c")["in_flight_count"], 2);
    consumer.finish(&held[0]);
    assert_eq!(consumer.message().text(), "2");
    consumer.expect_nothing();
    consumer.requeue(&held[1], 60_000);
    assert_eq!(consumer.message().text(), "3");
    consumer.expect_nothing();
}

#[test]
fn rdy_0_stops_delivery_and_a_lower_count_holds_it_back() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(3);
    nsqd.peer().publish_many("t", &["0", "1", "2", "3"]);
    let held = consumer.messages(3);
    consumer.ready(1);
    consumer.finish(&held[0]);
    consumer.finish(&held[1]);
    consumer.expect_nothing();
    consumer.ready(0);
    consumer.finish(&held[2]);
    consumer.expect_nothing();
    consumer.ready(1);
    assert_eq!(consumer.message().text(), "3");
}

#[test]
fn a_finished_message_is_gone() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    let message = consumer.message();
    consumer.finish(&message);
    consumer.finish(&message);
    let error = format!("E_FIN_FAILED FIN {} failed ID not in flight", message.id);
    assert_eq!(consumer.error(), error);
    let channel = nsqd.channel("t", "c");
    assert_eq!(
        (&channel["depth"], &channel["in_flight_count"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(channel["clients"][0]["finish_count"], 1);
}

#[test]
fn only_the_holder_may_answer() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let mut holder = nsqd.consumer("t", "c");
    let mut other = nsqd.consumer("t", "c");
    holder.ready(1);
    let message = holder.message();
    let error = |command: &str| {
        format!(
            "E_{command}_FAILED {command} {} failed client does not own message",
            message.id
        )
    };
    other.finish(&message);
    assert_eq!(other.error(), error("FIN"));
    other.requeue(&message, 0);
    assert_eq!(other.error(), error("REQ"));
    other.touch(&message);
    assert_eq!(other.error(), error("TOUCH"));
    holder.finish(&message);
    nsqd.await_channel("t", "c", "in_flight_count", 0);
}

#[test]
fn consumers_of_a_channel_share_its_messages() {
    let nsqd = Nsqd::start(&[]);
    let mut consumers = [nsqd.consumer("t", "c"), nsqd.consumer("t", "c")];
    for consumer in &mut consumers {
        consumer.ready(50);
    }
    let bodies: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    nsqd.peer().publish_many("t", &bodies);
    let mut got: Vec<usize> = Vec::new();
    for consumer in &mut consumers {
        got.extend(
            consumer
                .messages(50)
                .iter()
                .map(|m| m.text().parse::<usize>().unwrap()),
        );
    }
    got.sort_unstable();
    assert_eq!(got, (0..100).collect::<Vec<_>>());
}

#[test]
fn what_a_lost_consumer_held_goes_to_others_at_once() {
    let nsqd = Nsqd::start(&[]);
    nsqd.peer().publish_many("t", &["a", "b"]);
    let mut lost = nsqd.consumer("t", "c");
    lost.ready(2);
    lost.messages(2);
    let mut other = nsqd.consumer("t", "c");
    other.ready(2);
    let start = Instant::now();
    drop(lost);
    let got = other.messages(2);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "the timeout of 60 s was not waited for"
    );
    assert!(got.iter().all(|message| message.attempts == 2), "{got:?}");
    assert_eq!(nsqd.channel("t", "c")["timeout_count"], 0);
}

#[test]
fn cls_stops_delivery_but_answers_are_still_taken() {
    let nsqd = Nsqd::start(&[]);
    nsqd.peer().publish_many("t", &["a", "b", "c"]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(2);
    let held = consumer.messages(2);
    consumer.send("CLS\n");
    assert_eq!(consumer.response(), "CLOSE_WAIT");
    consumer.ready(10);
    consumer.touch(&held[0]);
    consumer.finish(&held[0]);
    consumer.requeue(&held[1], 0);
    consumer.expect_nothing();
    let channel = nsqd.channel("t", "c");
    assert_eq!(
        (&channel["depth"], &channel["in_flight_count"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(channel["clients"][0]["state"], 4);
}

#[test]
fn deleting_a_channel_closes_its_consumers_without_a_word() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    let mut other = nsqd.consumer("t", "other");
    nsqd.act("/channel/delete?topic=t&channel=c");
    consumer.expect_closed();
    other.expect_nothing();
    nsqd.act("/topic/delete?topic=t");
    other.expect_closed();
}

#[test]
fn the_number_of_consumers_can_be_limited() {
    let nsqd = Nsqd::start(&["--max-channel-consumers=1"]);
    let first = nsqd.consumer("t", "c");
    let mut second = nsqd.peer();
    second.send("SUB t c\n");
    let error = "E_SUB_FAILED SUB failed consumers for t:c exceeds limit of 1";
    assert_eq!(second.error(), error);
    second.expect_closed();
    nsqd.consumer("t", "other");
    drop(first);
    nsqd.await_channel("t", "c", "client_count", 0);
    nsqd.consumer("t", "c");
}

#[test]
fn a_sampling_consumer_takes_its_share_and_the_rest_is_dropped() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.peer();
    consumer.identify(&json!({ "sample_rate": 50 }));
    consumer.subscribe("t", "c");
    consumer.ready(2500);
    nsqd.peer().publish_many("t", &vec!["m"; 2000]);
    let mut kept = 0;
    loop {
        match consumer.frame_within(Duration::from_millis(500)) {
            Ok(_) => kept += 1,
            Err(End::Silent) => break,
            Err(End::Closed) => panic!("nsqd closed the connection"),
        }
    }
    // 2000 throws of a coin: nine standard deviations around the middle.
    assert!((800..=1200).contains(&kept), "{kept} of 2000 at 50 percent");
    nsqd.await_channel("t", "c", "depth", 0);
    nsqd.await_channel("t", "c", "in_flight_count", kept);
}

#[test]
fn a_lone_message_does_not_wait_for_the_output_buffer() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.peer();
    consumer.identify(&json!({ "output_buffer_timeout": 30_000 }));
    consumer.subscribe("t", "c");
    consumer.ready(100);
    let start = Instant::now();
    nsqd.publish("t", "m");
    consumer.message();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}
