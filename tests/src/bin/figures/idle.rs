//! What costs something although nobody uses it.

use std::thread;
use std::time::Duration;

use tests::daemon::Nsqd;
use tests::wire::Peer;

use crate::{allow_many_files, mib, print};

const TOPICS: usize = 1000;
const CONSUMERS: usize = 2000;
const WATCHED: Duration = Duration::from_secs(5);

/// Memory of an empty daemon, of topics and of consumers; processor time of topics.
pub(crate) fn measure() {
    let empty = Nsqd::start(&[]);
    print("empty: memory", mib(empty.rss_bytes()), "MiB");
    topics();
    consumers();
}

fn topics() {
    let nsqd = Nsqd::start(&[]);
    let before = nsqd.rss_bytes();
    for number in 0..TOPICS {
        nsqd.act(&format!("/topic/create?topic=t{number}"));
        nsqd.act(&format!("/channel/create?topic=t{number}&channel=c"));
    }
    let grown = nsqd.rss_bytes().saturating_sub(before);
    print(
        "1,000 idle topics with a channel: memory",
        mib(grown),
        "MiB",
    );
    let before = nsqd.cpu_time();
    // A measurement: what it uses while nothing happens.
    thread::sleep(WATCHED);
    let used = nsqd.cpu_time().saturating_sub(before);
    let percent = used.as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
    print(
        "1,000 idle topics with a channel: processor time",
        percent,
        "%",
    );
}

fn consumers() {
    allow_many_files();
    let nsqd = Nsqd::start(&[]);
    let before = nsqd.rss_bytes();
    let mut idle: Vec<Peer> = (0..CONSUMERS).map(|_| nsqd.consumer("t", "c")).collect();
    for consumer in &mut idle {
        consumer.ready(100);
    }
    let grown = nsqd.rss_bytes().saturating_sub(before);
    print("2,000 idle consumers: memory", mib(grown), "MiB");
}
