//! Messages that were published together, as the MPUBs that they became: how each of these ended.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::error::{Invalid, PublishError};
use super::ticket::{Receipt, Ticket};

/// One MPUB of a [`PublishMany`](super::PublishMany): which messages it held, and how it ended.
#[derive(Clone, Debug)]
pub struct Part {
    /// Indexes of the messages, in the order given.
    pub messages: Range<usize>,
    /// How they ended, all alike.
    pub outcome: Result<Receipt, PublishError>,
}

/// Not all messages of a [`PublishMany`](super::PublishMany) were confirmed.
#[derive(Clone, Debug)]
pub struct PublishManyError {
    parts: Vec<Part>,
}

/// Messages that are queued. Await it for their outcomes, with one receipt for each MPUB; dropped, they are sent all the
/// same, and nobody is told how they end.
#[derive(Debug)]
#[must_use = "whether the messages are stored is known only from awaiting the tickets"]
pub struct Tickets {
    /// From the first that may not have been asked yet on.
    waiting: VecDeque<(Range<usize>, Result<Ticket, PublishError>)>,
    settled: Vec<Part>,
    messages: usize,
}

impl Tickets {
    pub(super) fn with_capacity(parts: usize) -> Tickets {
        Tickets {
            waiting: VecDeque::with_capacity(parts),
            settled: Vec::with_capacity(parts),
            messages: 0,
        }
    }

    /// Appends an MPUB with so many messages, if it could be queued.
    pub(super) fn push(&mut self, messages: usize, queued: Result<Ticket, PublishError>) {
        let first = self.messages;
        self.messages += messages;
        self.waiting.push_back((first..self.messages, queued));
    }

    fn receipts(parts: Vec<Part>) -> Result<Vec<Receipt>, PublishManyError> {
        let receipts = parts.iter().map(|part| part.outcome.clone().ok());
        receipts
            .collect::<Option<_>>()
            .ok_or(PublishManyError { parts })
    }
}

impl Future for Tickets {
    type Output = Result<Vec<Receipt>, PublishManyError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some((_, queued)) = self.waiting.front_mut() {
            let outcome = match queued {
                Ok(ticket) => ready!(Pin::new(ticket).poll(context)),
                Err(error) => Err(error.clone()),
            };
            let (messages, _) = self.waiting.pop_front().expect("it was looked at");
            self.settled.push(Part { messages, outcome });
        }
        Poll::Ready(Self::receipts(std::mem::take(&mut self.settled)))
    }
}

impl PublishManyError {
    pub(super) fn all(count: usize, invalid: Invalid) -> PublishManyError {
        let (messages, outcome) = (0..count, Err(invalid.into()));
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
