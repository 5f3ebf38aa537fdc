//! Several nsqds.

use super::*;

#[tokio::test]
async fn publishes_go_on_while_one_of_two_is_gone() {
    let (one, two) = (Listener::bind().await, Listener::bind().await);
    let producer = builder(&[&one, &two])
        .routing(Routing::RoundRobin)
        .build()
        .unwrap();
    let (mut first, mut second) = tokio::join!(one.accept(), two.accept());
    let both = |producer: &Producer| producer.nodes().iter().all(|node| node.connected);
    while !both(&producer) {
        tokio::task::yield_now().await;
    }
    let (first_came, second_came, ()) = tokio::join!(
        async {
            // Confirms one and is gone, then comes back.
            let mut came = vec![first.command().await];
            first.ok().await;
            drop(first);
            let mut again = one.accept().await;
            came.extend(again.confirm_all().await);
            came
        },
        second.confirm_all(),
        async {
            for number in 0..20 {
                let publish = producer.publish(&topic(), format!("{number}"));
                let receipt = publish.retry(RetryPolicy::at_least_once()).await.unwrap();
                assert!(receipt.attempts <= 2);
            }
            while !both(&producer) {
                tokio::task::yield_now().await;
            }
            let addresses: Vec<String> = [&one, &two].map(Listener::address).to_vec();
            for _ in 0..4 {
                let receipt = producer.publish(&topic(), "back").await.unwrap();
                assert!(addresses.contains(&receipt.node.to_string()));
            }
            let report = producer.clone().shutdown(LONG).await;
            assert_eq!((report.acked, report.failed, report.unknown), (24, 0, 0));
        }
    );
    assert!(first_came.len() > 2, "it is used again: {first_came:?}");
    for number in 0..20 {
        let command = format!("PUB t {number}");
        assert!(
            first_came.contains(&command) || second_came.contains(&command),
            "{command}"
        );
    }
}

#[tokio::test]
async fn what_was_never_sent_moves_to_another_node() {
    let (one, two) = (Listener::bind().await, Listener::bind().await);
    let producer = builder(&[&one, &two])
        .routing(Routing::Primary)
        .build()
        .unwrap();
    // Nobody accepts at the first node, so its handshake hangs; nothing may wait for it.
    let mut second = two.accept().await;
    producer.ready(LONG).await.unwrap();
    let ticket = enqueue(&producer, ["a".to_owned()]).await.remove(0);
    second.confirm(&["PUB t a"]).await;
    assert_eq!(ticket.await.unwrap().node.to_string(), two.address());
}

#[tokio::test]
async fn an_nsqd_that_cannot_store_loses_the_publish_to_another() {
    let (one, two) = (Listener::bind().await, Listener::bind().await);
    let producer = builder(&[&one, &two])
        .routing(Routing::Primary)
        .build()
        .unwrap();
    let (mut first, mut second) = tokio::join!(one.accept(), two.accept());
    while !producer.nodes().iter().all(|node| node.connected) {
        tokio::task::yield_now().await;
    }
    let tickets = enqueue(&producer, ["a", "b"].map(str::to_owned)).await;
    first.expect(&["PUB t a"]).await;
    first.refuse("E_PUB_FAILED PUB failed disk full").await;
    drop(first);
    second.confirm(&["PUB t a", "PUB t b"]).await;
    for ticket in tickets {
        assert_eq!(ticket.await.unwrap().node.to_string(), two.address());
    }
}

#[tokio::test]
async fn a_pinned_publish_waits_for_its_node() {
    let (one, two) = (Listener::bind().await, Listener::bind().await);
    let producer = builder(&[&one, &two]).build().unwrap();
    let _second = two.accept().await;
    producer.ready(LONG).await.unwrap();
    let node = one.address().parse().unwrap();
    let publish = producer.publish(&topic(), "a").on(&node);
    let ticket = publish.enqueue().await.unwrap();
    one.accept().await.confirm(&["PUB t a"]).await;
    assert_eq!(*ticket.await.unwrap().node, node);
}
