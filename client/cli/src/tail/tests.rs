use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use client::connection::Address;
use client::producer::Producer;
use tokio::io::AsyncWrite;
use tokio::sync::Mutex;

use super::*;
use crate::cluster::{Cluster, Settings};

/// A cluster whose topic `orders` holds these messages.
async fn cluster(bodies: &[&'static str]) -> Cluster {
    let cluster = Cluster::start(Settings::default()).await.unwrap();
    let address = cluster.nsqd_tcp_address().to_string();
    let producer = Producer::connect(&address).await.unwrap();
    for body in bodies {
        producer.publish(&topic(), *body).await.unwrap();
    }
    cluster
}

fn topic() -> TopicName {
    TopicName::parse("orders").unwrap()
}

fn sources(address: &Address) -> Sources {
    Sources {
        nsqd_tcp_address: vec![address.clone()],
        ..Sources::default()
    }
}

fn job(address: &Address, count: u64) -> Job {
    Job {
        name: "test",
        topics: vec![topic()],
        channel: ChannelName::parse("test").unwrap(),
        count: NonZeroU64::new(count),
        format: Format::Body,
        max_in_flight: 2,
        sources: sources(address),
        link: Link::default(),
    }
}

async fn tail<W: AsyncWrite + Unpin>(address: &Address, count: u64, to: W) -> Result<(), Error> {
    let to = Mutex::new(to);
    job(address, count).print(topic(), &to, Stop::new()).await
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
    let cluster = cluster(&["a"]).await;
    let (stop, printed) = (Stop::new(), Mutex::new(Vec::new()));
    let job = job(cluster.nsqd_tcp_address(), 0);
    let asks = async {
        while printed.lock().await.is_empty() {
            tokio::task::yield_now().await;
        }
        stop.ask();
    };
    let (ended, ()) = tokio::join!(job.print(topic(), &printed, stop.clone()), asks);
    ended.unwrap();
    assert_eq!(printed.into_inner(), b"a\n");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_backlog_is_what_no_channel_has_got() {
    let cluster = cluster(&["a"]).await;
    let known = Sources {
        lookupd_http_address: vec![cluster.lookupd_http_address().to_owned()],
        ..Sources::default()
    };
    let registered = async {
        while backlog(&known, &[], &topic()).await != Backlog::Waiting {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let registered = tokio::time::timeout(Duration::from_secs(10), registered).await;
    registered.expect("nsqlookupd comes to know the topic");
    let new = TopicName::parse("new").unwrap();
    assert_eq!(backlog(&known, &[], &new).await, Backlog::None);
    // Its HTTP API is on some port.
    let named = sources(cluster.nsqd_tcp_address());
    let found = backlog(&named, &[], &topic()).await;
    assert!(matches!(found, Backlog::Unknown(_)), "{found:?}");

    tail(cluster.nsqd_tcp_address(), 1, Vec::new())
        .await
        .unwrap();
    assert_eq!(backlog(&known, &[], &topic()).await, Backlog::None);
    cluster.stop().await.unwrap();
}
