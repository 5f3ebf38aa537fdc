//! The server's side of commands: bytes as they arrive, in pieces of any size, become commands.
//!
//! ```text
//!           newline found, gate passed,         4 bytes, checked        items of MPUB
//!           parameters checked                  against the limits      checked one by one
//!  ─ Line ──────────────────────────▶ Size ───────────────────▶ Body / Batch ─────────▶ Command
//! ```
//!
//! What was checked is remembered, the bytes are not: the caller keeps them until the command is
//! complete. Nothing is allocated, except for the text of an error.

mod line;

use super::MAX_LINE_BYTES;
use super::batch::{BatchScan, Scanned, read_size};
use super::command::{Command, CommandKind};
use super::error::{ErrorCode, ErrorReply};
use super::limits::Limits;
use super::name::NameRef;

use line::{Header, Line, Parameters};

const SIZE_BYTES: usize = 4;

/// Decodes the commands of one connection.
#[derive(Debug, Default)]
pub struct CommandDecoder {
    progress: Progress,
}

/// What one call of [`CommandDecoder::decode`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A command is complete.
    Command {
        /// The command.
        command: Command<'a>,
        /// Bytes of the input that it took, to be dropped before the next call.
        consumed: usize,
    },
    /// More input is needed.
    Incomplete {
        /// No call makes progress before the input has this many bytes in all. More than the
        /// input has, and never further ahead than the limits allow.
        needed: usize,
    },
}

/// Why a connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The peer is told this.
    #[error(transparent)]
    Reply(#[from] ErrorReply),
    /// No command has this name. On its own so that what every command must fulfil (TLS) can be
    /// complained about first.
    #[error("invalid command {name}")]
    UnknownCommand {
        /// The first word of the line.
        name: String,
    },
    /// The peer is told nothing.
    #[error("command line longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
}

impl DecodeError {
    /// What the peer is told before the connection is closed, if anything.
    pub fn into_reply(self) -> Option<ErrorReply> {
        match self {
            DecodeError::Reply(reply) => Some(reply),
            DecodeError::UnknownCommand { name } => Some(ErrorReply::new(
                ErrorCode::Invalid,
                format!("invalid command {name}"),
            )),
            DecodeError::LineTooLong => None,
        }
    }
}

/// How far the current command was read.
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// There is no newline in the first `searched` bytes.
    Line { searched: usize },
    /// The line is valid and a body follows.
    Body(Pending),
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::Line { searched: 0 }
    }
}

/// A command that waits for more of its body.
#[derive(Clone, Copy, Debug)]
struct Pending {
    kind: CommandKind,
    /// Length of the line with its newline, which is where the body's size starts.
    line_bytes: usize,
    /// Which part of the body is not all there.
    part: Part,
    /// Bytes of input, from the start of the command, without which nothing more can be said.
    needed: usize,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Size,
    Body,
    Batch(BatchScan),
}

