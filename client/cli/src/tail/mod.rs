//! `nsq tail`: the messages of a topic on stdout.
//!
//! A message is finished once it was written, so that what a reader did not get is handed out again.

mod base64;
mod output;
#[cfg(test)]
mod tests;

use std::io;

use client::daemon::signals;
use client::wire::{ChannelName, TopicName};
use tokio::io::AsyncWrite;

use self::output::{Format, Output};
use crate::connect::Nsqd;
use crate::error::Error;
use crate::subscription::Subscription;

/// Print the messages of a topic, one per line
///
/// The default channel is a new one that goes with this command, so no other consumer misses
/// anything. Only if the topic had no channel at all, what waited in it is printed and gone. With a
/// CHANNEL that others consume, this command takes its share of their messages.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq tail orders                    watch a topic
  nsq tail orders -n 1 --json        look at one message
  nsq tail orders archive > orders   consume a channel into a file")]
pub(crate) struct Arguments {
    /// Topic to read; created if there is none
    topic: TopicName,

    /// Channel to consume [default: tail<6 digits>#ephemeral]
    channel: Option<ChannelName>,

    /// End after this many messages; nsqd hands out no more than that
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Print "TOPIC | " before each body
    #[arg(long, conflicts_with = "json")]
    print_topic: bool,

    /// Print a JSON object per message: topic, id, timestamp (ns), attempts, and body; or
    /// `body_base64` if the body is not UTF-8
    #[arg(long)]
    json: bool,

    /// Most messages received and not yet written
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    max_in_flight: u64,

    #[command(flatten)]
    nsqd: Nsqd,
}

/// Prints messages until there were enough of them, stdout is closed, or a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let stop = signals::shutdown().map_err(Error::Runtime)?;
    let format = if arguments.json {
        Format::Json
    } else if arguments.print_topic {
        Format::TopicAndBody
    } else {
        Format::Body
    };
    let channel = arguments.channel.clone().unwrap_or_else(random_channel);
    let address = &arguments.nsqd.nsqd_tcp_address;
    let subscription = Subscription::open(address, &arguments.topic, &channel).await?;
    let max_in_flight = arguments.max_in_flight.min(subscription.max_ready_count());
    let output = Output::new(tokio::io::stdout(), arguments.topic, format);
    let tail = Tail {
        subscription,
        output,
        max_in_flight,
        remaining: arguments.count,
    };
    tail.run(stop).await
}

/// A channel of one's own that goes with its consumer.
pub(crate) fn random_channel() -> ChannelName {
    let name = format!("tail{:06}#ephemeral", fastrand::u32(..1_000_000));
    ChannelName::parse(&name).expect("letters, digits and the suffix for ephemeral")
}

struct Tail<W> {
    subscription: Subscription,
    output: Output<W>,
    max_in_flight: u64,
    /// How many messages are still to be written; `None` is no end.
    remaining: Option<u64>,
}

impl<W: AsyncWrite + Unpin> Tail<W> {
    async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let mut stop = std::pin::pin!(stop);
        self.ready();
        let written = loop {
            if self.remaining == Some(0) {
                break Ok(());
            }
            tokio::select! {
                message = self.subscription.next() => self.output.push(&message?),
                written = self.output.write(), if !self.output.is_empty() => match written {
                    Ok(()) => self.finish_written(),
                    Err(error) => break Err(error),
                },
                () = &mut stop => break self.write_rest().await,
            }
        };
        for id in self.output.take_ids() {
            self.subscription.requeue(id);
        }
        match written {
            // Whoever read this has seen enough, as `head` has.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(Error::Output)?,
        }
        self.subscription.close().await
    }

    async fn write_rest(&mut self) -> io::Result<()> {
        self.output.write().await?;
        self.finish_written();
        Ok(())
    }

    fn finish_written(&mut self) {
        let ids = self.output.take_ids();
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(ids.len() as u64);
            // Before the FINs, so that nsqd never hands out more than is still wanted.
            if *remaining < self.max_in_flight {
                self.ready();
            }
        }
        for id in ids {
            self.subscription.finish(id);
        }
    }

    fn ready(&mut self) {
        let wanted = self.remaining.unwrap_or(u64::MAX);
        self.subscription.ready(wanted.min(self.max_in_flight));
    }
}
