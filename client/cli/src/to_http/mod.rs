//! `nsq to-http`: the messages of topics to HTTP servers, finished once a server has taken them.

mod exchange;
mod summary;
mod target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::consumer::{ConnectPolicy, Delivery, Requeue, Settle};
use client::daemon::duration::GoDuration;
use client::daemon::log::{self, LogLevel};
use client::wire::TopicName;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tracing::{info, warn};

pub(crate) use self::exchange::Settings;
use self::exchange::{Exchange, Failure};
pub(crate) use self::summary::{Every, Summary};
pub(crate) use self::target::{Header, Statuses, Target};
use crate::error::Error;
use crate::hosts::{self, Hosts};
use crate::link::{Link, Sources};
use crate::sink::{Selection, Stop, run_each};

/// Send the messages of topics to HTTP servers
///
/// A message is finished once a server has answered with a status of --ok, and requeued otherwise. A
/// request that takes long keeps its message from timing out.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("targets").required(true).args(["post", "put", "get"])),
    after_help = "\
Examples:
  nsq to-http --topics orders --channel hooks --post http://127.0.0.1:8080/orders
  nsq to-http --topics orders --channel hooks --post http://a/x --post http://b/x --mode all \\
      --header 'X-Key: 1' --ok 200-299,409 --drop-on 400"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,

    /// URL to post messages to; may be repeated
    #[arg(long, value_name = "URL", value_parser = Target::body, help_heading = "Requests")]
    post: Vec<Target>,

    /// URL to put messages to; may be repeated
    #[arg(long, value_name = "URL", value_parser = Target::body, help_heading = "Requests")]
    put: Vec<Target>,

    /// URL to get, with {body:url} where the message goes; may be repeated
    #[arg(long, value_name = "URL", value_parser = Target::query, help_heading = "Requests")]
    get: Vec<Target>,

    /// Which of several URLs gets a message
    #[arg(long, value_enum, default_value_t = Mode::Hostpool, help_heading = "Requests")]
    mode: Mode,

    /// Most requests at a time, of each topic
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Requests")]
    concurrency: u32,

    /// Part of the messages that is sent, 0 to 1; the others are finished
    #[arg(long, value_name = "PART", default_value_t = 1.0, value_parser = part, help_heading = "Requests")]
    sample: f64,

    /// Type of the messages
    #[arg(
        long,
        value_name = "TYPE",
        default_value = "application/octet-stream",
        conflicts_with = "get",
        help_heading = "Requests"
    )]
    content_type: HeaderValue,

    /// Header to send: "Name: value"; may be repeated
    #[arg(long, value_name = "HEADER", help_heading = "Requests")]
    header: Vec<Header>,

    /// Statuses of success: 200-299,409 [default: 200-299, and 200 with --get]
    #[arg(long, value_name = "STATUSES", help_heading = "Requests")]
    ok: Option<Statuses>,

    /// Statuses after which a message is finished all the same
    #[arg(long, value_name = "STATUSES", help_heading = "Requests")]
    drop_on: Option<Statuses>,

    /// Longest wait for a connection
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        help_heading = "Requests"
    )]
    connect_timeout: GoDuration,

    /// Longest time for a request and its answer
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "20s",
        help_heading = "Requests"
    )]
    request_timeout: GoDuration,

    /// How often a line tells how long requests take; 0 is never
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "0s",
        help_heading = "Requests"
    )]
    status_every: GoDuration,

    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    link: Link,
}

/// Which of several targets get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// In turn, leaving out those that failed
    Hostpool,
    /// In turn
    RoundRobin,
    /// The fast ones mostly
    EpsilonGreedy,
    /// Every one, in the order given
    All,
}

/// Reads a part of a whole.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// What the requests say they come from.
fn user_agent() -> HeaderValue {
    HeaderValue::from_static("nsq_to_http v1.3.0")
}

/// What is sent where, checked.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What is consumed.
    pub(crate) selection: Selection,
    /// Where from.
    pub(crate) sources: Sources,
    /// How to connect.
    pub(crate) link: Link,
    /// Where to.
    pub(crate) targets: Vec<Target>,
    /// Which of them.
    pub(crate) mode: Mode,
    /// How.
    pub(crate) settings: Settings,
    /// How many at a time.
    pub(crate) concurrency: usize,
    /// Which part of the messages.
    pub(crate) sample: f64,
    /// When a line tells how it goes.
    pub(crate) status_every: Every,
}

/// Sends until a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let (method, targets) = match (arguments.post, arguments.put, arguments.get) {
        (post, put, _) if put.is_empty() && !post.is_empty() => (Method::POST, post),
        (_, put, _) if !put.is_empty() => (Method::PUT, put),
        (_, _, get) => (Method::GET, get),
    };
    let ok = match method {
        Method::GET => Statuses::range(200, 200),
        _ => Statuses::range(200, 299),
    };
    let content_type = (method != Method::GET).then_some(arguments.content_type);
    let job = Job {
        selection: arguments.selection,
        sources: arguments.sources,
        link: arguments.link,
        targets,
        mode: arguments.mode,
        settings: Settings {
            method,
            content_type: content_type.map(|value| Header::new(CONTENT_TYPE, value)),
            headers: arguments.header,
            ok: arguments.ok.unwrap_or(ok),
            drop_on: arguments.drop_on.unwrap_or_else(Statuses::none),
            retry_after: true,
            connect_timeout: arguments.connect_timeout.0,
            timeout: arguments.request_timeout.0,
        },
        concurrency: arguments.concurrency as usize,
        sample: arguments.sample,
        status_every: Every::Time(arguments.status_every.0),
    };
    job.run("[nsq] ").await
}

