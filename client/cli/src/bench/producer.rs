//! A connection that publishes the same command over and over.

use std::collections::VecDeque;
use std::time::Instant;

use client::connection::{Connection, ConnectionError, Reader, Writer};
use client::wire::{Command, NameRef, put_publish_many};
use tokio::sync::watch;

use super::frames::{Seen, drain};
use super::report::Histogram;
use super::stamp::{self, Stamps};

/// No further command is written while this much waits to be sent.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// What to publish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) topic: NameRef<'a>,
    /// Length of a body; at least a stamp if there are `stamps`.
    pub(super) body_bytes: usize,
    /// Messages in one command.
    pub(super) batch: u64,
    /// Commands sent and not yet confirmed.
    pub(super) window: usize,
    /// Messages in all.
    pub(super) messages: u64,
    /// No command is begun after this.
    pub(super) until: Instant,
    /// Puts the time into each body.
    pub(super) stamps: Option<Stamps>,
}

/// What one connection published.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) messages: u64,
    /// From command to `OK`.
    pub(super) latency: Histogram,
    /// When the last `OK` came.
    pub(super) ended: Instant,
}

/// A command that waits for its `OK`.
#[derive(Clone, Copy)]
struct Sent {
    at: Instant,
    messages: u64,
}

/// Publishes as planned, or until told to stop; returns when everything is confirmed.
pub(super) async fn publish(
    connection: Connection,
    plan: Plan<'_>,
    stop: watch::Receiver<bool>,
) -> Result<Published, ConnectionError> {
    let (reader, writer) = connection.split();
    let mut producer = Producer {
        reader,
        writer,
        template: Template::new(&plan, plan.batch),
        plan,
        stop,
        unwritten: plan.messages,
        unconfirmed: VecDeque::new(),
        published: Published {
            messages: 0,
            latency: Histogram::new(),
            ended: Instant::now(),
        },
    };
    loop {
        producer.write_commands();
        if producer.unconfirmed.is_empty() {
            return Ok(producer.published);
        }
        tokio::select! {
            received = producer.reader.receive() => received?,
            flushed = producer.writer.flush(), if producer.writer.unsent_bytes() > 0 => flushed?,
        }
        producer.take_frames()?;
    }
}

struct Producer<'a> {
    reader: Reader,
    writer: Writer,
    plan: Plan<'a>,
    stop: watch::Receiver<bool>,
    template: Template,
    unwritten: u64,
    unconfirmed: VecDeque<Sent>,
    published: Published,
}

impl Producer<'_> {
    fn write_commands(&mut self) {
        let now = Instant::now();
        if now >= self.plan.until || *self.stop.borrow() {
            return;
        }
        while self.unwritten > 0
            && self.unconfirmed.len() < self.plan.window
            && self.writer.unsent_bytes() < UNSENT_BYTES_MAX
        {
            if self.unwritten < self.template.messages {
                self.template = Template::new(&self.plan, self.unwritten);
            }
            if let Some(stamps) = &self.plan.stamps {
                self.template.stamp(stamps.stamp(now));
            }
            self.writer.write_encoded(&self.template.command);
            let messages = self.template.messages;
            self.unwritten -= messages;
            self.unconfirmed.push_back(Sent { at: now, messages });
        }
    }

    fn take_frames(&mut self) -> Result<(), ConnectionError> {
        let now = Instant::now();
        let mut unasked = false;
        drain(self.reader.received(), |seen| match seen {
            Seen::Ok => match self.unconfirmed.pop_front() {
                Some(sent) => {
                    self.published.messages += sent.messages;
                    self.published.latency.record(now - sent.at);
                    self.published.ended = now;
                }
                None => unasked = true,
            },
            Seen::Heartbeat => self.writer.write(&Command::Nop),
            Seen::Message { .. } => unasked = true,
        })?;
        if unasked {
            return Err(ConnectionError::Unexpected("what nobody asked for"));
        }
        Ok(())
    }
}

/// A command as it is sent, and where its bodies are.
struct Template {
    command: Vec<u8>,
    messages: u64,
    bodies_at: Vec<usize>,
}

impl Template {
    fn new(plan: &Plan<'_>, messages: u64) -> Template {
        const SIZE_BYTES: usize = 4;
        let body = vec![b'x'; plan.body_bytes];
        let mut command = Vec::new();
        if messages == 1 {
            let topic = plan.topic;
            Command::Publish { topic, body: &body }.encode(&mut command);
        } else {
            let count = usize::try_from(messages).expect("a batch fits in memory");
            let bodies: Vec<&[u8]> = vec![&body; count];
            put_publish_many(&mut command, plan.topic, bodies.into_iter());
        }
        // Bodies stand at the end, each after its size.
        let item_bytes = SIZE_BYTES + plan.body_bytes;
        let bodies_at = (1..=messages)
            .scan(command.len() + SIZE_BYTES, |end, _| {
                *end -= item_bytes;
                Some(*end)
            })
            .collect();
        Template {
            command,
            messages,
            bodies_at,
        }
    }

    fn stamp(&mut self, stamp: [u8; stamp::BYTES]) {
        for at in &self.bodies_at {
            self.command[*at..*at + stamp::BYTES].copy_from_slice(&stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use client::wire::{CommandDecoder, Decoded, Limits};

    use super::*;

    fn check(messages: u64) {
        let topic = NameRef::parse(b"orders").unwrap();
        let now = Instant::now();
        let stamps = Stamps::new(now);
        let plan = Plan {
            topic,
            body_bytes: 20,
            batch: messages,
            window: 1,
            messages,
            until: now,
            stamps: Some(stamps),
        };
        let mut template = Template::new(&plan, messages);
        template.stamp(stamps.stamp(now));
        let body = [&stamps.stamp(now)[..], b"xxxx"].concat();

        let mut decoder = CommandDecoder::default();
        let outcome = decoder.decode(&template.command, &Limits::default(), |_| Ok(()));
        match outcome.unwrap() {
            Decoded::Command {
                command: Command::PublishMany { batch, .. },
                ..
            } => {
                assert_eq!(batch.len() as u64, messages);
                assert!(batch.iter().all(|item| item == body));
            }
            Decoded::Command { command, .. } => {
                assert_eq!(command, Command::Publish { topic, body: &body });
            }
            Decoded::Incomplete { .. } => panic!("a command ends"),
        }
    }

    #[test]
    fn a_template_is_a_command_with_stamped_bodies() {
        check(1);
        check(2);
        check(200);
    }
}
