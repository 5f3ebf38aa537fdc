use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};

use client::connection::Address;
use client::wire::Command;

use super::*;
use crate::cluster::{Cluster, Settings};
use crate::connect::connect;

/// A cluster whose topic `orders` holds these messages.
async fn cluster(bodies: &[&str]) -> Cluster {
    let cluster = Cluster::start(Settings::default()).await.unwrap();
    let mut producer = connect(cluster.nsqd_tcp_address(), "test").await.unwrap();
    let topic = topic();
    for body in bodies {
        let topic = topic.as_name();
        let body = body.as_bytes();
        producer
            .request(&Command::Publish { topic, body })
            .await
            .unwrap();
    }
    cluster
}

fn topic() -> TopicName {
    TopicName::parse("orders").unwrap()
}

async fn tail<W: AsyncWrite + Unpin>(address: &Address, count: u64, to: W) -> Result<(), Error> {
    let channel = ChannelName::parse("test").unwrap();
    let tail = Tail {
        subscription: Subscription::open(address, &topic(), &channel).await?,
        output: Output::new(to, topic(), Format::Body),
        max_in_flight: 2,
        remaining: Some(count),
    };
    tail.run(pending()).await
}

#[tokio::test]
async fn no_more_is_taken_than_is_wanted() {
    let cluster = cluster(&["a", "b", "c", "d", "e"]).await;
    let mut printed = Vec::new();
    for count in [1, 3, 1] {
        tail(cluster.nsqd_tcp_address(), count, &mut printed)
            .await
            .unwrap();
    }
    assert_eq!(printed, b"a\nb\nc\nd\ne\n");
    cluster.stop().await.unwrap();
}

/// The reader of a pipe that has gone.
struct Gone;

impl AsyncWrite for Gone {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_a_closed_pipe_did_not_take_goes_to_the_next() {
    let cluster = cluster(&["a", "b"]).await;
    let address = cluster.nsqd_tcp_address();
    tail(address, 2, Gone).await.unwrap();
    let mut printed = Vec::new();
    tail(address, 2, &mut printed).await.unwrap();
    let mut lines: Vec<&[u8]> = printed.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    assert_eq!(lines, [b"a\n", b"b\n"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_signal_ends_it_cleanly() {
    let cluster = cluster(&[]).await;
    let channel = random_channel();
    let address = cluster.nsqd_tcp_address();
    let tail = Tail {
        subscription: Subscription::open(address, &topic(), &channel)
            .await
            .unwrap(),
        output: Output::new(Vec::new(), topic(), Format::Body),
        max_in_flight: 2,
        remaining: None,
    };
    tail.run(async {}).await.unwrap();
    cluster.stop().await.unwrap();
}
