//! One run: who connects when, and when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use client::connection::{ConnectOptions, Connection, ConnectionError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Arguments;
use super::consumer::{self, Received};
use super::producer::{self, Plan, Published};
use super::report::{Flow, Histogram, Report};
use super::stamp::Stamps;
use crate::error::Error;

/// How long consumers wait for a message before what is missing counts as missing.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether all has come. Figures do not depend on it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

type Tasks<T> = JoinSet<Result<T, ConnectionError>>;

/// Runs the load until its end or until `stop`.
pub(super) async fn run(
    arguments: &Arguments,
    stop: impl Future<Output = ()>,
) -> Result<Report, Error> {
    let mut run = Run::start(arguments).await?;
    let interrupted = tokio::select! {
        ended = run.end() => { ended?; false }
        () = stop => true,
    };
    if interrupted {
        run.stop_producers.send_replace(true);
        run.join_producers().await?;
    }
    run.report().await
}

struct Run<'a> {
    arguments: &'a Arguments,
    started: Instant,
    producers: Tasks<Published>,
    consumers: Tasks<Received>,
    /// What the producers who have ended published.
    published: Vec<Published>,
    /// Messages received so far.
    received: Arc<AtomicU64>,
    stop_producers: watch::Sender<bool>,
    stop_consumers: watch::Sender<bool>,
}

