//! Publishing: how messages are taken into a topic, and why they are not.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Durability, TooMany, Topic, Unsettled, Unshown};
use crate::log::{Closed, Stamp, Waiter};
use crate::sabotage::{Fault, is_on, strikes};

/// How long a publisher waits for memory before it is told that there is none.
const MEMORY_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often it looks.
const MEMORY_WAIT_STEP: Duration = Duration::from_millis(2);

/// Why messages were not taken. None of them was, but for `NotWritten`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The topic is being deleted, or the daemon stops.
    #[error("exiting")]
    Exiting,
    /// The topic does not exist, and is not created.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Messages can't be written at the moment, and memory is full or does not count.
    #[error("messages can't be moved to disk: {0}")]
    DiskFault(String),
    /// Memory is full with what can't be spilled.
    #[error("memory is full (--mem-queue-bytes)")]
    NoMemory,
    /// The message could not be brought to disk, as its topic promises; it may be delivered all the same.
    #[error("{0}")]
    NotWritten(String),
}

impl From<Closed> for PublishError {
    fn from(_: Closed) -> Self {
        Self::Exiting
    }
}

impl Topic {
    /// Takes messages, all or none, and waits until they are as safe as the topic promises. `woken` is scratch space.
    pub async fn publish<'a>(
        self: &Arc<Self>,
        bodies: impl ExactSizeIterator<Item = &'a [u8]>,
        woken: &mut Vec<Arc<dyn Waiter>>,
    ) -> Result<(), PublishError> {
        self.settle(self.append(bodies, woken).await?).await
    }

    /// Takes a message that is not to be delivered before `delay` has passed, and waits like [`Self::publish`].
    pub async fn publish_deferred(
        self: &Arc<Self>,
        body: &[u8],
        delay: Duration,
    ) -> Result<(), PublishError> {
        self.settle(self.append_deferred(body, delay).await?).await
    }

    async fn settle(self: &Arc<Self>, unsettled: Option<Unsettled>) -> Result<(), PublishError> {
        match unsettled {
            Some(unsettled) => self.settled(unsettled).await,
            None => Ok(()),
        }
    }

    /// Takes messages, all or none, and rings the consumers that wait for some. Waits only when memory is full. They may
    /// be answered with OK when they are [settled](Self::settled); with `None`, at once. `woken` is scratch space.
    pub async fn append<'a>(
        &self,
        bodies: impl ExactSizeIterator<Item = &'a [u8]>,
        woken: &mut Vec<Arc<dyn Waiter>>,
    ) -> Result<Option<Unsettled>, PublishError> {
        self.admit().await?;
        let count = bodies.len() as u64;
        let mut bodies = bodies.filter(|_| !strikes(Fault::DropOneInTenThousand, 10_000));
        if count > 1 && is_on(Fault::MpubNonAtomic) {
            self.append_a_half(&mut bodies, count, woken).await?;
        }
        let messages = self.log.append(self.stamp(count), bodies, woken)?;
        for waiter in woken.drain(..) {
            waiter.ring(count);
        }
        Ok(self.unsettled(messages))
    }

    /// Takes a message that is not to be delivered before `delay` has passed; otherwise like [`Self::append`].
    pub async fn append_deferred(
        &self,
        body: &[u8],
        delay: Duration,
    ) -> Result<Option<Unsettled>, PublishError> {
        if delay.is_zero() {
            return self.append([body].into_iter(), &mut Vec::new()).await;
        }
        self.admit().await?;
        let messages = self.defer(body, delay)?;
        Ok(self.unsettled(messages))
    }

    /// What is to be waited for, now that so many messages were taken.
    fn unsettled(&self, messages: u64) -> Option<Unsettled> {
        // Looked at after they were taken: whoever raises the level cares for all that was taken before.
        match self.durability() {
            Durability::Memory => None,
            level => Some(Unsettled {
                messages,
                synced: level == Durability::Fsync,
            }),
        }
    }

    fn defer(&self, body: &[u8], delay: Duration) -> Result<u64, Closed> {
        let due = self.shared.channels.clock.now() + delay;
        let stamp = self.stamp(1);
        let delay_ns = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
        let due_ns = stamp.timestamp_ns.saturating_add(delay_ns);
        // Under the lock of the channels: those that exist now get the message, later ones don't.
        let mut channels = self.channels.lock();
        let (segment, index, messages) = self.log.append_deferred(stamp, body, due_ns)?;
        if channels.hides_new() {
            channels.unshown_deferred.push(Unshown {
                segment,
                index,
                due,
                due_ns,
            });
        } else {
            channels
                .by_name
                .values()
                .for_each(|channel| channel.defer(&segment, index, due));
        }
        Ok(messages)
    }

    fn stamp(&self, count: u64) -> Stamp {
        let timestamp_ns = self.shared.channels.clock.wall_ns();
        Stamp {
            timestamp_ns,
            first_id: self.shared.ids.take(count),
        }
    }

    /// Waits until there is room in memory; refuses what could not be written.
    async fn admit(&self) -> Result<(), PublishError> {
        if self.is_exiting() {
            return Err(PublishError::Exiting);
        }
        if self.durability().is_durable()
            && let Some(fault) = self.fault()
        {
            return Err(PublishError::DiskFault(fault));
        }
        let memory = self.log.memory();
        let mut waited = Duration::ZERO;
        while memory.exhausted() {
            self.log.directory().call_for_care();
            if let Some(fault) = memory.fault() {
                return Err(PublishError::DiskFault(fault));
            }
            if waited >= MEMORY_WAIT_MAX {
                return Err(PublishError::NoMemory);
            }
            sleep(MEMORY_WAIT_STEP).await;
            waited += MEMORY_WAIT_STEP;
        }
        Ok(())
    }

    /// What a batch that is not taken as a whole looks like.
    async fn append_a_half<'a>(
        &self,
        bodies: &mut impl Iterator<Item = &'a [u8]>,
        count: u64,
        woken: &mut Vec<Arc<dyn Waiter>>,
    ) -> Result<(), PublishError> {
        let half = bodies.take(usize::try_from(count / 2).unwrap_or(1));
        self.log.append(self.stamp(count), half, woken)?;
        let _ = self.log.write_through();
        sleep(MEMORY_WAIT_STEP).await;
        Ok(())
    }
}
