//! Answers, deadlines and cancellation.

use std::time::Duration;

use super::fake::{Fake, builder, fin, req, touch};
use crate::consumer::{AnswerError, Backoff, Event, OnDrop, Requeue, Settle};
use crate::wire::ErrorCode;

const SHORT: &str = r#"{"max_rdy_count":2500,"msg_timeout":200,"max_msg_timeout":1000}"#;

#[tokio::test]
async fn each_answer_is_its_command() {
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address()).backoff(Backoff::disabled());
    let mut consumer = builder.start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send_all(1..=6).await;

    let first = consumer.recv().await.unwrap();
    assert_eq!((&first.body()[..], first.attempts()), (&b"1"[..], 1));
    first.finish().unwrap();
    let second = consumer.recv().await.unwrap();
    second.requeue(Requeue::AUTO).unwrap();
    let third = consumer.recv().await.unwrap();
    third
        .requeue(Requeue::after(Duration::from_millis(7)))
        .unwrap();
    let fourth = consumer.recv().await.unwrap();
    assert!(fourth.touch().unwrap() <= fourth.hard_deadline());
    fourth.settle(Settle::Finish).unwrap();
    let (body, acker) = consumer.recv().await.unwrap().split();
    assert_eq!(body, "5");
    acker.requeue(Requeue::NOW).unwrap();
    consumer.recv().await.unwrap().abandon();
    peer.expect_all(&[
        fin(1),
        req(2, 90_000),
        req(3, 7),
        touch(4),
        fin(4),
        req(5, 0),
    ])
    .await;
    peer.expect_silence(Duration::from_millis(50)).await;

    let stats = consumer.control().stats();
    assert_eq!((stats.received, stats.finished, stats.requeued), (6, 2, 3));
    assert_eq!((stats.touched, stats.in_flight), (1, 0));
}

#[tokio::test]
async fn a_message_that_is_dropped_is_requeued() {
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address()).backoff(Backoff::disabled());
    let mut consumer = builder
        .on_drop(OnDrop::Requeue(Requeue::after(Duration::from_secs(3))))
        .start()
        .await
        .unwrap();
    let mut events = consumer.control().events();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send_all(1..=2).await;

    drop(consumer.recv().await.unwrap());
    let held = consumer.recv().await.unwrap();
    let task = tokio::spawn(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    peer.expect(&req(1, 3000)).await;
    task.abort();
    peer.expect(&req(2, 3000)).await;
    while !matches!(events.next().await.unwrap(), Event::Dropped { .. }) {}
    assert_eq!(consumer.control().stats().dropped, 2);
}

#[tokio::test]
async fn a_message_that_expires_in_the_buffer_is_never_handed_out() {
    let nsqd = Fake::bind().await;
    let mut consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let mut peer = nsqd.subscribed_with(SHORT).await;
    peer.expect("RDY 32").await;
    peer.send(1).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    peer.send(2).await;

    let message = consumer.recv().await.unwrap();
    assert_eq!(message.body(), "2");
    let stats = consumer.control().stats();
    assert_eq!((stats.expired, stats.in_flight), (1, 1));
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(message.finish(), Err(AnswerError::Expired));
    peer.expect_silence(Duration::from_millis(50)).await;
    assert_eq!(consumer.control().stats().expired, 2);
}

#[tokio::test]
async fn keeping_alive_touches_until_it_is_dropped_or_the_message_answered() {
    let nsqd = Fake::bind().await;
    let mut consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let mut peer = nsqd.subscribed_with(SHORT).await;
    peer.expect("RDY 32").await;
    peer.send(1).await;

    let message = consumer.recv().await.unwrap();
    let first_deadline = message.deadline();
    let kept = message.keep_alive();
    peer.expect_all(&[touch(1), touch(1), touch(1)]).await;
    assert!(message.deadline() > first_deadline);
    drop(kept);
    peer.expect_silence(Duration::from_millis(150)).await;

    peer.send(2).await;
    let message = consumer.recv().await.unwrap();
    let _kept = message.keep_alive();
    peer.expect(&touch(2)).await;
    message.finish().unwrap();
    peer.expect(&fin(2)).await;
    peer.expect_silence(Duration::from_millis(150)).await;
}

#[tokio::test]
async fn an_answer_that_nsqd_rejects_is_an_event_and_keeps_the_connection() {
    let nsqd = Fake::bind().await;
    let mut consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let mut events = consumer.control().events();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send(1).await;
    consumer.recv().await.unwrap().finish().unwrap();
    peer.expect(&fin(1)).await;
    let text = "FIN 0000000000000001 failed ID not in flight";
    peer.refuse(ErrorCode::FinFailed, text).await;
    peer.heartbeat().await;
    peer.expect("NOP").await;
    loop {
        if let Event::AnswerRejected { code, id, .. } = events.next().await.unwrap() {
            assert_eq!(code, ErrorCode::FinFailed);
            assert_eq!(id.unwrap().to_u64(), Some(1));
            break;
        }
    }
    assert_eq!(consumer.control().stats().rejected, 1);
}

#[tokio::test]
async fn attempts_are_counted_without_a_sign() {
    let nsqd = Fake::bind().await;
    let mut consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    for attempts in [u16::MAX, 0] {
        peer.send_again(1, attempts).await;
        let message = consumer.recv().await.unwrap();
        assert_eq!(message.attempts(), attempts);
        message.finish().unwrap();
    }
}
