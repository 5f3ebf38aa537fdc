//! What becomes of a message that was handed out too often.

use std::fmt;
use std::sync::Arc;

use super::answer::Requeue;
use super::message::Message;

/// What becomes of a message with more attempts than
/// [`ConsumerBuilder::max_attempts`](super::ConsumerBuilder::max_attempts) allows. In any case an
/// event, a counter and a warning in the log tell of it.
#[derive(Clone)]
pub enum Exhausted {
    /// It is finished, as the reference does.
    Finish,
    /// It goes back.
    Requeue(Requeue),
    /// It is handed to this function instead of the application, which answers it or lets
    /// somebody answer it: publish it to another topic and finish it then, for example. Runs on
    /// the task that receives, so it must not block.
    Call(Arc<dyn Fn(Message) + Send + Sync>),
}

impl Exhausted {
    /// [`Exhausted::Call`] of this function.
    pub fn call(function: impl Fn(Message) + Send + Sync + 'static) -> Exhausted {
        Exhausted::Call(Arc::new(function))
    }

    pub(super) fn apply(&self, message: Message) {
        let settled = match self {
            Exhausted::Finish => message.finish(),
            Exhausted::Requeue(how) => message.requeue(*how),
            Exhausted::Call(function) => return function(message),
        };
        if let Err(error) = settled {
            tracing::debug!(%error, "a message with too many attempts was not answered");
        }
    }
}

impl fmt::Debug for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exhausted::Finish => "Finish",
            Exhausted::Requeue(_) => "Requeue",
            Exhausted::Call(_) => "Call",
        })
    }
}
