//! Handling messages some at a time.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tracing::Instrument;

use super::answer::{Requeue, Settle};
use super::error::AnswerError;
use super::events::Event;
use super::message::Message;
use super::shared::Shared;

/// Works on messages. What [`Handler::handle`] returns is the answer; a panic requeues the message
/// and disturbs nobody else.
///
/// A function from [`Delivery`] to a future is a handler if its output becomes a [`Settle`]: `()`,
/// or a `Result` whose error can be shown.
pub trait Handler: Send + Sync + 'static {
    /// Works on a message, and says what becomes of it.
    ///
    /// The future is dropped halfway only when a drain has run out of patience, or
    /// [`Consumer::run`](super::Consumer::run) itself is dropped; the message is then requeued.
    fn handle(&self, message: Delivery) -> impl Future<Output = Settle> + Send;
}

impl<F, Working> Handler for F
where
    F: Fn(Delivery) -> Working + Send + Sync + 'static,
    Working: Future<Output: Into<Settle>> + Send,
{
    async fn handle(&self, message: Delivery) -> Settle {
        self(message).await.into()
    }
}

/// A message in the hands of a [`Handler`]: it is answered by what the handler returns. A clone
/// shares it.
#[derive(Clone, Debug)]
pub struct Delivery(Arc<Message>);

impl Deref for Delivery {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.0
    }
}

/// Hands one message to the handler and answers it.
pub(super) async fn process(shared: &Shared, handler: &impl Handler, message: Message) {
    let span = tracing::info_span!(
        "nsq.process",
        messaging.system = "nsq",
        messaging.destination.name = %message.topic(),
        messaging.message.id = %message.id(),
        attempts = message.attempts(),
    );
    let delivery = Delivery(Arc::new(message));
    let working = caught(|| handler.handle(delivery.clone()));
    let settle = working.instrument(span).await.unwrap_or_else(|panic| {
        let id = delivery.id();
        tracing::error!(message_id = %id, panic = text_of(&*panic), "a handler panicked");
        shared.counters.panicked.add(1);
        shared.tell(Event::HandlerPanicked { id });
        Settle::Requeue(Requeue::AUTO)
    });
    match delivery.acker().answer(settle) {
        Ok(()) | Err(AnswerError::Answered) => {}
        Err(error) => {
            tracing::debug!(message_id = %delivery.id(), %error, "a message was handled in vain");
        }
    }
}

/// Runs a future to its end, or to its panic.
async fn caught<Working: Future>(
    start: impl FnOnce() -> Working,
) -> Result<Working::Output, Box<dyn Any + Send>> {
    let working = catch_unwind(AssertUnwindSafe(start))?;
    let mut working = pin!(working);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| working.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text")
}
