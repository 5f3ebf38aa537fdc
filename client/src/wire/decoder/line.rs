//! The line of a command: its name, its parameters, and what is wrong with them.
//!
//! ```text
//! line = NAME *(space parameter) [CR] LF      16384 bytes at most, CR and LF included
//! ```
//!
//! Every single space separates, so two in a row enclose an empty parameter. Parameters that a
//! command does not need are ignored, except for AUTH. Numbers are decimal digits only; none at
//! all is 0, and too many wrap around at 2^64, as in the reference.

use std::time::Duration;

use super::super::command::{Command, CommandKind};
use super::super::error::{ErrorCode, ErrorReply, Quoted};
use super::super::limits::Limits;
use super::super::message::MessageId;
use super::super::name::NameRef;

/// A line that was understood.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// The line is the whole command.
    Whole(Command<'a>),
    /// A body follows.
    WithBody(Header<'a>),
    /// The body of MPUB follows.
    WithBatch { topic: NameRef<'a> },
}

/// A command whose body is still to come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Header<'a> {
    Identify,
    Auth,
    Publish { topic: NameRef<'a> },
    PublishDeferred { topic: NameRef<'a>, delay: Duration },
}

impl<'a> Header<'a> {
    pub(super) fn with_body(self, body: &'a [u8]) -> Command<'a> {
        match self {
            Header::Identify => Command::Identify { body },
            Header::Auth => Command::Auth { secret: body },
            Header::Publish { topic } => Command::Publish { topic, body },
            Header::PublishDeferred { topic, delay } => {
                Command::PublishDeferred { topic, delay, body }
            }
        }
    }
}

/// The line without its end: LF, and one CR directly before it.
pub(super) fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The first word of a line, and what follows it.
pub(super) fn split_name(line: &[u8]) -> (&[u8], Parameters<'_>) {
    let mut words = Parameters { rest: Some(line) };
    let name = words.next().expect("an empty line is one empty word");
    (name, words)
}

/// The words of a line after the name.
#[derive(Clone, Debug)]
pub(super) struct Parameters<'a> {
    /// `None` after the last word, since a line may end in a space and then an empty word.
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let Some(space) = memchr::memchr(b' ', line) else {
            self.rest = None;
            return Some(line);
        };
        self.rest = Some(&line[space + 1..]);
        Some(&line[..space])
    }
}

/// Checks the parameters in the order of the reference and builds what they say.
pub(super) fn parse<'a>(
    kind: CommandKind,
    mut given: Parameters<'a>,
    limits: &Limits,
) -> Result<Line<'a>, ErrorReply> {
    let few = || invalid(kind, "insufficient number of parameters");
    let few_params = || invalid(kind, "insufficient number of params");
    Ok(match kind {
        CommandKind::Publish => {
            let topic = topic(kind, given.next().ok_or_else(few)?)?;
            Line::WithBody(Header::Publish { topic })
        }
        CommandKind::Finish => {
            let id = message_id(given.next().ok_or_else(few_params)?)?;
            Line::Whole(Command::Finish { id })
        }
        CommandKind::PublishMany => {
            let topic = topic(kind, given.next().ok_or_else(few)?)?;
            Line::WithBatch { topic }
        }
        CommandKind::PublishDeferred => {
            let (name, delay) = pair(&mut given).ok_or_else(few)?;
            let topic = topic(kind, name)?;
            let delay = defer_delay(delay, limits)?;
            Line::WithBody(Header::PublishDeferred { topic, delay })
        }
        CommandKind::Ready => Line::Whole(Command::Ready {
            count: given
                .next()
                .map_or(Ok(1), |count| ready_count(count, limits))?,
        }),
        CommandKind::Requeue => {
            let (id, delay) = pair(&mut given).ok_or_else(few_params)?;
            let id = message_id(id)?;
            let delay = requeue_delay(delay, limits)?;
            Line::Whole(Command::Requeue { id, delay })
        }
        CommandKind::Touch => {
            let id = message_id(given.next().ok_or_else(few_params)?)?;
            Line::Whole(Command::Touch { id })
        }
        CommandKind::Subscribe => {
            let (name, channel_name) = pair(&mut given).ok_or_else(few)?;
            let topic = topic(kind, name)?;
            let channel = channel(kind, channel_name)?;
            Line::Whole(Command::Subscribe { topic, channel })
        }
        CommandKind::Nop => Line::Whole(Command::Nop),
        CommandKind::Close => Line::Whole(Command::Close),
        CommandKind::Identify => Line::WithBody(Header::Identify),
        CommandKind::Auth if given.next().is_none() => Line::WithBody(Header::Auth),
        CommandKind::Auth => return Err(invalid(kind, "invalid number of parameters")),
    })
}

