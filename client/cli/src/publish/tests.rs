use std::future::pending;

use bytes::Bytes;
use client::connection::Address;
use client::consumer::Consumer;
use client::wire::{ChannelName, OK, put_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::cluster::{Cluster, Settings};

async fn cluster() -> Cluster {
    Cluster::start(Settings::default()).await.unwrap()
}

fn topic() -> TopicName {
    TopicName::parse("orders").unwrap()
}

fn to(address: &Address) -> Destination {
    Destination::nsqds(vec![address.clone()])
}

/// Publishes a file with this content.
async fn publish_text(address: &Address, text: &[u8], options: Options) -> Result<Summary, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let source = Source::open(Some(file.path())).unwrap();
    let (destination, progress) = (to(address), Progress::none());
    publish(&destination, topic(), source, options, progress, pending()).await
}

/// The next messages of the topic.
async fn receive(address: &Address, count: usize) -> Vec<Bytes> {
    let channel = ChannelName::parse("test").unwrap();
    let consumer = Consumer::builder(topic(), channel).nsqd(address.to_string());
    let mut consumer = consumer.max_in_flight(100).start().await.unwrap();
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let message = consumer.recv().await.unwrap();
        bodies.push(message.body().clone());
        message.finish().unwrap();
    }
    consumer.control().drain(Duration::from_secs(5)).await;
    bodies
}

