//! How consuming fails.

use std::sync::Arc;

use crate::connection::{Address, AddressError, ConnectError, ConnectionError};
use crate::wire::{ErrorCode, NameError};

/// No consumer came about, or it is over.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// Not a name of a topic or a channel.
    #[error("{what} name {name:?}: {cause}")]
    Name {
        /// "topic" or "channel".
        what: &'static str,
        /// What was given.
        name: String,
        /// What is wrong with it.
        cause: NameError,
    },
    /// Not an address of an nsqd.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Neither an nsqd nor an nsqlookupd was given.
    #[error("no nsqd to consume from: give the address of one, or of an nsqlookupd")]
    NoSource,
    /// An nsqd refused for good; it is not asked again.
    #[error("{address}: {cause}")]
    Refused {
        /// Which nsqd.
        address: Address,
        /// What it said.
        cause: Arc<ConnectionError>,
    },
    /// Not as many connections as [`ConnectPolicy`](super::ConnectPolicy) demands, in time.
    #[error("not connected in time to {missing}")]
    NotConnected {
        /// Which nsqds are missing.
        missing: String,
        /// Why one of them was last not reached, if it was tried.
        #[source]
        cause: Option<Arc<ConnectionError>>,
    },
}

impl ConsumerError {
    /// The nsqd's error code, if it refused with one that NSQ knows.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ConsumerError::Refused { cause, .. } => code_of(cause),
            _ => None,
        }
    }

    pub(super) fn refused(error: ConnectError) -> ConsumerError {
        ConsumerError::Refused {
            address: error.address,
            cause: Arc::new(error.cause),
        }
    }
}

/// The error code in what an nsqd refused with.
pub(super) fn code_of(error: &ConnectionError) -> Option<ErrorCode> {
    let ConnectionError::Refused(text) = error else {
        return None;
    };
    let (code, _) = text.split_once(' ').unwrap_or((text, ""));
    code.parse().ok()
}

/// How often SUB may fail before it counts as a refusal for good: a channel that takes no further
/// consumer may have room again soon.
const SUBSCRIBE_FAILURES_MAX: u32 = 10;

/// Whether it is of no use to connect again after this many failures in a row.
pub(super) fn is_permanent(error: &ConnectionError, failures: u32) -> bool {
    match code_of(error) {
        Some(ErrorCode::SubFailed) => failures >= SUBSCRIBE_FAILURES_MAX,
        _ => error.is_permanent(),
    }
}

/// An answer that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The message's deadline has passed: nsqd hands it out again, maybe to somebody else.
    #[error("the message timed out; nsqd hands it out again")]
    Expired,
    /// The connection that the message came from is gone: nsqd hands it out again.
    #[error("the connection of the message was lost; nsqd hands it out again")]
    ConnectionLost,
    /// The message was answered before, by whoever else had it.
    #[error("the message was answered already")]
    Answered,
}
