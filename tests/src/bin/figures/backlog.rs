//! A backlog that does not fit into memory: what it costs to keep, to stop with, and to come back with, killed or not.

use std::time::Instant;

use tests::daemon::Nsqd;
use tests::load::{self, Publishing};
use tokio::runtime::Runtime;

use crate::{mib, print};

/// The byte budget that memory is held against.
const BUDGET: &str = "--mem-queue-bytes=256MiB";
const BODY_BYTES: usize = 1000;
const BATCH: usize = 100;

/// Publishes so many bytes which nobody consumes, and starts again over them.
pub(crate) fn measure(bytes: usize) {
    let mut nsqd = Nsqd::start(&[BUDGET]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let start = Instant::now();
    let messages = publish(&nsqd, bytes);
    print(
        "backlog: time to publish it",
        start.elapsed().as_secs_f64(),
        "s",
    );
    print(
        "backlog: most memory, of a budget of 256 MiB",
        mib(nsqd.peak_rss_bytes()),
        "MiB",
    );
    let start = Instant::now();
    assert!(nsqd.terminate().success());
    print("backlog: time to stop", start.elapsed().as_secs_f64(), "s");
    let start = Instant::now();
    nsqd.restart();
    print("backlog: time to start", start.elapsed().as_secs_f64(), "s");
    print(
        "backlog: memory after the start",
        mib(nsqd.rss_bytes()),
        "MiB",
    );
    assert_eq!(nsqd.channel("t", "c")["depth"], messages, "nothing is lost");
    let start = Instant::now();
    let drained = load::consume(nsqd.tcp(), "t", "c", 2500, messages);
    Runtime::new()
        .expect("a runtime can be made")
        .block_on(drained)
        .expect("every message is delivered");
    print(
        "backlog: time to drain it",
        start.elapsed().as_secs_f64(),
        "s",
    );
    print(
        "backlog: most memory while it was drained",
        mib(nsqd.peak_rss_bytes()),
        "MiB",
    );
}

/// Publishes so many bytes to a topic which keeps them on disk, kills nsqd, and starts again.
pub(crate) fn recover(bytes: usize) {
    let mut nsqd = Nsqd::start(&["--durability=disk"]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let messages = publish(&nsqd, bytes);
    nsqd.kill();
    let start = Instant::now();
    nsqd.restart();
    let name = format!(
        "recovery: {} GB, killed: time to start",
        bytes / 1_000_000_000
    );
    print(&name, start.elapsed().as_secs_f64(), "s");
    let memory = mib(nsqd.rss_bytes());
    print("recovery: memory after the start", memory, "MiB");
    assert_eq!(nsqd.channel("t", "c")["depth"], messages, "nothing is lost");
}

/// Publishes so many bytes to the topic `t`, and returns how many messages they are.
fn publish(nsqd: &Nsqd, bytes: usize) -> usize {
    let load = Publishing {
        messages: bytes / BODY_BYTES / BATCH * BATCH,
        connections: 1,
        batch: BATCH,
        window: 4,
        body_bytes: BODY_BYTES,
    };
    let runtime = Runtime::new().expect("a runtime can be made");
    let published = runtime.block_on(load::publish(nsqd.tcp(), "t", load));
    published.expect("every publish is answered with OK");
    load.messages
}
