//! One bad neighbour, and stopping in the middle of it all.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::{Peer, with_body};

#[test]
fn a_consumer_that_never_reads_disturbs_nobody() {
    let nsqd = Nsqd::start(&["--mem-queue-size=100"]);
    let mut deaf = nsqd.consumer("t", "deaf");
    deaf.ready(2500);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(100);
    let mut producer = nsqd.peer();
    let body = vec![b'x'; 100_000];
    for _ in 0..200 {
        producer.publish("t", &body);
    }
    consumer.consume(200);
    nsqd.await_channel("t", "c", "in_flight_count", 0);
    drop(deaf);
    nsqd.await_channel("t", "deaf", "depth", 200);
}

#[test]
fn a_silent_connection_does_not_hold_up_the_stop() {
    let mut nsqd = Nsqd::start(&[]);
    let _silent = nsqd.silent_peer();
    let _idle = nsqd.peer();
    let _consumer = nsqd.consumer("t", "c");
    let mut stalled = nsqd.peer();
    stalled.send("PUB t\n\0\0\0\x09abc");
    let _http = TcpStream::connect(nsqd.http()).unwrap();
    let start = Instant::now();
    assert_eq!(nsqd.terminate().code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_stop_under_load_loses_nothing_that_was_answered() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=1000"]);
    drop(nsqd.consumer("t", "c"));
    let address = nsqd.tcp();
    let producers: Vec<_> = (0..4)
        .map(|producer| thread::spawn(move || publish_until_closed(address, producer)))
        .collect();
    wait::until("they publish", || {
        nsqd.topic("t")["message_count"].as_u64() > Some(500)
    });
    assert_eq!(nsqd.terminate().code(), Some(0));
    let answered: Vec<String> = producers
        .into_iter()
        .flat_map(|p| p.join().unwrap())
        .collect();
    nsqd.restart();
    let depth = usize::try_from(nsqd.channel("t", "c")["depth"].as_u64().unwrap()).unwrap();
    // A message may be stored while its answer is cut off: at most one per producer.
    assert!(
        (answered.len()..=answered.len() + 4).contains(&depth),
        "{depth} of {}",
        answered.len()
    );
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1000);
    let got: std::collections::HashSet<_> = consumer
        .consume(depth)
        .iter()
        .map(|m| m.text().to_owned())
        .collect();
    assert!(answered.iter().all(|body| got.contains(body)));
}

/// Publishes until nsqd closes; returns what was answered with OK.
fn publish_until_closed(address: std::net::SocketAddr, producer: usize) -> Vec<String> {
    let mut peer = Peer::connect(address);
    let mut answered = Vec::new();
    for number in 0.. {
        let body = format!("{producer}-{number}");
        peer.send(with_body("PUB t", &body));
        match peer.frame_within(wait::PATIENCE) {
            Ok(_) => answered.push(body),
            Err(_) => break,
        }
    }
    answered
}
