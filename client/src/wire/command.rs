//! Commands: everything that a client sends, and how it is written.
//!
//! ```text
//! command = NAME *(space parameter) LF [body]
//! body    = size (i32, big endian, above 0) and that many bytes
//! ```
//!
//! How they are read is in `decoder`, the body of MPUB in `batch.rs`.

use std::io::Write;
use std::time::Duration;

use super::batch::{Batch, batch_bytes, put_batch, put_size};
use super::message::MessageId;
use super::name::NameRef;

/// A command, borrowed from the bytes that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// IDENTIFY: what the client is and wants.
    Identify {
        /// JSON, see [`IdentifyRequest`](super::IdentifyRequest).
        body: &'a [u8],
    },
    /// AUTH: who the client is, for the auth server.
    Auth {
        /// What the auth server is asked about.
        secret: &'a [u8],
    },
    /// SUB: become a consumer.
    Subscribe {
        /// Topic, created on demand.
        topic: NameRef<'a>,
        /// Channel, created on demand.
        channel: NameRef<'a>,
    },
    /// PUB: a message.
    Publish {
        /// Topic, created on demand.
        topic: NameRef<'a>,
        /// The message, never empty.
        body: &'a [u8],
    },
    /// MPUB: several messages.
    PublishMany {
        /// Topic, created on demand.
        topic: NameRef<'a>,
        /// The messages.
        batch: Batch<'a>,
    },
    /// DPUB: a message that is not handed out before its delay has passed.
    PublishDeferred {
        /// Topic, created on demand.
        topic: NameRef<'a>,
        /// Whole milliseconds, at most the limit.
        delay: Duration,
        /// The message, never empty.
        body: &'a [u8],
    },
    /// RDY: how many messages the consumer will take now.
    Ready {
        /// Ceiling of messages in flight on this connection; 0 stops delivery.
        count: u64,
    },
    /// FIN: the message is done.
    Finish {
        /// Which message.
        id: MessageId,
    },
    /// REQ: hand the message out again.
    Requeue {
        /// Which message.
        id: MessageId,
        /// Not before this has passed; whole milliseconds, at most the limit.
        delay: Duration,
    },
    /// TOUCH: the message needs more time.
    Touch {
        /// Which message.
        id: MessageId,
    },
    /// NOP: the client is alive.
    Nop,
    /// CLS: no further messages, please.
    Close,
}

impl Command<'_> {
    /// Which command it is.
    pub fn kind(&self) -> CommandKind {
        match self {
            Command::Identify { .. } => CommandKind::Identify,
            Command::Auth { .. } => CommandKind::Auth,
            Command::Subscribe { .. } => CommandKind::Subscribe,
            Command::Publish { .. } => CommandKind::Publish,
            Command::PublishMany { .. } => CommandKind::PublishMany,
            Command::PublishDeferred { .. } => CommandKind::PublishDeferred,
            Command::Ready { .. } => CommandKind::Ready,
            Command::Finish { .. } => CommandKind::Finish,
            Command::Requeue { .. } => CommandKind::Requeue,
            Command::Touch { .. } => CommandKind::Touch,
            Command::Nop => CommandKind::Nop,
            Command::Close => CommandKind::Close,
        }
    }

    /// Appends the command to `out` as it is sent.
    ///
    /// # Panics
    /// If a body has 2 GiB or more, which no size on the wire can say.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind().name().as_bytes());
        match *self {
            Command::Identify { body } | Command::Auth { secret: body } => put_body(out, body),
            Command::Subscribe { topic, channel } => {
                put_parameter(out, topic.as_str().as_bytes());
                put_parameter(out, channel.as_str().as_bytes());
                out.push(b'\n');
            }
            Command::Publish { topic, body } => {
                put_parameter(out, topic.as_str().as_bytes());
                put_body(out, body);
            }
            Command::PublishMany { topic, batch } => {
                put_parameter(out, topic.as_str().as_bytes());
                out.push(b'\n');
                batch.put(out);
            }
            Command::PublishDeferred { topic, delay, body } => {
                put_parameter(out, topic.as_str().as_bytes());
                put_number(out, delay.as_millis());
                put_body(out, body);
            }
            Command::Ready { count } => {
                put_number(out, u128::from(count));
                out.push(b'\n');
            }
            Command::Finish { id } | Command::Touch { id } => {
                put_parameter(out, id.as_bytes());
                out.push(b'\n');
            }
            Command::Requeue { id, delay } => {
                put_parameter(out, id.as_bytes());
                put_number(out, delay.as_millis());
                out.push(b'\n');
            }
            Command::Nop | Command::Close => out.push(b'\n'),
        }
    }
}

/// Appends an MPUB of these bodies to `out`, without building a [`Batch`] first.
///
/// # Panics
/// If the bodies together have 2 GiB or more, which no size on the wire can say.
pub fn put_publish_many<'b>(
    out: &mut Vec<u8>,
    topic: NameRef<'_>,
    bodies: impl ExactSizeIterator<Item = &'b [u8]> + Clone,
) {
    out.extend_from_slice(CommandKind::PublishMany.name().as_bytes());
    put_parameter(out, topic.as_str().as_bytes());
    out.push(b'\n');
    let bytes = batch_bytes(bodies.clone());
    out.reserve(size_of::<i32>() + bytes);
    put_size(out, bytes);
    put_batch(out, bodies);
}

