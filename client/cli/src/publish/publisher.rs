//! Publishing: commands go out while their `OK`s come in, up to a window of commands apart.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;
use client::connection::{Connection, ConnectionError, Reader, Writer, is_heartbeat};
use client::wire::{Command, Frame, OK, TopicName};

use super::batch::{About, Batch};
use super::input::Chunks;
use super::lines::{Line, Lines};
use super::pace::Pace;
use super::progress::Progress;
use super::{Options, Summary};
use crate::error::Error;

/// No further command is written while this much waits to be sent.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// One connection that publishes lines.
pub(super) struct Publisher {
    reader: Reader,
    writer: Writer,
    topic: TopicName,
    options: Options,
    progress: Progress,
    lines: Lines,
    pace: Pace,
    /// Lines that will leave in the next command.
    batch: Option<Batch>,
    /// Commands without an `OK` yet, oldest first.
    unconfirmed: VecDeque<About>,
    /// Whether more may be read.
    input_open: bool,
    /// Why the input ended early; told once what was before it is confirmed.
    input_error: Option<Error>,
    summary: Summary,
    /// Number of the last line confirmed.
    confirmed_line: u64,
}

impl Publisher {
    pub(super) fn new(
        connection: Connection,
        topic: TopicName,
        options: Options,
        progress: Progress,
    ) -> Publisher {
        let (reader, writer) = connection.split();
        Publisher {
            reader,
            writer,
            topic,
            progress,
            lines: Lines::new(options.delimiter.clone(), options.max_msg_size),
            pace: Pace::new(options.rate),
            batch: None,
            unconfirmed: VecDeque::new(),
            input_open: true,
            input_error: None,
            summary: Summary::default(),
            confirmed_line: 0,
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
            self.write_batches(Instant::now());
            if self.is_done() {
                break;
            }
            let wake_at = self.wake_at(Instant::now());
            tokio::select! {
                frame = self.reader.next_frame() => self.take(frame)?,
                flushed = self.writer.flush(), if self.writer.unsent_bytes() > 0 => {
                    flushed.map_err(|cause| self.lost(cause))?;
                }
                chunk = chunks.recv(), if self.wants_input() => self.read(chunk, stopping),
                () = sleep_until(wake_at) => {}
                () = &mut stop, if !stopping => {
                    stopping = true;
                    self.pace.lift();
                    chunks.close();
                }
            }
        }
        self.summary.skipped = self.lines.skipped();
        self.input_error.map_or(Ok(self.summary), Err)
    }

    /// Moves lines into batches and full batches into the writer, as far as window and pace allow.
    fn write_batches(&mut self, now: Instant) {
        loop {
            while !self.batch_is_full() {
                let Some(line) = self.next_line() else { break };
                match &mut self.batch {
                    Some(batch) => batch.push(line),
                    None => self.batch = Some(Batch::open(line, now)),
                }
            }
            if !self.batch_is_due(now) || !self.may_write() || self.pace.wait_until(now).is_some() {
                return;
            }
            let Some(batch) = self.batch.take() else {
                return;
            };
            let defer = self.options.defer.map(|delay| delay.0);
            let about = batch.write(&mut self.writer, self.topic.as_name(), defer);
            self.pace.sent(about.messages, now);
            self.unconfirmed.push_back(about);
        }
    }

    fn next_line(&mut self) -> Option<Line> {
        if self.input_error.is_some() {
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

    fn may_write(&self) -> bool {
        self.unconfirmed.len() < self.options.window as usize
            && self.writer.unsent_bytes() < UNSENT_BYTES_MAX
    }

    /// When there is something to do without anything happening; `None` is never.
    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let linger_until = self.linger_until().filter(|_| self.may_write())?;
        let due_at = if self.batch_is_due(now) {
            now
        } else {
            linger_until
        };
        Some(
            self.pace
                .wait_until(now)
                .map_or(due_at, |at| at.max(due_at)),
        )
    }

    fn wants_input(&self) -> bool {
        self.input_open && !self.batch_is_full()
    }

    fn is_done(&self) -> bool {
        !self.input_open
            && self.batch.is_none()
            && self.unconfirmed.is_empty()
            && self.writer.unsent_bytes() == 0
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

    fn take(&mut self, frame: Result<Frame, ConnectionError>) -> Result<(), Error> {
        match frame {
            Ok(frame) if is_heartbeat(&frame) => self.writer.write(&Command::Nop),
            Ok(Frame::Response(data)) if *data == *OK => return self.confirm(),
            Ok(Frame::Error(error)) => return Err(self.refused(error.to_string())),
            Ok(Frame::UnknownError(text)) => {
                return Err(self.refused(String::from_utf8_lossy(&text).into_owned()));
            }
            Ok(_) => return Err(self.lost(ConnectionError::Unexpected("a frame of a consumer"))),
            Err(cause) => return Err(self.lost(cause)),
        }
        Ok(())
    }

    fn confirm(&mut self) -> Result<(), Error> {
        let Some(about) = self.unconfirmed.pop_front() else {
            return Err(self.lost(ConnectionError::Unexpected("an OK to nothing")));
        };
        self.summary.messages += about.messages;
        self.summary.bytes += about.bytes as u64;
        self.confirmed_line = about.last_line;
        // Bodies, and about one byte of delimiter for each line.
        let input_bytes = self.summary.bytes + about.last_line;
        self.progress.confirmed(input_bytes, self.summary.messages);
        Ok(())
    }

    /// The oldest command was refused, and nsqd carries out none behind it.
    fn refused(&self, text: String) -> Error {
        let cause = ConnectionError::Refused(text);
        match self.unconfirmed.front() {
            Some(about) => self.unpublished(about.lines(), cause),
            None => self.lost(cause),
        }
    }

    /// The connection is gone; what became of unconfirmed commands nobody knows.
    fn lost(&self, cause: ConnectionError) -> Error {
        let lines = match (self.unconfirmed.front(), self.unconfirmed.back()) {
            (Some(first), Some(last)) => {
                format!("lines {} to {} perhaps", first.first_line, last.last_line)
            }
            _ => format!("lines after {}", self.confirmed_line),
        };
        self.unpublished(lines, cause)
    }

    fn unpublished(&self, lines: String, cause: ConnectionError) -> Error {
        Error::Unpublished {
            lines,
            cause,
            confirmed: self.summary.messages,
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
