//! Consuming a topic from all nsqds that have it.
//!
//! ```no_run
//! use std::time::Duration;
//! use client::consumer::{Consumer, Requeue};
//!
//! # async fn charge(_: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn consume() -> Result<(), Box<dyn std::error::Error>> {
//! let mut consumer = Consumer::builder("orders".parse()?, "billing".parse()?)
//!     .lookupd("lookup1:4161")
//!     .lookupd("lookup2:4161")
//!     .max_in_flight(64)
//!     .start()
//!     .await?;
//! let control = consumer.control();
//! tokio::spawn(async move {
//!     let _ = tokio::signal::ctrl_c().await;
//!     control.drain(Duration::from_secs(20)).await;
//! });
//! while let Some(message) = consumer.recv().await {
//!     match charge(message.body()).await {
//!         Ok(()) => message.finish()?,
//!         Err(_) => message.requeue(Requeue::AUTO)?,
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Or with a handler, 16 messages at a time, each kept from timing out:
//!
//! ```no_run
//! use client::consumer::{Consumer, Delivery};
//!
//! # async fn charge(_: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn consume() -> Result<(), Box<dyn std::error::Error>> {
//! let consumer = Consumer::builder("orders".parse()?, "billing".parse()?)
//!     .nsqd("127.0.0.1:4150")
//!     .max_in_flight(16)
//!     .start()
//!     .await?;
//! let report = consumer
//!     .run(16, |message: Delivery| async move {
//!         let _kept = message.keep_alive();
//!         charge(message.body()).await
//!     })
//!     .await?;
//! println!("{report:?}");
//! # Ok(())
//! # }
//! ```
//!
//! **What is promised.** Every message that nsqd hands out is finished by the application, or nsqd
//! hands it out again: delivery is at least once. A consumer outlives its connections: it ends
//! only when it is drained, or when every nsqd refused for good. Messages in flight never exceed
//! the maximum, over all nsqds. What is lost, expires or slows down has an [`Event`] and a counter
//! in [`ConsumerStats`].
//!
//! **Tasks.** One for each nsqd, which reads and writes and never waits for the application, so a
//! slow handler costs no heartbeat; one which owns them; one for each nsqlookupd. Answers are
//! pushed to a queue: they do not wait. Work that blocks its thread belongs into
//! `tokio::task::spawn_blocking`, since it can hold up whatever else tokio runs.

mod answer;
mod backoff;
mod buffer;
mod builder;
mod control;
#[cfg(feature = "http")]
mod discovery;
mod error;
mod events;
mod exhausted;
mod flow;
mod handler;
mod link;
mod merge;
mod message;
mod node;
mod ready;
mod session;
mod shared;
mod stats;
mod supervisor;
#[cfg(test)]
mod tests;
mod typed;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub use answer::{OnDrop, Requeue, Settle};
pub use backoff::{Backoff, Recovery};
pub use builder::{ConnectPolicy, ConsumerBuilder};
pub use control::Control;
pub use error::{AnswerError, ConsumerError};
pub use events::{Event, Events};
pub use exhausted::Exhausted;
pub use handler::{Delivery, Handler};
pub use merge::{Controls, Merged};
pub use message::{Acker, KeepAlive, Message};
pub use stats::{ConsumerReport, ConsumerStats, NodeStatus};
pub use typed::{TypedConsumer, TypedMessage};

use shared::Shared;
use supervisor::Request;

use crate::typed::Decode;
use crate::wire::{ChannelName, TopicName};

/// Receives the messages of a channel. See the [module](self).
///
/// Dropped, it takes no further messages: those that wait go back, and those that the application
/// holds may still be answered, for as long as nsqd waits for them at most.
#[derive(Debug)]
#[must_use = "a consumer that is dropped consumes nothing"]
pub struct Consumer {
    control: Control,
}

impl Consumer {
    /// Settings for a consumer of this channel of this topic. At least one nsqd or nsqlookupd must
    /// be named.
    pub fn builder(topic: TopicName, channel: ChannelName) -> ConsumerBuilder {
        ConsumerBuilder::new(topic, channel)
    }

    fn new(shared: Arc<Shared>, requests: mpsc::Sender<Request>) -> Consumer {
        let control = Control { shared, requests };
        Consumer { control }
    }

