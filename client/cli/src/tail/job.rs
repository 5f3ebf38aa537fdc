//! Consuming topics onto an output: a message is finished once it was written.

use std::io;
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use client::consumer::{Consumer, Control, Event, Message, OnDrop, Requeue};
use client::wire::{ChannelName, TopicName};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::output::{Format, Printable};
use crate::error::{Error, chain};
use crate::link::{Link, Sources};
use crate::sink::Stop;

/// What nsqd shows as the program.
const TOOL: &str = "nsq_tail";

/// How long nothing is said of an nsqd that is not found.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most messages that are written at once.
const BATCH: u64 = 200;

/// What is printed, checked.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What the lines on stderr begin with.
    pub(crate) name: &'static str,
    /// What is printed, all of it at the same time.
    pub(crate) topics: Vec<TopicName>,
    /// The channel of each.
    pub(crate) channel: ChannelName,
    /// How many messages of a topic, if not all.
    pub(crate) count: Option<NonZeroU64>,
    /// How.
    pub(crate) format: Format,
    /// Most messages of a topic received and not yet written.
    pub(crate) max_in_flight: u32,
    /// Where from.
    pub(crate) sources: Sources,
    /// How to connect there.
    pub(crate) link: Link,
}

impl Job {
    /// Prints on stdout until a topic has had enough messages, stdout is closed, or `stop` is asked for.
    ///
    /// # Errors
    /// The first failure of a topic; it ends the others, too.
    pub(crate) async fn run(self, stop: Stop) -> Result<(), Error> {
        let stdout = Arc::new(Mutex::new(tokio::io::stdout()));
        let mut running = JoinSet::new();
        for topic in self.topics.clone() {
            let (job, stdout, stop) = (self.clone(), Arc::clone(&stdout), stop.clone());
            running.spawn(async move { job.print(topic, &stdout, stop).await });
        }
        let mut result = Ok(());
        while let Some(ended) = running.join_next().await {
            // The first topic that has enough, or fails, ends the others.
            stop.ask();
            result = result.and(ended.expect("printing does not panic"));
        }
        result
    }

    /// Prints one topic.
    pub(super) async fn print<W: AsyncWrite + Unpin>(
        self,
        topic: TopicName,
        to: &Mutex<W>,
        mut stop: Stop,
    ) -> Result<(), Error> {
        let sources = &self.sources;
        let builder = sources.consumer(&self.link, TOOL, &topic, &self.channel)?;
        let builder = builder
            .max_in_flight(within(self.count.map(NonZeroU64::get), self.max_in_flight))
            .on_drop(OnDrop::Requeue(Requeue::NOW.no_backoff()))
            .connect_policy(sources.policy());
        let mut consumer = tokio::select! {
            started = builder.start() => started?,
            () = stop.asked() => return Ok(()),
        };
        let control = consumer.control();
        tokio::spawn(tell(self.name, topic, control.clone()));
        let mut printer = Printer {
            control: control.clone(),
            format: self.format,
            max_in_flight: self.max_in_flight,
            left: self.count.map(NonZeroU64::get),
            finished: 0,
            to,
        };
        let ended = printer.print(&mut consumer, &mut stop).await;
        stop.drain(&control).await;
        match ended {
            // Whoever read this has seen enough, as `head` has.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            ended => ended.map_err(Error::Output)?,
        }
        match control.closed_reason() {
            Some(reason) => Err(reason.into()),
            None => printer.check_finished(),
        }
    }
}

/// Messages of one topic on their way to the output.
struct Printer<'a, W> {
    control: Control,
    format: Format,
    max_in_flight: u32,
    /// How many messages are still to be printed; `None` is no end.
    left: Option<u64>,
    /// How many were printed and finished, as far as is known.
    finished: u64,
    to: &'a Mutex<W>,
}

impl<W: AsyncWrite + Unpin> Printer<'_, W> {
    /// Prints until there were enough messages, the consumer is over, or somebody wants it to stop.
    async fn print(&mut self, consumer: &mut Consumer, stop: &mut Stop) -> io::Result<()> {
        let mut messages = Vec::new();
        while self.left != Some(0) {
            let most = self.left.unwrap_or(BATCH).min(BATCH);
            let most = usize::try_from(most).expect("a batch is small");
            let count = tokio::select! {
                count = consumer.recv_many(&mut messages, most, Duration::ZERO) => count,
                () = stop.asked() => messages.len(),
            };
            if count == 0 {
                break;
            }
            tokio::select! {
                written = self.write(&messages) => written?,
                // Nobody reads, and nobody wants to wait for that any longer.
                () = stop.hurried() => break,
            }
            self.finish(&mut messages);
        }
        Ok(())
    }

    async fn write(&self, messages: &[Message]) -> io::Result<()> {
        let mut text = Vec::new();
        for message in messages {
            Printable::from(message).append(self.format, &mut text);
        }
        let mut to = self.to.lock().await;
        to.write_all(&text).await?;
        to.flush().await
    }

    fn finish(&mut self, messages: &mut Vec<Message>) {
        let less = |left: Option<u64>, count| left.map(|left| left.saturating_sub(count));
        // Before the messages are finished, so that nsqd never hands out more than is still wanted.
        self.want(less(self.left, messages.len() as u64));
        let finished = messages
            .drain(..)
            .filter_map(|message| message.finish().ok());
        let finished = finished.count() as u64;
        self.finished += finished;
        // One that was too late, or whose connection is gone, comes again, and counts then.
        self.left = less(self.left, finished);
        self.want(self.left);
    }

    fn want(&self, left: Option<u64>) {
        if left.is_some() {
            let count = within(left, self.max_in_flight);
            self.control.set_max_in_flight(count);
        }
    }

    /// Where a number of messages was asked for, all of them have to be done.
    fn check_finished(&self) -> Result<(), Error> {
        let stats = self.control.stats();
        let unfinished = self.finished - self.finished.min(stats.finished - stats.rejected);
        match self.left {
            Some(_) if unfinished > 0 => Err(Error::Unfinished(unfinished)),
            _ => Ok(()),
        }
    }
}

/// The most messages to have in flight while so many are still wanted.
fn within(left: Option<u64>, max_in_flight: u32) -> u32 {
    let left = left.and_then(|left| u32::try_from(left).ok());
    max_in_flight.min(left.unwrap_or(u32::MAX))
}

/// Tells of what a person would miss, a line each, until the end begins.
async fn tell(name: &str, topic: TopicName, control: Control) {
    let mut events = control.events();
    let mut patience = pin!(sleep(PATIENCE));
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut patience, if !patience.is_elapsed() => {
                if control.connections().is_empty() {
                    eprintln!("{name}: no nsqd with topic {topic} is known yet; waiting for one");
                }
                continue;
            }
        };
        let Some(event) = event else { return };
        match event {
            Event::Disconnected {
                address, reason, ..
            } => eprintln!("{name}: {address}: {reason}; trying again"),
            Event::Refused { error } => eprintln!("{name}: {}", chain(&error)),
            Event::LookupFailed { address, reason } => {
                eprintln!("{name}: nsqlookupd {address}: {reason}; trying again");
            }
            Event::AnswerRejected { address, code, .. } => {
                eprintln!(
                    "{name}: {address}: {code}: a message was printed too late, it comes again"
                );
            }
            Event::Draining => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_in_flight_than_wanted() {
        assert_eq!(within(None, 200), 200);
        assert_eq!(within(Some(3), 200), 3);
        assert_eq!(within(Some(1 << 40), 200), 200);
    }
}
