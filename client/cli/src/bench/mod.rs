//! `nsq bench`: how fast an NSQ daemon is, seen from its wire.
//!
//! The load generator must not be what is measured: commands are encoded once, frames are looked at
//! where they were received, and the FINs of a read leave in one write.

mod connect;
mod consumer;
mod frames;
mod producer;
mod report;
mod run;
mod stamp;
#[cfg(test)]
mod tests;

use std::time::Duration;

use client::daemon::duration::GoDuration;
use client::daemon::signals;
use client::wire::{ChannelName, TopicName};

use self::connect::Nsqd;
use crate::error::Error;

/// Measure an NSQ daemon: messages/s, MB/s and latencies
///
/// Works with any nsqd. What a run leaves behind in the topic and the channel stays there.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq bench pub                                        batches of 200, as the reference's bench_writer
  nsq bench pub --batch 1 --window 100                 single messages, pipelined
  nsq bench sub                                        consume what is there
  nsq bench pubsub --batch 1 --window 1 --in-flight 1  latency of one message at a time")]
pub(crate) struct Arguments {
    /// What to do
    mode: Mode,

    /// Topic to use; created if there is none
    #[arg(long, default_value = "bench")]
    topic: TopicName,

    /// Channel to consume
    #[arg(long, default_value = "bench")]
    channel: ChannelName,

    /// Producers, and as many consumers, each on a connection of its own
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,

    /// Size of a body; at least 16 for pubsub, which puts a time into it
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_073_741_824))]
    size: u32,

    /// Messages in one command (MPUB); 1 is single messages (PUB)
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,

    /// Commands of a connection sent and not yet confirmed
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,

    /// Ready count of each consumer (RDY), at most what nsqd allows
    #[arg(long, value_name = "COUNT", default_value_t = 2500, value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: u64,

    /// Longest time to publish, or with `sub` to consume
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    duration: GoDuration,

    /// End after this many messages in all
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    nsqd: Nsqd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// Publish
    Pub,
    /// Consume what is in the channel and what comes
    Sub,
    /// Publish and consume at the same time; measures from publish to consumer
    Pubsub,
}

impl Arguments {
    fn publishes(&self) -> bool {
        self.mode != Mode::Sub
    }

    fn consumes(&self) -> bool {
        self.mode != Mode::Pub
    }

    /// Length of a body.
    fn body_bytes(&self) -> usize {
        let size = self.size as usize;
        if self.mode == Mode::Pubsub {
            size.max(stamp::BYTES)
        } else {
            size
        }
    }

    fn duration(&self) -> Duration {
        self.duration.0
    }
}

/// Runs the load, then prints the figures on stdout.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let stop = signals::shutdown().map_err(Error::Runtime)?;
    let report = run::run(&arguments, stop).await?;
    let text = if arguments.json {
        report.to_json()
    } else {
        report.to_table()
    };
    crate::stdout::print(&text)
}
