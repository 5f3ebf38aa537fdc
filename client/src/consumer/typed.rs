//! Messages as values.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::control::Control;
use super::error::AnswerError;
use super::message::Message;
use super::{Consumer, Requeue, Settle};
use crate::typed::Decode;

/// Receives messages whose bodies are values of `T`; made by [`Consumer::typed`].
///
/// What cannot be decoded is handed out all the same, with the reason: whether it is parked,
/// finished or published elsewhere is for the application to say.
///
/// ```no_run
/// use std::time::Duration;
/// use client::consumer::{Consumer, Requeue};
/// use client::typed::Json;
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: u32,
/// }
///
/// # async fn consume(consumer: Consumer) -> Result<(), client::consumer::AnswerError> {
/// let mut orders = consumer.typed::<Order, _>(Json);
/// while let Some(message) = orders.recv().await {
///     match message.into_parts() {
///         (Ok(order), raw) => {
///             println!("order {}", order.id);
///             raw.finish()?;
///         }
///         (Err(_), raw) => raw.requeue(Requeue::after(Duration::from_secs(60)).no_backoff())?,
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a consumer that is dropped consumes nothing"]
pub struct TypedConsumer<T, C> {
    consumer: Consumer,
    codec: C,
    values: PhantomData<fn() -> T>,
}

impl<T, C: Decode<T>> TypedConsumer<T, C> {
    pub(super) fn new(consumer: Consumer, codec: C) -> TypedConsumer<T, C> {
        TypedConsumer {
            consumer,
            codec,
            values: PhantomData,
        }
    }

    /// As [`Consumer::recv`], cancel safe likewise.
    pub async fn recv(&mut self) -> Option<TypedMessage<T, C::Error>> {
        let message = self.consumer.recv().await?;
        Some(self.decode(message))
    }

    /// A handle to steer it from elsewhere.
    pub fn control(&self) -> Control {
        self.consumer.control()
    }

    fn decode(&self, message: Message) -> TypedMessage<T, C::Error> {
        let value = self.codec.decode(message.body());
        TypedMessage { value, message }
    }
}

impl<T, C: Decode<T> + Unpin> Stream for TypedConsumer<T, C> {
    type Item = TypedMessage<T, C::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.consumer.poll_recv(cx);
        polled.map(|message| message.map(|message| self.decode(message)))
    }
}

impl<T, C: fmt::Debug> fmt::Debug for TypedConsumer<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedConsumer")
            .field("consumer", &self.consumer)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

/// A message, and the value in its body or why there is none.
#[derive(Debug)]
#[must_use = "a message that is dropped without an answer is requeued"]
pub struct TypedMessage<T, E> {
    value: Result<T, E>,
    message: Message,
}

impl<T, E> TypedMessage<T, E> {
    /// The value, or why there is none.
    pub fn value(&self) -> Result<&T, &E> {
        self.value.as_ref()
    }

    /// The message as it came.
    pub fn raw(&self) -> &Message {
        &self.message
    }

    /// The value and the message, which is still to be answered.
    pub fn into_parts(self) -> (Result<T, E>, Message) {
        (self.value, self.message)
    }

    /// As [`Message::finish`].
    ///
    /// # Errors
    /// As [`Message::finish`].
    pub fn finish(self) -> Result<(), AnswerError> {
        self.message.finish()
    }

    /// As [`Message::requeue`].
    ///
    /// # Errors
    /// As [`Message::finish`].
    pub fn requeue(self, how: Requeue) -> Result<(), AnswerError> {
        self.message.requeue(how)
    }

    /// As [`Message::settle`].
    ///
    /// # Errors
    /// As [`Message::finish`].
    pub fn settle(self, settle: Settle) -> Result<(), AnswerError> {
        self.message.settle(settle)
    }
}
