//! A producer at work in a closed loop: it sends while fewer batches than its window are unconfirmed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::catalogue::Load;
use crate::error::Error;
use crate::measure::Meter;
use crate::systems::Producer;

/// Deliveries that may be on the way from producers to consumers, so that what is delivered keeps up with what is published.
#[derive(Debug)]
pub(super) struct OnTheWay {
    free: Semaphore,
    /// Deliveries of one message.
    channels: usize,
}

impl OnTheWay {
    /// Messages at most, if they are small.
    const MESSAGES: usize = 10_000;
    /// Bytes at most: below what nats-server keeps for a slow consumer before it cuts it off.
    const BYTES: usize = 16 << 20;

    /// For messages of this load to so many channels: at least two batches of every producer.
    pub(super) fn new(load: Load, channels: usize) -> Self {
        let messages = Self::MESSAGES.min(Self::BYTES / load.body_bytes);
        let messages = messages.max(2 * load.producers * load.batch);
        Self {
            free: Semaphore::new(messages * channels),
            channels,
        }
    }

    async fn enter(&self, messages: usize) {
        let permits = u32::try_from(messages * self.channels).expect("a batch is small");
        let permits = self.free.acquire_many(permits).await;
        permits.expect("it is never closed").forget();
    }

    /// So many deliveries were finished.
    pub(super) fn leave(&self, deliveries: usize) {
        self.free.add_permits(deliveries);
    }
}

/// Publishes without end. Each batch counts, with its latency, when it is confirmed, unless deliveries are what counts.
pub(super) async fn produce<P: Producer>(
    mut producer: P,
    load: Load,
    meter: Arc<Meter>,
    on_the_way: Option<Arc<OnTheWay>>,
) -> Result<(), Error> {
    let bodies = vec![Bytes::from(vec![b'x'; load.body_bytes]); load.batch];
    let batch = producer.batch(&bodies, load.grouping);
    let mut unconfirmed = VecDeque::with_capacity(load.window);
    loop {
        while unconfirmed.len() < load.window {
            if let Some(on_the_way) = &on_the_way {
                on_the_way.enter(load.batch).await;
            }
            unconfirmed.push_back(Instant::now());
            producer.send(&batch).await?;
        }
        producer.confirmed().await?;
        let sent = unconfirmed.pop_front().expect("the window is not empty");
        meter.took([sent.elapsed()]);
        if on_the_way.is_none() {
            meter.count(load.batch);
        }
    }
}
