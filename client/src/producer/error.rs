//! What becomes of a publish that did not succeed, told by what the caller may do about it.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::{Address, AddressError, ConnectError, ConnectionError};
use crate::wire::ErrorCode;

/// Why a publish was not confirmed. [`PublishError::maybe_stored`] says whether it may have
/// happened all the same, [`PublishError::is_retryable`] whether publishing again makes sense.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Found wrong before anything was sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An nsqd refused exactly this publish.
    #[error("refused by {node}: {text}")]
    Rejected {
        /// Who refused.
        node: Arc<Address>,
        /// The kind of refusal; `None` for a code that NSQ does not have.
        code: Option<ErrorCode>,
        /// What the nsqd said, its code included.
        text: String,
    },
    /// No nsqd got it: none is connected ([`Publish::try_enqueue`](super::Publish::try_enqueue)),
    /// or all refuse this client.
    #[error("not sent: no nsqd is connected")]
    NotSent {
        /// Why the last attempt to connect failed, if there was one.
        #[source]
        cause: Option<Arc<ConnectError>>,
    },
    /// It was sent, and the connection was over before the answer came.
    #[error("sent to {node}, but the connection was over before an answer came")]
    Unknown {
        /// Who may have stored it.
        node: Arc<Address>,
        /// What ended the connection; `None` if the producer did, shutting down.
        #[source]
        cause: Option<Arc<ConnectionError>>,
    },
    /// No answer within the publish's own time.
    #[error("no answer in time ({})", if *.maybe_stored { "it was sent" } else { "it was not sent" })]
    Timeout {
        /// Whether it was sent.
        maybe_stored: bool,
    },
    /// Too much is pending, and the caller did not want to wait.
    #[error("too many publishes are pending")]
    Full,
    /// The producer was shut down; it was not sent.
    #[error("the producer is shut down")]
    Closed,
}

impl PublishError {
    /// Whether an nsqd may have stored the message in spite of the error.
    pub fn maybe_stored(&self) -> bool {
        matches!(
            self,
            PublishError::Unknown { .. } | PublishError::Timeout { maybe_stored: true }
        )
    }

    /// Whether the same publish may succeed later. Where [`PublishError::maybe_stored`] holds too,
    /// it may then be stored twice.
    pub fn is_retryable(&self) -> bool {
        match self {
            PublishError::Invalid(_) | PublishError::Closed => false,
            PublishError::Rejected { code, .. } => code.is_some_and(is_failure_of_nsqd),
            PublishError::NotSent { .. }
            | PublishError::Unknown { .. }
            | PublishError::Timeout { .. }
            | PublishError::Full => true,
        }
    }
}

/// Whether nsqd says with this code that the publish was right and it failed itself: disk full,
/// topic going. Another nsqd may do better.
pub(super) fn is_failure_of_nsqd(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PubFailed | ErrorCode::MpubFailed | ErrorCode::DpubFailed
    )
}

/// What no nsqd would take. An index counts the messages of a
/// [`publish_many`](super::Producer::publish_many); it is 0 for a single one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A message without a byte.
    #[error("message {index} is empty; NSQ knows no empty messages")]
    Empty {
        /// Which message.
        index: usize,
    },
    /// A message larger than [`Limits::max_msg_size`](crate::wire::Limits::max_msg_size).
    #[error("message {index} has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// Which message.
        index: usize,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A delay longer than [`Limits::max_req_timeout`](crate::wire::Limits::max_req_timeout).
    #[error("a delay of {delay:?} is too long; at most {max:?} are allowed")]
    DelayTooLong {
        /// What was asked for.
        delay: Duration,
        /// The limit.
        max: Duration,
    },
    /// Nothing to publish.
    #[error("no messages were given")]
    NoMessages,
    /// A node that this producer does not have.
    #[error("{0} is none of the producer's nsqds")]
    NoSuchNode(Address),
    /// A value that its codec could not write.
    #[error("the value cannot be encoded: {0}")]
    Encode(String),
}

/// Why there is no producer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An address that cannot be one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No nsqd was named.
    #[error("a producer needs the address of at least one nsqd")]
    NoNodes,
    /// No room for a single publish.
    #[error("max_pending is {publishes} publishes and {bytes} bytes; both must be above 0")]
    NoRoom {
        /// How many publishes may be pending.
        publishes: usize,
        /// How many bytes may be pending.
        bytes: usize,
    },
    /// There is no tokio runtime to run in.
    #[error("a producer must be built within a tokio runtime")]
    NoRuntime,
    /// The nsqd could not be reached ([`Producer::connect`](super::Producer::connect) only).
    #[error(transparent)]
    Connect(Arc<ConnectError>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(code: ErrorCode) -> PublishError {
        PublishError::Rejected {
            node: Arc::new("a:1".parse().unwrap()),
            code: Some(code),
            text: code.to_string(),
        }
    }

    fn check(error: &PublishError, maybe_stored: bool, is_retryable: bool) {
        assert_eq!(error.maybe_stored(), maybe_stored, "{error:?}");
        assert_eq!(error.is_retryable(), is_retryable, "{error:?}");
    }

    #[test]
    fn each_error_says_what_to_do() {
        check(&Invalid::NoMessages.into(), false, false);
        check(&rejected(ErrorCode::BadMessage), false, false);
        check(&rejected(ErrorCode::MpubFailed), false, true);
        check(&PublishError::NotSent { cause: None }, false, true);
        check(&PublishError::Timeout { maybe_stored: true }, true, true);
        check(
            &PublishError::Timeout {
                maybe_stored: false,
            },
            false,
            true,
        );
        check(&PublishError::Full, false, true);
        check(&PublishError::Closed, false, false);
        let node = Arc::new("a:1".parse().unwrap());
        check(&PublishError::Unknown { node, cause: None }, true, true);
    }

    #[test]
    fn texts_name_the_value_and_the_limit() {
        let (index, bytes, max) = (2, 9, 5);
        assert_eq!(
            Invalid::TooLarge { index, bytes, max }.to_string(),
            "message 2 has 9 bytes; at most 5 are allowed"
        );
        assert_eq!(
            PublishError::Timeout { maybe_stored: true }.to_string(),
            "no answer in time (it was sent)"
        );
    }
}
