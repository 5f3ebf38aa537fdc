//! `nsq_tail`: the messages of topics on stdout.

use std::io::{self, Write as _};
use std::num::NonZeroU64;

use clap::Parser;
use client::consumer::{Consumer, Message};
use client::daemon::flags::integer;
use client::http::{Client, Limits};
use client::wire::{ChannelName, TopicName};
use tokio::task::JoinSet;

use super::{OldTool, parsed};
use crate::error::Error;
use crate::link::{Link, Setting, Sources};
use crate::sink::Stop;
use crate::tail::random_channel;

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

    /// nsqd TCP address (may be given multiple times)
    #[arg(long)]
    nsqd_tcp_address: Vec<String>,

    /// lookupd HTTP address (may be given multiple times)
    #[arg(long)]
    lookupd_http_address: Vec<String>,

    /// option to passthrough to nsq.Consumer (may be given multiple times)
    #[arg(long)]
    consumer_opt: Vec<Setting>,
}

/// What is printed, checked.
#[derive(Clone, Debug)]
struct Job {
    topics: Vec<TopicName>,
    channel: ChannelName,
    /// Whether somebody else may have the channel.
    channel_is_own: bool,
    /// How many messages of a topic, if not all.
    count: Option<NonZeroU64>,
    print_topic: bool,
    max_in_flight: u32,
    sources: Sources,
    link: Link,
}

impl OldTool for Flags {
    async fn run(self) -> Result<(), Error> {
        let job = self.check()?;
        let stop = Stop::on_signals()?;
        for topic in &job.topics {
            job.warn_of_backlog(topic).await;
        }
        let mut running = JoinSet::new();
        for topic in job.topics.clone() {
            running.spawn(job.clone().print(topic, stop.clone()));
        }
        let mut result = Ok(());
        while let Some(ended) = running.join_next().await {
            // The first topic that has enough, or fails, ends the others.
            stop.ask();
            result = result.and(ended.expect("printing does not panic"));
        }
        result
    }
}

impl Flags {
    /// What the flags say, in the order in which the reference looks at them.
    fn check(self) -> Result<Job, Error> {
        let sources = super::sources(&self.nsqd_tcp_address, &self.lookupd_http_address)?;
        let topics = super::names("topic", &self.topic)?;
        if topics.is_empty() {
            return Err(Error::Usage("--topic required".to_owned()));
        }
        let channel = match self.channel.as_str() {
            "" => random_channel(),
            channel => parsed("channel", channel)?,
        };
        let count = NonZeroU64::new(self.n);
        let enough = count.and_then(|count| u32::try_from(count.get()).ok());
        Ok(Job {
            topics,
            channel,
            channel_is_own: self.channel.is_empty(),
            count,
            print_topic: self.print_topic,
            max_in_flight: self.max_in_flight.min(enough.unwrap_or(u32::MAX)),
            sources,
            link: Link::of(self.consumer_opt),
        })
    }
}

impl Job {
    /// The first channel of a topic gets what waits in the topic; one that goes with this command takes it along.
    async fn warn_of_backlog(&self, topic: &TopicName) {
        if !self.channel_is_own {
            return;
        }
        let client = Client::new(Limits::default());
        for address in &self.sources.lookupd_http_address {
            let Ok(Some(lookup)) = client.lookupd(address).lookup(topic).await else {
                continue;
            };
            if !lookup.channels.is_empty() || lookup.producers.is_empty() {
                continue;
            }
            eprintln!(
                "nsq_tail: WARNING: topic {topic} has no channel yet: \
                 the messages that wait in it are printed, and gone afterwards"
            );
        }
    }

    /// Prints one topic until there was enough, or `stop`.
    async fn print(self, topic: TopicName, mut stop: Stop) -> Result<(), Error> {
        let builder = self
            .sources
            .consumer(&self.link, "nsq_tail", &topic, &self.channel)?;
        let builder = builder.max_in_flight(self.max_in_flight);
        let mut consumer = builder
            .connect_policy(self.sources.policy())
            .start()
            .await?;
        let control = consumer.control();
        let printed = self.print_messages(&mut consumer, &topic, &mut stop).await;
        stop.drain(&control).await;
        match printed {
            // Whoever read this has seen enough, as `head` has.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Error::Output(error)),
            Ok(()) => control
                .closed_reason()
                .map_or(Ok(()), |reason| Err(reason.into())),
        }
    }

    async fn print_messages(
        &self,
        consumer: &mut Consumer,
        topic: &TopicName,
        stop: &mut Stop,
    ) -> io::Result<()> {
        let mut left = self.count.map(NonZeroU64::get);
        while left != Some(0) {
            let message = tokio::select! {
                message = consumer.recv() => message,
                () = stop.asked() => None,
            };
            let Some(message) = message else {
                return Ok(());
            };
            self.write(&message, topic)?;
            // Too late, or the connection is gone: it comes again.
            let _ = message.finish();
            left = left.map(|left| left - 1);
        }
        Ok(())
    }

    fn write(&self, message: &Message, topic: &TopicName) -> io::Result<()> {
        let mut line = Vec::with_capacity(message.body().len() + 80);
        if self.print_topic {
            line.extend_from_slice(format!("{topic} | ").as_bytes());
        }
        line.extend_from_slice(message.body());
        line.push(b'\n');
        // A thread of the runtime waits for a slow reader; others serve the connections.
        tokio::task::block_in_place(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&line)?;
            stdout.flush()
        })
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

    #[test]
    fn no_more_is_in_flight_than_wanted() {
        let job = |words: &str| {
            let words = format!("nsq_tail --topic t --nsqd-tcp-address a:1 {words}");
            Flags::parse_from(words.split_whitespace()).check().unwrap()
        };
        assert_eq!(job("").max_in_flight, 200);
        assert_eq!(job("-n 3").max_in_flight, 3);
        assert!(job("").channel.as_str().ends_with("#ephemeral"));
    }
}
