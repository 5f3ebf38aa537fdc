//! Many messages in as few commands as the limits allow.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::error::{Invalid, PublishError};
use super::job::Outcome;
use super::policy::RetryPolicy;
use super::publish::{Options, Publish};
use super::ticket::{Receipt, Ticket};
use crate::connection::Address;
use crate::wire::TopicName;

/// Bytes that stand before each message of an MPUB, and once before all of them.
pub(super) const COUNT_BYTES: usize = 4;

/// Messages to be published together; nothing happens until it is awaited.
///
/// They leave as one MPUB if they fit in [`Limits::max_body_size`](crate::wire::Limits::max_body_size),
/// else as several, in order. Each MPUB is stored as a whole or not at all. Dropped while awaited,
/// those queued are sent and the others are not.
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited"]
pub struct PublishMany<'p> {
    shared: &'p Shared,
    topic: TopicName,
    bodies: Vec<Bytes>,
    options: Options,
}

/// One MPUB of a [`PublishMany`]: which messages it held, and how it ended.
#[derive(Clone, Debug)]
pub struct Part {
    /// Indexes of the messages, in the order given.
    pub messages: Range<usize>,
    /// How they ended, all alike.
    pub outcome: Result<Receipt, PublishError>,
}

/// Not all messages of a [`PublishMany`] were confirmed.
#[derive(Clone, Debug)]
pub struct PublishManyError {
    parts: Vec<Part>,
}

impl<'p> PublishMany<'p> {
    pub(super) fn new(
        shared: &'p Shared,
        topic: &TopicName,
        bodies: Vec<Bytes>,
    ) -> PublishMany<'p> {
        PublishMany {
            shared,
            topic: topic.clone(),
            bodies,
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

    async fn run(self) -> Result<Vec<Receipt>, PublishManyError> {
        let shared = self.shared;
        let count = self.bodies.len();
        let sizes = match shared.check_all(&self.bodies) {
            Ok(()) => cut(&self.bodies, shared.limits.max_body_size),
            Err(invalid) => return Err(PublishManyError::all(count, invalid.into())),
        };
        let mut bodies = self.bodies;
        let mut queued = Vec::with_capacity(sizes.len());
        let mut start = 0;
        for size in sizes {
            let rest = bodies.split_off(size);
            let batch = std::mem::replace(&mut bodies, rest);
            let publish = Publish::many(shared, &self.topic, batch).options(self.options.clone());
            queued.push((start..start + size, publish.enqueue().await));
            start += size;
        }
        settle(queued).await
    }
}

/// Waits for all parts.
async fn settle(
    queued: Vec<(Range<usize>, Result<Ticket, PublishError>)>,
) -> Result<Vec<Receipt>, PublishManyError> {
    let mut parts = Vec::with_capacity(queued.len());
    for (messages, ticket) in queued {
        let outcome: Outcome = match ticket {
            Ok(ticket) => ticket.await,
            Err(error) => Err(error),
        };
        parts.push(Part { messages, outcome });
    }
    let receipts: Result<Vec<Receipt>, ()> = parts
        .iter()
        .map(|part| part.outcome.clone().map_err(drop))
        .collect();
    receipts.map_err(|()| PublishManyError { parts })
}

/// How many messages go into each MPUB, so that none has a body above `bytes_max`; a message that
/// does not fit at all gets one of its own.
fn cut(bodies: &[Bytes], bytes_max: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let (mut count, mut bytes) = (0, COUNT_BYTES);
    for body in bodies {
        let added = COUNT_BYTES + body.len();
        if count > 0 && bytes + added > bytes_max {
            sizes.push(count);
            (count, bytes) = (0, COUNT_BYTES);
        }
        count += 1;
        bytes += added;
    }
    sizes.push(count);
    sizes
}

impl Shared {
    fn check_all(&self, bodies: &[Bytes]) -> Result<(), Invalid> {
        if bodies.is_empty() {
            return Err(Invalid::NoMessages);
        }
        let checked = bodies.iter().enumerate();
        let mut checked = checked.map(|(index, body)| self.check_body(index, body));
        checked.try_for_each(|result| result)
    }
}

impl<'p> IntoFuture for PublishMany<'p> {
    type Output = Result<Vec<Receipt>, PublishManyError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'p>>;

    /// One receipt for each MPUB.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl PublishManyError {
    fn all(count: usize, error: PublishError) -> PublishManyError {
        let (messages, outcome) = (0..count, Err(error));
        PublishManyError {
            parts: vec![Part { messages, outcome }],
        }
    }

    /// Every MPUB, in order, those that succeeded included.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The index of each message that was not confirmed, and why.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &PublishError)> {
        self.parts.iter().flat_map(|part| {
            let error = part.outcome.as_ref().err();
            let messages = part.messages.clone();
            error
                .into_iter()
                .flat_map(move |error| messages.clone().map(move |at| (at, error)))
        })
    }

    /// The first error.
    pub fn first(&self) -> &PublishError {
        let mut errors = self
            .parts
            .iter()
            .filter_map(|part| part.outcome.as_ref().err());
        errors
            .next()
            .expect("without an error there is no such value")
    }
}

impl fmt::Display for PublishManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.parts.last().map_or(0, |part| part.messages.end);
        let failed = self.failed().count();
        write!(f, "{failed} of {count} messages were not confirmed")
    }
}

impl std::error::Error for PublishManyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[usize], bytes_max: usize, expected: &[usize]) {
        let bodies: Vec<Bytes> = sizes.iter().map(|size| vec![b'x'; *size].into()).collect();
        assert_eq!(cut(&bodies, bytes_max), expected);
    }

    #[test]
    fn batches_are_as_large_as_they_may_be() {
        check(&[10, 10, 10], 46, &[3]);
        check(&[10, 10, 10], 45, &[2, 1]);
        check(&[10, 10, 10], 18, &[1, 1, 1]);
        check(&[100, 1], 50, &[1, 1]);
        check(&[1], 9, &[1]);
    }

    #[test]
    fn the_error_tells_of_each_message() {
        let part = |messages, error: PublishError| Part {
            messages,
            outcome: Err(error),
        };
        let parts = vec![
            part(0..2, PublishError::Full),
            part(2..3, PublishError::Closed),
        ];
        let error = PublishManyError { parts };
        let failed: Vec<String> = error
            .failed()
            .map(|(at, e)| format!("{at} {e:?}"))
            .collect();
        assert_eq!(failed, ["0 Full", "1 Full", "2 Closed"]);
        assert_eq!(error.to_string(), "3 of 3 messages were not confirmed");
    }
}
