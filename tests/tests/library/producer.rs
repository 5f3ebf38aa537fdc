//! A producer and real nsqds that are killed, stopped, frozen and refused: every message that it calls published is stored.

use std::collections::HashSet;
use std::time::Duration;

use client::http::{Client, Limits as HttpLimits};
use client::producer::{
    BatchConfig, Event, Producer, ProducerBuilder, PublishError, RetryPolicy, Routing,
};
use client::reconnect::Reconnect;
use client::wire::{ErrorCode, Limits, TopicName};
use rustix::process::Signal;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;
use tests::wait;
use tokio::task::block_in_place;
use tokio::time::timeout;

/// Comes back soon, and waits for an nsqd as long as a test does.
fn builder(nodes: &[&Nsqd]) -> ProducerBuilder {
    let reconnect = Reconnect {
        first: Duration::from_millis(5),
        max: Duration::from_millis(50),
    };
    let builder = Producer::builder()
        .reconnect(reconnect)
        .publish_timeout(wait::PATIENCE);
    nodes.iter().fold(builder, |builder, nsqd| {
        builder.nsqd(nsqd.tcp().to_string())
    })
}

async fn connected(builder: ProducerBuilder) -> Producer {
    let producer = builder.build().unwrap();
    producer.ready(wait::PATIENCE).await.unwrap();
    producer
}

fn topic() -> TopicName {
    TopicName::parse("t").unwrap()
}