    /// Waits for the next message; `None` once the consumer drains or is over, of which
    /// [`Control::closed_reason`] tells.
    ///
    /// Cancel safe: a message is taken only when it is returned. So it fits in a `select!`.
    pub async fn recv(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Waits for messages and appends up to `max` of them to `messages`: the first, and those that
    /// come within `linger` after it or until [`Control::is_starved`]. Returns how many; 0 when the
    /// consumer drains or is over, or `max` is 0.
    ///
    /// Cancel safe: what was appended stays in `messages`.
    pub async fn recv_many(
        &mut self,
        messages: &mut Vec<Message>,
        max: usize,
        linger: Duration,
    ) -> usize {
        if max == 0 {
            return 0;
        }
        let Some(first) = self.recv().await else {
            return 0;
        };
        messages.push(first);
        let until = Instant::now() + linger;
        let control = self.control();
        let mut count = 1;
        while count < max {
            let next = tokio::select! {
                biased;
                next = self.recv() => next,
                () = starved(&control) => None,
                () = sleep_until(until) => None,
            };
            let Some(message) = next else { break };
            messages.push(message);
            count += 1;
        }
        count
    }

    /// Hands messages to `handler`, at most `concurrency` at a time (0 counts as 1), until the
    /// consumer is drained. Each handler call is in a span `nsq.process`.
    ///
    /// Dropped, it takes the consumer with it: handlers are dropped where they are, and their
    /// messages requeued.
    ///
    /// # Errors
    /// The consumer ended by itself: every nsqd refused for good.
    pub async fn run<H: Handler>(
        self,
        concurrency: usize,
        handler: H,
    ) -> Result<ConsumerReport, ConsumerError> {
        let shared = self.control.shared.clone();
        let handler = Arc::new(handler);
        let mut workers = JoinSet::new();
        for waiter in 0..concurrency.max(1) {
            let (shared, handler) = (shared.clone(), handler.clone());
            workers.spawn(async move {
                let next = |cx: &mut Context<'_>| poll_next(&shared, waiter, cx);
                while let Some(message) = std::future::poll_fn(next).await {
                    handler::process(&shared, &*handler, message).await;
                }
            });
        }
        tokio::select! {
            () = out_of_patience(&shared) => workers.shutdown().await,
            () = async { while workers.join_next().await.is_some() {} } => {}
        }
        let mut end = shared.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        let end = ended.ok().and_then(|end| end.clone());
        let end = end.expect("it lives in what `shared` holds, and was waited for");
        end.reason.map_or(Ok(end.report), Err)
    }

    /// Receives values instead of bytes.
    pub fn typed<T, C: Decode<T>>(self, codec: C) -> TypedConsumer<T, C> {
        TypedConsumer::new(self, codec)
    }

    /// A handle to steer it from elsewhere.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        poll_next(&self.control.shared, 0, cx)
    }
}

impl Stream for Consumer {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_recv(cx)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.control.shared.stop(LEFT_BEHIND_MAX);
    }
}

/// How long messages that outlive their consumer may be answered: nsqd's default
/// `-max-msg-timeout`.
const LEFT_BEHIND_MAX: Duration = Duration::from_mins(15);

/// The next message that the application should see.
fn poll_next(shared: &Shared, waiter: usize, cx: &mut Context<'_>) -> Poll<Option<Message>> {
    loop {
        let Some(message) = ready!(shared.buffer.poll_next(waiter, cx)) else {
            return Poll::Ready(None);
        };
        if message.deadline() <= Instant::now() {
            shared.discard_expired(&[message]);
        } else if shared
            .attempts_max
            .is_some_and(|max| message.attempts() > max.get())
        {
            shared.give_up(message);
        } else {
            return Poll::Ready(Some(message));
        }
    }
}

/// Waits until nothing more comes before messages are answered.
async fn starved(control: &Control) {
    const POLL: Duration = Duration::from_millis(1);
    while !control.is_starved() {
        tokio::time::sleep(POLL).await;
    }
}

/// Waits for the deadline of a drain.
async fn out_of_patience(shared: &Shared) {
    let mut stop = shared.stop.subscribe();
    loop {
        let deadline = *stop.borrow_and_update();
        let reached = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = reached => return,
            // It stays as it is when nobody can change it.
            Ok(()) = stop.changed() => {}
        }
    }
}

/// What was interrupted by a panic is whole: no lock is held across foreign code.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
