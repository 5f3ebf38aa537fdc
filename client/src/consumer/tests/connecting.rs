//! Connecting, refusals, and what is no nsqd.

use std::time::Duration;

use super::fake::{Fake, PATIENCE, builder, fin};
use crate::consumer::{ConnectPolicy, Consumer, ConsumerError, Delivery, Event};
use crate::reconnect::Reconnect;
use crate::wire::{ErrorCode, MessageId, put_message};

#[tokio::test]
async fn an_nsqd_without_negotiation_gives_the_defaults() {
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address()).max_in_flight(3000);
    let _consumer = builder.start().await.unwrap();
    let mut peer = nsqd.subscribed_with("OK").await;
    peer.expect("RDY 2500").await;
}

#[tokio::test]
async fn a_refused_subscription_ends_the_consumer_without_a_storm() {
    let nsqd = Fake::bind().await;
    let mut consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let mut peer = nsqd.accept().await;
    peer.identified("OK").await;
    peer.expect("SUB orders billing").await;
    peer.refuse(ErrorCode::BadTopic, "no such thing").await;
    assert!(consumer.recv().await.is_none());
    let control = consumer.control();
    control.drain(Duration::ZERO).await;
    let reason = control.closed_reason().unwrap();
    assert_eq!(reason.code(), Some(ErrorCode::BadTopic));
    assert!(
        reason.to_string().contains("E_BAD_TOPIC no such thing"),
        "{reason}"
    );
    assert!(nsqd.is_left_alone(Duration::from_millis(300)).await);
}

#[tokio::test]
async fn starting_tells_of_a_refusal_when_it_waits_for_a_connection() {
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address());
    let starting = tokio::spawn(
        builder
            .connect_policy(ConnectPolicy::RequireAny(PATIENCE))
            .start(),
    );
    let mut peer = nsqd.accept().await;
    peer.identified("OK").await;
    peer.refuse(ErrorCode::Unauthorized, "not you").await;
    let error = starting.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
}

#[tokio::test]
async fn a_channel_that_is_full_is_asked_again() {
    let nsqd = Fake::bind().await;
    let reconnect = Reconnect {
        first: Duration::from_millis(1),
        max: Duration::from_millis(1),
    };
    let builder = builder().nsqd(nsqd.address()).reconnect(reconnect);
    let mut consumer = builder.start().await.unwrap();
    for _ in 0..10 {
        let mut peer = nsqd.accept().await;
        peer.identified("OK").await;
        peer.expect("SUB orders billing").await;
        peer.refuse(ErrorCode::SubFailed, "too many consumers")
            .await;
    }
    assert!(consumer.recv().await.is_none());
    consumer.control().drain(Duration::from_secs(5)).await;
    let reason = consumer.control().closed_reason();
    assert_eq!(reason.unwrap().code(), Some(ErrorCode::SubFailed));
}

#[tokio::test]
async fn an_http_port_is_told_as_such() {
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address());
    let starting = tokio::spawn(
        builder
            .connect_policy(ConnectPolicy::RequireAny(PATIENCE))
            .start(),
    );
    let mut peer = nsqd.accept().await;
    peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let error = starting.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("HTTP port"), "{error}");
}

#[tokio::test]
async fn without_a_source_or_with_a_bad_address_nothing_starts() {
    let error = builder().start().await.unwrap_err();
    assert!(matches!(error, ConsumerError::NoSource));
    let error = builder().nsqd("nowhere").start().await.unwrap_err();
    assert!(matches!(error, ConsumerError::Address(_)), "{error}");
}

