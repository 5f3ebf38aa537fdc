//! Several consumers as one stream of messages.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::stats::ConsumerReport;
use super::{Consumer, Control, Message};

/// Receives the messages of several consumers, from each in turn; made by [`Consumer::merge`].
///
/// [`Message::topic`] and [`Message::channel`] tell whose a message is. Each consumer keeps its own sources, its maximum
/// in flight and its backoff. What is merged ends when all of them have ended.
///
/// ```no_run
/// use std::time::Duration;
/// use client::consumer::Consumer;
///
/// # async fn consume() -> Result<(), Box<dyn std::error::Error>> {
/// let mut consumers = Vec::new();
/// for topic in ["orders", "refunds"] {
///     let builder = Consumer::builder(topic.parse()?, "billing".parse()?);
///     consumers.push(builder.lookupd("lookup1:4161").start().await?);
/// }
/// let mut merged = Consumer::merge(consumers);
/// let controls = merged.controls();
/// tokio::spawn(async move {
///     let _ = tokio::signal::ctrl_c().await;
///     controls.drain(Duration::from_secs(20)).await;
/// });
/// while let Some(message) = merged.recv().await {
///     println!("{}: {} bytes", message.topic(), message.body().len());
///     message.finish()?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "consumers that are dropped consume nothing"]
pub struct Merged {
    /// Those that have not ended.
    consumers: Vec<Consumer>,
    /// Whose turn it is.
    turn: usize,
    controls: Controls,
}

impl Consumer {
    /// Makes one stream of several consumers.
    pub fn merge(consumers: impl IntoIterator<Item = Consumer>) -> Merged {
        let consumers: Vec<Consumer> = consumers.into_iter().collect();
        let controls = consumers.iter().map(Consumer::control).collect();
        Merged {
            consumers,
            turn: 0,
            controls: Controls(controls),
        }
    }
}

impl Merged {
    /// Waits for the next message of any of them; `None` once all drain or are over. Cancel safe.
    pub async fn recv(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Handles to steer them from elsewhere, in the order in which they were merged.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut asked = 0;
        while asked < self.consumers.len() {
            let index = (self.turn + asked) % self.consumers.len();
            match self.consumers[index].poll_recv(cx) {
                Poll::Ready(Some(message)) => {
                    self.turn = index + 1;
                    return Poll::Ready(Some(message));
                }
                Poll::Ready(None) => {
                    drop(self.consumers.remove(index));
                    asked = 0;
                }
                Poll::Pending => asked += 1,
            }
        }
        if self.consumers.is_empty() {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}

impl Stream for Merged {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_recv(cx)
    }
}

/// Handles on consumers that were merged: a slice of them, and what concerns all. A clone is the same.
#[derive(Clone, Debug)]
pub struct Controls(Arc<[Control]>);

impl Controls {
    /// Ends all of them at the same time, each as [`Control::drain`] does, and counts together what became of their
    /// messages. Cancel safe likewise.
    pub async fn drain(&self, patience: Duration) -> ConsumerReport {
        for control in self.iter() {
            control.shared.stop(patience);
        }
        let mut report = ConsumerReport::default();
        for control in self.iter() {
            report = report.plus(control.drain(patience).await);
        }
        report
    }
}

impl Deref for Controls {
    type Target = [Control];

    fn deref(&self) -> &[Control] {
        &self.0
    }
}
