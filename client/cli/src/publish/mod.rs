//! `nsq pub`: each line of stdin or of a file becomes a message.
//!
//! ```text
//! input (a thread) ─▶ Lines ─▶ Batch ─▶ Producer ─▶ nsqd
//!                               InFlight ◀── confirmed, up to `window` behind
//! ```

mod batch;
mod destination;
mod failure;
mod feed;
mod in_flight;
mod input;
mod lines;
mod pace;
mod progress;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use client::daemon::duration::GoDuration;
use client::daemon::signals;
use client::wire::TopicName;

pub(crate) use self::destination::{Destination, Mode};
use self::feed::Feed;
pub(crate) use self::input::Source;
pub(crate) use self::lines::Delimiter;
pub(crate) use self::progress::Progress;
use crate::error::Error;
use crate::figures;

/// Publish each line of stdin or of a file
///
/// A last line without newline is published too. Empty lines are skipped, since nsqd takes no empty
/// messages. Ctrl-C ends the input: the whole lines that were read are published and confirmed; a
/// second one ends at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  echo hello | nsq pub greetings
  nsq pub orders orders.jsonl --rate 500
  tail -f access.log | nsq pub access
  nsq pub reminders texts.txt --defer 1h
  nsq pub orders orders.jsonl --nsqd-tcp-address a:4150 --nsqd-tcp-address b:4150 --at-least-once")]
pub(crate) struct Arguments {
    /// Topic to publish to; created if there is none
    topic: TopicName,

    /// File to read [default: stdin]
    file: Option<PathBuf>,

    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    destination: Destination,
}

/// How lines become messages, and how fast.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Most messages per second; 0 is as fast as nsqd takes them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) rate: u32,

    /// Most messages in one command (MPUB)
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch: u32,

    /// A command is sent once its messages have this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024)]
    pub(crate) batch_bytes: usize,

    /// Longest time that a line waits for others to share its command
    #[arg(long, value_name = "DURATION", default_value = "5ms")]
    pub(crate) linger: GoDuration,

    /// Most commands sent and not yet confirmed
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) window: u32,

    /// What ends a line; \n, \r, \t, \0, \\ and \xNN are understood
    #[arg(long, value_name = "BYTES", default_value = "\\n", value_parser = lines::parse_delimiter)]
    pub(crate) delimiter: lines::Delimiter,

    /// Hand the messages out only after this time; each is then a command of its own (DPUB)
    #[arg(long, value_name = "DURATION")]
    pub(crate) defer: Option<GoDuration>,

    /// Longest line; give what nsqd was given as -max-msg-size if that is not its default
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024)]
    pub(crate) max_msg_size: usize,
}

impl Default for Options {
    /// What the flags give when there are none.
    fn default() -> Options {
        Options {
            rate: 0,
            batch: 200,
            batch_bytes: 256 * 1024,
            linger: GoDuration(Duration::from_millis(5)),
            window: 64,
            delimiter: lines::Delimiter::newline(),
            defer: None,
            max_msg_size: 1024 * 1024,
        }
    }
}

/// What was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Messages that nsqd confirmed.
    pub(crate) messages: u64,
    /// Their bodies together.
    pub(crate) bytes: u64,
    /// Lines without content.
    pub(crate) skipped: u64,
}

/// Publishes, and tells at the end what was published.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let stop = signals::shutdown().map_err(Error::Runtime)?;
    let source = Source::open(arguments.file.as_deref())?;
    let started = std::time::Instant::now();
    let progress = source.progress();
    let summary = publish(
        &arguments.destination,
        arguments.topic.clone(),
        source,
        arguments.options,
        progress.clone(),
        stop,
    )
    .await;
    progress.clear();
    let summary = summary?;
    let elapsed = started.elapsed();
    let skipped = match summary.skipped {
        0 => String::new(),
        count => format!(", {} empty lines skipped", figures::count(count)),
    };
    eprintln!(
        "published {} ({} bytes) to {} in {}, {} messages/s{skipped}",
        figures::messages(summary.messages),
        figures::count(summary.bytes),
        arguments.topic,
        figures::duration(elapsed),
        figures::rate(figures::per_second(summary.messages, elapsed)),
    );
    Ok(())
}

/// Publishes each line of `source`, and returns once all of them are confirmed. `stop` ends the
/// input early.
pub(crate) async fn publish(
    destination: &Destination,
    topic: TopicName,
    source: Source,
    options: Options,
    progress: Progress,
    stop: impl Future<Output = ()>,
) -> Result<Summary, Error> {
    let producers = destination.connect(&options).await?;
    let feed = Feed::new(producers, topic, options, progress);
    feed.run(source.read(), stop).await
}
