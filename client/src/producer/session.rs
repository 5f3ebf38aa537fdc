//! One connection of a producer, from its first publish to its end.
//!
//! A loop in which each turn takes all that is queued (up to a bound) into one buffer, and then waits
//! for whatever comes first: answers, room to write, new publishes, a deadline. No code of a caller
//! runs in here, so heartbeats are answered whatever callers do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use tokio::time::{Instant, sleep_until};

use super::error::{PublishError, is_failure_of_nsqd};
use super::events::Event;
use super::hub::Hub;
use super::job::Job;
use super::pipeline::Pipeline;
use super::state::Settled;
use crate::connection::{Address, Connection, ConnectionError, Reader, Writer, is_heartbeat};
use crate::wire::{Command, ErrorCode, Frame, OK};

/// An `OK` as it is received: size, type, data.
const OK_FRAME: &[u8] = b"\0\0\0\x06\0\0\0\0OK";
/// Bytes written and not sent at which no further publishes are taken.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// How a connection ended, and what is left to be sent again, oldest first.
#[derive(Debug)]
pub(super) enum End {
    /// The producer has nothing more to do.
    Over,
    /// A publish was refused for its own fault; the nsqd is well.
    Refused(Vec<Job>),
    /// The connection is lost, or the nsqd cannot store.
    Lost(Lost),
}

/// The end of a connection to an nsqd that is not well.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) back: Vec<Job>,
    pub(super) cause: Arc<ConnectionError>,
    /// Whether it had been of use.
    pub(super) was_useful: bool,
}

/// How long an nsqd may keep silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// With a publish to answer.
    pub(super) answer: Duration,
    /// In all, heartbeats included; `None` where there are none.
    pub(super) silence: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Session<'a> {
    hub: &'a Hub,
    index: usize,
    node: &'a Arc<Address>,
    patience: Patience,
    reader: Reader,
    writer: Writer,
    pipeline: Pipeline,
    /// Bytes of all commands ever written here.
    written: u64,
    heard_at: Instant,
    was_useful: bool,
    /// Scratch, empty between two turns.
    taken: Vec<Job>,
    settled: Vec<Settled>,
}

/// What ends the loop.
enum Stop {
    Over,
    Refused {
        code: Option<ErrorCode>,
        text: String,
    },
    Lost(ConnectionError),
}

