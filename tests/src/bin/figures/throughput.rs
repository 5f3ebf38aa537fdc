//! Figures under load. Runs of both sides alternate, so that a slow minute of the machine hits both.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::daemon::Nsqd;
use tests::load::{self, Discard, Publishing};
use tokio::runtime::Runtime;

use crate::{IN_MEMORY, median, print, rate};

/// What is published: 200-byte messages over 2 connections.
#[derive(Clone, Copy)]
enum Shape {
    /// 200 messages in each MPUB.
    Batches,
    /// One message in each PUB, pipelined.
    Singles,
}

impl Shape {
    fn of(self, messages: usize) -> Publishing {
        let (batch, window) = match self {
            Self::Batches => (200, 8),
            Self::Singles => (1, 1600),
        };
        Publishing {
            messages,
            connections: 2,
            batch,
            window,
            body_bytes: 200,
        }
    }
}

/// What one run took.
#[derive(Default)]
struct Runs {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Runs {
    #[expect(
        clippy::cast_precision_loss,
        reason = "figures are read with three digits"
    )]
    fn add(&mut self, messages: usize, elapsed: Duration, cpu: Duration) {
        self.per_second.push(rate(messages, elapsed));
        self.cpu_us.push(cpu.as_secs_f64() * 1e6 / messages as f64);
    }

    /// Prints the medians, and returns them.
    fn print(self, name: &str) -> (f64, f64) {
        let (per_second, cpu_us) = (median(self.per_second), median(self.cpu_us));
        print(&format!("{name}: messages"), per_second, "/s");
        print(&format!("{name}: processor time"), cpu_us, "µs/message");
        (per_second, cpu_us)
    }
}

/// Publishing, beside a server that throws everything away.
///
/// To an ephemeral topic, which keeps the last 10,000 messages in memory that is used again; and in batches to one that
/// keeps all, where each message also costs the first touch of fresh memory.
pub(crate) fn publish(messages: usize, runs: usize) {
    for (name, shape, flags, topic) in [
        ("batches", Shape::Batches, &[][..], "load#ephemeral"),
        ("singles", Shape::Singles, &[], "load#ephemeral"),
        ("batches, all kept", Shape::Batches, IN_MEMORY, "load"),
    ] {
        let runtime = Runtime::new().expect("a runtime can be made");
        let (mut ours, mut floor) = (Runs::default(), Runs::default());
        for _ in 0..runs {
            let nsqd = Nsqd::start(flags);
            let elapsed = publish_once(&runtime, nsqd.tcp(), topic, shape.of(messages));
            ours.add(messages, elapsed, nsqd.cpu_time());
            let discard = Discard::start();
            let elapsed = publish_once(&runtime, discard.address(), topic, shape.of(messages));
            floor.add(messages, elapsed, discard.cpu_time());
        }
        let (our_speed, our_cpu) = ours.print(&format!("publish {name}, nsqd"));
        let (speed, cpu) = floor.print(&format!("publish {name}, discard"));
        print(
            &format!("publish {name}: speed, nsqd / discard"),
            our_speed / speed,
            "",
        );
        print(
            &format!("publish {name}: processor time, nsqd / discard"),
            our_cpu / cpu,
            "",
        );
    }
}

fn publish_once(runtime: &Runtime, to: SocketAddr, topic: &str, load: Publishing) -> Duration {
    let start = Instant::now();
    let published = runtime.block_on(load::publish(to, topic, load));
    published.expect("every publish is answered with OK");
    start.elapsed()
}

/// Publishing while one consumer takes and finishes everything.
pub(crate) fn deliver(messages: usize, runs: usize) {
    for (name, shape) in [("batches", Shape::Batches), ("singles", Shape::Singles)] {
        let runtime = Runtime::new().expect("a runtime can be made");
        let mut whole = Runs::default();
        for _ in 0..runs {
            let nsqd = Nsqd::start(IN_MEMORY);
            let to = nsqd.tcp();
            let start = Instant::now();
            let both = async {
                tokio::join!(
                    load::publish(to, "load", shape.of(messages)),
                    load::consume(to, "load", "channel", 2500, messages),
                )
            };
            let (published, consumed) = runtime.block_on(both);
            published.expect("every publish is answered with OK");
            consumed.expect("every message is delivered");
            whole.add(messages, start.elapsed(), nsqd.cpu_time());
        }
        whole.print(&format!("publish {name} + deliver + finish"));
    }
}

/// Publishing to a topic with 100 channels which nobody reads, beside one with 1.
pub(crate) fn fanout(messages: usize, runs: usize) {
    let runtime = Runtime::new().expect("a runtime can be made");
    let (mut one, mut hundred) = (Runs::default(), Runs::default());
    for _ in 0..runs {
        for (channels, figures) in [(1, &mut one), (100, &mut hundred)] {
            let nsqd = Nsqd::start(IN_MEMORY);
            nsqd.act("/topic/create?topic=load");
            for number in 0..channels {
                nsqd.act(&format!("/channel/create?topic=load&channel=c{number}"));
            }
            let before = nsqd.cpu_time();
            let elapsed = publish_once(&runtime, nsqd.tcp(), "load", Shape::Batches.of(messages));
            figures.add(messages, elapsed, nsqd.cpu_time().saturating_sub(before));
        }
    }
    let (_, one) = one.print("publish, 1 channel");
    let (_, hundred) = hundred.print("publish, 100 channels");
    print(
        "publish: processor time, 100 channels / 1",
        hundred / one,
        "",
    );
}
