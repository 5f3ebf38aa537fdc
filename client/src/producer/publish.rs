//! What a caller holds between asking for a publish and its outcome.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Instrument, trace_span};

use super::error::{Invalid, PublishError};
use super::job::{Job, Payload, Room, Terms, Waiting};
use super::policy::RetryPolicy;
use super::ticket::{Receipt, Ticket};
use super::{Producer, Shared};
use crate::connection::Address;
use crate::wire::{BatchBuf, TopicName};

/// A publish that is not queued yet: await it, or [`enqueue`](Publish::enqueue) it to go on at once.
///
/// Dropped before it is queued, nothing is sent. Dropped later, while awaited, it is sent all the
/// same, and only its outcome is lost.
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited or enqueued"]
pub struct Publish<'p> {
    shared: &'p Shared,
    topic: TopicName,
    payload: Result<Payload, Invalid>,
    options: Options,
}

/// What a caller may set for one publish.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) timeout: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) node: Option<Address>,
}

impl<'p> Publish<'p> {
    pub(super) fn new(
        producer: &'p Producer,
        topic: &TopicName,
        body: Result<Bytes, Invalid>,
    ) -> Publish<'p> {
        let shared = producer.shared();
        Publish {
            shared,
            topic: topic.clone(),
            payload: body.map(Payload::One),
            options: shared.options(),
        }
    }

    pub(super) fn many(shared: &'p Shared, topic: &TopicName, batch: BatchBuf) -> Publish<'p> {
        Publish {
            shared,
            topic: topic.clone(),
            payload: Ok(Payload::Many(batch)),
            options: shared.options(),
        }
    }

    pub(super) fn options(self, options: Options) -> Publish<'p> {
        Publish { options, ..self }
    }

    /// Lets consumers have it only after this time (DPUB). Whole milliseconds; at most
    /// [`Limits::max_req_timeout`](crate::wire::Limits::max_req_timeout).
    pub fn delay(mut self, delay: Duration) -> Publish<'p> {
        self.payload = self.payload.map(|payload| match payload {
            Payload::One(body) | Payload::Deferred(body, _) => Payload::Deferred(body, delay),
            many @ Payload::Many(_) => many,
        });
        self
    }

    /// Fails after this time at the latest, counted from awaiting or enqueueing it: waiting for room
    /// and for a connection, sending and all retries included. Default
    /// [`ProducerBuilder::publish_timeout`](super::ProducerBuilder::publish_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Publish<'p> {
        self.options.timeout = timeout;
        self
    }

    /// How often it is tried. Default [`ProducerBuilder::retry`](super::ProducerBuilder::retry).
    pub fn retry(mut self, retry: RetryPolicy) -> Publish<'p> {
        self.options.retry = retry;
        self
    }

    /// Sends it to this node and no other, waiting for it if need be.
    pub fn on(mut self, node: &Address) -> Publish<'p> {
        self.options.node = Some(node.clone());
        self
    }

    /// Waits for room, queues it and returns the claim to its outcome: how one task keeps many
    /// publishes in flight. Publishes of one task reach each node in the order in which they were
    /// enqueued. May be dropped at any time: it is then queued, or was never there.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::Full`], [`PublishError::NotSent`] when every node
    /// refuses this client, [`PublishError::Closed`], or [`PublishError::Timeout`] without room.
    pub async fn enqueue(self) -> Result<Ticket, PublishError> {
        let started = Instant::now();
        let terms = self.check(started)?;
        let hub = &self.shared.hub;
        let bytes = self.payload.as_ref().map_or(0, Payload::bytes);
        let room = hub.admit(bytes, terms.deadline, self.shared.when_full);
        let room = room.await?;
        self.push(started, terms, room, false)
    }

    /// As [`Publish::enqueue`], without waiting.
    ///
    /// # Errors
    /// As [`Publish::enqueue`]; [`PublishError::NotSent`] also when no node is connected yet, see
    /// [`Producer::ready`].
    pub fn try_enqueue(self) -> Result<Ticket, PublishError> {
        let started = Instant::now();
        let terms = self.check(started)?;
        let bytes = self.payload.as_ref().map_or(0, Payload::bytes);
        let room = self.shared.hub.try_admit(bytes)?;
        self.push(started, terms, room, true)
    }

    /// Finds what no nsqd would take.
    fn check(&self, started: Instant) -> Result<Terms, Invalid> {
        let limits = &self.shared.limits;
        match self.payload.as_ref().map_err(Invalid::clone)? {
            Payload::One(body) => self.shared.check_body(0, body)?,
            Payload::Deferred(body, delay) => {
                self.shared.check_body(0, body)?;
                let (delay, max) = (*delay, limits.max_req_timeout);
                if delay > max {
                    return Err(Invalid::DelayTooLong { delay, max });
                }
            }
            // Checked while it was cut into batches.
            Payload::Many(_) => {}
        }
        let node = self.options.node.as_ref();
        Ok(Terms {
            deadline: started + self.options.timeout,
            retry: self.options.retry,
            pinned: node.map(|node| self.shared.index_of(node)).transpose()?,
        })
    }

    fn push(
        self,
        started: Instant,
        terms: Terms,
        room: Room,
        at_once: bool,
    ) -> Result<Ticket, PublishError> {
        let (caller, ticket) = oneshot::channel();
        let job = Job {
            topic: self.topic,
            payload: self.payload?,
            terms,
            started,
            room,
            attempts: 0,
            generation: 0,
            waiting: Waiting::One(caller),
        };
        match self.shared.hub.push(job, at_once) {
            Ok(()) => Ok(Ticket(ticket)),
            Err(refused) => Err(refused.1),
        }
    }
}

impl<'p> IntoFuture for Publish<'p> {
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'p>>;

    fn into_future(self) -> Self::IntoFuture {
        let span = trace_span!(
            "nsq.publish",
            messaging.system = "nsq",
            messaging.destination.name = %self.topic
        );
        Box::pin(async move { self.enqueue().await?.await }.instrument(span))
    }
}

impl Shared {
    /// Checks one message.
    pub(super) fn check_body(&self, index: usize, body: &[u8]) -> Result<(), Invalid> {
        let (bytes, max) = (body.len(), self.limits.max_msg_size);
        match bytes {
            0 => Err(Invalid::Empty { index }),
            _ if bytes > max => Err(Invalid::TooLarge { index, bytes, max }),
            _ => Ok(()),
        }
    }

    fn index_of(&self, node: &Address) -> Result<usize, Invalid> {
        let at = self.nodes.iter().position(|known| **known == *node);
        at.ok_or_else(|| Invalid::NoSuchNode(node.clone()))
    }

    pub(super) fn options(&self) -> Options {
        Options {
            timeout: self.publish_timeout,
            retry: self.retry,
            node: None,
        }
    }
}