impl From<ConnectionError> for Stop {
    fn from(error: ConnectionError) -> Stop {
        Stop::Lost(error)
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        hub: &'a Hub,
        index: usize,
        node: &'a Arc<Address>,
        patience: Patience,
        connection: Connection,
    ) -> Session<'a> {
        let (reader, writer) = connection.split();
        Session {
            hub,
            index,
            node,
            patience,
            reader,
            writer,
            pipeline: Pipeline::default(),
            written: 0,
            heard_at: Instant::now(),
            was_useful: false,
            taken: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Publishes until the connection or the producer ends.
    pub(super) async fn run(mut self) -> End {
        let stop = match self.serve().await {
            Ok(never) => match never {},
            Err(stop) => stop,
        };
        match stop {
            Stop::Over => self.over(),
            Stop::Refused { code, text } => self.refused(code, text),
            Stop::Lost(cause) => self.lost(cause),
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Stop> {
        let mut armed_for = self.due();
        let mut alarm = std::pin::pin!(sleep_until(armed_for));
        loop {
            self.write_queued()?;
            // Set anew only for something sooner; what is later is seen when it goes off.
            let due = self.due();
            if due < armed_for || alarm.is_elapsed() {
                armed_for = due;
                alarm.as_mut().reset(due);
            }
            let unsent = self.writer.unsent_bytes();
            tokio::select! {
                received = self.reader.receive() => {
                    received?;
                    self.take_frames()?;
                }
                flushed = self.writer.flush(), if unsent > 0 => flushed?,
                () = self.hub.rung(self.index), if unsent < UNSENT_BYTES_MAX => {}
                () = &mut alarm => self.check_time()?,
            }
        }
    }

    fn write_queued(&mut self) -> Result<(), Stop> {
        let unsent = self.writer.unsent_bytes();
        if unsent >= UNSENT_BYTES_MAX {
            return Ok(());
        }
        let room = UNSENT_BYTES_MAX - unsent;
        if !self.hub.take(self.index, room, &mut self.taken) {
            return Err(Stop::Over);
        }
        if self.taken.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        for mut job in self.taken.drain(..) {
            let before = self.writer.unsent_bytes();
            job.write(&mut self.writer);
            self.written += (self.writer.unsent_bytes() - before) as u64;
            job.attempts += 1;
            self.pipeline.sent(job, self.written, now);
        }
        Ok(())
    }

    fn take_frames(&mut self) -> Result<(), Stop> {
        let now = Instant::now();
        self.heard_at = now;
        let taken = self.take_answers(now);
        self.hub.settle(Some(self.index), &mut self.settled);
        taken
    }

    fn take_answers(&mut self, now: Instant) -> Result<(), Stop> {
        loop {
            self.take_confirmations(now)?;
            let Some(frame) = self.reader.received_frame()? else {
                return Ok(());
            };
            match frame {
                Frame::Response(data) if *data == *OK => self.confirm(now)?,
                frame if is_heartbeat(&frame) => self.show_life(),
                Frame::Response(_) => return Err(unexpected("a response other than OK")),
                Frame::Message(_) => return Err(unexpected("a message")),
                Frame::Error(error) => {
                    let (code, text) = (Some(error.code), error.to_string());
                    return Err(Stop::Refused { code, text });
                }
                Frame::UnknownError(text) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(Stop::Refused { code: None, text });
                }
                Frame::Unknown { .. } => {}
            }
        }
    }

    /// Takes the OKs that stand first in what was received where they are: nearly all that an nsqd
    /// says is that, and a decoder would make a value of each.
    fn take_confirmations(&mut self, now: Instant) -> Result<(), Stop> {
        let received = self.reader.received();
        let frames = received.chunks_exact(OK_FRAME.len());
        let count = frames.take_while(|frame| *frame == OK_FRAME).count();
        received.advance(count * OK_FRAME.len());
        (0..count).try_for_each(|_| self.confirm(now))
    }

    fn confirm(&mut self, now: Instant) -> Result<(), Stop> {
        let slot = self.pipeline.answered();
        let slot = slot.ok_or_else(|| unexpected("OK for nothing"))?;
        self.was_useful = true;
        if let Some(job) = slot.job {
            let receipt = job.receipt(self.node, now);
            self.settled.push((job, Ok(receipt)));
        }
        Ok(())
    }

    fn show_life(&mut self) {
        let before = self.writer.unsent_bytes();
        self.writer.write(&Command::Nop);
        self.written += (self.writer.unsent_bytes() - before) as u64;
        self.was_useful = true;
    }

    /// When something may be late.
    fn due(&self) -> Instant {
        let silence = self.patience.silence;
        let silent = silence.map(|patience| self.heard_at + patience);
        let since = self.pipeline.waiting_since();
        let unanswered = since.map(|since| since + self.patience.answer);
        let dues = [self.pipeline.earliest(), silent, unanswered];
        // Far enough to never come, near enough for every clock.
        let never = self.heard_at + Duration::from_hours(24 * 365);
        dues.into_iter().flatten().min().unwrap_or(never)
    }

    fn check_time(&mut self) -> Result<(), Stop> {
        let now = Instant::now();
        let late = self.pipeline.expire(now);
        let timeout = |job| (job, Err(PublishError::Timeout { maybe_stored: true }));
        self.settled.extend(late.into_iter().map(timeout));
        self.hub.settle(Some(self.index), &mut self.settled);

        let Patience { answer, silence } = self.patience;
        let since = self.pipeline.waiting_since();
        if since.is_some_and(|since| now >= since + answer) {
            return Err(ConnectionError::TimedOut(answer).into());
        }
        match silence {
            Some(silence) if now >= self.heard_at + silence => {
                Err(ConnectionError::TimedOut(silence).into())
            }
            _ => Ok(()),
        }
    }

    /// The producer is over: with publishes left only if it was aborted.
    fn over(mut self) -> End {
        let left = self.pipeline.lost(self.taken_by_system());
        let unknown = self.unknown(None);
        self.settled.extend(
            left.unsure
                .into_iter()
                .map(|job| (job, Err(unknown.clone()))),
        );
        let closed = |job| (job, Err(PublishError::Closed));
        self.settled.extend(left.untouched.into_iter().map(closed));
        self.hub.settle(Some(self.index), &mut self.settled);
        End::Over
    }

    fn refused(mut self, code: Option<ErrorCode>, text: String) -> End {
        let Some(slot) = self.pipeline.answered() else {
            return self.lost(ConnectionError::Refused(text));
        };
        let now = Instant::now();
        let is_failure = code.is_some_and(is_failure_of_nsqd);
        let mut back = Vec::new();
        match slot.job {
            Some(job) if is_failure && job.may_be_sent_again(now) => {
                self.hub.state().stats.retried += 1;
                back.push(job);
            }
            Some(job) if is_failure => self.reject(job, code, &text),
            Some(job) => back.extend(self.narrow_down(job, code, &text)),
            None => {}
        }
        // Only of the codes known it is known that nothing behind them is carried out.
        let is_end = code.is_some_and(ErrorCode::is_fatal);
        let untouched = if is_end {
            self.pipeline.refused()
        } else {
            self.sort_out(now, &Arc::new(ConnectionError::Refused(text.clone())))
        };
        back.extend(self.replay(untouched));
        self.hub.settle(Some(self.index), &mut self.settled);
        self.tell_rejected(&text, back.len());
        if is_failure {
            return self.ended(back, Arc::new(ConnectionError::Refused(text)));
        }
        End::Refused(back)
    }

    /// Ends a publish that is wrong. What a batcher merged is split instead, until only the author
    /// of the offending message is left to be told; returns the halves.
    fn narrow_down(&mut self, mut job: Job, code: Option<ErrorCode>, text: &str) -> Vec<Job> {
        let Some(later) = job.split_off() else {
            self.reject(job, code, text);
            return Vec::new();
        };
        self.hub.state().split(self.index, job.generation);
        self.replay(vec![job, later])
    }

    fn reject(&mut self, job: Job, code: Option<ErrorCode>, text: &str) {
        let rejected = PublishError::Rejected {
            node: Arc::clone(self.node),
            code,
            text: text.to_owned(),
        };
        self.settled.push((job, Err(rejected)));
    }

    fn lost(mut self, cause: ConnectionError) -> End {
        let cause = Arc::new(cause);
        let back = self.sort_out(Instant::now(), &cause);
        self.hub.settle(Some(self.index), &mut self.settled);
        self.ended(back, cause)
    }

    /// Ends what a lost connection leaves unknown; returns what is sent again.
    fn sort_out(&mut self, now: Instant, cause: &Arc<ConnectionError>) -> Vec<Job> {
        let left = self.pipeline.lost(self.taken_by_system());
        let may_retry = |job: &Job| job.terms.retry.retry_unknown && job.may_be_sent_again(now);
        let (mut back, unknown): (Vec<_>, Vec<_>) = left.unsure.into_iter().partition(may_retry);
        self.hub.state().stats.retried += back.len() as u64;
        let error = self.unknown(Some(cause));
        self.settled
            .extend(unknown.into_iter().map(|job| (job, Err(error.clone()))));
        back.extend(self.replay(left.untouched));
        back
    }

    /// Prepares what was written and certainly not carried out to be written again.
    fn replay(&self, mut untouched: Vec<Job>) -> Vec<Job> {
        self.hub.state().stats.replayed += untouched.len() as u64;
        for job in &mut untouched {
            job.attempts -= 1;
        }
        untouched
    }

    fn ended(self, back: Vec<Job>, cause: Arc<ConnectionError>) -> End {
        End::Lost(Lost {
            back,
            cause,
            was_useful: self.was_useful,
        })
    }

    fn tell_rejected(&self, text: &str, replayed: usize) {
        tracing::warn!(node = %self.node, error = text, replayed, "publish refused");
        self.hub.tell(Event::Rejected {
            node: Arc::clone(self.node),
            text: text.to_owned(),
            replayed,
        });
    }

    fn unknown(&self, cause: Option<&Arc<ConnectionError>>) -> PublishError {
        PublishError::Unknown {
            node: Arc::clone(self.node),
            cause: cause.cloned(),
        }
    }

    /// How many of the bytes written the system took.
    fn taken_by_system(&self) -> u64 {
        self.written - self.writer.unsent_bytes() as u64
    }
}

fn unexpected(what: &'static str) -> Stop {
    Stop::Lost(ConnectionError::Unexpected(what))
}