impl CommandDecoder {
    /// Decodes the command at the start of `input`.
    ///
    /// `input` always starts where the current command starts; after `Incomplete` the next call
    /// brings the same bytes and more. `gate` is asked once per command, as soon as its name is
    /// known and before anything else of it is looked at: whether it may come now.
    ///
    /// # Errors
    /// The refusal of `gate`, or what is wrong with the command. It is fatal: the rest of the
    /// input has lost its meaning, and the decoder with it.
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
        gate: impl FnOnce(CommandKind) -> Result<(), ErrorReply>,
    ) -> Result<Decoded<'a>, DecodeError> {
        match self.progress {
            Progress::Line { searched } => self.read_line(searched, input, limits, gate),
            Progress::Body(pending) if input.len() < pending.needed => Ok(Decoded::Incomplete {
                needed: pending.needed,
            }),
            Progress::Body(pending) => {
                let line = line::trim_end(&input[..pending.line_bytes]);
                let (_, parameters) = line::split_name(line);
                self.proceed(pending, parameters, input, limits)
            }
        }
    }

    /// What to tell the peer when the stream ends, or time is up, after what was decoded so far:
    /// what could not be read of a body. A line that breaks off is nothing to talk about.
    pub fn truncated(&self) -> Option<ErrorReply> {
        let Progress::Body(pending) = self.progress else {
            return None;
        };
        let (code, nouns) = body_nouns(pending.kind);
        let missing = match pending.part {
            Part::Size => " size",
            Part::Body => "",
            Part::Batch(scan) => return Some(scan.truncated()),
        };
        let name = pending.kind.name();
        let text = format!("{name} failed to read {}{missing}", nouns.body);
        Some(ErrorReply::new(code, text))
    }

    fn read_line<'a>(
        &mut self,
        searched: usize,
        input: &'a [u8],
        limits: &Limits,
        gate: impl FnOnce(CommandKind) -> Result<(), ErrorReply>,
    ) -> Result<Decoded<'a>, DecodeError> {
        let Some(line_bytes) = find_line(input, searched)? else {
            self.progress = Progress::Line {
                searched: input.len(),
            };
            return Ok(Decoded::Incomplete {
                needed: input.len() + 1,
            });
        };
        let (name, parameters) = line::split_name(line::trim_end(&input[..line_bytes]));
        let kind = CommandKind::from_name(name).ok_or_else(|| unknown_command(name))?;
        gate(kind)?;
        let pending = Pending {
            kind,
            line_bytes,
            part: Part::Size,
            needed: line_bytes,
        };
        self.proceed(pending, parameters, input, limits)
    }

    /// Goes on where the line is complete. After a pause its parameters are parsed once more:
    /// that is shorter than keeping what was borrowed from an input which has moved since.
    fn proceed<'a>(
        &mut self,
        pending: Pending,
        parameters: Parameters<'a>,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<Decoded<'a>, DecodeError> {
        match line::parse(pending.kind, parameters, limits)? {
            Line::Whole(command) => Ok(self.complete(command, pending.line_bytes)),
            Line::WithBody(header) => self.read_body(pending, header, input, limits),
            Line::WithBatch { topic } => self.read_batch(pending, topic, input, limits),
        }
    }

    fn read_body<'a>(
        &mut self,
        pending: Pending,
        header: Header<'a>,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<Decoded<'a>, DecodeError> {
        let body_at = pending.line_bytes + SIZE_BYTES;
        let Some(size) = read_size(input, pending.line_bytes) else {
            return Ok(self.wait(pending, Part::Size, body_at));
        };
        let body_end = body_at + check_size(pending.kind, size, limits)?;
        match input.get(body_at..body_end) {
            Some(body) => Ok(self.complete(header.with_body(body), body_end)),
            None => Ok(self.wait(pending, Part::Body, body_end)),
        }
    }

    /// Reads what MPUB sends. As in the reference, count and item sizes say where it ends; the
    /// size of the body is only checked against its limit, and bytes left over in it are the next
    /// command.
    fn read_batch<'a>(
        &mut self,
        pending: Pending,
        topic: NameRef<'a>,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<Decoded<'a>, DecodeError> {
        let body_at = pending.line_bytes + SIZE_BYTES;
        let mut scan = match pending.part {
            Part::Batch(scan) => scan,
            Part::Size | Part::Body => {
                let Some(size) = read_size(input, pending.line_bytes) else {
                    return Ok(self.wait(pending, Part::Size, body_at));
                };
                check_size(pending.kind, size, limits)?;
                BatchScan::default()
            }
        };
        match scan.advance(&input[body_at..], limits)? {
            Scanned::Complete(batch) => {
                let command = Command::PublishMany { topic, batch };
                Ok(self.complete(command, body_at + scan.scanned_bytes()))
            }
            Scanned::Needs(bytes) => Ok(self.wait(pending, Part::Batch(scan), body_at + bytes)),
        }
    }

    fn complete<'a>(&mut self, command: Command<'a>, consumed: usize) -> Decoded<'a> {
        self.progress = Progress::default();
        Decoded::Command { command, consumed }
    }

    fn wait<'a>(&mut self, pending: Pending, part: Part, needed: usize) -> Decoded<'a> {
        self.progress = Progress::Body(Pending {
            part,
            needed,
            ..pending
        });
        Decoded::Incomplete { needed }
    }
}

/// Length of the first line with its newline; `None` while the newline has not arrived.
fn find_line(input: &[u8], searched: usize) -> Result<Option<usize>, DecodeError> {
    let window = &input[..input.len().min(MAX_LINE_BYTES)];
    match memchr::memchr(b'\n', &window[searched..]) {
        Some(at) => Ok(Some(searched + at + 1)),
        None if window.len() == MAX_LINE_BYTES => Err(DecodeError::LineTooLong),
        None => Ok(None),
    }
}

/// How the errors of a command call its body.
struct BodyNouns {
    /// What has a size and is read.
    body: &'static str,
    /// What is too big.
    whole: &'static str,
}

fn body_nouns(kind: CommandKind) -> (ErrorCode, BodyNouns) {
    match kind {
        CommandKind::Publish | CommandKind::PublishDeferred => (
            ErrorCode::BadMessage,
            BodyNouns {
                body: "message body",
                whole: "message",
            },
        ),
        _ => (
            ErrorCode::BadBody,
            BodyNouns {
                body: "body",
                whole: "body",
            },
        ),
    }
}

fn check_size(kind: CommandKind, given: i32, limits: &Limits) -> Result<usize, ErrorReply> {
    let max = match kind {
        CommandKind::Publish | CommandKind::PublishDeferred => limits.max_msg_size,
        _ => limits.max_body_size,
    };
    match usize::try_from(given) {
        Ok(size) if size > 0 && size <= max => Ok(size),
        _ => Err(bad_size(kind, given, max)),
    }
}

#[cold]
fn bad_size(kind: CommandKind, given: i32, max: usize) -> ErrorReply {
    let (code, nouns) = body_nouns(kind);
    let name = kind.name();
    let text = if given > 0 {
        format!("{name} {} too big {given} > {max}", nouns.whole)
    } else {
        format!("{name} invalid {} size {given}", nouns.body)
    };
    ErrorReply::new(code, text)
}

#[cold]
fn unknown_command(name: &[u8]) -> DecodeError {
    DecodeError::UnknownCommand {
        name: String::from_utf8_lossy(name).into_owned(),
    }
}

#[cfg(test)]
mod tests;
