//! Figures of a consumer.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::connection::Address;

/// A consumer at one moment. Counters start at 0 with the consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Messages that came.
    pub received: u64,
    /// Messages finished by the application.
    pub finished: u64,
    /// Messages requeued by the application, dropped ones included.
    pub requeued: u64,
    /// Messages that were given more time, each time.
    pub touched: u64,
    /// Messages that timed out before the application took them or answered.
    pub expired: u64,
    /// Messages that waited for the application when their connection was lost.
    pub discarded: u64,
    /// Messages dropped without an answer.
    pub dropped: u64,
    /// Messages that were handed out too often.
    pub exhausted: u64,
    /// Handlers that panicked.
    pub panicked: u64,
    /// Answers that an nsqd did not accept.
    pub rejected: u64,
    /// Connections that are subscribed now.
    pub connections: u64,
    /// Messages that came and are not answered.
    pub in_flight: u64,
    /// Those of them that wait for the application.
    pub buffered: u64,
    /// The ready counts of all connections together.
    pub ready: u64,
    /// How deep the backoff is; 0 when all is well.
    pub backoff_level: u32,
}

/// One connection at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Which nsqd.
    pub address: Address,
    /// How many messages it may have in flight here.
    pub ready: u32,
    /// How many it has.
    pub in_flight: u32,
}

/// What became of messages while a consumer drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerReport {
    /// Finished by the application.
    pub finished: u64,
    /// Requeued: by the application, or because they waited for it.
    pub requeued: u64,
    /// Timed out.
    pub expired: u64,
    /// Not answered by the deadline; nsqd hands them out again when they time out.
    pub abandoned: u64,
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: Counter,
    pub(super) finished: Counter,
    pub(super) requeued: Counter,
    pub(super) touched: Counter,
    pub(super) expired: Counter,
    pub(super) discarded: Counter,
    pub(super) dropped: Counter,
    pub(super) exhausted: Counter,
    pub(super) panicked: Counter,
    pub(super) rejected: Counter,
    pub(super) abandoned: Counter,
}

impl Counters {
    /// The figures which [`ConsumerReport`] is the difference of.
    pub(super) fn report(&self) -> ConsumerReport {
        ConsumerReport {
            finished: self.finished.value(),
            requeued: self.requeued.value(),
            expired: self.expired.value(),
            abandoned: self.abandoned.value(),
        }
    }
}

impl ConsumerReport {
    pub(super) fn plus(self, other: ConsumerReport) -> ConsumerReport {
        ConsumerReport {
            finished: self.finished + other.finished,
            requeued: self.requeued + other.requeued,
            expired: self.expired + other.expired,
            abandoned: self.abandoned + other.abandoned,
        }
    }

    pub(super) fn since(self, start: ConsumerReport) -> ConsumerReport {
        ConsumerReport {
            finished: self.finished - start.finished,
            requeued: self.requeued - start.requeued,
            expired: self.expired - start.expired,
            abandoned: self.abandoned - start.abandoned,
        }
    }
}

/// Only counts; says nothing about the order of other memory.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
