//! A topic as a sink, for streams of messages that are to be forwarded.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_sink::Sink;

use super::batcher::{BatchConfig, Batcher};
use super::error::PublishError;
use super::ticket::Ticket;
use super::{Producer, TopicName};

/// Publishes what is sent into it, in batches; made by [`Producer::sink`].
///
/// It is ready while the producer has room ([`ProducerBuilder::max_pending`](super::ProducerBuilder::max_pending)).
/// A flush is over when everything sent before is stored. An error tells of one message; the others are not
/// touched by it, and the sink may be used on.
pub struct TopicSink {
    batcher: Batcher,
    /// A message that waits for room.
    waiting: Option<Pin<Box<Queueing>>>,
    /// What has become of those sent before, in their order.
    tickets: VecDeque<Ticket>,
}

/// Waits for room, and becomes the claim to an outcome then.
type Queueing = dyn Future<Output = Result<Ticket, PublishError>> + Send;

impl Producer {
    /// A sink for messages of this topic, which share commands as [`BatchConfig::default`] says.
    ///
    /// ```no_run
    /// use bytes::Bytes;
    /// use client::producer::{Producer, PublishError};
    /// use futures_util::{SinkExt, Stream, StreamExt};
    ///
    /// # async fn forward(
    /// #     producer: &Producer,
    /// #     lines: impl Stream<Item = Result<Bytes, PublishError>>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut orders = producer.sink(&"orders".parse()?);
    /// orders.send(Bytes::from("one coffee")).await?;        // stored
    /// lines.forward(orders).await?;                         // all of them
    /// # Ok(())
    /// # }
    /// ```
    pub fn sink(&self, topic: &TopicName) -> TopicSink {
        TopicSink {
            batcher: self.batcher(topic, BatchConfig::default()),
            waiting: None,
            tickets: VecDeque::new(),
        }
    }
}

impl TopicSink {
    /// Waits for room for what was sent last.
    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        if let Some(waiting) = &mut self.waiting {
            let queued = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            self.tickets.push_back(queued?);
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until everything that was queued is stored.
    fn poll_stored(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        while let Some(ticket) = self.tickets.front_mut() {
            let settled = ready!(Pin::new(ticket).poll(cx));
            self.tickets.pop_front();
            settled?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<B: Into<Bytes>> Sink<B> for TopicSink {
    type Error = PublishError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PublishError>> {
        ready!(self.poll_queued(cx))?;
        match self.poll_stored(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // Others may follow those that are not stored yet.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, body: B) -> Result<(), PublishError> {
        let (batcher, body) = (self.batcher.clone(), body.into());
        self.waiting = Some(Box::pin(async move { batcher.enqueue(body).await }));
        Ok(())
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PublishError>> {
        ready!(self.poll_queued(cx))?;
        self.poll_stored(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        Sink::<B>::poll_flush(self, cx)
    }
}

impl fmt::Debug for TopicSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicSink")
            .field("batcher", &self.batcher)
            .field("unsettled", &self.tickets.len())
            .finish_non_exhaustive()
    }
}
