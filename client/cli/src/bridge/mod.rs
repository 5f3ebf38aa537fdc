//! `nsq bridge`: the messages of topics to nsqds elsewhere, finished once one of those has stored them.

mod filter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use client::connection::Address;
use client::consumer::{Delivery, Requeue, Settle};
use client::daemon::duration::GoDuration;
use client::daemon::log::{self, LogLevel};
use client::producer::{BatchConfig, Batcher, Producer, PublishError, RetryPolicy, Routing};
use client::wire::TopicName;
use tokio::time::timeout;
use tracing::{info, warn};

use self::filter::Verdict;
pub(crate) use self::filter::{Filter, Invalid};
use crate::error::Error;
use crate::link::{Link, Setting, Sources, reach};
use crate::sink::{Selection, Stop, run_each};

/// Publish the messages of topics to other nsqds
///
/// A message is finished once one of the nsqds of --to has stored it. One of them has to be there at
/// the start; while none is later, messages wait where they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq bridge --topics orders --channel mirror --to other:4150
  nsq bridge --topics orders,refunds --channel mirror --lookupd-http-address lookup:4161 \\
      --to a:4150 --to b:4150 --to-topic all --require-field kind=paid --field id --field total")]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,

    /// nsqd to publish to: host:port, or the path of a unix socket; may be repeated
    #[arg(
        long,
        value_name = "ADDRESS",
        required = true,
        help_heading = "Destination"
    )]
    to: Vec<Address>,

    /// Topic to publish to [default: the topic of the message]
    #[arg(long, value_name = "TOPIC", help_heading = "Destination")]
    to_topic: Option<TopicName>,

    /// Which of several nsqds stores a message; none that is lost is chosen
    #[arg(long, value_enum, default_value_t = Mode::RoundRobin, help_heading = "Destination")]
    mode: Mode,

    /// Most messages in one command (MPUB)
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Destination")]
    batch: u32,

    /// Longest time that a message waits for others to share its command
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5ms",
        help_heading = "Destination"
    )]
    linger: GoDuration,

    /// Any option of the client by name, for the connections of --to; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Destination")]
    to_set: Vec<Setting>,

    /// Pass on only JSON objects with this field, or with this value in it
    #[arg(long, value_name = "FIELD[=VALUE]", help_heading = "Filter")]
    require_field: Option<String>,

    /// Pass on only this field of each JSON object; may be repeated
    #[arg(long, value_name = "FIELD", help_heading = "Filter")]
    field: Vec<String>,

    /// What becomes of messages that are no JSON objects, if the filter wants some
    #[arg(long, value_enum, default_value_t = Invalid::Drop, help_heading = "Filter")]
    invalid_json: Invalid,

    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    link: Link,
}

/// Which of several nsqds stores a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// In turn
    RoundRobin,
    /// The one with the fewest messages on their way
    LeastPending,
    /// The first that is there
    Primary,
}

/// What is published where, checked.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What is consumed.
    pub(crate) selection: Selection,
    /// Where from.
    pub(crate) sources: Sources,
    /// How to connect there.
    pub(crate) link: Link,
    /// Where to.
    pub(crate) to: Vec<Address>,
    /// How to connect there.
    pub(crate) to_link: Link,
    /// Under which name, if not the same.
    pub(crate) to_topic: Option<TopicName>,
    /// Which of them.
    pub(crate) mode: Mode,
    /// How messages share commands.
    pub(crate) batch: BatchConfig,
    /// Whether the start fails if none of them is there.
    pub(crate) demands_destination: bool,
    /// What crosses at all.
    pub(crate) filter: Filter,
}

/// Publishes until a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let require = arguments
        .require_field
        .map(|field| match field.split_once('=') {
            Some((field, value)) => (field.to_owned(), Some(value.to_owned())),
            None => (field, None),
        });
    let job = Job {
        selection: arguments.selection,
        sources: arguments.sources,
        link: arguments.link,
        to: arguments.to,
        to_link: Link::of(arguments.to_set),
        to_topic: arguments.to_topic,
        mode: arguments.mode,
        batch: BatchConfig {
            messages: arguments.batch as usize,
            linger: arguments.linger.0,
            ..BatchConfig::default()
        },
        demands_destination: true,
        filter: Filter {
            require,
            fields: arguments.field,
            invalid: arguments.invalid_json,
        },
    };
    job.run("[nsq] ").await
}

/// The name told to nsqd.
const TOOL: &str = "nsq_to_nsq";

/// How long nsqds may be away before a message goes back.
const PUBLISH_TIMEOUT: Duration = Duration::from_mins(1);
/// After this time a message is kept from timing out.
const HOLD: Duration = Duration::from_secs(1);

