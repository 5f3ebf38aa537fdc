//! What connections cost: 10,000 of them, mostly idle; those who announce much; those who are slow; those who come and go.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wire::{MAGIC, Peer, with_body};
use tests::{slow, wait};

use crate::{allow_many_files, mib, print, rate};

const CONNECTIONS: usize = 10_000;
const ACTIVE: usize = 100;
/// Messages of each measurement of latency, from all producers together, and the time between two of them.
const MESSAGES: usize = 10_000;
const BETWEEN: Duration = Duration::from_millis(1);
const STATS_ASKED: usize = 100;
const GREEDY: usize = 2000;
const SLOW: usize = 1000;
const STORM: usize = 20_000;
const STORM_AT_ONCE: usize = 200;

/// Memory, latency and `/stats` with 10,000 connections; then what peers can do who mean harm.
pub(crate) fn measure() {
    allow_many_files();
    many();
    greedy();
    slow_peers();
    storm();
}

fn many() {
    let nsqd = Nsqd::start(&[]);
    print_latency("10 connections, 10 active: PUB", publish(&nsqd, 10));
    let before = nsqd.rss_bytes();
    let idle: Vec<Idle> = (ACTIVE..CONNECTIONS)
        .map(|_| Idle::consumer(&nsqd))
        .collect();
    let grown = nsqd.rss_bytes().saturating_sub(before);
    print_each(
        "10,000 connections, idle consumers: memory each",
        grown,
        idle.len(),
    );
    print_latency(
        "10,000 connections, 100 active: PUB",
        publish(&nsqd, ACTIVE),
    );
    for (name, path) in [
        ("/stats with 10,000 clients", "/stats?format=json"),
        (
            "/stats without clients",
            "/stats?format=json&include_clients=false",
        ),
    ] {
        let ask = |_| {
            let start = Instant::now();
            assert_eq!(nsqd.get(path).status, 200);
            start.elapsed()
        };
        print_latency(name, (0..STATS_ASKED).map(ask).collect());
    }
    let mut idle = idle;
    let lost = idle
        .iter_mut()
        .filter_map(|idle| (!idle.is_alive()).then_some(()))
        .count();
    print("10,000 connections: lost", count(lost), "connections");
}

fn greedy() {
    let nsqd = Nsqd::start(&[]);
    let before = nsqd.rss_bytes();
    let greedy: Vec<Peer> = (0..GREEDY)
        .map(|_| {
            let mut peer = nsqd.peer();
            peer.send(b"MPUB t\n\0\x50\0\0x");
            peer
        })
        .collect();
    wait::until("all are accepted", || nsqd.open_files() > greedy.len());
    // Behind them all, so what they have sent was read.
    nsqd.peer().publish("t", "m");
    let grown = nsqd.rss_bytes().saturating_sub(before);
    print(
        "2,000 connections announce 5 MiB, send 1 byte: memory",
        mib(grown),
        "MiB",
    );
}

fn slow_peers() {
    let nsqd = Nsqd::start(&[]);
    let outcome = slow::hold(&nsqd, SLOW);
    print(
        "1,000 slow peers of each of 6 kinds: left open",
        count(outcome.left_open),
        "connections",
    );
    print("... closed after", outcome.closed_after.as_secs_f64(), "s");
    print(
        "... slowest /ping meanwhile",
        milliseconds(outcome.slowest_ping),
        "ms",
    );
}

fn storm() {
    let nsqd = Nsqd::start(&[]);
    let files = nsqd.open_files();
    let start = Instant::now();
    let mut after_half = 0;
    for round in 0..STORM / STORM_AT_ONCE {
        let crowd: Vec<Peer> = (0..STORM_AT_ONCE).map(|_| nsqd.peer()).collect();
        for mut peer in crowd {
            peer.publish("t#ephemeral", "m");
        }
        if round == STORM / STORM_AT_ONCE / 2 {
            after_half = nsqd.rss_bytes();
        }
    }
    print(
        "20,000 connections come and go: rate",
        rate(STORM, start.elapsed()),
        "connections/s",
    );
    let grown = nsqd.rss_bytes().saturating_sub(after_half);
    print("... memory that the second half added", mib(grown), "MiB");
    wait::until("all have gone", || nsqd.open_files() <= files + 8);
}

/// A consumer without a message.
struct Idle(TcpStream);

impl Idle {
    fn consumer(nsqd: &Nsqd) -> Self {
        let mut stream = TcpStream::connect(nsqd.tcp()).expect("nsqd listens");
        let identify = json!({ "heartbeat_interval": 60_000 }).to_string();
        let commands = [
            MAGIC,
            &with_body("IDENTIFY", identify),
            b"SUB idle c\nRDY 1\n",
        ];
        stream.write_all(&commands.concat()).expect("nsqd reads");
        let mut answers = [0; 20];
        stream.read_exact(&mut answers).expect("nsqd answers");
        assert!(answers.ends_with(b"OK"), "{answers:?}");
        stream
            .set_nonblocking(true)
            .expect("a connected socket can be set up");
        Self(stream)
    }

    /// It has heard nothing but heartbeats, and not the end.
    fn is_alive(&mut self) -> bool {
        let mut piece = [0; 1024];
        match self.0.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => piece[..count].ends_with(b"_heartbeat_"),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// How long each PUB took until its OK, with so many producers at the same speed in all.
fn publish(nsqd: &Nsqd, producers: usize) -> Vec<Duration> {
    let each = MESSAGES / producers;
    let pause = BETWEEN * u32::try_from(producers).expect("a few hundred");
    let produce = |number: usize| {
        let mut peer = nsqd.peer();
        thread::sleep(BETWEEN * u32::try_from(number).expect("a few hundred"));
        let publish = |_| {
            thread::sleep(pause);
            let start = Instant::now();
            peer.publish("t#ephemeral", "m");
            start.elapsed()
        };
        (0..each).map(publish).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let producers: Vec<_> = (0..producers)
            .map(|number| scope.spawn(move || produce(number)))
            .collect();
        let producers = producers.into_iter();
        producers
            .flat_map(|producer| producer.join().expect("PUB is answered"))
            .collect()
    })
}

fn print_latency(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (quantile, index) in [("p50", times.len() / 2), ("p99", times.len() * 99 / 100)] {
        print(
            &format!("{name}: {quantile}"),
            milliseconds(times[index]),
            "ms",
        );
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read with three digits"
)]
fn print_each(name: &str, bytes: u64, count: usize) {
    print(name, bytes as f64 / count as f64 / 1024.0, "KiB");
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read with three digits"
)]
fn count(count: usize) -> f64 {
    count as f64
}
