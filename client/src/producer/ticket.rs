//! The receipt of a publish, and the claim to one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::PublishError;
use super::job::Outcome;
use crate::connection::Address;

/// Proof that an nsqd stored what was published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Receipt {
    /// Who stored it.
    pub node: Arc<Address>,
    /// How often it was sent and may have been stored; more than 1 means that there may be a
    /// duplicate if the outcome of an earlier time was unknown.
    pub attempts: u32,
    /// From the call to the answer.
    pub elapsed: Duration,
}

/// A publish that is queued. Await it for the outcome; dropped, the publish goes on, and nobody is
/// told how it ends.
#[derive(Debug)]
#[must_use = "whether the message is stored is known only from awaiting the ticket"]
pub struct Ticket(pub(super) oneshot::Receiver<Outcome>);

impl Future for Ticket {
    type Output = Result<Receipt, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Nobody answers once the runtime of the producer has ended: there is no telling then.
        let ended = Err(PublishError::Timeout { maybe_stored: true });
        Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or(ended))
    }
}
