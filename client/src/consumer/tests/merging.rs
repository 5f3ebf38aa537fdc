//! Several consumers as one.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::fake::{Fake, PATIENCE, builder, fin};
use crate::consumer::Consumer;

#[tokio::test]
async fn merged_consumers_take_turns_and_are_drained_together() {
    let (left, right) = (Fake::bind().await, Fake::bind().await);
    let mut merged = Consumer::merge([
        builder().nsqd(left.address()).start().await.unwrap(),
        builder().nsqd(right.address()).start().await.unwrap(),
    ]);
    let controls = merged.controls();
    let mut peers = [left.subscribed().await, right.subscribed().await];
    for peer in &mut peers {
        peer.expect("RDY 32").await;
        peer.send_all([1, 2, 3].into_iter()).await;
    }
    let all_wait = async {
        while controls.iter().any(|control| control.stats().buffered < 3) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, all_wait).await.unwrap();

    let mut nodes = Vec::new();
    for _ in 0..6 {
        let message = merged.recv().await.unwrap();
        let names = (message.topic().as_str(), message.channel().as_str());
        assert_eq!(names, ("orders", "billing"));
        nodes.push(message.node().to_string());
        message.finish().unwrap();
    }
    assert!(nodes.windows(2).all(|pair| pair[0] != pair[1]), "{nodes:?}");

    let draining = tokio::spawn(async move { controls.drain(PATIENCE).await });
    assert!(merged.recv().await.is_none());
    for peer in &mut peers {
        peer.expect_all(&[fin(1), fin(2), fin(3)]).await;
        peer.expect("CLS").await;
        peer.respond(b"CLOSE_WAIT").await;
    }
    let report = draining.await.unwrap();
    assert_eq!(report.abandoned, 0);
}

#[tokio::test]
async fn one_that_ends_leaves_the_others() {
    let (left, right) = (Fake::bind().await, Fake::bind().await);
    let mut merged = Consumer::merge([
        builder().nsqd(left.address()).start().await.unwrap(),
        builder().nsqd(right.address()).start().await.unwrap(),
    ]);
    let mut peers = [left.subscribed().await, right.subscribed().await];
    let control = merged.controls()[0].clone();
    let draining = tokio::spawn(async move { control.drain(PATIENCE).await });
    peers[0].expect_all(&["RDY 32", "CLS"]).await;
    peers[0].respond(b"CLOSE_WAIT").await;
    draining.await.unwrap();

    peers[1].expect("RDY 32").await;
    peers[1].send_all([7].into_iter()).await;
    let message = merged.recv().await.unwrap();
    assert_eq!(message.node().to_string(), right.address());
    message.finish().unwrap();
    peers[1].expect(&fin(7)).await;
    assert!(Consumer::merge([]).recv().await.is_none());
}