/// Every body in the topic's first channel, once for each copy.
fn stored(nsqd: &Nsqd) -> Vec<String> {
    block_in_place(|| {
        let depth = nsqd.topic("t")["depth"].as_u64().unwrap_or(0);
        let mut consumer = nsqd.consumer("t", "c");
        consumer.ready(1000);
        let messages = consumer.consume(usize::try_from(depth).unwrap());
        messages
            .iter()
            .map(|message| message.text().to_owned())
            .collect()
    })
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_stored_in_order() {
    let nsqd = Nsqd::start(&[]);
    let producer = connected(builder(&[&nsqd])).await;
    let topic = topic();
    let mut tickets = Vec::new();
    for body in numbers(0..3000) {
        tickets.push(producer.publish(&topic, body).enqueue().await.unwrap());
    }
    producer
        .publish_many(&topic, numbers(3000..3100))
        .await
        .unwrap();
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let batcher = producer.batcher(&topic, BatchConfig::default());
    let mut tickets = Vec::new();
    for body in numbers(3100..4000) {
        tickets.push(batcher.enqueue(body).await.unwrap());
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    assert_eq!(stored(&nsqd), numbers(0..4000));
    assert_eq!(producer.shutdown(wait::PATIENCE).await.failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_message_comes_later() {
    let nsqd = Nsqd::start(&[]);
    let producer = connected(builder(&[&nsqd])).await;
    block_in_place(|| nsqd.act("/topic/create?topic=t"));
    block_in_place(|| nsqd.act("/channel/create?topic=t&channel=c"));
    producer
        .publish(&topic(), "later")
        .delay(Duration::from_mins(1))
        .await
        .unwrap();
    block_in_place(|| nsqd.await_channel("t", "c", "deferred_count", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_published_is_lost_when_nsqd_is_killed_and_comes_back() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    let producer = connected(builder(&[&nsqd]).max_pending(64, 1 << 20)).await;
    let publishing = tokio::spawn({
        let producer = producer.clone();
        async move { publish_until_reconnected_twice(&producer).await }
    });
    for _ in 0..2 {
        let published = producer.stats().published;
        until(|| producer.stats().published > published + 200).await;
        block_in_place(|| {
            nsqd.kill();
            nsqd.restart_in_place();
        });
    }
    let outcomes = timeout(wait::PATIENCE, publishing).await.unwrap().unwrap();
    let stored: HashSet<String> = stored(&nsqd).into_iter().collect();
    for (body, outcome) in &outcomes {
        match outcome {
            Ok(()) => assert!(
                stored.contains(body),
                "{body} was confirmed, and is not stored"
            ),
            Err(error) if error.maybe_stored() => {}
            Err(error) => panic!("{body} was told as not stored: {error}"),
        }
    }
    let stats = producer.stats();
    assert_eq!((stats.connects, stats.rejected, stats.not_sent), (3, 0, 0));
    assert!(
        stats.unknown <= 2 * 64,
        "no more than was pending: {stats:?}"
    );
}

/// Publishes through two restarts, and for a while after them; tells how each publish ended.
async fn publish_until_reconnected_twice(
    producer: &Producer,
) -> Vec<(String, Result<(), PublishError>)> {
    let topic = topic();
    let mut tickets = Vec::new();
    let mut after = 200;
    for number in 0_u32.. {
        let publish = producer.publish(&topic, number.to_string());
        tickets.push((number.to_string(), publish.enqueue().await.unwrap()));
        if producer.stats().connects == 3 {
            after -= 1;
        }
        if after == 0 {
            break;
        }
    }
    let mut outcomes = Vec::new();
    for (body, ticket) in tickets {
        outcomes.push((body, ticket.await.map(drop)));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn with_retries_everything_is_stored_in_spite_of_a_kill() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    let builder = builder(&[&nsqd]).retry(RetryPolicy::at_least_once());
    let producer = connected(builder).await;
    let (topic, bodies) = (topic(), numbers(0..2000));
    let mut tickets = Vec::new();
    for body in &bodies[..500] {
        tickets.push(
            producer
                .publish(&topic, body.clone())
                .enqueue()
                .await
                .unwrap(),
        );
    }
    block_in_place(|| {
        nsqd.kill();
        nsqd.restart_in_place();
    });
    for body in &bodies[500..] {
        tickets.push(
            producer
                .publish(&topic, body.clone())
                .enqueue()
                .await
                .unwrap(),
        );
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let stored: HashSet<String> = stored(&nsqd).into_iter().collect();
    assert_eq!(stored, bodies.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_nsqd_is_left_for_another_and_used_again() {
    let (frozen, other) = (Nsqd::start(&[]), Nsqd::start(&[]));
    let builder = builder(&[&frozen, &other]).routing(Routing::Primary);
    let builder = builder.retry(RetryPolicy::at_least_once());
    let producer = builder
        .reply_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    until(|| producer.nodes().iter().all(|node| node.connected)).await;
    let topic = topic();

    frozen.signal(Signal::STOP);
    // It may still answer for a moment. What it had when it froze moves on with the others.
    let mut bodies = numbers(0..10_000).into_iter();
    let mut published = Vec::new();
    loop {
        published.extend(bodies.by_ref().take(10));
        let mut tickets = Vec::new();
        for body in &published[published.len() - 10..] {
            tickets.push(
                producer
                    .publish(&topic, body.clone())
                    .enqueue()
                    .await
                    .unwrap(),
            );
        }
        let mut nodes = Vec::new();
        for ticket in tickets {
            nodes.push(ticket.await.unwrap().node.to_string());
        }
        if nodes.contains(&other.tcp().to_string()) {
            break;
        }
    }
    frozen.signal(Signal::CONT);
    until(|| producer.nodes()[0].connected).await;
    let receipt = producer.publish(&topic, "after").await.unwrap();
    assert_eq!(receipt.node.to_string(), frozen.tcp().to_string());
    let stored: HashSet<String> = [&frozen, &other].into_iter().flat_map(stored).collect();
    published.push("after".to_owned());
    assert_eq!(stored, published.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_nsqds_may_go_without_a_publish_lost() {
    let (mut one, two) = (Nsqd::start(&["--mem-queue-size=0"]), Nsqd::start(&[]));
    let producer = connected(builder(&[&one, &two]).retry(RetryPolicy::at_least_once())).await;
    let (topic, bodies) = (topic(), numbers(0..2000));
    let mut tickets = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        if index == 700 {
            block_in_place(|| one.kill());
        }
        if index == 1400 {
            block_in_place(|| one.restart_in_place());
            until(|| producer.nodes()[0].connected).await;
        }
        tickets.push(
            producer
                .publish(&topic, body.clone())
                .enqueue()
                .await
                .unwrap(),
        );
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let stored: HashSet<String> = [&one, &two].into_iter().flat_map(stored).collect();
    assert_eq!(stored, bodies.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_harms_no_other() {
    let nsqd = Nsqd::start(&["--max-msg-size=100"]);
    let limits = Limits {
        max_msg_size: 1000,
        ..Limits::default()
    };
    let producer = connected(builder(&[&nsqd]).limits(limits)).await;
    let mut events = producer.events();
    let topic = topic();
    let mut tickets = Vec::new();
    for number in 0..20 {
        let body = if number == 7 {
            "x".repeat(101)
        } else {
            number.to_string()
        };
        tickets.push(producer.publish(&topic, body).enqueue().await.unwrap());
    }
    for (number, ticket) in (0..).zip(tickets) {
        match ticket.await {
            Ok(_) => assert_ne!(number, 7),
            Err(PublishError::Rejected { code, .. }) => {
                assert_eq!((number, code), (7, Some(ErrorCode::BadMessage)));
            }
            Err(error) => panic!("{number}: {error}"),
        }
    }
    let bodies = (0..20)
        .filter(|number| *number != 7)
        .map(|number| number.to_string());
    assert_eq!(stored(&nsqd), bodies.collect::<Vec<_>>());
    loop {
        let event = timeout(wait::PATIENCE, events.recv())
            .await
            .unwrap()
            .unwrap();
        if matches!(event, Event::Rejected { .. }) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_may_be_there_before_its_nsqd() {
    let mut nsqd = Nsqd::start(&[]);
    let producer = builder(&[&nsqd]);
    block_in_place(|| nsqd.kill());
    let producer = producer.build().unwrap();
    let ticket = producer.publish(&topic(), "early").enqueue().await.unwrap();
    until(|| producer.nodes()[0].last_error.is_some()).await;
    block_in_place(|| nsqd.restart_in_place());
    ticket.await.unwrap();
    assert_eq!(stored(&nsqd), ["early"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_port_is_named_as_such() {
    let nsqd = Nsqd::start(&[]);
    let producer = Producer::builder()
        .nsqd(nsqd.http().to_string())
        .build()
        .unwrap();
    let error = producer.publish(&topic(), "a").await.unwrap_err();
    let PublishError::NotSent { cause: Some(cause) } = error else {
        panic!("{error}");
    };
    assert!(cause.cause.to_string().contains("HTTP port"), "{cause:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nsqds_are_found_through_nsqlookupd() {
    let lookupd = Lookupd::start();
    let nsqds = [(); 2].map(|()| Nsqd::start(&[&lookupd.flag()]));
    let client = Client::new(HttpLimits::default());
    let http = lookupd.http().to_string();
    block_in_place(|| {
        wait::until("both are registered", || {
            lookupd.get("/nodes").json()["producers"]
                .as_array()
                .is_some_and(|nodes| nodes.len() == 2)
        });
    });
    // One that is gone is left out while another answers.
    let lookupds = ["127.0.0.1:1", &http];
    let found = builder(&[]).lookupd_nodes(&client, lookupds).await.unwrap();
    let producer = connected(found.routing(Routing::RoundRobin)).await;
    until(|| {
        producer
            .nodes()
            .iter()
            .filter(|node| node.connected)
            .count()
            == 2
    })
    .await;
    for body in numbers(0..10) {
        producer.publish(&topic(), body).await.unwrap();
    }
    assert_eq!(nsqds.map(|nsqd| stored(&nsqd).len()), [5, 5]);

    let error = builder(&[]).lookupd_nodes(&client, ["127.0.0.1:1"]).await;
    assert!(error.unwrap_err().to_string().contains("127.0.0.1:1"));
}

/// Waits until this holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(wait::PATIENCE, waiting)
        .await
        .expect("it holds in time");
}
