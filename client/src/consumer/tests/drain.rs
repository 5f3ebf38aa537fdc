//! Draining.

use std::time::Duration;

use super::fake::{Fake, builder, fin, req};
use crate::wire::CLOSE_WAIT;

#[tokio::test]
async fn a_drain_gives_back_what_waits_and_lets_the_rest_be_answered() {
    let nsqd = Fake::bind().await;
    let mut consumer = builder().nsqd(nsqd.address()).start().await.unwrap();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    peer.send_all(1..=7).await;
    let running = [
        consumer.recv().await.unwrap(),
        consumer.recv().await.unwrap(),
    ];
    let control = consumer.control();
    while control.stats().buffered < 5 {
        tokio::task::yield_now().await;
    }

    let drained = tokio::spawn(async move { control.drain(Duration::from_secs(5)).await });
    let mut expected: Vec<String> = (3..=7).map(|number| req(number, 0)).collect();
    expected.push("CLS".to_owned());
    let mut commands = Vec::new();
    for _ in 0..6 {
        commands.push(peer.command().await.unwrap());
    }
    commands.sort();
    expected.sort();
    assert_eq!(commands, expected);
    assert!(consumer.recv().await.is_none());

    // What was on the way goes back as well.
    peer.send(8).await;
    peer.respond(CLOSE_WAIT).await;
    peer.expect(&req(8, 0)).await;
    peer.expect_silence(Duration::from_millis(50)).await;
    for message in running {
        message.finish().unwrap();
    }
    peer.expect_all(&[fin(1), fin(2)]).await;
    peer.expect_end().await;
    let report = drained.await.unwrap();
    assert_eq!((report.finished, report.requeued), (2, 6));
    assert_eq!((report.expired, report.abandoned), (0, 0));
}
