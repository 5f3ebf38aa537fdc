//! What happens to a consumer, for who wants to know.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use super::error::ConsumerError;
use crate::connection::Address;
use crate::wire::{ErrorCode, MessageId};

/// How many events wait for a slow listener; then it misses the oldest.
pub(super) const EVENTS_KEPT: usize = 256;

/// What happened. Nothing is lost, discarded or slowed down without one of these.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Subscribed at an nsqd.
    Connected {
        /// Which nsqd.
        address: Address,
    },
    /// A connection ended, or an attempt at one.
    Disconnected {
        /// Which nsqd.
        address: Address,
        /// Why.
        reason: String,
        /// When the next attempt is; `None` if there is none.
        reconnecting_in: Option<Duration>,
    },
    /// An nsqd refused for good.
    Refused {
        /// [`ConsumerError::Refused`].
        error: ConsumerError,
    },
    /// nsqlookupds told of new nsqds, or of some no longer.
    Discovered {
        /// Connected to from now on.
        added: Vec<Address>,
        /// Not listed any more. What is still connected stays so until it breaks.
        removed: Vec<Address>,
    },
    /// An nsqlookupd gave no answer; what it said last still holds.
    LookupFailed {
        /// Which nsqlookupd.
        address: String,
        /// Why.
        reason: String,
    },
    /// Too many messages failed: nothing is taken for a while.
    BackingOff {
        /// How often the sleep was doubled.
        level: u32,
        /// When it ends.
        until: Instant,
    },
    /// One message is taken to see whether it fails.
    BackoffProbe {
        /// The level so far.
        level: u32,
    },
    /// Back at full speed.
    BackoffEnded,
    /// An nsqd did not accept FIN, REQ or TOUCH: the message had timed out there.
    AnswerRejected {
        /// Which nsqd.
        address: Address,
        /// Which answer.
        code: ErrorCode,
        /// Which message, if the nsqd's text tells.
        id: Option<MessageId>,
    },
    /// Messages timed out before the application took them; nsqd hands them out again.
    Expired {
        /// Which nsqd they came from.
        address: Address,
        /// How many.
        count: u64,
    },
    /// Messages were waiting for the application when their connection was lost; nsqd hands them
    /// out again.
    Discarded {
        /// Which nsqd they came from.
        address: Address,
        /// How many.
        count: u64,
    },
    /// A message was dropped without an answer.
    Dropped {
        /// Which message.
        id: MessageId,
    },
    /// A handler panicked; its message is requeued.
    HandlerPanicked {
        /// Which message.
        id: MessageId,
    },
    /// A message was handed out more often than allowed; see [`Exhausted`](super::Exhausted).
    AttemptsExhausted {
        /// Which message.
        id: MessageId,
        /// How often it was handed out.
        attempts: u16,
    },
    /// No further messages are taken.
    Draining,
    /// The consumer is over.
    Closed,
}

/// The events of a consumer since this value was made.
#[derive(Debug)]
pub struct Events {
    pub(super) receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// Waits for the next event; `None` when the consumer is over and all were seen. A listener
    /// that is slower than 256 events misses the oldest, which a warning in the log counts.
    ///
    /// Cancel safe: an event is taken only when it is returned.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Closed) => return None,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(
                        missed,
                        "events of a consumer came faster than they were read"
                    );
                }
            }
        }
    }
}