impl Job {
    /// Publishes until a signal comes or nsqd refuses for good.
    pub(crate) async fn run(self, log_prefix: &str) -> Result<(), Error> {
        self.refuse_loops()?;
        log::init(log_prefix, LogLevel::Info);
        let stop = Stop::on_signals()?;
        let producer = self.producer()?;
        if self.demands_destination {
            reach(&producer).await?;
        }
        let lookupds = &self.sources.lookupd_http_address;
        run_each(&self.selection, lookupds, stop, |topic, stop| {
            self.clone().consume(topic, producer.clone(), stop)
        })
        .await
    }

    /// An nsqd that feeds itself would never come to an end.
    fn refuse_loops(&self) -> Result<(), Error> {
        let sources = &self.sources.nsqd_tcp_address;
        let common = sources.iter().find(|source| self.to.contains(source));
        let is_same = |topic: &TopicName| self.to_topic.as_ref().is_none_or(|to| to == topic);
        match (
            common,
            self.selection.topics.iter().find(|topic| is_same(topic)),
        ) {
            (Some(address), Some(topic)) => Err(Error::Refused(format!(
                "{address} would publish to topic {topic} what it hands out from it, for ever; \
                 name another topic with --to-topic"
            ))),
            _ => Ok(()),
        }
    }

    fn producer(&self) -> Result<Producer, Error> {
        let builder = self.to_link.producer(TOOL, &self.to)?;
        let producer = builder
            .routing(match self.mode {
                Mode::RoundRobin => Routing::RoundRobin,
                Mode::LeastPending => Routing::LeastPending,
                Mode::Primary => Routing::Primary,
            })
            .retry(RetryPolicy::at_least_once())
            .publish_timeout(PUBLISH_TIMEOUT)
            .build();
        producer.map_err(|error| Error::Usage(error.to_string()))
    }

    async fn consume(
        self,
        topic: TopicName,
        producer: Producer,
        mut stop: Stop,
    ) -> Result<(), Error> {
        let channel = &self.selection.channel;
        let builder = self.sources.consumer(&self.link, TOOL, &topic, channel)?;
        let builder = builder.max_in_flight(self.selection.max_in_flight);
        let consumer = builder
            .connect_policy(self.sources.policy())
            .start()
            .await?;
        let control = consumer.control();
        let to_topic = self.to_topic.as_ref().unwrap_or(&topic);
        let crossing = Arc::new(Crossing {
            batcher: producer.batcher(to_topic, self.batch),
            filter: self.filter,
            invalid: AtomicU64::new(0),
        });
        let handler = Arc::clone(&crossing);
        let concurrency = self.selection.max_in_flight as usize;
        let work = consumer.run(concurrency, move |message: Delivery| {
            let handler = Arc::clone(&handler);
            async move { handler.handle(&message).await }
        });
        let mut work = std::pin::pin!(work);
        let ended = tokio::select! {
            ended = &mut work => ended,
            () = stop.asked() => tokio::join!(work, stop.drain(&control)).0,
        };
        let invalid = crossing.invalid.load(Ordering::Relaxed);
        if invalid > 0 {
            info!(%topic, invalid, "messages were no JSON objects");
        }
        ended?;
        Ok(())
    }
}

/// The way of one topic.
struct Crossing {
    batcher: Batcher,
    filter: Filter,
    /// Messages that were no JSON objects.
    invalid: AtomicU64,
}

impl Crossing {
    /// Publishes a message, and says what becomes of it.
    async fn handle(&self, message: &Delivery) -> Settle {
        let body = match self.filter.judge(message.body()) {
            Verdict::Pass => message.body().clone(),
            Verdict::Change(body) => body.into(),
            Verdict::Drop => return Settle::Finish,
            Verdict::Invalid => {
                self.invalid.fetch_add(1, Ordering::Relaxed);
                match self.filter.invalid {
                    Invalid::Pass => message.body().clone(),
                    Invalid::Drop => return Settle::Finish,
                    Invalid::Requeue => return Settle::Requeue(Requeue::AUTO),
                }
            }
        };
        match self.publish(message, body).await {
            Ok(()) => Settle::Finish,
            Err(error) => {
                warn!(message_id = %message.id(), %error, "message not published");
                Settle::Requeue(Requeue::AUTO)
            }
        }
    }

    async fn publish(&self, message: &Delivery, body: Bytes) -> Result<(), PublishError> {
        let mut publish = std::pin::pin!(self.batcher.publish(body));
        // Few take longer, so few orders to keep a message are given.
        if let Ok(published) = timeout(HOLD, &mut publish).await {
            return published.map(drop);
        }
        let _kept = message.keep_alive();
        publish.await.map(drop)
    }
}