impl Job {
    /// Sends until a signal comes or nsqd refuses for good.
    pub(crate) async fn run(self, log_prefix: &str) -> Result<(), Error> {
        log::init(log_prefix, LogLevel::Info);
        let stop = Stop::on_signals()?;
        let sender = Arc::new(Sender::new(&self)?);
        let lookupds = &self.sources.lookupd_http_address;
        run_each(&self.selection, lookupds, stop, |topic, stop| {
            self.clone().consume(topic, Arc::clone(&sender), stop)
        })
        .await
    }

    async fn consume(
        self,
        topic: TopicName,
        sender: Arc<Sender>,
        mut stop: Stop,
    ) -> Result<(), Error> {
        let channel = &self.selection.channel;
        let builder = self.sources.consumer(&self.link, TOOL, &topic, channel)?;
        let builder = builder.max_in_flight(self.selection.max_in_flight);
        let policy: ConnectPolicy = self.sources.policy();
        let consumer = builder.connect_policy(policy).start().await?;
        let control = consumer.control();
        let work = consumer.run(self.concurrency, move |message: Delivery| {
            let sender = Arc::clone(&sender);
            async move {
                let _kept = message.keep_alive();
                sender.handle(message.body()).await
            }
        });
        let mut work = std::pin::pin!(work);
        tokio::select! {
            ended = &mut work => ended?,
            () = stop.asked() => tokio::join!(work, stop.drain(&control)).0?,
        };
        Ok(())
    }
}

/// The name told to nsqd.
const TOOL: &str = "nsq_to_http";

/// Sends messages to targets, and remembers how those fare.
#[derive(Debug)]
struct Sender {
    exchange: Exchange,
    targets: Vec<Target>,
    /// `None` is every target.
    hosts: Option<Mutex<Hosts>>,
    sample: f64,
    summaries: Mutex<Summaries>,
}

/// One for each target if there are several, and one for all.
#[derive(Debug)]
struct Summaries {
    targets: Vec<Summary>,
    all: Summary,
}

impl Sender {
    fn new(job: &Job) -> Result<Sender, Error> {
        let now = Instant::now();
        let mode = match job.mode {
            Mode::Hostpool => Some(hosts::Mode::Hostpool),
            Mode::RoundRobin => Some(hosts::Mode::RoundRobin),
            Mode::EpsilonGreedy => Some(hosts::Mode::EpsilonGreedy),
            Mode::All => None,
        };
        let summary = |prefix| Summary::new(prefix, job.status_every, now);
        let targets: Vec<Summary> = match &job.targets[..] {
            [_] => Vec::new(),
            targets => targets
                .iter()
                .map(|target| summary(format!("[{target}]:")))
                .collect(),
        };
        let all = summary("[aggregate]:".to_owned());
        Ok(Sender {
            exchange: Exchange::new(job.settings.clone())?,
            targets: job.targets.clone(),
            hosts: mode.map(|mode| Mutex::new(Hosts::new(mode, job.targets.len(), now))),
            sample: job.sample,
            summaries: Mutex::new(Summaries { targets, all }),
        })
    }

    /// Sends a message where it has to go, and says what becomes of it.
    async fn handle(&self, body: &Bytes) -> Settle {
        if self.sample < 1.0 && fastrand::f64() >= self.sample {
            return Settle::Finish;
        }
        let sent = match &self.hosts {
            Some(hosts) => self.send_to_one(hosts, body).await,
            None => self.send_to_all(body).await,
        };
        match sent {
            Ok(()) => Settle::Finish,
            Err((_, Failure::Dropped(status))) => {
                info!(%status, "message dropped, as --drop-on says");
                Settle::Finish
            }
            Err((target, failure)) => {
                warn!(target_url = %self.targets[target], error = %failure, "message not sent");
                Settle::Requeue(match failure {
                    Failure::Status {
                        retry_after: Some(delay),
                        ..
                    } => Requeue::after(delay),
                    _ => Requeue::AUTO,
                })
            }
        }
    }

    async fn send_to_one(
        &self,
        hosts: &Mutex<Hosts>,
        body: &Bytes,
    ) -> Result<(), (usize, Failure)> {
        let target = lock(hosts).choose(Instant::now(), fastrand::f64);
        let started = Instant::now();
        let sent = self.send(target, body).await;
        let now = Instant::now();
        match &sent {
            Ok(()) => lock(hosts).succeeded(target, now - started, now),
            // The server is well; it is the message that is not.
            Err((_, Failure::Dropped(_))) => {}
            Err(_) => lock(hosts).failed(target, now),
        }
        sent
    }

    async fn send_to_all(&self, body: &Bytes) -> Result<(), (usize, Failure)> {
        for target in 0..self.targets.len() {
            self.send(target, body).await?;
        }
        Ok(())
    }

    async fn send(&self, target: usize, body: &Bytes) -> Result<(), (usize, Failure)> {
        let started = Instant::now();
        let sent = self.exchange.send(&self.targets[target], body).await;
        sent.map_err(|failure| (target, failure))?;
        let now = Instant::now();
        self.tell(target, now - started, now);
        Ok(())
    }

    fn tell(&self, target: usize, took: Duration, now: Instant) {
        let mut summaries = lock(&self.summaries);
        let of_target = summaries.targets.get_mut(target);
        let of_target = of_target.and_then(|summary| summary.add(took, now));
        let of_all = summaries.all.add(took, now);
        drop(summaries);
        for line in [of_target, of_all].into_iter().flatten() {
            let time = jiff::Zoned::now().strftime("%Y/%m/%d %H:%M:%S");
            eprintln!("{time} {line}");
        }
    }
}

/// What is behind these locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
