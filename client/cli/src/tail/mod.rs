//! `nsq tail`: the messages of a topic on stdout.
//!
//! A message is finished once it was written, so that what a reader did not get is handed out again.

mod backlog;
mod job;
mod output;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use client::wire::{ChannelName, TopicName};

pub(crate) use self::backlog::{Backlog, backlog};
pub(crate) use self::job::Job;
pub(crate) use self::output::Format;
use crate::error::Error;
use crate::link::{Link, Sources};
use crate::sink::Stop;

/// Print the messages of a topic, one per line
///
/// The default channel is a new one that goes with this command, so no other consumer misses
/// anything. A topic without any channel would hand all that waits in it to this one: then this is
/// refused, unless --take-backlog says that it is meant. With a CHANNEL that others consume, this
/// command takes its share of their messages.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq tail orders                    watch a topic
  nsq tail orders -n 1 --json        look at one message
  nsq tail orders archive --consume > orders
                                     consume a channel into a file")]
pub(crate) struct Arguments {
    /// Topic to read; created if there is none
    topic: TopicName,

    /// Channel to consume [default: tail<6 digits>#ephemeral]
    channel: Option<ChannelName>,

    #[command(flatten)]
    consent: Consent,

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
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: u32,

    #[command(flatten)]
    sources: Sources,

    /// HTTP API of an nsqd that was named, to look for a backlog; may be repeated [default: the port
    /// behind that of --nsqd-tcp-address]
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = crate::targets::nsqd_address,
        conflicts_with = "lookupd_http_address",
        help_heading = "Connection"
    )]
    nsqd_http_address: Vec<String>,

    #[command(flatten)]
    link: Link,
}

/// What may be taken from others.
#[derive(Debug, clap::Args)]
struct Consent {
    /// Take messages of CHANNEL from its other consumers without a warning
    #[arg(long, requires = "channel")]
    consume: bool,

    /// Take what waits in a topic that has no channel yet
    #[arg(long)]
    take_backlog: bool,
}

/// Prints messages until there were enough of them, stdout is closed, or a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let stop = Stop::on_signals()?;
    arguments.protect().await?;
    let format = if arguments.json {
        Format::Json
    } else if arguments.print_topic {
        Format::TopicAndBody
    } else {
        Format::Body
    };
    let job = Job {
        name: "nsq",
        topics: vec![arguments.topic],
        channel: arguments.channel.unwrap_or_else(random_channel),
        count: arguments.count.and_then(NonZeroU64::new),
        format,
        max_in_flight: arguments.max_in_flight,
        sources: arguments.sources,
        link: arguments.link,
    };
    job.run(stop).await
}

impl Arguments {
    /// Keeps what belongs to others, or tells that it does not.
    async fn protect(&self) -> Result<(), Error> {
        let topic = &self.topic;
        if let (Some(channel), false) = (&self.channel, self.consent.consume) {
            eprintln!(
                "nsq: messages printed here are taken from the other consumers of channel {channel}; \
                 --consume says that this is meant"
            );
        }
        // What such a channel gets stays there.
        let is_kept = (self.channel.as_ref()).is_some_and(|channel| !channel.is_ephemeral());
        if is_kept || self.consent.take_backlog {
            return Ok(());
        }
        match backlog(&self.sources, &self.nsqd_http_address, topic).await {
            Backlog::None => Ok(()),
            Backlog::Unknown(why) => {
                eprintln!(
                    "nsq: if topic {topic} has no channel yet, what waits in it is printed, and gone \
                     afterwards; this cannot be known ({why})"
                );
                Ok(())
            }
            Backlog::Waiting => Err(Error::Refused(format!(
                "topic {topic} has no channel yet: the messages that wait in it would be printed, and gone \
                 afterwards; --take-backlog says that this is meant"
            ))),
        }
    }
}

/// A channel of one's own that goes with its consumer.
pub(crate) fn random_channel() -> ChannelName {
    let name = format!("tail{:06}#ephemeral", fastrand::u32(..1_000_000));
    ChannelName::parse(&name).expect("letters, digits and the suffix for ephemeral")
}