fn put_parameter(out: &mut Vec<u8>, parameter: &[u8]) {
    out.push(b' ');
    out.extend_from_slice(parameter);
}

fn put_number(out: &mut Vec<u8>, number: u128) {
    write!(out, " {number}").expect("writing to a Vec cannot fail");
}

fn put_body(out: &mut Vec<u8>, body: &[u8]) {
    out.reserve(1 + size_of::<i32>() + body.len());
    out.push(b'\n');
    put_size(out, body.len());
    out.extend_from_slice(body);
}

/// Which command: its name without parameters and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandKind {
    /// `IDENTIFY`
    Identify,
    /// `AUTH`
    Auth,
    /// `SUB`
    Subscribe,
    /// `PUB`
    Publish,
    /// `MPUB`
    PublishMany,
    /// `DPUB`
    PublishDeferred,
    /// `RDY`
    Ready,
    /// `FIN`
    Finish,
    /// `REQ`
    Requeue,
    /// `TOUCH`
    Touch,
    /// `NOP`
    Nop,
    /// `CLS`
    Close,
}

impl CommandKind {
    /// Every command.
    pub const ALL: &[CommandKind] = &[
        CommandKind::Identify,
        CommandKind::Auth,
        CommandKind::Subscribe,
        CommandKind::Publish,
        CommandKind::PublishMany,
        CommandKind::PublishDeferred,
        CommandKind::Ready,
        CommandKind::Finish,
        CommandKind::Requeue,
        CommandKind::Touch,
        CommandKind::Nop,
        CommandKind::Close,
    ];

    /// The command of this name. Names are case sensitive.
    pub fn from_name(name: &[u8]) -> Option<CommandKind> {
        Some(match name {
            b"IDENTIFY" => CommandKind::Identify,
            b"AUTH" => CommandKind::Auth,
            b"SUB" => CommandKind::Subscribe,
            b"PUB" => CommandKind::Publish,
            b"MPUB" => CommandKind::PublishMany,
            b"DPUB" => CommandKind::PublishDeferred,
            b"RDY" => CommandKind::Ready,
            b"FIN" => CommandKind::Finish,
            b"REQ" => CommandKind::Requeue,
            b"TOUCH" => CommandKind::Touch,
            b"NOP" => CommandKind::Nop,
            b"CLS" => CommandKind::Close,
            _ => return None,
        })
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            CommandKind::Identify => "IDENTIFY",
            CommandKind::Auth => "AUTH",
            CommandKind::Subscribe => "SUB",
            CommandKind::Publish => "PUB",
            CommandKind::PublishMany => "MPUB",
            CommandKind::PublishDeferred => "DPUB",
            CommandKind::Ready => "RDY",
            CommandKind::Finish => "FIN",
            CommandKind::Requeue => "REQ",
            CommandKind::Touch => "TOUCH",
            CommandKind::Nop => "NOP",
            CommandKind::Close => "CLS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: Command<'_>, bytes: &[u8]) {
        let mut out = b"before ".to_vec();
        command.encode(&mut out);
        assert_eq!(
            out[7..].escape_ascii().to_string(),
            bytes.escape_ascii().to_string()
        );
    }

    #[test]
    fn commands_are_written_as_drawn() {
        let topic = NameRef::parse(b"t").unwrap();
        let channel = NameRef::parse(b"c#ephemeral").unwrap();
        let id = MessageId::from_bytes(*b"18a29ef1b4005000");
        let delay = Duration::from_millis(1500);

        check(Command::Identify { body: b"{}" }, b"IDENTIFY\n\0\0\0\x02{}");
        check(Command::Auth { secret: b"abc" }, b"AUTH\n\0\0\0\x03abc");
        check(
            Command::Subscribe { topic, channel },
            b"SUB t c#ephemeral\n",
        );
        check(
            Command::Publish { topic, body: b"AB" },
            b"PUB t\n\0\0\0\x02AB",
        );
        check(
            Command::PublishDeferred {
                topic,
                delay,
                body: b"AB",
            },
            b"DPUB t 1500\n\0\0\0\x02AB",
        );
        check(Command::Ready { count: 0 }, b"RDY 0\n");
        check(Command::Finish { id }, b"FIN 18a29ef1b4005000\n");
        check(
            Command::Requeue { id, delay },
            b"REQ 18a29ef1b4005000 1500\n",
        );
        check(Command::Touch { id }, b"TOUCH 18a29ef1b4005000\n");
        check(Command::Nop, b"NOP\n");
        check(Command::Close, b"CLS\n");
    }

    #[test]
    fn a_batch_is_written_like_its_bodies() {
        let topic = NameRef::parse(b"t").unwrap();
        let bodies: [&[u8]; 2] = [b"A", b"BC"];
        let written = b"MPUB t\n\0\0\0\x0f\0\0\0\x02\0\0\0\x01A\0\0\0\x02BC";
        let mut out = Vec::new();
        put_publish_many(&mut out, topic, bodies.into_iter());
        assert_eq!(out, written);
        let batch = Batch::parse(&written[11..], &super::super::Limits::default()).unwrap();
        check(Command::PublishMany { topic, batch }, written);
    }

    #[test]
    fn names_are_case_sensitive() {
        for kind in CommandKind::ALL {
            assert_eq!(CommandKind::from_name(kind.name().as_bytes()), Some(*kind));
            assert_eq!(
                CommandKind::from_name(kind.name().to_lowercase().as_bytes()),
                None
            );
        }
    }
}