impl<'a> Run<'a> {
    /// Connects everybody first, so that connecting is not measured.
    async fn start(arguments: &'a Arguments) -> Result<Run<'a>, Error> {
        let options = arguments.nsqd.options()?;
        let mut consumers = Vec::new();
        if arguments.consumes() {
            for _ in 0..arguments.connections {
                consumers.push(subscribed(arguments, &options).await?);
            }
        }
        let mut producers = Vec::new();
        if arguments.publishes() {
            for _ in 0..arguments.connections {
                producers.push(arguments.nsqd.connect(&options).await?);
            }
        }
        let started = Instant::now();
        let mut run = Run {
            arguments,
            started,
            producers: JoinSet::new(),
            consumers: JoinSet::new(),
            published: Vec::new(),
            received: Arc::default(),
            stop_producers: watch::Sender::new(false),
            stop_consumers: watch::Sender::new(false),
        };
        let both = arguments.publishes() && arguments.consumes();
        let stamps = both.then(|| Stamps::new(started));
        for consumer in consumers {
            run.spawn_consumer(consumer, stamps);
        }
        for (index, producer) in (0..).zip(producers) {
            run.spawn_producer(index, producer, stamps);
        }
        Ok(run)
    }

    fn spawn_consumer(&mut self, connection: Connection, stamps: Option<Stamps>) {
        let in_flight = self
            .arguments
            .in_flight
            .min(connection.settled().max_rdy_count);
        let stop = self.stop_consumers.subscribe();
        let received = Arc::clone(&self.received);
        self.consumers.spawn(async move {
            consumer::consume(connection, in_flight, stamps, &received, stop).await
        });
    }

    fn spawn_producer(&mut self, index: u64, connection: Connection, stamps: Option<Stamps>) {
        let arguments = self.arguments;
        let topic = arguments.topic.clone();
        let (body_bytes, batch) = (arguments.body_bytes(), u64::from(arguments.batch));
        let window = arguments.window as usize;
        let messages = share(arguments.messages, index, arguments.connections);
        let until = self.started + arguments.duration();
        let stop = self.stop_producers.subscribe();
        self.producers.spawn(async move {
            let topic = topic.as_name();
            let plan = Plan {
                topic,
                body_bytes,
                batch,
                window,
                messages,
                until,
                stamps,
            };
            producer::publish(connection, plan, stop).await
        });
    }

    /// Returns when all is published and received, or nothing more comes.
    async fn end(&mut self) -> Result<(), Error> {
        self.join_producers().await?;
        if !self.arguments.consumes() {
            return Ok(());
        }
        let (wanted, until) = if self.arguments.publishes() {
            let published = self.published.iter().map(|published| published.messages);
            (published.sum(), None)
        } else {
            let messages = self.arguments.messages.unwrap_or(u64::MAX);
            (messages, Some(self.started + self.arguments.duration()))
        };
        self.received(wanted, until).await
    }

    async fn join_producers(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.producers.join_next().await {
            let published = ended.expect("a producer does not panic");
            let published = published.map_err(|cause| failed(self.arguments, cause))?;
            self.published.push(published);
        }
        Ok(())
    }

    /// Waits until so many messages were received, the time is over, or none came for long.
    async fn received(&mut self, wanted: u64, until: Option<Instant>) -> Result<(), Error> {
        let mut before = 0;
        let mut idle_since = Instant::now();
        loop {
            tokio::select! {
                Some(ended) = self.consumers.join_next() => {
                    let ended = ended.expect("a consumer does not panic");
                    ended.map_err(|cause| failed(self.arguments, cause))?;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let now = Instant::now();
            let received = self.received.load(Ordering::Relaxed);
            if received > before {
                (before, idle_since) = (received, now);
            }
            let over = until.map_or(now - idle_since > IDLE_MAX, |until| now >= until);
            if over || received >= wanted {
                return Ok(());
            }
        }
    }

    async fn report(mut self) -> Result<Report, Error> {
        let mut report = Report::default();
        if self.arguments.publishes() {
            self.report_published(&mut report);
        }
        if self.arguments.consumes() {
            self.report_received(&mut report).await?;
        }
        Ok(report)
    }

    fn report_published(&self, report: &mut Report) {
        let mut latency = Histogram::new();
        let mut messages = 0;
        let mut ended = self.started;
        for published in &self.published {
            latency.add(&published.latency);
            messages += published.messages;
            ended = ended.max(published.ended);
        }
        let bytes = messages * self.arguments.body_bytes() as u64;
        report.published = Some(Flow::new(messages, bytes, ended - self.started));
        report.publish_latency_ns = latency.latency();
    }

    async fn report_received(&mut self, report: &mut Report) -> Result<(), Error> {
        self.stop_consumers.send_replace(true);
        let mut latency = Histogram::new();
        let (mut messages, mut bytes) = (0, 0);
        let mut span: Option<(Instant, Instant)> = None;
        while let Some(ended) = self.consumers.join_next().await {
            let received = ended.expect("a consumer does not panic");
            let received = received.map_err(|cause| failed(self.arguments, cause))?;
            latency.add(&received.latency);
            messages += received.messages;
            bytes += received.bytes;
            span = match (span, received.span) {
                (Some(all), Some(one)) => Some((all.0.min(one.0), all.1.max(one.1))),
                (all, one) => all.or(one),
            };
        }
        let elapsed = span.map_or(Duration::ZERO, |(first, last)| last - first);
        report.received = Some(Flow::new(messages, bytes, elapsed));
        report.end_to_end_latency_ns = latency.latency();
        Ok(())
    }
}

async fn subscribed(arguments: &Arguments, options: &ConnectOptions) -> Result<Connection, Error> {
    let mut connection = arguments.nsqd.connect(options).await?;
    let (topic, channel) = (arguments.topic.as_name(), arguments.channel.as_name());
    let subscribed = connection.subscribe(topic, channel).await;
    subscribed.map_err(|cause| failed(arguments, cause))?;
    Ok(connection)
}

fn failed(arguments: &Arguments, cause: ConnectionError) -> Error {
    let address = arguments.nsqd.nsqd_tcp_address.clone();
    Error::Connection { address, cause }
}

/// How many of `messages` the connection of this index sends; no limit is a limit for nobody.
fn share(messages: Option<u64>, index: u64, connections: u32) -> u64 {
    let connections = u64::from(connections);
    messages.map_or(u64::MAX, |all| {
        all / connections + u64::from(index < all % connections)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (all, connections) in [(10, 3), (2, 5), (9, 3)] {
            let shares =
                (0..u64::from(connections)).map(|index| share(Some(all), index, connections));
            assert_eq!(shares.sum::<u64>(), all);
        }
        assert_eq!(share(None, 1, 2), u64::MAX);
    }
}