#[tokio::test]
async fn each_line_arrives_as_it_is() {
    let cluster = cluster().await;
    let address = cluster.nsqd_tcp_address();
    let text = b"one\n\n\xff\0two\r\n\nlast";
    let summary = publish_text(address, text, Options::default())
        .await
        .unwrap();
    let expected = Summary {
        messages: 3,
        bytes: 13,
        skipped: 2,
    };
    assert_eq!(summary, expected);
    assert_eq!(
        receive(address, 3).await,
        [&b"one"[..], b"\xff\0two\r", b"last"]
    );
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn many_lines_arrive_whatever_the_window() {
    let cluster = cluster().await;
    let address = cluster.nsqd_tcp_address();
    let lines = (0..3000).map(|number| format!("{number}\n"));
    let text = lines.collect::<Vec<_>>().concat();
    for (batch, window) in [(1, 1), (1, 1000), (7, 3), (5000, 1)] {
        let options = Options {
            batch,
            window,
            ..Options::default()
        };
        let summary = publish_text(address, text.as_bytes(), options)
            .await
            .unwrap();
        assert_eq!(summary.messages, 3000);
        let mut bodies = receive(address, 3000).await;
        bodies.sort_by_key(|body| str::from_utf8(body).unwrap().parse::<u32>().unwrap());
        assert!(
            bodies
                .iter()
                .map(|body| [body, &b"\n"[..]].concat())
                .eq(text
                    .split_inclusive('\n')
                    .map(|line| line.as_bytes().to_vec()))
        );
    }
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn deferred_lines_arrive_later() {
    let cluster = cluster().await;
    let address = cluster.nsqd_tcp_address();
    let delay = Duration::from_millis(300);
    let options = Options {
        defer: Some(GoDuration(delay)),
        ..Options::default()
    };
    let started = std::time::Instant::now();
    publish_text(address, b"one\ntwo\n", options).await.unwrap();
    assert_eq!(receive(address, 2).await.len(), 2);
    assert!(started.elapsed() >= delay);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn lines_before_one_that_is_too_long_are_published() {
    let cluster = cluster().await;
    let address = cluster.nsqd_tcp_address();
    let options = Options {
        max_msg_size: 3,
        ..Options::default()
    };
    let error = publish_text(address, b"one\ntwo\nthree\n", options)
        .await
        .unwrap_err();
    assert!(error.explain().starts_with("line 3 has more than 3 bytes"));
    assert_eq!(receive(address, 2).await, ["one", "two"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_refused_line_is_named() {
    let cluster = cluster().await;
    let options = Options {
        max_msg_size: 2_000_000,
        batch: 2,
        // Line 3 waits for line 4 however long that takes to be read, and line 5 for what becomes of them.
        linger: GoDuration(Duration::from_mins(1)),
        window: 1,
        ..Options::default()
    };
    let text = [&b"a\nb\nc\n"[..], &vec![b'x'; 1_500_000], b"\ne\n"].concat();
    let error = publish_text(cluster.nsqd_tcp_address(), &text, options)
        .await
        .unwrap_err();
    let text = error.explain();
    assert!(
        text.starts_with(
            "lines 3 to 4 (the longest is line 4 with 1,500,000 bytes) not published: \
             refused by "
        ),
        "{text}"
    );
    assert!(text.contains(": E_BAD_MESSAGE "), "{text}");
    assert!(text.ends_with("; confirmed: 2 messages"), "{text}");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_signal_ends_the_input_after_the_last_whole_line() {
    let cluster = cluster().await;
    let address = cluster.nsqd_tcp_address();
    let options = Options {
        rate: 1,
        ..Options::default()
    };
    let producers = to(address).connect(&options).await.unwrap();
    let feed = Feed::new(producers, topic(), options, Progress::none());
    let (chunks_tx, chunks_rx) = mpsc::channel(4);
    let (stop_tx, stop_rx) = oneshot::channel();
    let stop = async { stop_rx.await.unwrap() };
    let input = async {
        let chunk = Bytes::from_static(b"one\ntwo\nthree\nhalf a li");
        chunks_tx.send(Ok(chunk)).await.unwrap();
        assert_eq!(receive(address, 1).await, ["one"]);
        stop_tx.send(()).unwrap();
        chunks_tx.closed().await;
    };
    let (summary, ()) = tokio::join!(feed.run(chunks_rx, stop), input);
    assert_eq!(summary.unwrap().messages, 3);
    assert_eq!(receive(address, 2).await, ["two", "three"]);
    cluster.stop().await.unwrap();
}

/// What is said of lines when nsqd dies after so many answers, the first of them to IDENTIFY.
async fn check_death(answers: usize, expected: (&str, &str)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let nsqd = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = [0; 4096];
        let mut ok = Vec::new();
        put_response(&mut ok, OK);
        for _ in 0..answers {
            assert_ne!(stream.read(&mut received).await.unwrap(), 0);
            stream.write_all(&ok).await.unwrap();
        }
        assert_ne!(stream.read(&mut received).await.unwrap(), 0);
    };
    let options = Options {
        batch: 1,
        window: 1,
        ..Options::default()
    };
    let (error, ()) = tokio::join!(publish_text(&address, b"one\ntwo\n", options), nsqd);
    let closed = format!(
        "perhaps not published: sent to {address}, but the connection was over before an answer came: \
         the connection was closed by nsqd; confirmed: "
    );
    let (line, confirmed) = expected;
    let expected = format!("{line} {closed}{confirmed}");
    assert_eq!(error.unwrap_err().explain(), expected);
}

#[tokio::test]
async fn a_daemon_that_dies_leaves_lines_in_doubt() {
    check_death(1, ("line 1 (3 bytes)", "0 messages")).await;
    check_death(2, ("line 2 (3 bytes)", "1 message")).await;
}

#[tokio::test]
async fn every_nsqd_gets_a_copy_or_just_one() {
    let (first, second) = (cluster().await, cluster().await);
    let (a, b) = (first.nsqd_tcp_address(), second.nsqd_tcp_address());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "one\ntwo\nthree\nfour\n").unwrap();
    let send = async |mode| {
        let destination = Destination {
            mode,
            ..Destination::nsqds(vec![a.clone(), b.clone()])
        };
        let options = Options {
            batch: 1,
            ..Options::default()
        };
        let source = Source::open(Some(file.path())).unwrap();
        let progress = Progress::none();
        let sent = publish(&destination, topic(), source, options, progress, pending()).await;
        assert_eq!(sent.unwrap().messages, 4);
    };
    send(Mode::All).await;
    let all = ["one", "two", "three", "four"];
    assert_eq!(receive(a, 4).await, all);
    assert_eq!(receive(b, 4).await, all);
    send(Mode::Primary).await;
    // Both are connected by now only if the first was; whichever it is has all of them.
    let received = tokio::select! {
        received = receive(a, 4) => received,
        received = receive(b, 4) => received,
    };
    assert_eq!(received, all);
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

/// An address where nobody listens.
async fn nowhere() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

#[tokio::test]
async fn an_nsqd_that_is_away_matters_only_if_it_has_to_get_everything() {
    let cluster = cluster().await;
    let (away, there) = (nowhere().await, cluster.nsqd_tcp_address());
    let destination = Destination::nsqds(vec![away.clone(), there.clone()]);
    destination.connect(&Options::default()).await.unwrap();
    let destination = Destination {
        mode: Mode::All,
        ..destination
    };
    let error = destination.connect(&Options::default()).await.unwrap_err();
    assert_eq!(error.status(), 6);
    let text = error.explain();
    assert!(
        text.starts_with(&format!("cannot connect to {away}: ")),
        "{text}"
    );
    cluster.stop().await.unwrap();
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let Err(error) = Source::open(Some("/no/such/file".as_ref())) else {
        panic!("there is no such file");
    };
    assert_eq!(
        error.explain(),
        "cannot read /no/such/file: No such file or directory"
    );
}
