//! Finding nsqds through nsqlookupds that are well, slow, down or know nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::fake::{Fake, builder, fin};
use crate::connection::ConnectOptions;
use crate::consumer::{Consumer, Event};

/// What an nsqlookupd answers; none is no answer at all.
type Answer = Arc<Mutex<Option<String>>>;

/// A fake nsqlookupd: its address, and what it answers from now on.
async fn lookupd(answer: Option<String>) -> (String, Answer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(Mutex::new(answer));
    let answers = answer.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answers = answers.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.unwrap_or(0) > 0 {
                    let answer = answers.lock().unwrap().clone();
                    let Some(answer) = answer else {
                        return std::future::pending::<()>().await;
                    };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, answer)
}

async fn lookupd_that_says(answer: String) -> (String, Answer) {
    lookupd(Some(answer)).await
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn listing(nsqds: &[&Fake]) -> String {
    let producers: Vec<String> = nsqds.iter().map(|nsqd| producer(nsqd)).collect();
    let body = format!(r#"{{"channels":[],"producers":[{}]}}"#, producers.join(","));
    http("200 OK", &body)
}

fn producer(nsqd: &Fake) -> String {
    let address = nsqd.address();
    let (host, port) = address.rsplit_once(':').unwrap();
    format!(
        r#"{{"remote_address":"127.0.0.1:1","hostname":"h","broadcast_address":"{host}","tcp_port":{port},"http_port":1,"version":"1.3.0"}}"#
    )
}

async fn consumer(lookupds: &[&str]) -> Consumer {
    let mut builder = builder().lookupd_interval(Duration::from_millis(50));
    for address in lookupds {
        builder = builder.lookupd(*address);
    }
    builder.start().await.unwrap()
}

#[tokio::test]
async fn what_one_nsqlookupd_lists_is_used_whatever_the_others_do() {
    let nsqds = [Fake::bind().await, Fake::bind().await];
    let down = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let down_address = down.local_addr().unwrap().to_string();
    drop(down);
    let (slow, _) = lookupd(None).await;
    let (ignorant, _) =
        lookupd_that_says(http("404 Not Found", r#"{"message":"TOPIC_NOT_FOUND"}"#)).await;
    let (one, _) = lookupd_that_says(listing(&[&nsqds[0]])).await;
    let (both, _) = lookupd_that_says(listing(&[&nsqds[0], &nsqds[1]])).await;
    let consumer = consumer(&[&down_address, &slow, &ignorant, &one, &both]).await;
    let mut events = consumer.control().events();
    let _peers = [nsqds[0].subscribed().await, nsqds[1].subscribed().await];
    loop {
        if let Event::LookupFailed { address, .. } = events.next().await.unwrap() {
            assert_eq!(address, down_address, "not knowing a topic is no failure");
            break;
        }
    }
    assert!(
        nsqds[0].is_left_alone(Duration::from_millis(100)).await,
        "one connection is enough"
    );
}

#[tokio::test]
async fn a_hundred_silent_nsqds_hold_up_no_healthy_one() {
    let nsqd = Fake::bind().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(Fake::bind().await);
    }
    let listed: Vec<&Fake> = silent.iter().chain([&nsqd]).collect();
    let (address, _) = lookupd_that_says(listing(&listed)).await;
    let consumer = consumer(&[&address]).await;
    let connecting = timeout(ConnectOptions::default().timeout, nsqd.subscribed());
    let mut peer = connecting.await.expect("connected within one timeout");
    peer.expect("RDY 32").await;
    assert_eq!(consumer.control().stats().connections, 1);
}

#[tokio::test]
async fn an_outage_of_nsqlookupd_empties_nothing() {
    let nsqd = Fake::bind().await;
    let (address, answer) = lookupd_that_says(listing(&[&nsqd])).await;
    let consumer = consumer(&[&address]).await;
    let mut events = consumer.control().events();
    let peer = nsqd.subscribed().await;
    *answer.lock().unwrap() = Some(http("500 Internal Server Error", ""));
    while !matches!(events.next().await.unwrap(), Event::LookupFailed { .. }) {}
    drop(peer);
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
}

#[tokio::test]
async fn an_nsqd_that_is_listed_no_longer_is_kept_while_it_lives() {
    let nsqd = Fake::bind().await;
    let (address, answer) = lookupd_that_says(listing(&[&nsqd])).await;
    let mut consumer = consumer(&[&address]).await;
    let mut events = consumer.control().events();
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
    *answer.lock().unwrap() = Some(listing(&[]));
    loop {
        if let Event::Discovered { removed, .. } = events.next().await.unwrap()
            && !removed.is_empty()
        {
            break;
        }
    }
    peer.send(1).await;
    consumer.recv().await.unwrap().finish().unwrap();
    peer.expect(&fin(1)).await;
    drop(peer);
    assert!(
        nsqd.is_left_alone(Duration::from_millis(700)).await,
        "not asked again"
    );
    *answer.lock().unwrap() = Some(listing(&[&nsqd]));
    let mut peer = nsqd.subscribed().await;
    peer.expect("RDY 32").await;
}
