//! `nsq_tail`: the messages of topics on stdout.

use std::num::NonZeroU64;

use clap::Parser;
use client::daemon::flags::integer;

use super::{Consuming, OldTool, parsed};
use crate::error::Error;
use crate::sink::Stop;
use crate::tail::{Backlog, Format, Job, backlog, random_channel};

/// Print the messages of topics.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    /// NSQ topic (may be given multiple times)
    #[arg(long)]
    topic: Vec<String>,

    /// NSQ channel; by default a new one that goes with this command
    #[arg(long, default_value = "")]
    channel: String,

    /// total messages of a topic to show (will wait if starved)
    #[arg(short, long, default_value = "0", value_parser = integer::<u64>)]
    n: u64,

    /// print topic name where message was received
    #[arg(long)]
    print_topic: bool,

    /// max number of messages to allow in flight
    #[arg(long, default_value = "200", value_parser = integer::<u32>)]
    max_in_flight: u32,

    #[command(flatten)]
    consuming: Consuming,
}

impl OldTool for Flags {
    async fn run(self) -> Result<(), Error> {
        let job = self.check()?;
        let stop = Stop::on_signals()?;
        warn_of_backlog(&job).await;
        job.run(stop).await
    }
}

impl Flags {
    /// What the flags say, in the order in which the reference looks at them.
    fn check(self) -> Result<Job, Error> {
        let sources = self.consuming.sources()?;
        let topics = super::names("topic", &self.topic)?;
        if topics.is_empty() {
            return Err(Error::Usage("--topic required".to_owned()));
        }
        let channel = match self.channel.as_str() {
            "" => random_channel(),
            channel => parsed("channel", channel)?,
        };
        let format = if self.print_topic {
            Format::TopicAndBody
        } else {
            Format::Body
        };
        Ok(Job {
            name: "nsq_tail",
            topics,
            channel,
            count: NonZeroU64::new(self.n),
            format,
            max_in_flight: self.max_in_flight,
            sources,
            link: self.consuming.link(),
        })
    }
}

/// The first channel of a topic gets what waits in the topic; one that goes with its consumer takes it along.
async fn warn_of_backlog(job: &Job) {
    if !job.channel.is_ephemeral() {
        return;
    }
    for topic in &job.topics {
        if backlog(&job.sources, &[], topic).await == Backlog::Waiting {
            eprintln!(
                "nsq_tail: WARNING: topic {topic} has no channel yet: \
                 the messages that wait in it are printed, and gone afterwards"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_flags_say_together_is_checked() {
        let refused = |words: &str, rule: &str| {
            let flags = Flags::parse_from(format!("nsq_tail {words}").split_whitespace());
            let error = flags.check().unwrap_err().to_string();
            assert!(error.contains(rule), "{words}: {error}");
        };
        refused("", "--nsqd-tcp-address or --lookupd-http-address required");
        refused(
            "--nsqd-tcp-address a:1 --lookupd-http-address b:1 --topic t",
            "not both",
        );
        refused("--nsqd-tcp-address a:1", "--topic required");
        refused("--nsqd-tcp-address a:1 --topic a:b", "--topic \"a:b\"");
        refused(
            "--nsqd-tcp-address a:1 --topic t --channel a:b",
            "--channel \"a:b\"",
        );
    }
}
