//! Handlers, batches, attempts and types.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::fake::{Fake, builder, fin, req};
use crate::consumer::{Backoff, Delivery, Exhausted, Message};
use crate::typed::Text;

const THREE: NonZeroU16 = NonZeroU16::new(3).unwrap();

#[tokio::test]
async fn a_handler_answers_by_what_it_returns_and_a_panic_requeues() {
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address()).backoff(Backoff::disabled());
    let consumer = builder.start().await.unwrap();
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(1, |message: Delivery| async move {
        match &message.body()[..] {
            b"1" => Ok(()),
            b"2" => Err("no"),
            _ => panic!("on purpose"),
        }
    }));
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send_all([1, 2, 3, 1].into_iter()).await;
    peer.expect_all(&[fin(1), req(2, 90_000), req(3, 90_000), fin(1)])
        .await;
    assert_eq!(control.stats().panicked, 1);

    let draining = tokio::spawn(async move { control.drain(Duration::from_secs(5)).await });
    peer.expect("CLS").await;
    peer.respond(b"CLOSE_WAIT").await;
    let report = draining.await.unwrap();
    assert_eq!(running.await.unwrap().unwrap(), report);
}

#[tokio::test]
async fn no_more_handlers_run_than_allowed_and_the_slow_ones_lose_their_message() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let nsqd = Fake::bind().await;
    let consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(2, |_: Delivery| async {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    }));
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send_all(1..=3).await;
    while control.stats().buffered != 1 || RUNNING.load(Ordering::Relaxed) != 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let draining = tokio::spawn(async move { control.drain(Duration::from_millis(50)).await });
    let mut commands = Vec::new();
    for _ in 0..4 {
        commands.push(peer.command().await.unwrap());
    }
    commands.sort();
    assert_eq!(
        commands,
        ["CLS".to_owned(), req(1, 0), req(2, 0), req(3, 0)]
    );
    peer.expect_end().await;
    let report = draining.await.unwrap();
    assert_eq!((report.requeued, report.abandoned), (3, 0));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn too_many_attempts_are_for_the_policy() {
    let nsqd = Fake::bind().await;
    let given = Arc::new(AtomicUsize::new(0));
    let seen = given.clone();
    let policy = Exhausted::call(move |message: Message| {
        seen.fetch_add(message.attempts().into(), Ordering::Relaxed);
        message.finish().unwrap();
    });
    let builder = builder().nsqd(nsqd.address()).max_attempts(THREE, policy);
    let mut consumer = builder.start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send_again(1, 4).await;
    peer.send_again(2, 3).await;
    assert_eq!(consumer.recv().await.unwrap().body(), "2");
    peer.expect(&fin(1)).await;
    assert_eq!(given.load(Ordering::Relaxed), 4);
    assert_eq!(consumer.control().stats().exhausted, 1);
}

#[tokio::test]
async fn a_batch_is_full_late_or_all_that_can_come() {
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address()).max_in_flight(10);
    let mut consumer = builder.start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 10").await;
    let long = Duration::from_mins(1);
    let mut batch = Vec::new();
    peer.send_all(1..=5).await;
    assert_eq!(consumer.recv_many(&mut batch, 5, long).await, 5);
    assert_eq!(consumer.recv_many(&mut batch, 0, long).await, 0);
    peer.send_all(6..=7).await;
    assert_eq!(
        consumer
            .recv_many(&mut batch, 5, Duration::from_millis(50))
            .await,
        2
    );
    peer.send_all(8..=10).await;
    assert_eq!(
        consumer.recv_many(&mut batch, 500, long).await,
        3,
        "no more in flight"
    );
    for message in batch.drain(..) {
        message.finish().unwrap();
    }
    for number in 1..=10 {
        peer.expect(&fin(number)).await;
    }
}

#[tokio::test]
async fn a_typed_consumer_decodes_and_hides_nothing() {
    let nsqd = Fake::bind().await;
    let consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let mut texts = consumer.typed::<String, _>(Text);
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send(1).await;
    let message = texts.recv().await.unwrap();
    assert_eq!(message.value().unwrap(), "1");
    message.finish().unwrap();
    peer.expect(&fin(1)).await;

    let mut frame = Vec::new();
    let id = crate::wire::MessageId::from_u64(2);
    crate::wire::put_message(&mut frame, 1, 1, id, b"\xff");
    peer.write(&frame).await;
    let (value, raw) = texts.recv().await.unwrap().into_parts();
    assert!(value.is_err());
    raw.finish().unwrap();
    peer.expect(&fin(2)).await;
}
