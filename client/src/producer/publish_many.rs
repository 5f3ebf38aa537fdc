//! Many messages in as few commands as the limits allow.

use std::pin::Pin;
use std::time::Duration;

use super::Shared;
use super::error::Invalid;
use super::parts::{PublishManyError, Tickets};
use super::policy::RetryPolicy;
use super::publish::{Options, Publish};
use super::spare::Spare;
use super::ticket::Receipt;
use crate::connection::Address;
use crate::wire::{BatchBuf, TopicName};

/// Bytes that stand before each message of an MPUB, and once before all of them.
pub(super) const COUNT_BYTES: usize = 4;

/// Messages to be published together; nothing happens until it is awaited, or [enqueued](PublishMany::enqueue).
///
/// They leave as one MPUB if they fit in [`Limits::max_body_size`](crate::wire::Limits::max_body_size),
/// else as several, in order. Each MPUB is stored as a whole or not at all. Dropped while awaited,
/// those queued are sent and the others are not.
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited or enqueued"]
pub struct PublishMany<'p> {
    shared: &'p Shared,
    topic: TopicName,
    /// Or how many messages there are, and what is wrong with one of them.
    batches: Result<Vec<BatchBuf>, (usize, Invalid)>,
    options: Options,
}

impl<'p> PublishMany<'p> {
    pub(super) fn new(
        shared: &'p Shared,
        topic: &TopicName,
        bodies: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> PublishMany<'p> {
        PublishMany {
            shared,
            topic: topic.clone(),
            batches: shared.cut(bodies),
            options: shared.options(),
        }
    }

    /// As [`Publish::timeout`], for each MPUB from when it is queued.
    pub fn timeout(mut self, timeout: Duration) -> PublishMany<'p> {
        self.options.timeout = timeout;
        self
    }

    /// As [`Publish::retry`].
    pub fn retry(mut self, retry: RetryPolicy) -> PublishMany<'p> {
        self.options.retry = retry;
        self
    }

    /// As [`Publish::on`].
    pub fn on(mut self, node: &Address) -> PublishMany<'p> {
        self.options.node = Some(node.clone());
        self
    }

    /// Queues all of them, waiting for room, and returns the claim to their outcomes: how one task keeps many batches
    /// in flight. Dropped while it waits, those queued are sent and the others are not.
    ///
    /// # Errors
    /// A message is invalid; nothing was queued then.
    pub async fn enqueue(self) -> Result<Tickets, PublishManyError> {
        let shared = self.shared;
        let batches = self.batches;
        let batches = batches.map_err(|(count, invalid)| PublishManyError::all(count, invalid))?;
        let mut tickets = Tickets::with_capacity(batches.len());
        for batch in batches {
            let messages = batch.len();
            let publish = Publish::many(shared, &self.topic, batch).options(self.options.clone());
            tickets.push(messages, publish.enqueue().await);
        }
        Ok(tickets)
    }
}

impl Shared {
    /// Checks the messages of one publish, and encodes them; where something is wrong, also tells how many there are.
    fn cut(
        &self,
        mut bodies: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<BatchBuf>, (usize, Invalid)> {
        let bytes_max = self.limits.max_body_size;
        let mut cutter = Cutter::new(bytes_max, bodies.size_hint().0, &self.hub.spare);
        let mut count = 0;
        while let Some(body) = bodies.next() {
            let body = body.as_ref();
            self.check_body(count, body)
                .map_err(|invalid| (count + 1 + bodies.by_ref().count(), invalid))?;
            cutter.push(body);
            count += 1;
        }
        if count == 0 {
            return Err((0, Invalid::NoMessages));
        }
        Ok(cutter.finish())
    }
}

/// Puts messages into batches that are as large as they may be. One that does not fit at all gets a batch of its own.
#[derive(Debug)]
struct Cutter<'s> {
    spare: &'s Spare,
    full: Vec<BatchBuf>,
    batch: BatchBuf,
    /// Bytes that the body of the batch has.
    bytes: usize,
    bytes_max: usize,
    /// Messages that are still to come, at least.
    expected: usize,
}

impl<'s> Cutter<'s> {
    fn new(bytes_max: usize, expected: usize, spare: &'s Spare) -> Cutter<'s> {
        Cutter {
            spare,
            full: Vec::new(),
            batch: spare.take(),
            bytes: COUNT_BYTES,
            bytes_max,
            expected,
        }
    }

    fn push(&mut self, body: &[u8]) {
        let added = COUNT_BYTES + body.len();
        if !self.batch.is_empty() && self.bytes + added > self.bytes_max {
            let next = self.spare.take();
            self.full.push(std::mem::replace(&mut self.batch, next));
            self.bytes = COUNT_BYTES;
        }
        if self.batch.is_empty() {
            // Messages that are published together mostly are of like sizes.
            let fitting = self.bytes_max / added;
            self.batch.reserve(self.expected.min(fitting), body.len());
        }
        self.batch.push(body);
        self.bytes += added;
        self.expected = self.expected.saturating_sub(1);
    }

    fn finish(mut self) -> Vec<BatchBuf> {
        self.full.push(self.batch);
        self.full
    }
}

impl<'p> IntoFuture for PublishMany<'p> {
    type Output = Result<Vec<Receipt>, PublishManyError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'p>>;

    /// One receipt for each MPUB.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.enqueue().await?.await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[usize], bytes_max: usize, expected: &[usize]) {
        let spare = Spare::default();
        let mut cutter = Cutter::new(bytes_max, sizes.len(), &spare);
        for size in sizes {
            cutter.push(&vec![b'x'; *size]);
        }
        let cut: Vec<usize> = cutter.finish().iter().map(BatchBuf::len).collect();
        assert_eq!(cut, expected);
    }

    #[test]
    fn batches_are_as_large_as_they_may_be() {
        check(&[10, 10, 10], 46, &[3]);
        check(&[10, 10, 10], 45, &[2, 1]);
        check(&[10, 10, 10], 18, &[1, 1, 1]);
        check(&[100, 1], 50, &[1, 1]);
        check(&[1], 9, &[1]);
    }
}
