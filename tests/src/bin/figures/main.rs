//! Prints what an nsqd costs: processor time, memory, latency, and how long it takes to come back; and an nsqlookupd likewise.
//!
//! Any program that speaks NSQ and logs where it listens can be measured with `--nsqd PATH`, so two can be compared under the
//! same load. Build with `--release`, and let nothing else run.
#![allow(clippy::print_stdout, reason = "a command whose purpose is to print")]

mod admin;
mod backlog;
mod connections;
mod discovery;
mod durable;
mod idle;
mod import;
mod latency;
mod library;
mod throughput;
mod tools;
mod transport;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::binary;

#[derive(Parser)]
#[command(about = "Prints what an nsqd and an nsqlookupd cost under load and at rest")]
struct Arguments {
    /// The program to measure; the nsqd of this workspace when left out.
    #[arg(long)]
    nsqd: Option<PathBuf>,
    /// Only these groups of figures; all when left out.
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Messages in each run under load.
    #[arg(long, default_value_t = 4_000_000)]
    messages: usize,
    /// Size of the backlog, in bytes of message bodies; twice as much for `recovery`.
    #[arg(long, default_value_t = 5_000_000_000)]
    backlog_bytes: usize,
    /// Size of what is taken over from the reference, in bytes of message bodies.
    #[arg(long, default_value_t = 1_000_000_000)]
    import_bytes: u64,
    /// Runs of each kind; the median is printed.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Group {
    /// Publishing beside a server that throws everything away.
    Publish,
    /// Publishing, delivering and finishing.
    Deliver,
    /// Publishing to topics that promise more than memory.
    Durable,
    /// Publishing to 100 channels beside 1.
    Fanout,
    /// TLS, snappy and deflate beside a plain connection.
    Transport,
    /// The producer and the consumer of the client library beside the bare wire.
    Library,
    /// 10,000 connections; peers that announce much, are slow, come and go.
    Connections,
    /// Memory and processor time of what nobody uses.
    Idle,
    /// From publish to delivery on a quiet channel.
    Latency,
    /// Memory and restart with a large backlog.
    Backlog,
    /// The start after a kill with a larger one.
    Recovery,
    /// Taking over a data path of the reference.
    Import,
    /// An nsqlookupd with 1,000 nsqds; how soon a new topic is found.
    Discovery,
    /// An nsqadmin over 20 nsqds with 1,000 topics each.
    Admin,
    /// The `nsq` command: messages to a file, the figures of 10,000 topics.
    Tools,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(path) = arguments.nsqd.clone() {
        binary::choose(path);
    }
    let all = Group::value_variants();
    for group in if arguments.groups.is_empty() {
        all
    } else {
        &arguments.groups
    } {
        measure(*group, &arguments);
    }
}

fn measure(group: Group, arguments: &Arguments) {
    match group {
        Group::Publish => throughput::publish(arguments.messages, arguments.runs),
        Group::Deliver => throughput::deliver(arguments.messages, arguments.runs),
        Group::Durable => durable::measure(arguments.runs),
        Group::Fanout => throughput::fanout(arguments.messages, arguments.runs),
        Group::Transport => transport::measure(arguments.messages, arguments.runs),
        Group::Library => library::measure(arguments.messages, arguments.runs),
        Group::Connections => connections::measure(),
        Group::Idle => idle::measure(),
        Group::Latency => latency::measure(),
        Group::Backlog => backlog::measure(arguments.backlog_bytes),
        Group::Recovery => backlog::recover(2 * arguments.backlog_bytes),
        Group::Import => import::measure(arguments.import_bytes),
        Group::Discovery => discovery::measure(),
        Group::Admin => admin::measure(),
        Group::Tools => tools::measure(arguments.messages, arguments.runs),
    }
}

/// Everything stays in memory, so that the disk is not what is measured.
const IN_MEMORY: &[&str] = &["--mem-queue-size=100000000"];

/// Raises how many files this program and those it starts may open, as far as the system allows.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may rise to the hard one");
}

/// Prints one figure.
fn print(name: &str, value: f64, unit: &str) {
    println!("{name:<58} {value:>12.2} {unit}");
}

/// The middle of the values; of two, the upper one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Messages per second.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read with three digits"
)]
fn rate(messages: usize, elapsed: Duration) -> f64 {
    messages as f64 / elapsed.as_secs_f64()
}

/// Bytes as MiB.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read with three digits"
)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
