//! Those who come and go: when they have gone, they have left nothing behind.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::Peer;

/// How long it is kept up, in seconds; otherwise for [`ROUNDS`].
const SECONDS: &str = "NSQ_CHURN_SECONDS";
const ROUNDS: usize = 100;
/// After so many rounds the process has what such a crowd takes.
const WARM_UP: usize = 100;
const AT_ONCE: usize = 50;
const TOPICS: usize = 5;

#[test]
fn connections_and_ephemeral_channels_leave_nothing_behind() {
    let seconds = std::env::var(SECONDS).map_or(0, |seconds| seconds.parse().unwrap());
    let kept_up = Duration::from_secs(seconds);
    // What is known of a channel that is gone stays until the first time-out that it waited for.
    let nsqd = Nsqd::start(&["--msg-timeout=1s"]);
    (0..WARM_UP).for_each(|round| come_and_go(&nsqd, round));
    await_gone(&nsqd);
    let (files, memory, begun) = (nsqd.open_files(), nsqd.rss_bytes(), Instant::now());
    let mut round = WARM_UP;
    while round < WARM_UP + ROUNDS || begun.elapsed() < kept_up {
        come_and_go(&nsqd, round);
        round += 1;
    }
    await_gone(&nsqd);
    wait::until("every descriptor is closed", || nsqd.open_files() <= files);
    let grown = nsqd.rss_bytes().saturating_sub(memory) >> 10;
    // 1 MiB a minute, and what the allocator has at hand.
    let allowed = 2048 + 1024 * begun.elapsed().as_secs() / 60;
    assert!(grown <= allowed, "{grown} KiB in {round} rounds");
}

/// A crowd subscribes, each member to a channel of its own, gets a message, and goes.
fn come_and_go(nsqd: &Nsqd, round: usize) {
    let topics: Vec<_> = (0..TOPICS)
        .map(|number| format!("t{round}-{number}#ephemeral"))
        .collect();
    let mut crowd: Vec<Peer> = (0..AT_ONCE)
        .map(|number| {
            let channel = format!("c{number}#ephemeral");
            let mut peer = nsqd.consumer(&topics[number % TOPICS], &channel);
            peer.ready(1);
            peer
        })
        .collect();
    let mut producer = nsqd.peer();
    for topic in &topics {
        producer.publish(topic, "m");
    }
    for peer in &mut crowd {
        peer.consume(1);
    }
}

fn await_gone(nsqd: &Nsqd) {
    wait::until("all topics are gone", || {
        nsqd.stats()["topics"] == json!([])
    });
}
