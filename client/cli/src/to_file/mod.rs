//! `nsq to-file`: the messages of topics in files, finished once they are on disk.
//!
//! ```text
//! consumer ─▶ pipeline ── orders ─▶ worker (a thread) ─▶ files
//!     ◀────────────── finish, after fsync ──┘
//! ```

mod encoding;
mod files;
mod name;
mod placing;
mod rotation;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::consumer::{ConnectPolicy, Consumer};
use client::daemon::duration::GoDuration;
use client::daemon::flags::ByteSize;
use client::daemon::log::{self, LogLevel};
use client::wire::TopicName;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::encoding::Encoding;
use self::files::Files;
pub(crate) use self::files::{FileError, Options, Size};
pub(crate) use self::name::{Facts, Template};
pub(crate) use self::rotation::Limits;
use self::worker::Order;
use crate::error::Error;
use crate::link::{Link, Sources};
use crate::sink::{Selection, Stop, run_each};

/// Write the messages of topics to files
///
/// Each body is followed by a newline. A message is finished once it and the name of its file are on
/// disk. SIGHUP ends the files, so that somebody else may move them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq to-file --topics orders --channel archive --dir /var/archive
  nsq to-file --topics-match '^log\\.' --channel archive --lookupd-http-address lookup:4161 \\
      --compress zstd --rotate-size 1g --rotate-every 1h --work-dir /var/tmp/archive --dir /var/archive")]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,

    /// Directory for the files; made if there is none
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = "Files")]
    dir: PathBuf,

    /// Directory for files while they are written; they move to --dir when they are finished
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    work_dir: Option<PathBuf>,

    /// What files are called: {topic}, {host}, {pid}, {rev}, {time:FORMAT} with strftime's letters
    #[arg(
        long,
        value_name = "TEMPLATE",
        default_value = "{topic}.{host}{rev}.{time:%Y-%m-%d_%H}.log",
        help_heading = "Files"
    )]
    name: String,

    /// What {host} stands for [default: the host's name up to its first dot]
    #[arg(long, value_name = "TEXT", help_heading = "Files")]
    host: Option<String>,

    /// none, gzip or zstd, maybe with a level: zstd:9; each sync makes a member
    #[arg(
        long,
        value_name = "HOW",
        default_value = "none",
        help_heading = "Files"
    )]
    compress: Encoding,

    /// Begin a new file once one has more bytes on disk: 1048576, 64MiB, 1g; 0 is never
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "0",
        help_heading = "Files"
    )]
    rotate_size: ByteSize,

    /// Begin a new file after this time; 0 is never
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "0s",
        help_heading = "Files"
    )]
    rotate_every: GoDuration,

    /// Longest time that a message waits to be on disk; less than nsqd's message timeout
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = positive, help_heading = "Files")]
    sync_every: GoDuration,

    /// Make no file before there is a message for it
    #[arg(long, help_heading = "Files")]
    skip_empty_files: bool,

    /// Tell times of UTC, not of this place
    #[arg(long, help_heading = "Files")]
    utc: bool,

    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    link: Link,
}

fn positive(text: &str) -> Result<GoDuration, String> {
    match text.parse() {
        Ok(GoDuration(Duration::ZERO)) => Err("must be more than 0".to_owned()),
        duration => duration.map_err(|rule| rule.to_string()),
    }
}

/// What is written where, checked.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The name of the tool for nsqd and the log.
    pub(crate) tool: &'static str,
    /// What is consumed.
    pub(crate) selection: Selection,
    /// Where from.
    pub(crate) sources: Sources,
    /// How to connect.
    pub(crate) link: Link,
    /// Whether a first connection has to come about at once.
    pub(crate) connect: ConnectPolicy,
    /// How files are called.
    pub(crate) name: Name,
    /// How they are written.
    pub(crate) files: Options,
    /// How long a message waits to be on disk at most.
    pub(crate) sync_every: Duration,
    /// What is logged.
    pub(crate) log: (String, LogLevel),
}

/// How files are called.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// The template.
    pub(crate) template: String,
    /// What stands for the host in it.
    pub(crate) host: String,
    /// What stands for `<DATETIME>` in it.
    pub(crate) datetime_format: String,
}

/// The name of this host up to its first dot.
pub(crate) fn short_host() -> String {
    let host = hostname();
    host.split('.').next().unwrap_or_default().to_owned()
}

/// The name of this host.
pub(crate) fn hostname() -> String {
    let identify = client::connection::ConnectOptions::default().identify;
    identify.hostname.unwrap_or_default()
}

