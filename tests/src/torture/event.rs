//! What can happen in a run, as it is written down.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::checker::Invariant;
use super::nemesis::Fault;

/// A message: its producer, and the how manieth of it, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Who sent it.
    pub producer: u16,
    /// Consecutive at its producer.
    pub seq: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}/{}", self.producer, self.seq)
    }
}

/// Messages that one command publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Who sends them.
    pub producer: u16,
    /// The first one's number.
    pub first: u64,
    /// How many.
    pub count: u32,
}

impl Batch {
    /// The messages.
    pub fn keys(self) -> impl Iterator<Item = Key> {
        (self.first..self.first + u64::from(self.count)).map(move |seq| Key {
            producer: self.producer,
            seq,
        })
    }

    /// Whether a message is one of these.
    pub fn has(self, message: Key) -> bool {
        self.producer == message.producer
            && (self.first..self.first + u64::from(self.count)).contains(&message.seq)
    }
}

/// How a publish ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// `OK`: the messages are owed.
    Accepted,
    /// An error that says that the command was wrong: not one of them may appear.
    Refused,
    /// No answer, or one that promises nothing: each may appear or not, all of a batch alike.
    Unknown,
}

/// How nsqd ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stop {
    /// SIGTERM, and it ended by itself.
    Clean,
    /// SIGKILL.
    Killed,
    /// SIGKILL, and what was not synced is gone.
    PowerCut,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Nanoseconds since the run began, on the monotonic clock.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What happened. What a client sends is written down before it is sent, what it receives after it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is what its name and type say")]
pub enum What {
    /// A publish is about to be sent.
    Published {
        topic: u16,
        batch: Batch,
        delay_ms: u64,
    },
    /// It has ended.
    Answered { batch: Batch, outcome: Outcome },
    /// A consumer has subscribed. Connections are numbered through.
    Connected {
        connection: u32,
        topic: u16,
        channel: u16,
        ready: u32,
    },
    /// It saw the end of its connection.
    Disconnected { connection: u32 },
    /// It reads nothing from now on; what it reads after this may long belong to others.
    Frozen { connection: u32 },
    /// A message came.
    Delivered {
        connection: u32,
        message: Key,
        id: u64,
        attempts: u16,
    },
    /// A message came that nobody sent like this.
    Garbled { connection: u32, text: String },
    /// FIN is about to be sent.
    Finished { connection: u32, message: Key },
    /// FIN or REQ was answered with an error: the message is not this connection's any more.
    Failed { connection: u32, id: u64 },
    /// REQ is about to be sent.
    Requeued {
        connection: u32,
        message: Key,
        delay_ms: u64,
    },
    /// A command that will be answered is about to be sent.
    Barrier { connection: u32 },
    /// It was answered: nsqd has seen all that was sent before it.
    Passed { connection: u32 },
    /// A fault begins, or ends.
    Fault { fault: Fault, active: bool },
    /// The power is about to be cut. An answer that comes from now on would never have come: the machine is dead. It may
    /// be a lie, too: while a file system is shut down, `fdatasync` succeeds now and then for bytes that are gone
    /// afterwards (in 7 of 60 tries on XFS and 5 of 60 on ext4, by a program of ten lines).
    Cutting,
    /// nsqd has ended.
    Down { stop: Stop },
    /// nsqd listens again.
    Up,
    /// The answer to a pause has come.
    Paused { topic: u16, channel: u16 },
    /// The end of a pause is about to be asked for.
    Resuming { topic: u16, channel: u16 },
    /// What `/stats` says of a channel when all should be finished.
    Counted {
        topic: u16,
        channel: u16,
        depth: u64,
        in_flight: u64,
        deferred: u64,
    },
    /// Something that the harness itself saw go wrong.
    Complaint { invariant: Invariant, text: String },
}

impl What {
    /// Whether it tells something of this message.
    pub fn concerns(&self, message: Key) -> bool {
        match self {
            Self::Published { batch, .. } | Self::Answered { batch, .. } => batch.has(message),
            Self::Delivered { message: it, .. }
            | Self::Finished { message: it, .. }
            | Self::Requeued { message: it, .. } => *it == message,
            _ => false,
        }
    }

    /// Whether it happened to everybody.
    pub fn is_general(&self) -> bool {
        matches!(
            self,
            Self::Fault { .. }
                | Self::Cutting
                | Self::Down { .. }
                | Self::Up
                | Self::Complaint { .. }
        )
    }
}
