//! An nsqlookupd that 1,000 nsqds registered with, and how soon it knows a new topic of a real nsqd.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::daemon::Nsqd;
use tests::load::SimulatedNsqd;
use tests::lookupd::Lookupd;
use tests::process;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::{allow_many_files, median, mib, print};

const NSQDS: usize = 1000;
/// Topics of each nsqd.
const TOPICS: usize = 100;
/// Channels of each topic.
const CHANNELS: &[&str] = &["archive", "billing"];
const PINGS: usize = 2000;
/// While questions are asked; an nsqd of the reference pings every 15 s.
const PING_INTERVAL: Duration = Duration::from_secs(1);
const LOOKUPS: usize = 1000;
const NODES: usize = 50;
const NEW_TOPICS: usize = 100;

/// What the topic is called which an nsqd has; both are numbers.
type Naming = fn(usize, usize) -> String;

/// nsqds with topics of their own, nsqds with the same topics, and new topics of a real nsqd.
pub(crate) fn measure() {
    allow_many_files();
    let own: Naming = |nsqd, topic| format!("topic_{nsqd}_{topic}");
    let same: Naming = |_, topic| format!("topic_{topic}");
    registered("own topics", 1, own);
    registered("same topics", NSQDS, same);
    new_topics();
}

/// Registers all topics, each of which then has so many producers; asks while all nsqds ping.
fn registered(which: &str, producers: usize, naming: Naming) {
    let print = |what: &str, value, unit| {
        print(&format!("1,000 nsqds, {which}: {what}"), value, unit);
    };
    let runtime = Runtime::new().expect("a runtime can be made");
    let lookupd = Lookupd::start();
    let start = Instant::now();
    let nsqds = runtime.block_on(register_all(lookupd.tcp(), naming));
    let mut nsqds = nsqds.expect("every registration is accepted");
    print("register", start.elapsed().as_secs_f64(), "s");
    print("memory", child_memory(), "MiB");

    let (few, all) = runtime
        .block_on(pings(&mut nsqds[0]))
        .expect("every ping is answered");
    print("ping", all, "ms");
    print("ping, 1 channel registered", few, "ms");

    let mut pinging = JoinSet::new();
    for nsqd in nsqds {
        pinging.spawn_on(ping_on(nsqd), runtime.handle());
    }
    let lookup = ask(&lookupd, LOOKUPS, producers, |n| {
        format!("/lookup?topic={}", naming(n % NSQDS, n % TOPICS))
    });
    print("/lookup while they ping", lookup, "ms");
    let nodes = ask(&lookupd, NODES, NSQDS, |_| "/nodes".to_owned());
    print("/nodes while they ping", nodes, "ms");
    assert!(pinging.try_join_next().is_none(), "no nsqd was sent away");
    print("memory after the answers", child_memory(), "MiB");
}

/// All nsqds side by side, each of which has registered everything.
async fn register_all(lookupd: SocketAddr, naming: Naming) -> io::Result<Vec<SimulatedNsqd>> {
    let mut registering = JoinSet::new();
    for number in 0..NSQDS {
        registering.spawn(register(lookupd, number, naming));
    }
    registering.join_all().await.into_iter().collect()
}

async fn register(lookupd: SocketAddr, number: usize, naming: Naming) -> io::Result<SimulatedNsqd> {
    let mut nsqd = SimulatedNsqd::connect(lookupd, number).await?;
    for topic in 0..TOPICS {
        let topic = naming(number, topic);
        for channel in CHANNELS {
            nsqd.register(&topic, channel).await?;
        }
    }
    Ok(nsqd)
}

/// The median ping in milliseconds to an nsqlookupd that knows one channel, and to the one of `among_many`. They alternate, so
/// that a slow moment of the machine hits both.
async fn pings(among_many: &mut SimulatedNsqd) -> io::Result<(f64, f64)> {
    let lookupd = Lookupd::start();
    let mut alone = SimulatedNsqd::connect(lookupd.tcp(), 0).await?;
    alone.register("topic", "channel").await?;
    let (mut few, mut all) = (Vec::new(), Vec::new());
    for _ in 0..PINGS {
        for (nsqd, waits) in [(&mut alone, &mut few), (&mut *among_many, &mut all)] {
            let start = Instant::now();
            nsqd.ping().await?;
            waits.push(milliseconds(start));
        }
    }
    Ok((median(few), median(all)))
}

/// Pings until it is refused.
async fn ping_on(mut nsqd: SimulatedNsqd) -> io::Result<()> {
    loop {
        nsqd.ping().await?;
        tokio::time::sleep(PING_INTERVAL).await;
    }
}

/// The median time of a GET in milliseconds, connecting included; each must tell so many producers.
fn ask(lookupd: &Lookupd, count: usize, producers: usize, path: impl Fn(usize) -> String) -> f64 {
    let ask_once = |number| {
        let path = path(number);
        let start = Instant::now();
        let answer = lookupd.get(&path);
        let waited = milliseconds(start);
        let told = answer.body.matches("broadcast_address").count();
        assert_eq!(told, producers, "producers in {path}");
        waited
    };
    median((0..count).map(ask_once).collect())
}

/// From asking a real nsqd for a topic until `/lookup` tells it.
fn new_topics() {
    let lookupd = Lookupd::start();
    let nsqd = Nsqd::start(&[&lookupd.flag(), "--broadcast-address=127.0.0.1"]);
    let wait = |number| {
        let start = Instant::now();
        nsqd.act(&format!("/topic/create?topic=topic_{number}"));
        while lookupd.producers(&format!("topic_{number}")).is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20), "never told");
        }
        milliseconds(start)
    };
    // The first one waits until nsqd has found its nsqlookupd.
    wait(NEW_TOPICS);
    let waits: Vec<_> = (0..NEW_TOPICS).map(wait).collect();
    let longest = waits.iter().copied().fold(0.0, f64::max);
    print("new topic until /lookup tells it", median(waits), "ms");
    print("new topic until /lookup tells it: longest", longest, "ms");
}

/// Resident memory of everything that this program has started and that runs, in MiB.
fn child_memory() -> f64 {
    let children = process::children().into_iter();
    mib(children.map(process::rss_bytes).sum())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
