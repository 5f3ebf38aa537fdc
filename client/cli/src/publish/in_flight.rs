//! A batch on its way to every producer, until all of them have confirmed it or one has failed.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use client::producer::{Producer, PublishError};
use client::wire::TopicName;

use super::batch::{About, Batch};

type Publishing = Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send>>;

/// A batch without an outcome yet.
pub(super) struct InFlight {
    /// What is in it.
    pub(super) about: About,
    /// Those that are not through, one for each producer.
    copies: Vec<Publishing>,
    failure: Option<PublishError>,
}

impl InFlight {
    /// Sends a batch to each of `producers`. They must have room for it: then it is in their queues when this returns, so
    /// that batches leave in the order of their lines.
    pub(super) fn start(
        producers: &[Producer],
        topic: &TopicName,
        batch: Batch,
        defer: Option<Duration>,
    ) -> InFlight {
        let (bodies, about) = batch.into_parts();
        let bodies = std::iter::repeat_n(bodies, producers.len());
        let copies = producers.iter().zip(bodies).map(|(producer, bodies)| {
            let (producer, topic) = (producer.clone(), topic.clone());
            Box::pin(publish(producer, topic, bodies, defer)) as Publishing
        });
        let mut in_flight = InFlight {
            about,
            copies: copies.collect(),
            failure: None,
        };
        // Whoever waits for the outcome later asks again.
        let _ = in_flight.poll_copies(&mut Context::from_waker(Waker::noop()));
        in_flight
    }

    /// Waits for the outcome: the first failure, if there was any. Cancel safe.
    pub(super) async fn outcome(&mut self) -> Result<(), PublishError> {
        std::future::poll_fn(|cx| self.poll_copies(cx)).await;
        self.failure.take().map_or(Ok(()), Err)
    }

    fn poll_copies(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.copies.retain_mut(|copy| {
            let Poll::Ready(outcome) = copy.as_mut().poll(cx) else {
                return true;
            };
            if let Err(error) = outcome {
                self.failure.get_or_insert(error);
            }
            false
        });
        if self.copies.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Publishes bodies as one command.
async fn publish(
    producer: Producer,
    topic: TopicName,
    mut bodies: Vec<Bytes>,
    defer: Option<Duration>,
) -> Result<(), PublishError> {
    if bodies.len() > 1 {
        let published = producer.publish_many(&topic, bodies).await;
        return published.map(drop).map_err(|error| error.first().clone());
    }
    let body = bodies.pop().unwrap_or_default();
    let publish = producer.publish(&topic, body);
    let publish = match defer {
        Some(delay) => publish.delay(delay),
        None => publish,
    };
    publish.await.map(drop)
}
