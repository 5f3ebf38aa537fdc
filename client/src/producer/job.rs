//! A publish on its way: what is sent, on which terms, and who waits for the outcome.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::PublishError;
use super::policy::RetryPolicy;
use super::ticket::Receipt;
use crate::connection::{Address, Writer};
use crate::wire::{BatchBuf, Command, TopicName};

/// How a publish ends.
pub(super) type Outcome = Result<Receipt, PublishError>;

/// A publish, accepted and not yet settled.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) topic: TopicName,
    pub(super) payload: Payload,
    pub(super) terms: Terms,
    pub(super) started: Instant,
    /// Room that it takes among the pending ones.
    pub(super) room: Room,
    /// How often it was sent and may have been carried out.
    pub(super) attempts: u32,
    /// Which flush waits for it, see `generations.rs`.
    pub(super) generation: u64,
    pub(super) waiting: Waiting,
}

/// What is sent.
#[derive(Debug)]
pub(super) enum Payload {
    /// PUB
    One(Bytes),
    /// DPUB
    Deferred(Bytes, Duration),
    /// MPUB
    Many(BatchBuf),
}

/// On which terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// When the caller no longer waits.
    pub(super) deadline: Instant,
    pub(super) retry: RetryPolicy,
    /// The only node that it may go to.
    pub(super) pinned: Option<usize>,
}

/// Room among the pending publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) count: u32,
    pub(super) bytes: u32,
}

/// Who waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The caller of one publish.
    One(oneshot::Sender<Outcome>),
    /// The callers whose messages a batcher merged, in the order of the messages.
    Each(Vec<oneshot::Sender<Outcome>>),
}

impl Payload {
    /// Bytes of the messages.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Payload::One(body) | Payload::Deferred(body, _) => body.len(),
            Payload::Many(batch) => batch.as_batch().body_bytes(),
        }
    }
}

impl Job {
    /// Appends its command to what the writer sends.
    pub(super) fn write(&self, writer: &mut Writer) {
        let topic = self.topic.as_name();
        match &self.payload {
            Payload::One(body) => writer.write(&Command::Publish { topic, body }),
            Payload::Deferred(body, delay) => writer.write(&Command::PublishDeferred {
                topic,
                delay: *delay,
                body,
            }),
            Payload::Many(batch) => writer.write(&Command::PublishMany {
                topic,
                batch: batch.as_batch(),
            }),
        }
    }

    /// Whether its terms allow to send it once more.
    pub(super) fn may_be_sent_again(&self, now: Instant) -> bool {
        self.attempts < self.terms.retry.attempts && now < self.terms.deadline
    }

    /// What it gets from a node which confirmed it.
    pub(super) fn receipt(&self, node: &Arc<Address>, now: Instant) -> Receipt {
        Receipt {
            node: Arc::clone(node),
            attempts: self.attempts,
            elapsed: now - self.started,
        }
    }

    /// Tells who waits, and returns what was sent. A caller that no longer waits is no matter.
    pub(super) fn settle(self, outcome: Outcome) -> Payload {
        match self.waiting {
            Waiting::One(caller) => {
                let _ = caller.send(outcome);
            }
            Waiting::Each(callers) => {
                for caller in callers {
                    let _ = caller.send(outcome.clone());
                }
            }
        }
        self.payload
    }

    /// Splits what a batcher merged into halves, that one may go without the other: takes the later
    /// half away. `None` if there is nothing to split.
    pub(super) fn split_off(&mut self) -> Option<Job> {
        let (Payload::Many(batch), Waiting::Each(callers)) = (&mut self.payload, &mut self.waiting)
        else {
            return None;
        };
        let half = batch.len() / 2;
        if half == 0 {
            return None;
        }
        let payload = Payload::Many(batch.split_off(half));
        let room = self.room.split_off(callers.len() - half, payload.bytes());
        Some(Job {
            topic: self.topic.clone(),
            payload,
            terms: self.terms,
            started: self.started,
            room,
            attempts: self.attempts,
            generation: self.generation,
            waiting: Waiting::Each(callers.split_off(half)),
        })
    }
}

impl Room {
    fn split_off(&mut self, count: usize, bytes: usize) -> Room {
        let part = |whole: u32, part: usize| whole.min(u32::try_from(part).unwrap_or(u32::MAX));
        let taken = Room {
            count: part(self.count, count),
            bytes: part(self.bytes, bytes),
        };
        self.count -= taken.count;
        self.bytes -= taken.bytes;
        taken
    }
}
