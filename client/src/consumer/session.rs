//! What messages and the connection they came over share: the orders for its task.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::backoff::Outcome;
use super::lock;
use super::ready::LinkId;
use super::shared::Shared;
use crate::connection::Address;
use crate::wire::{IdentifyResponse, MessageId};

/// What nsqd is to be told about a message.
#[derive(Debug)]
pub(super) enum Order {
    Finish(MessageId),
    Requeue {
        id: MessageId,
        delay: Duration,
        outcome: Outcome,
    },
    Touch(MessageId),
    /// Touch it again and again until it is answered, let go or `until` has come.
    KeepAlive {
        id: MessageId,
        until: Instant,
        deadline: Arc<Deadline>,
    },
    LetGo(MessageId),
    /// It is out of the application's hands; nothing is sent.
    Forget(MessageId),
}

impl Order {
    /// Whether the message is nobody's after it.
    pub(super) fn is_last(&self) -> bool {
        matches!(
            self,
            Order::Finish(_) | Order::Requeue { .. } | Order::Forget(_)
        )
    }
}

/// A subscribed connection as its messages know it. They keep it; its task may end before them.
pub(super) struct Session {
    pub(super) id: LinkId,
    pub(super) address: Address,
    pub(super) shared: Arc<Shared>,
    /// How long a message may stay unanswered, less a margin for the way.
    pub(super) msg_timeout: Duration,
    /// How long it may however often it is touched, less the same.
    pub(super) max_msg_timeout: Duration,
    /// What [`Deadline`]s count from.
    started: Instant,
    orders: Mutex<Orders>,
    /// There are orders, or the ready count changed.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
struct Orders {
    closed: bool,
    /// The connection's task looks within [`LINGER`], whether it is woken or not.
    awaited: bool,
    list: Vec<Order>,
}

/// How long an answer waits for others while more messages are there to be answered. Waking the
/// connection's task for each one costs more than all else that is done for a message.
pub(super) const LINGER: Duration = Duration::from_millis(1);

/// So many orders do not wait any longer.
const ORDERS_AT_ONCE: usize = 128;

/// Message timeouts of the reference, for an nsqd that tells none.
const MSG_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_MSG_TIMEOUT: Duration = Duration::from_mins(15);

impl Session {
    pub(super) fn new(
        id: LinkId,
        address: Address,
        settled: &IdentifyResponse,
        shared: Arc<Shared>,
    ) -> Session {
        let timeout = |millis: u64, otherwise| match millis {
            0 => within(otherwise),
            millis => within(Duration::from_millis(millis)),
        };
        Session {
            id,
            address,
            shared,
            msg_timeout: timeout(settled.msg_timeout, MSG_TIMEOUT),
            max_msg_timeout: timeout(settled.max_msg_timeout, MAX_MSG_TIMEOUT),
            started: Instant::now(),
            orders: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Leaves an order to the connection's task; never waits. Gives it back if the connection is
    /// gone.
    pub(super) fn order(&self, order: Order) -> Result<(), Order> {
        let mut orders = lock(&self.orders);
        if orders.closed {
            return Err(order);
        }
        orders.list.push(order);
        let (count, awaited) = (orders.list.len(), orders.awaited);
        drop(orders);
        if count == 1 && !awaited || self.is_due(count) {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Whether orders should leave at once: there are many, or the application has nothing else to
    /// answer for now. Otherwise more will follow within [`LINGER`], and leave with them: until then
    /// the caller looks by itself.
    pub(super) fn are_orders_due(&self) -> bool {
        let mut orders = lock(&self.orders);
        let due = self.is_due(orders.list.len());
        orders.awaited = !due;
        due
    }

    fn is_due(&self, count: usize) -> bool {
        count >= ORDERS_AT_ONCE || self.shared.buffer.is_empty()
    }

    /// Takes all orders; `list` must be empty, and its memory is used for the next ones. Returns
    /// whether more will follow, as [`Session::are_orders_due`] tells.
    pub(super) fn take_orders(&self, list: &mut Vec<Order>) -> bool {
        let mut orders = lock(&self.orders);
        std::mem::swap(&mut orders.list, list);
        orders.awaited = !list.is_empty() && !self.shared.buffer.is_empty();
        orders.awaited
    }

    /// Takes no orders any more.
    pub(super) fn close(&self) {
        lock(&self.orders).closed = true;
    }

    /// The deadline of a message that is received or touched `now`.
    pub(super) fn deadline(&self, now: Instant) -> Deadline {
        let deadline = Deadline::default();
        deadline.set(self, now + self.msg_timeout);
        deadline
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// When nsqd hands a message out again: moves when it is touched. Milliseconds since the start of
/// the session.
#[derive(Debug, Default)]
pub(super) struct Deadline(AtomicU64);

impl Deadline {
    pub(super) fn set(&self, session: &Session, at: Instant) {
        let millis = at.saturating_duration_since(session.started).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    /// The same time, to be moved apart from this one.
    pub(super) fn copy(&self) -> Deadline {
        Deadline(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }

    pub(super) fn at(&self, session: &Session) -> Instant {
        session.started + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A timeout as this side keeps it: 5 % shorter, at most 1 s, for what is on the way.
fn within(timeout: Duration) -> Duration {
    timeout.saturating_sub((timeout / 20).min(Duration::from_secs(1)))
}
