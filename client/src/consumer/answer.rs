//! What can become of a message.

use std::fmt::Display;
use std::time::Duration;

use super::backoff::Outcome;

/// How a message goes back.
///
/// ```
/// use client::consumer::Requeue;
/// use std::time::Duration;
///
/// let failed = Requeue::AUTO;
/// let busy = Requeue::after(Duration::from_secs(5)).no_backoff();
/// # let _ = (failed, busy);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requeue {
    /// `None` is by the number of attempts.
    delay: Option<Duration>,
    is_failure: bool,
}

impl Requeue {
    /// After a delay that grows with the attempts, see
    /// [`ConsumerBuilder::requeue_delay`](super::ConsumerBuilder::requeue_delay).
    pub const AUTO: Requeue = Requeue {
        delay: None,
        is_failure: true,
    };
    /// At once.
    pub const NOW: Requeue = Requeue::after(Duration::ZERO);

    /// After this delay, in whole milliseconds. nsqd shortens it to its `-max-req-timeout`.
    pub const fn after(delay: Duration) -> Requeue {
        Requeue {
            delay: Some(delay),
            is_failure: true,
        }
    }

    /// Says nothing against the consumer's health, so that backoff does not take note.
    #[must_use]
    pub const fn no_backoff(self) -> Requeue {
        Requeue {
            is_failure: false,
            ..self
        }
    }

    pub(super) fn delay(self, attempts: u16, growth: &RequeueDelay) -> Duration {
        self.delay.unwrap_or_else(|| growth.after(attempts))
    }

    pub(super) fn outcome(self) -> Outcome {
        if self.is_failure {
            Outcome::Failure
        } else {
            Outcome::Neutral
        }
    }
}

/// The delay of [`Requeue::AUTO`]: unit × attempts, at most the longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequeueDelay {
    pub(super) unit: Duration,
    pub(super) longest: Duration,
}

impl RequeueDelay {
    fn after(self, attempts: u16) -> Duration {
        self.unit.saturating_mul(attempts.into()).min(self.longest)
    }
}

/// An answer, decided on apart from its message. A `Result` becomes one: `Ok` finishes, `Err` is
/// logged and requeues with [`Requeue::AUTO`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// The message is done.
    Finish,
    /// It goes back.
    Requeue(Requeue),
    /// Nobody answers: nsqd hands it out again when it times out.
    LetTimeOut,
}

impl From<()> for Settle {
    fn from((): ()) -> Settle {
        Settle::Finish
    }
}

impl<E: Display> From<Result<(), E>> for Settle {
    fn from(result: Result<(), E>) -> Settle {
        match result {
            Ok(()) => Settle::Finish,
            Err(error) => {
                tracing::warn!(%error, "a message failed");
                Settle::Requeue(Requeue::AUTO)
            }
        }
    }
}

/// What becomes of a message that is dropped without an answer. While the consumer drains it goes
/// back at once in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDrop {
    /// It goes back.
    Requeue(Requeue),
    /// nsqd hands it out again when it times out.
    LetTimeOut,
}

impl Default for OnDrop {
    fn default() -> OnDrop {
        OnDrop::Requeue(Requeue::AUTO)
    }
}
