//! The one loop: lines become batches, batches leave, and their outcomes are counted, up to a window of batches behind.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::producer::{Producer, PublishError};
use client::wire::TopicName;

use super::batch::Batch;
use super::failure::Failure;
use super::in_flight::InFlight;
use super::input::Chunks;
use super::lines::{Line, Lines};
use super::pace::Pace;
use super::progress::Progress;
use super::{Options, Summary};
use crate::error::Error;

/// No further batch leaves while so many bytes are not confirmed.
const UNCONFIRMED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long batches may take that are on their way when one has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lines on their way to producers, each of which gets all of them.
pub(super) struct Feed {
    producers: Vec<Producer>,
    topic: TopicName,
    options: Options,
    progress: Progress,
    lines: Lines,
    pace: Pace,
    /// Lines that will leave in the next batch.
    batch: Option<Batch>,
    /// Oldest first.
    unconfirmed: VecDeque<InFlight>,
    /// Bodies in them.
    unconfirmed_bytes: usize,
    /// Whether more may be read.
    input_open: bool,
    /// Why the input ended early; told once what was before it is confirmed.
    input_error: Option<Error>,
    failure: Option<Failure>,
    summary: Summary,
}

impl Feed {
    pub(super) fn new(
        producers: Vec<Producer>,
        topic: TopicName,
        options: Options,
        progress: Progress,
    ) -> Feed {
        Feed {
            producers,
            topic,
            progress,
            lines: Lines::new(options.delimiter.clone(), options.max_msg_size),
            pace: Pace::new(options.rate),
            batch: None,
            unconfirmed: VecDeque::new(),
            unconfirmed_bytes: 0,
            input_open: true,
            input_error: None,
            failure: None,
            summary: Summary::default(),
            options,
        }
    }

    /// Publishes until the input has ended and everything is confirmed.
    pub(super) async fn run(
        mut self,
        mut chunks: Chunks,
        stop: impl Future<Output = ()>,
    ) -> Result<Summary, Error> {
        let mut stop = pin!(stop);
        let mut stopping = false;
        loop {
            self.send_batches(Instant::now());
            if self.is_done() {
                break;
            }
            let wake_at = self.wake_at(Instant::now());
            tokio::select! {
                outcome = oldest(&mut self.unconfirmed) => self.settle(outcome),
                chunk = chunks.recv(), if self.wants_input() => self.read(chunk, stopping),
                () = sleep_until(wake_at) => {}
                () = &mut stop, if !stopping => {
                    stopping = true;
                    self.pace.lift();
                    chunks.close();
                }
            }
        }
        if let Some(failure) = self.failure {
            return Err(failure.into_error(self.summary.messages));
        }
        self.summary.skipped = self.lines.skipped();
        self.input_error.map_or(Ok(self.summary), Err)
    }

    /// Moves lines into batches and full batches to the producers, as far as window and pace allow.
    fn send_batches(&mut self, now: Instant) {
        loop {
            while !self.batch_is_full() {
                let Some(line) = self.next_line() else { break };
                match &mut self.batch {
                    Some(batch) => batch.push(line),
                    None => self.batch = Some(Batch::open(line, now)),
                }
            }
            if !self.batch_is_due(now) || !self.may_send() || self.pace.wait_until(now).is_some() {
                return;
            }
            let Some(batch) = self.batch.take() else {
                return;
            };
            let defer = self.options.defer.map(|delay| delay.0);
            let sent = InFlight::start(&self.producers, &self.topic, batch, defer);
            self.pace.sent(sent.about.messages, now);
            self.unconfirmed_bytes += sent.about.bytes;
            self.unconfirmed.push_back(sent);
        }
    }

    fn next_line(&mut self) -> Option<Line> {
        if self.input_error.is_some() || self.failure.is_some() {
            return None;
        }
        self.lines.next().unwrap_or_else(|too_long| {
            self.input_open = false;
            self.input_error = Some(Error::LineTooLong {
                line: too_long.line,
                max: self.options.max_msg_size,
            });
            None
        })
    }

    fn batch_is_full(&self) -> bool {
        let most = match self.options.defer {
            Some(_) => 1,
            None => self.pace.batch(self.options.batch),
        };
        self.batch.as_ref().is_some_and(|batch| {
            batch.messages() >= most as usize || batch.bytes() >= self.options.batch_bytes
        })
    }

    /// A batch that is not full leaves when its time is up or nothing more can come.
    fn batch_is_due(&self, now: Instant) -> bool {
        self.batch_is_full() || !self.input_open || self.linger_until().is_some_and(|at| at <= now)
    }

    fn linger_until(&self) -> Option<Instant> {
        let batch = self.batch.as_ref()?;
        Some(batch.opened_at + self.options.linger.0)
    }

    fn may_send(&self) -> bool {
        self.unconfirmed.len() < self.options.window as usize
            && self.unconfirmed_bytes < UNCONFIRMED_BYTES_MAX
    }

    /// When there is something to do without anything happening; `None` is never.
    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let linger_until = self.linger_until().filter(|_| self.may_send())?;
        let due_at = if self.batch_is_due(now) {
            now
        } else {
            linger_until
        };
        let paced_at = self.pace.wait_until(now);
        Some(paced_at.map_or(due_at, |at| at.max(due_at)))
    }

    fn wants_input(&self) -> bool {
        self.input_open && !self.batch_is_full()
    }

    fn is_done(&self) -> bool {
        !self.input_open && self.batch.is_none() && self.unconfirmed.is_empty()
    }

    fn read(&mut self, chunk: Option<Result<Bytes, Error>>, stopping: bool) {
        match chunk {
            Some(Ok(chunk)) => self.lines.push(&chunk),
            Some(Err(error)) => {
                self.input_open = false;
                self.input_error = Some(error);
            }
            None => {
                self.input_open = false;
                // Where a signal cut the input, what is left may be half a line.
                if stopping {
                    self.lines.cut();
                } else {
                    self.lines.end();
                }
            }
        }
    }

    /// Takes the outcome of the oldest batch.
    fn settle(&mut self, outcome: Result<(), PublishError>) {
        let settled = self.unconfirmed.pop_front();
        let about = settled.expect("an outcome is that of a batch").about;
        self.unconfirmed_bytes -= about.bytes;
        match (outcome, &mut self.failure) {
            (Err(error), Some(failure)) => failure.extend(about, &error),
            (Err(error), None) => {
                self.failure = Some(Failure::new(about, &error, &self.producers));
                self.give_up();
            }
            (Ok(()), failure) => {
                failure.iter_mut().for_each(Failure::followed);
                self.summary.messages += about.messages;
                self.summary.bytes += about.bytes as u64;
                // Bodies, and about one byte of delimiter for each line.
                let input_bytes = self.summary.bytes + about.last_line;
                self.progress.confirmed(input_bytes, self.summary.messages);
            }
        }
    }

    /// Takes no further lines, and lets those on their way arrive, but not for long.
    fn give_up(&mut self) {
        self.input_open = false;
        self.batch = None;
        for producer in &self.producers {
            tokio::spawn(producer.clone().shutdown(PATIENCE));
        }
    }
}

/// The outcome of the oldest batch; never without one. Cancel safe.
async fn oldest(unconfirmed: &mut VecDeque<InFlight>) -> Result<(), PublishError> {
    match unconfirmed.front_mut() {
        Some(batch) => batch.outcome().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
