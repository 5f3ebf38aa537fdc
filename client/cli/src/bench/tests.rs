use std::future::pending;

use clap::Parser;

use super::*;
use crate::cluster::{Cluster, Settings};
use crate::{Arguments as Line, Command};

/// Runs `nsq bench` with these words against `cluster`.
async fn bench(cluster: &Cluster, words: &str) -> report::Report {
    let address = cluster.nsqd_tcp_address().to_string();
    let line = ["nsq", "bench", "--nsqd-tcp-address", &address].into_iter();
    let line = Line::try_parse_from(line.chain(words.split(' '))).unwrap();
    let Command::Bench(arguments) = line.command else {
        panic!("{words:?} is not bench");
    };
    run::run(&arguments, pending()).await.unwrap()
}

#[tokio::test]
async fn what_is_published_is_consumed_afterwards() {
    let cluster = Cluster::start(Settings::default()).await.unwrap();
    let published = bench(&cluster, "pub --messages 1003 --batch 50 --size 10").await;
    let flow = published.published.unwrap();
    assert_eq!((flow.messages, flow.bytes), (1003, 10_030));
    assert!(published.publish_latency_ns.is_some());
    assert_eq!(published.received, None);

    let received = bench(&cluster, "sub --messages 1003 --connections 3").await;
    let flow = received.received.unwrap();
    assert_eq!((flow.messages, flow.bytes), (1003, 10_030));
    assert_eq!(received.published, None);
    assert_eq!(received.end_to_end_latency_ns, None);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn messages_of_another_run_are_not_counted() {
    let cluster = Cluster::start(Settings::default()).await.unwrap();
    bench(&cluster, "pub --messages 100").await;
    for words in [
        "--batch 1 --window 20 --messages 500",
        "--messages 500 --size 1",
    ] {
        let report = bench(&cluster, &format!("pubsub {words}")).await;
        assert_eq!(report.published.unwrap().messages, 500);
        assert_eq!(report.received.unwrap().messages, 500);
        assert!(report.end_to_end_latency_ns.is_some());
    }
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn time_ends_a_run_too() {
    let cluster = Cluster::start(Settings::default()).await.unwrap();
    let report = bench(&cluster, "pub --duration 50ms --connections 1").await;
    assert!(report.published.unwrap().messages > 0);
    let report = bench(&cluster, "sub --duration 50ms --topic empty").await;
    assert_eq!(report.received.unwrap().messages, 0);
    cluster.stop().await.unwrap();
}
