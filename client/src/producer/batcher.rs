//! Merging the messages of many callers into MPUBs: fewer commands, one answer for many.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Producer;
use super::error::PublishError;
use super::job::{Job, Outcome, Payload, Room, Terms, Waiting};
use super::publish_many::COUNT_BYTES;
use super::ticket::{Receipt, Ticket};
use crate::wire::{BatchBuf, TopicName};

/// When a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Messages in a batch at most; 0 counts as 1. Default 200.
    pub messages: usize,
    /// Bytes of an MPUB's body at most, never above
    /// [`Limits::max_body_size`](crate::wire::Limits::max_body_size). Default 64 KiB.
    pub bytes: usize,
    /// How long the first message of a batch waits for others. Default 1 ms.
    pub linger: Duration,
}

impl Default for BatchConfig {
    fn default() -> BatchConfig {
        BatchConfig {
            messages: 200,
            bytes: 64 * 1024,
            linger: Duration::from_millis(1),
        }
    }
}

/// Merges messages for one topic, see [`Producer::batcher`]. A clone is the same batcher.
///
/// Each message keeps an outcome of its own: when an nsqd refuses a batch for what is in it, the batch
/// is split until only the offending message is refused. Dropping the last clone queues what waits.
#[derive(Clone, Debug)]
pub struct Batcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    producer: Producer,
    topic: TopicName,
    config: BatchConfig,
    batch: Mutex<Batch>,
    /// Rung when a batch got its first message, and when the batcher goes.
    begun: Arc<Notify>,
}

/// What waits to be merged.
#[derive(Debug, Default)]
struct Batch {
    messages: BatchBuf,
    callers: Vec<oneshot::Sender<Outcome>>,
    room: Room,
    bytes: usize,
    began: Option<Instant>,
}

impl Batcher {
    pub(super) fn new(producer: Producer, topic: &TopicName, config: BatchConfig) -> Batcher {
        let limit = producer.shared.limits.max_body_size;
        let inner = Arc::new(Inner {
            producer,
            topic: topic.clone(),
            config: BatchConfig {
                messages: config.messages.max(1),
                bytes: config.bytes.min(limit),
                ..config
            },
            batch: Mutex::default(),
            begun: Arc::default(),
        });
        let (begun, watched) = (Arc::clone(&inner.begun), Arc::downgrade(&inner));
        tokio::spawn(linger(begun, watched, config.linger));
        Batcher { inner }
    }

    /// Publishes a message within a batch, and waits until it is stored. Dropped before it is in a
    /// batch, nothing is sent; dropped later, it is sent all the same.
    ///
    /// # Errors
    /// As a [`Publish`](super::Publish).
    pub async fn publish(&self, body: impl AsRef<[u8]>) -> Result<Receipt, PublishError> {
        self.enqueue(body).await?.await
    }

    /// Puts a message into the batch, and returns the claim to its outcome.
    ///
    /// # Errors
    /// As [`Publish::enqueue`](super::Publish::enqueue).
    pub async fn enqueue(&self, body: impl AsRef<[u8]>) -> Result<Ticket, PublishError> {
        let body = body.as_ref();
        let shared = &self.inner.producer.shared;
        shared.check_body(0, body)?;
        let deadline = Instant::now() + shared.publish_timeout;
        let room = shared
            .hub
            .admit(body.len(), deadline, shared.when_full)
            .await?;
        Ok(self.inner.add(body, room))
    }

    /// Queues what waits for company, and waits until all that the producer had queued is settled.
    pub async fn flush(&self) {
        self.inner.push_batch();
        self.inner.producer.flush().await;
    }
}

impl Inner {
    fn add(&self, body: &[u8], room: Room) -> Ticket {
        let added = COUNT_BYTES + body.len();
        let (caller, ticket) = oneshot::channel();
        let mut batch = self.batch();
        let earlier =
            (batch.bytes + added > self.config.bytes).then(|| std::mem::take(&mut *batch));
        if batch.began.is_none() {
            *batch = Batch::begun(Instant::now());
            self.begun.notify_one();
        }
        batch.messages.push(body);
        batch.callers.push(caller);
        batch.room.count += room.count;
        batch.room.bytes = batch.room.bytes.saturating_add(room.bytes);
        batch.bytes += added;
        let is_full = batch.messages.len() >= self.config.messages;
        let full = is_full.then(|| std::mem::take(&mut *batch));
        // Both are pushed under the lock, for batches to leave in the order of their messages.
        for complete in [earlier, full].into_iter().flatten() {
            self.push(complete);
        }
        Ticket(ticket)
    }

    fn push_batch(&self) {
        let mut batch = self.batch();
        self.push(std::mem::take(&mut *batch));
    }

    fn push(&self, batch: Batch) {
        let Some(started) = batch.began else {
            return;
        };
        let shared = &self.producer.shared;
        let job = Job {
            topic: self.topic.clone(),
            payload: Payload::Many(batch.messages),
            terms: Terms {
                deadline: started + shared.publish_timeout,
                retry: shared.retry,
                pinned: None,
            },
            started,
            room: batch.room,
            attempts: 0,
            generation: 0,
            waiting: Waiting::Each(batch.callers),
        };
        if let Err(refused) = shared.hub.push(job, false) {
            let (job, error) = *refused;
            // Nobody needs its memory now.
            let _ = job.settle(Err(error));
        }
    }

    /// When the batch that waits is to leave.
    fn due(&self) -> Option<Instant> {
        self.batch().began.map(|began| began + self.config.linger)
    }

    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.push_batch();
        self.begun.notify_one();
    }
}

impl Batch {
    fn begun(now: Instant) -> Batch {
        Batch {
            bytes: COUNT_BYTES,
            began: Some(now),
            ..Batch::default()
        }
    }
}

/// Queues each batch that has waited long enough; ends with the batcher.
async fn linger(begun: Arc<Notify>, watched: Weak<Inner>, linger: Duration) {
    loop {
        begun.notified().await;
        // A batch that filled in the meantime was followed by another, maybe; look until none waits.
        while let Some(due) = watched.upgrade().and_then(|inner| inner.due()) {
            sleep_until(due.min(Instant::now() + linger)).await;
            let Some(inner) = watched.upgrade() else {
                return;
            };
            if inner.due().is_some_and(|due| due <= Instant::now()) {
                inner.push_batch();
            }
        }
        if watched.strong_count() == 0 {
            return;
        }
    }
}