/// Writes until a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let work_dir = arguments.work_dir.unwrap_or_else(|| arguments.dir.clone());
    let job = Job {
        tool: "nsq_to_file",
        connect: arguments.sources.policy(),
        selection: arguments.selection,
        sources: arguments.sources,
        link: arguments.link,
        name: Name {
            template: arguments.name,
            host: arguments.host.unwrap_or_else(short_host),
            datetime_format: String::new(),
        },
        files: Options {
            output_dir: arguments.dir,
            work_dir,
            encoding: arguments.compress,
            limits: Limits {
                bytes: arguments.rotate_size.0,
                age: arguments.rotate_every.0,
            },
            size: Size::Disk,
            skip_empty_files: arguments.skip_empty_files,
            utc: arguments.utc,
        },
        sync_every: arguments.sync_every.0,
        log: ("[nsq] ".to_owned(), LogLevel::Info),
    };
    job.run().await
}

impl Job {
    /// Writes until a signal comes or something fails.
    pub(crate) async fn run(self) -> Result<(), Error> {
        self.check()?;
        log::init(&self.log.0, self.log.1);
        let stop = Stop::on_signals()?;
        let job = Arc::new(self);
        let lookupds = &job.sources.lookupd_http_address;
        run_each(&job.selection, lookupds, stop, |topic, stop| {
            Arc::clone(&job).consume(topic, stop)
        })
        .await
    }

    /// Finds what cannot be used before anything begins.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.template("topic")?;
        self.link.connect_options(self.tool)?;
        Ok(self.files.prepare()?)
    }

    fn template(&self, topic: &str) -> Result<Template, Error> {
        let files = &self.files;
        let facts = Facts {
            topic,
            host: &self.name.host,
            datetime_format: &self.name.datetime_format,
            with_revision: files.encoding != Encoding::Plain
                || files.limits != Limits::default()
                || files.work_dir != files.output_dir,
            suffix: files.encoding.suffix(),
        };
        let template = Template::parse(&self.name.template, facts);
        template.map_err(|error| Error::Usage(error.to_string()))
    }

    async fn consume(self: Arc<Job>, topic: TopicName, stop: Stop) -> Result<(), Error> {
        let files = Files::new(self.files.clone(), self.template(topic.as_str())?);
        let max_in_flight = self.selection.max_in_flight;
        let channel = &self.selection.channel;
        let builder = self
            .sources
            .consumer(&self.link, self.tool, &topic, channel)?;
        let builder = builder
            .max_in_flight(max_in_flight)
            .connect_policy(self.connect);
        let consumer = builder.start().await?;
        let hangup = signal(SignalKind::hangup()).map_err(Error::Runtime)?;
        write(
            consumer,
            files,
            self.sync_every,
            max_in_flight,
            hangup,
            stop,
        )
        .await
    }
}

/// Hands messages to a worker until `stop` or a failure, and ends both in good order.
async fn write(
    mut consumer: Consumer,
    files: Files,
    sync_every: Duration,
    max_in_flight: u32,
    mut hangup: Signal,
    mut stop: Stop,
) -> Result<(), Error> {
    let control = consumer.control();
    let max_in_flight = max_in_flight as usize;
    // Half of what may be in flight: the other half comes in while this one is synced.
    let (orders, mut ended) = worker::start(files, max_in_flight.div_ceil(2));
    let mut tick = interval(sync_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.reset();
    let mut batch = Vec::new();
    loop {
        let order = tokio::select! {
            biased;
            () = stop.asked() => break,
            ended = &mut ended => {
                // A worker does not end by itself unless it fails.
                control.drain(Duration::ZERO).await;
                return Ok(ended.expect("the worker does not panic")?);
            }
            _ = hangup.recv() => Some(Order::Reopen),
            _ = tick.tick() => Some(Order::Tick),
            count = consumer.recv_many(&mut batch, max_in_flight, Duration::ZERO) => {
                if count == 0 {
                    break;
                }
                None
            }
        };
        // Also what was received when something else happened. A worker that has ended says so at the next turn.
        let _ = orders.send(Order::Write(std::mem::take(&mut batch))).await;
        if let Some(order) = order {
            let _ = orders.send(order).await;
        }
        if control.is_starved() {
            let _ = orders.send(Order::Sync).await;
        }
    }
    let _ = orders.send(Order::Write(batch)).await;
    drop(orders);
    let (ended, _) = tokio::join!(ended, stop.drain(&control));
    ended.expect("the worker does not panic")?;
    control
        .closed_reason()
        .map_or(Ok(()), |reason| Err(reason.into()))
}
