//! Ready counts and backoff on the wire. The traces are those of the reference.

use std::time::Duration;

use super::fake::{Fake, Peer, builder, fin, req};
use crate::consumer::{Backoff, Consumer, ConsumerBuilder, Event, Requeue};

const BAD: Requeue = Requeue::NOW;

fn as_go(nsqd: &Fake, max_in_flight: u32) -> ConsumerBuilder {
    builder()
        .nsqd(nsqd.address())
        .max_in_flight(max_in_flight)
        .go_compat()
        .backoff(Backoff::go_compat().unit(Duration::from_millis(10)))
}

async fn finish_next(consumer: &mut Consumer) {
    consumer.recv().await.unwrap().finish().unwrap();
}

async fn requeue_next(consumer: &mut Consumer, how: Requeue) {
    consumer.recv().await.unwrap().requeue(how).unwrap();
}

/// Hands out a message and returns once it is taken.
async fn finish(peer: &mut Peer, consumer: &mut Consumer, number: u64) {
    peer.send(number).await;
    finish_next(consumer).await;
}

async fn requeue(peer: &mut Peer, consumer: &mut Consumer, number: u64, how: Requeue) {
    peer.send(number).await;
    requeue_next(consumer, how).await;
}

#[tokio::test]
async fn backoff_goes_down_and_up_as_in_the_reference() {
    let nsqd = Fake::bind().await;
    let mut consumer = as_go(&nsqd, 5).start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 5").await;
    for number in 1..=3 {
        finish(&mut peer, &mut consumer, number).await;
        peer.expect(&fin(number)).await;
    }
    requeue(&mut peer, &mut consumer, 4, BAD).await;
    peer.expect_all(&["RDY 0", &req(4, 0), "RDY 1"]).await;
    requeue(&mut peer, &mut consumer, 5, BAD).await;
    peer.expect_all(&["RDY 0", &req(5, 0), "RDY 1"]).await;
    finish(&mut peer, &mut consumer, 6).await;
    peer.expect_all(&["RDY 0", &fin(6), "RDY 1"]).await;
    finish(&mut peer, &mut consumer, 7).await;
    peer.expect_all(&["RDY 5", &fin(7)]).await;
}

#[tokio::test]
async fn a_requeue_without_backoff_repeats_the_sleep_as_in_the_reference() {
    let nsqd = Fake::bind().await;
    let mut consumer = as_go(&nsqd, 1).start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 1").await;
    requeue(&mut peer, &mut consumer, 1, BAD).await;
    peer.expect_all(&["RDY 0", &req(1, 0), "RDY 1"]).await;
    requeue(&mut peer, &mut consumer, 2, BAD.no_backoff()).await;
    peer.expect_all(&["RDY 0", &req(2, 0), "RDY 1"]).await;
    finish(&mut peer, &mut consumer, 3).await;
    // At full speed the count is 1 as well.
    peer.expect(&fin(3)).await;
}

#[tokio::test]
async fn a_new_connection_takes_over_the_probe_as_in_the_reference() {
    let nsqd = Fake::bind().await;
    let mut consumer = as_go(&nsqd, 5).start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 5").await;
    requeue(&mut peer, &mut consumer, 1, BAD).await;
    peer.expect_all(&["RDY 0", &req(1, 0), "RDY 1"]).await;
    drop(peer);
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 1").await;
    finish(&mut peer, &mut consumer, 2).await;
    peer.expect_all(&["RDY 5", &fin(2)]).await;
    finish(&mut peer, &mut consumer, 3).await;
    peer.expect(&fin(3)).await;
}

#[tokio::test]
async fn the_maximum_may_change_and_a_pause_stops_all() {
    let nsqd = Fake::bind().await;
    let mut consumer = as_go(&nsqd, 5).start().await.unwrap();
    let control = consumer.control();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 5").await;
    finish(&mut peer, &mut consumer, 1).await;
    peer.expect(&fin(1)).await;
    control.set_max_in_flight(0);
    peer.expect("RDY 0").await;
    control.set_max_in_flight(7);
    peer.expect("RDY 7").await;
    control.pause();
    peer.expect("RDY 0").await;
    control.resume();
    peer.expect("RDY 7").await;
}

#[tokio::test]
async fn backoff_tells_each_step_and_can_be_ended() {
    let nsqd = Fake::bind().await;
    let backoff = Backoff::exponential().unit(Duration::from_mins(1));
    let builder = builder()
        .nsqd(nsqd.address())
        .backoff(backoff.jitter(false));
    let mut consumer = builder.start().await.unwrap();
    let control = consumer.control();
    let mut events = control.events();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    requeue(&mut peer, &mut consumer, 1, BAD).await;
    peer.expect_all(&["RDY 0", &req(1, 0)]).await;
    assert_eq!(control.stats().backoff_level, 1);
    while !matches!(
        events.next().await,
        Some(Event::BackingOff { level: 1, .. })
    ) {}
    control.reset_backoff();
    peer.expect("RDY 32").await;
    while !matches!(events.next().await, Some(Event::BackoffEnded)) {}
}

#[tokio::test]
async fn ten_are_spread_over_three_nsqds() {
    let nsqds = [Fake::bind().await, Fake::bind().await, Fake::bind().await];
    let mut builder = builder().max_in_flight(10);
    for nsqd in &nsqds {
        builder = builder.nsqd(nsqd.address());
    }
    let consumer = builder.start().await.unwrap();
    let mut peers = Vec::new();
    for nsqd in &nsqds {
        peers.push(nsqd.subscribed().await);
    }
    let control = consumer.control();
    let spread = || {
        let mut counts: Vec<u32> = control
            .connections()
            .iter()
            .map(|node| node.ready)
            .collect();
        counts.sort_unstable();
        counts
    };
    while spread() != [3, 3, 4] {
        assert!(spread().iter().sum::<u32>() <= 10);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for peer in &mut peers {
        let mut last = peer.command().await.unwrap();
        while last != "RDY 3" && last != "RDY 4" {
            last = peer.command().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_single_message_in_flight_finds_the_nsqd_that_has_some() {
    let nsqds = [Fake::bind().await, Fake::bind().await, Fake::bind().await];
    let idle = Duration::from_millis(200);
    let mut builder = builder().max_in_flight(1).idle_timeout(idle);
    for nsqd in &nsqds {
        builder = builder.nsqd(nsqd.address());
    }
    let mut consumer = builder.start().await.unwrap();
    let mut peers = Vec::new();
    for nsqd in &nsqds {
        peers.push(nsqd.subscribed().await);
    }
    let control = consumer.control();
    let started = tokio::time::Instant::now();
    peers[2].expect("RDY 1").await;
    let others: u32 = control.connections().iter().map(|node| node.ready).sum();
    assert!(others <= 1);
    peers[2].send(1).await;
    finish_next(&mut consumer).await;
    assert!(started.elapsed() < 3 * (idle + Duration::from_millis(250)));
}
