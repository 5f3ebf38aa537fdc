//! The commands, written by an nsqd and read by nsqlookupd.

use super::super::error::{ErrorCode, ErrorReply};
use super::super::name::NameRef;
use super::{MAX_BODY_BYTES, MAX_LINE_BYTES};

const SIZE_BYTES: usize = 4;

/// A command of an nsqd, borrowed from what was received or is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Who it is: the JSON of a [`PeerInfo`](super::PeerInfo).
    Identify {
        /// The JSON, unchecked.
        body: &'a [u8],
    },
    /// It has this topic, and this channel of it if one is given.
    Register {
        /// The topic.
        topic: NameRef<'a>,
        /// The channel.
        channel: Option<NameRef<'a>>,
    },
    /// It has this channel no more; or, without one, this topic and all its channels.
    Unregister {
        /// The topic.
        topic: NameRef<'a>,
        /// The channel.
        channel: Option<NameRef<'a>>,
    },
    /// It is alive.
    Ping,
}

impl Command<'_> {
    /// The first word of the command.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Identify { .. } => "IDENTIFY",
            Command::Register { .. } => "REGISTER",
            Command::Unregister { .. } => "UNREGISTER",
            Command::Ping => "PING",
        }
    }

    /// Appends the command to `out` as it goes over the wire.
    ///
    /// # Panics
    /// If the body of IDENTIFY has 2 GiB or more, which no size on the wire can say.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        match *self {
            Command::Identify { body } => {
                let size = i32::try_from(body.len()).expect("a body is smaller than 2 GiB");
                out.push(b'\n');
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(body);
            }
            Command::Register { topic, channel } | Command::Unregister { topic, channel } => {
                for name in [Some(topic), channel].into_iter().flatten() {
                    out.push(b' ');
                    out.extend_from_slice(name.as_str().as_bytes());
                }
                out.push(b'\n');
            }
            Command::Ping => out.push(b'\n'),
        }
    }
}

/// Decodes the commands of one connection, and watches over their order: IDENTIFY once, and before
/// anything is registered.
#[derive(Clone, Debug, Default)]
pub struct CommandDecoder {
    identified: bool,
}

impl CommandDecoder {
    /// Decodes the command at the start of `input`. Returns it with the bytes that it took, to be
    /// dropped before the next call; or `None` while it is not all there, which is known before
    /// `input` has more than [`MAX_LINE_BYTES`] and [`MAX_BODY_BYTES`] and 4.
    ///
    /// # Errors
    /// What the peer is told before the connection is closed. The rest of the input has lost its
    /// meaning, and the decoder with it.
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<Option<(Command<'a>, usize)>, ErrorReply> {
        let Some((line, line_bytes)) = first_line(input)? else {
            return Ok(None);
        };
        let mut words = line.split(|byte| *byte == b' ');
        let name = words.next().unwrap_or_default();
        let command = match name {
            b"PING" => Command::Ping,
            b"REGISTER" => {
                let (topic, channel) = self.names("REGISTER", words)?;
                Command::Register { topic, channel }
            }
            b"UNREGISTER" => {
                let (topic, channel) = self.names("UNREGISTER", words)?;
                Command::Unregister { topic, channel }
            }
            b"IDENTIFY" => return self.identify(input, line_bytes),
            _ => return Err(invalid(format!("invalid command {}", lossy(name)))),
        };
        Ok(Some((command, line_bytes)))
    }

    /// What to tell the peer when the stream ends after `rest`, which no command was found in: that
    /// IDENTIFY broke off. A line that breaks off is nothing to talk about.
    pub fn truncated(&self, rest: &[u8]) -> Option<ErrorReply> {
        let line_bytes = memchr::memchr(b'\n', rest)? + 1;
        let missing = if rest.len() < line_bytes + SIZE_BYTES {
            "body size"
        } else {
            "body"
        };
        Some(bad_body(format!("IDENTIFY failed to read {missing}")))
    }

    fn identify<'a>(
        &mut self,
        input: &'a [u8],
        line_bytes: usize,
    ) -> Result<Option<(Command<'a>, usize)>, ErrorReply> {
        if self.identified {
            return Err(invalid("cannot IDENTIFY again"));
        }
        let Some(size) = input[line_bytes..].first_chunk::<SIZE_BYTES>() else {
            return Ok(None);
        };
        let body_at = line_bytes + SIZE_BYTES;
        let body_end = body_at + body_bytes(i32::from_be_bytes(*size))?;
        let Some(body) = input.get(body_at..body_end) else {
            return Ok(None);
        };
        self.identified = true;
        Ok(Some((Command::Identify { body }, body_end)))
    }

    /// The topic, and the channel if there is one, checked in the order of the reference.
    fn names<'a>(
        &self,
        command: &str,
        mut words: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(NameRef<'a>, Option<NameRef<'a>>), ErrorReply> {
        if !self.identified {
            return Err(invalid("client must IDENTIFY"));
        }
        let Some(topic) = words.next() else {
            return Err(invalid(format!("{command} insufficient number of params")));
        };
        let channel = words.next().filter(|name| !name.is_empty());
        let not_valid = |code, kind: &str, name| {
            let text = format!("{command} {kind} name '{}' is not valid", lossy(name));
            ErrorReply::new(code, text)
        };
        let topic =
            NameRef::parse(topic).map_err(|_| not_valid(ErrorCode::BadTopic, "topic", topic))?;
        let channel = channel
            .map(|name| {
                NameRef::parse(name).map_err(|_| not_valid(ErrorCode::BadChannel, "channel", name))
            })
            .transpose()?;
        Ok((topic, channel))
    }
}

/// The first line without the blanks around it, and its length with them and the newline; `None`
/// while the newline has not arrived.
fn first_line(input: &[u8]) -> Result<Option<(&[u8], usize)>, ErrorReply> {
    let window = &input[..input.len().min(MAX_LINE_BYTES)];
    match memchr::memchr(b'\n', window) {
        Some(at) => Ok(Some((window[..at].trim_ascii(), at + 1))),
        None if window.len() == MAX_LINE_BYTES => Err(invalid(format!(
            "command line longer than {MAX_LINE_BYTES} bytes"
        ))),
        None => Ok(None),
    }
}

fn body_bytes(size: i32) -> Result<usize, ErrorReply> {
    match usize::try_from(size) {
        Ok(bytes) if bytes <= MAX_BODY_BYTES => Ok(bytes),
        Ok(_) => Err(bad_body(format!(
            "IDENTIFY body too big {size} > {MAX_BODY_BYTES}"
        ))),
        Err(_) => Err(bad_body(format!("IDENTIFY invalid body size {size}"))),
    }
}

fn invalid(description: impl Into<String>) -> ErrorReply {
    ErrorReply::new(ErrorCode::Invalid, description)
}

fn bad_body(description: impl Into<String>) -> ErrorReply {
    ErrorReply::new(ErrorCode::BadBody, description)
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