fn pair<'a>(given: &mut Parameters<'a>) -> Option<(&'a [u8], &'a [u8])> {
    Some((given.next()?, given.next()?))
}

fn topic(kind: CommandKind, given: &[u8]) -> Result<NameRef<'_>, ErrorReply> {
    NameRef::parse(given).map_err(|_| {
        // The reference says the code twice for MPUB, and clients may have got used to it.
        let twice = if kind == CommandKind::PublishMany {
            "E_BAD_TOPIC "
        } else {
            ""
        };
        let text = format!(
            "{twice}{} topic name {} is not valid",
            kind.name(),
            Quoted(given)
        );
        ErrorReply::new(ErrorCode::BadTopic, text)
    })
}

fn channel(kind: CommandKind, given: &[u8]) -> Result<NameRef<'_>, ErrorReply> {
    NameRef::parse(given).map_err(|_| {
        let text = format!(
            "{} channel name {} is not valid",
            kind.name(),
            Quoted(given)
        );
        ErrorReply::new(ErrorCode::BadChannel, text)
    })
}

fn message_id(given: &[u8]) -> Result<MessageId, ErrorReply> {
    match given.try_into() {
        Ok(bytes) => Ok(MessageId::from_bytes(bytes)),
        Err(_) => Err(ErrorReply::new(ErrorCode::Invalid, "invalid message ID")),
    }
}

fn ready_count(given: &[u8], limits: &Limits) -> Result<u64, ErrorReply> {
    let kind = CommandKind::Ready;
    let count = number(given).ok_or_else(|| unparsed(kind, "count", given))?;
    if count > limits.max_rdy_count {
        let (count, max) = (count.cast_signed(), limits.max_rdy_count);
        return Err(invalid(
            kind,
            &format!("count {count} out of range 0-{max}"),
        ));
    }
    Ok(count)
}

/// The delay of DPUB must be within its limit.
fn defer_delay(given: &[u8], limits: &Limits) -> Result<Duration, ErrorReply> {
    let kind = CommandKind::PublishDeferred;
    let ms = number(given).ok_or_else(|| unparsed(kind, "timeout", given))?;
    delay(ms)
        .filter(|delay| *delay <= limits.max_req_timeout)
        .ok_or_else(|| {
            let max = limits.max_req_timeout.as_millis();
            invalid(kind, &format!("timeout {ms} out of range 0-{max}"))
        })
}

/// The delay of REQ is brought within its limits.
fn requeue_delay(given: &[u8], limits: &Limits) -> Result<Duration, ErrorReply> {
    let ms = number(given).ok_or_else(|| unparsed(CommandKind::Requeue, "timeout", given))?;
    Ok(delay(ms)
        .unwrap_or(Duration::ZERO)
        .min(limits.max_req_timeout))
}

/// The delay as the reference understands it: 64 bit of nanoseconds that wrap around; `None` when
/// they come out negative.
fn delay(ms: u64) -> Option<Duration> {
    let ns = ms.wrapping_mul(1_000_000).cast_signed();
    u64::try_from(ns).ok().map(Duration::from_nanos)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.wrapping_mul(10).wrapping_add(digit))
    })
}

#[cold]
fn unparsed(kind: CommandKind, what: &str, given: &[u8]) -> ErrorReply {
    invalid(
        kind,
        &format!("could not parse {what} {}", String::from_utf8_lossy(given)),
    )
}

#[cold]
fn invalid(kind: CommandKind, text: &str) -> ErrorReply {
    ErrorReply::new(ErrorCode::Invalid, format!("{} {text}", kind.name()))
}