#[tokio::test]
async fn an_unreachable_nsqd_holds_up_no_other() {
    let nsqd = Fake::bind().await;
    let gone = Fake::bind().await;
    let missing = gone.address();
    drop(gone);
    let all = builder().nsqd(&missing).nsqd(nsqd.address());
    let all = all.connect_policy(ConnectPolicy::RequireAll(Duration::from_millis(300)));
    let (error, _peer) = tokio::join!(all.start(), nsqd.subscribed());
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("not connected in time to {missing}")
    );

    let any = builder().nsqd(&missing).nsqd(nsqd.address());
    let any = any.connect_policy(ConnectPolicy::RequireAny(PATIENCE));
    let (consumer, mut peer) = tokio::join!(any.start(), nsqd.subscribed());
    peer.expect("RDY 32").await;
    assert_eq!(consumer.unwrap().control().stats().connections, 1);
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection_and_not_the_consumer() {
    let nsqd = Fake::bind().await;
    let reconnect = Reconnect {
        first: Duration::from_millis(1),
        max: Duration::from_millis(1),
    };
    let mut consumer = builder()
        .nsqd(nsqd.address())
        .reconnect(reconnect)
        .start()
        .await
        .unwrap();
    for garbage in [
        &b"\x7f\xff\xff\xff\0\0\0\x02"[..],
        b"\xff\xff\xff\xff\0\0\0\x02",
        b"\0\0\0\x05\0\0\0\x02x",
        b"\0\0\0\x04\0\0\0\x09",
    ] {
        let mut peer = nsqd.subscribed().await;
        peer.expect("RDY 32").await;
        peer.write(garbage).await;
        peer.expect_end().await;
    }
    let mut peer = nsqd.subscribed().await;
    peer.send(1).await;
    consumer.recv().await.unwrap().finish().unwrap();
    peer.expect_all(&["RDY 32", &fin(1)]).await;
}

#[tokio::test]
async fn a_handler_that_is_stuck_costs_no_heartbeat() {
    let nsqd = Fake::bind().await;
    let (go_on, stuck) = tokio::sync::watch::channel(());
    let consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(1, move |_: Delivery| {
        let mut stuck = stuck.clone();
        async move {
            let _ = stuck.changed().await;
        }
    }));
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send_all(1..=32).await;
    for _ in 0..20 {
        peer.heartbeat().await;
        peer.expect("NOP").await;
    }
    drop(go_on);
    for number in 1..=32 {
        peer.expect(&fin(number)).await;
    }
    let drained = tokio::spawn(async move { control.drain(Duration::from_secs(5)).await });
    peer.expect("CLS").await;
    peer.respond(b"CLOSE_WAIT").await;
    peer.expect_end().await;
    drained.await.unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_nsqd_that_falls_silent_is_left() {
    let nsqd = Fake::bind().await;
    let mut options = crate::connection::ConnectOptions::default();
    options.identify.heartbeat_interval = Some(100);
    let consumer = builder()
        .nsqd(nsqd.address())
        .options(options)
        .start()
        .await
        .unwrap();
    let mut events = consumer.control().events();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    loop {
        if let Some(Event::Disconnected { reason, .. }) = events.next().await {
            assert!(reason.contains("no answer"), "{reason}");
            break;
        }
    }
    let mut again = nsqd.subscribed().await;
    again.expect("RDY 32").await;
}

/// Each message is seen once, whatever `recv` is dropped at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiving_may_be_dropped_at_any_time() {
    const COUNT: u64 = 100_000;
    let nsqd = Fake::bind().await;
    let builder = builder().nsqd(nsqd.address()).max_in_flight(2500);
    let mut consumer = builder.start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    let sending = tokio::spawn(async move {
        let mut frames = Vec::new();
        for number in 0..COUNT {
            let body = number.to_be_bytes();
            put_message(&mut frames, 1, 1, MessageId::from_u64(number), &body);
            if frames.len() > 10_000 {
                peer.write(&frames).await;
                frames.clear();
            }
        }
        peer.write(&frames).await;
        while peer.command().await.is_some() {}
    });
    let next = async |consumer: &mut Consumer| {
        let mut timer = tokio::time::interval(Duration::from_micros(1));
        loop {
            tokio::select! {
                biased;
                _ = timer.tick() => {}
                () = tokio::task::yield_now() => {}
                message = consumer.recv() => return message.unwrap(),
            }
        }
    };
    for number in 0..COUNT {
        let message = next(&mut consumer).await;
        assert_eq!(message.body()[..], number.to_be_bytes());
        message.finish().unwrap();
    }
    assert_eq!(consumer.control().stats().received, COUNT);
    drop(consumer);
    sending.abort();
}
