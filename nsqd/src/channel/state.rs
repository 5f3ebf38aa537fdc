//! What a channel knows of the messages that it has handed out and of those that came back: pure, without clock, lock
//! or I/O.
//!
//! ```text
//!  log ──claim──▶ in flight ──finish──▶ gone
//!   ▲               │  │ └──requeue with a delay──▶ deferred ──due──┐
//!   │               │  └──requeue, time out──▶ requeued (tail) ◀────┘
//!   │               └──its consumer left──▶ returned (front)
//!   └ new messages                requeued, returned ──claim──▶ in flight
//! ```
//!
//! Each message that the cursor has passed is in exactly one of these places, or finished.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use client::wire::MessageId;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::deferred::Deferred;
use super::holds::Holds;
use super::in_flight::{Held, HeldList, InFlight};
use super::locality::{Locality, PerLocality};
use super::returned::{Returned, Run};
use super::turns::{Rivals, Turn, Turns};
use crate::log::{Segment, Stamp};
use crate::sabotage::{Fault, is_on};

/// Attempts are counted up to this, since clients read them as signed 16 bits.
const ATTEMPTS_MAX: u16 = i16::MAX as u16;

/// An unfinished message: where it is, and how often this channel has handed it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The number of its segment.
    pub segment: u64,
    /// Its index there.
    pub index: u32,
    /// Deliveries so far.
    pub attempts: u16,
}

/// A consumer of a channel, valid until it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerId(usize);

/// What a consumer is allowed, and what it did.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) held: HeldList,
    pub(super) ready_count: u64,
    pub(super) msg_timeout: Duration,
    pub(super) bell: Arc<Notify>,
    pub(super) turn: Turn,
    pub(super) counters: ConsumerCounters,
}

/// What a consumer did since it subscribed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumerCounters {
    /// Messages sent to it.
    pub messages: u64,
    /// Messages it finished.
    pub finished: u64,
    /// Messages it requeued.
    pub requeued: u64,
}

impl Consumer {
    /// How many messages it may be sent now.
    pub(super) fn credit(&self) -> u64 {
        self.ready_count.saturating_sub(self.held.count())
    }
}

/// Why a message can't be finished, requeued or touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// It is not in flight.
    #[error("ID not in flight")]
    NotInFlight,
    /// Another consumer holds it.
    #[error("client does not own message")]
    NotOwned,
}

/// A message that waits for its turn at the tail.
#[derive(Debug, Clone, Copy)]
struct Requeued {
    entry: Entry,
    /// The end of the log when it came back: what was published before goes first.
    after: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) consumers: Slab<Consumer>,
    in_flight: InFlight,
    returned: Returned,
    requeued: VecDeque<Requeued>,
    deferred: Deferred,
    pub(super) holds: Holds,
    pub(super) turns: Turns,
    pub(super) paused: bool,
    /// It is being deleted: nothing is handed out any more.
    pub(super) exiting: bool,
    pub(super) requeue_count: u64,
    pub(super) timeout_count: u64,
    /// Deferred messages that were published to it.
    pub(super) deferred_published: u64,
    /// Messages handed to consumers, by their nearness.
    pub(super) handed_out: PerLocality<u64>,
}

impl State {
    pub(super) fn add_consumer(
        &mut self,
        msg_timeout: Duration,
        locality: Locality,
        bell: Arc<Notify>,
    ) -> ConsumerId {
        ConsumerId(self.consumers.insert(Consumer {
            held: HeldList::default(),
            ready_count: 0,
            msg_timeout,
            bell,
            turn: Turn::new(locality),
            counters: ConsumerCounters::default(),
        }))
    }

    /// Removes a consumer; its messages come back to the front, oldest first.
    pub(super) fn remove_consumer(&mut self, id: ConsumerId) {
        let mut consumer = self.consumers.remove(id.0);
        self.turns.leave(id.0, &consumer.turn);
        let mut given_back = Vec::new();
        while let Some(run) = self.in_flight.pop(&mut consumer.held) {
            given_back.extend(run.entries());
        }
        self.returned.put_before(given_back);
    }

    pub(super) fn consumer(&self, id: ConsumerId) -> &Consumer {
        &self.consumers[id.0]
    }

    pub(super) fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        &mut self.consumers[id.0]
    }

    /// Hands messages to a consumer, whose ids follow one another; returns the attempt that this is.
    pub(super) fn claim(
        &mut self,
        id: ConsumerId,
        stamp: Stamp,
        mut run: Run,
        now: Instant,
    ) -> u16 {
        let attempts = run.first.attempts.saturating_add(1).min(ATTEMPTS_MAX);
        run.first.attempts = attempts;
        let consumer = &mut self.consumers[id.0];
        consumer.counters.messages += u64::from(run.count);
        *self.handed_out.at_mut(consumer.turn.locality()) += u64::from(run.count);
        let held = Held {
            stamp,
            run,
            holder: id,
            claimed_at: now,
            deadline: now + consumer.msg_timeout,
        };
        self.in_flight.insert(&mut consumer.held, held);
        attempts
    }

    /// The run in flight that a message is in, and the number that its id spells.
    fn held_by(&self, id: ConsumerId, message: MessageId) -> Result<(usize, u64), NotHeld> {
        let number = message.to_u64().ok_or(NotHeld::NotInFlight)?;
        let (key, holder) = self.in_flight.find(number).ok_or(NotHeld::NotInFlight)?;
        if holder == id {
            Ok((key, number))
        } else {
            Err(NotHeld::NotOwned)
        }
    }

    /// Takes a message away from the consumer that must hold it.
    fn take(
        &mut self,
        id: ConsumerId,
        message: MessageId,
    ) -> Result<(&mut Consumer, Held), NotHeld> {
        let (key, number) = self.held_by(id, message)?;
        let consumer = &mut self.consumers[id.0];
        let held = self.in_flight.remove(&mut consumer.held, key, number);
        Ok((consumer, held))
    }

    /// A consumer is done with a message; returns when it was published, in nanoseconds since the Unix epoch.
    pub(super) fn finish(&mut self, id: ConsumerId, message: MessageId) -> Result<i64, NotHeld> {
        let (consumer, held) = self.take(id, message)?;
        consumer.counters.finished += 1;
        self.holds.release(held.run.first);
        Ok(held.stamp.timestamp_ns)
    }

    /// Finishes a message that was claimed for a consumer but is not sent to it.
    pub(super) fn discard(&mut self, id: ConsumerId, message: MessageId) {
        if let Ok((consumer, held)) = self.take(id, message) {
            consumer.counters.messages -= 1;
            self.holds.release(held.run.first);
        }
    }

    /// A consumer gives a message back: to the tail, which is behind `tail`, or not before `due`.
    pub(super) fn requeue(
        &mut self,
        id: ConsumerId,
        message: MessageId,
        due: Option<Instant>,
        tail: u64,
    ) -> Result<(), NotHeld> {
        let (consumer, held) = self.take(id, message)?;
        consumer.counters.requeued += 1;
        let entry = held.run.first;
        self.requeue_count += 1;
        match due {
            Some(due) => self.deferred.push(due, entry),
            None => self.requeued.push_back(Requeued { entry, after: tail }),
        }
        Ok(())
    }

    /// A consumer needs more time for a message; never more than `max` since it was claimed.
    pub(super) fn touch(
        &mut self,
        id: ConsumerId,
        message: MessageId,
        now: Instant,
        max: Duration,
    ) -> Result<(), NotHeld> {
        let found = self.held_by(id, message)?;
        let consumer = &mut self.consumers[id.0];
        let timeouts = (consumer.msg_timeout, max);
        self.in_flight
            .extend(&mut consumer.held, found, now, timeouts);
        Ok(())
    }

    /// Takes back every message whose deadline has come, and makes those available that are due. Returns how many
    /// messages there are to deliver now; consumers that lost one are rung by the caller through `released`.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        tail: u64,
        released: &mut Vec<Arc<Notify>>,
    ) -> u64 {
        let mut available = 0;
        for (_, consumer) in &mut self.consumers {
            let before = available;
            while let Some(run) = self.in_flight.pop_expired(&mut consumer.held, now) {
                let expired = run.entries().map(|entry| Requeued { entry, after: tail });
                self.requeued.extend(expired);
                available += u64::from(run.count);
            }
            if available > before {
                released.push(Arc::clone(&consumer.bell));
            }
        }
        self.timeout_count += available;
        while let Some(entry) = self.deferred.pop_due(now) {
            self.requeued.push_back(Requeued { entry, after: tail });
            available += 1;
        }
        available
    }

    /// When `advance` has something to do next.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let deadlines = self
            .consumers
            .iter()
            .filter_map(|(_, consumer)| self.in_flight.next_deadline(&consumer.held));
        deadlines.chain(self.deferred.next_due()).min()
    }

    /// Adds a message that must not be delivered before `due`.
    pub(super) fn defer(&mut self, segment: &Arc<Segment>, entry: Entry, due: Instant) {
        self.holds.add(segment, 1);
        self.deferred.push(due, entry);
    }

    /// Adds messages that an earlier process had handed out, or was about to.
    pub(super) fn restore(&mut self, segment: &Arc<Segment>, run: Run) {
        self.holds.add(segment, run.count);
        self.returned.push_back(run);
    }

    /// The message that goes before new ones, now that the cursor is at `cursor`.
    pub(super) fn next_again(&self, cursor: impl FnOnce() -> u64) -> Option<Entry> {
        if let Some(entry) = self.returned.front() {
            return Some(entry);
        }
        let Requeued { entry, after } = *self.requeued.front()?;
        (after <= cursor()).then_some(entry)
    }

    /// Takes out what `next_again` showed.
    pub(super) fn take_again(&mut self) {
        if self.returned.pop_front().is_none() {
            self.requeued.pop_front();
        }
    }

    /// How many new messages may go before the next requeued one.
    pub(super) fn new_before_requeued(&self, cursor: u64) -> u64 {
        self.requeued
            .front()
            .map_or(u64::MAX, |requeued| requeued.after.saturating_sub(cursor))
    }

    /// Whether any message came back.
    pub(super) fn has_requeued(&self) -> bool {
        !self.requeued.is_empty()
    }

    /// Messages that came back and wait.
    pub(super) fn again_count(&self) -> u64 {
        self.returned.count() + self.requeued.len() as u64
    }

    pub(super) fn in_flight_count(&self) -> u64 {
        self.in_flight.count()
    }

    pub(super) fn deferred_count(&self) -> u64 {
        self.deferred.count() as u64
    }

    /// Forgets all messages.
    pub(super) fn clear(&mut self) {
        for (_, consumer) in &mut self.consumers {
            while self.in_flight.pop(&mut consumer.held).is_some() {}
        }
        self.returned = Returned::default();
        self.requeued.clear();
        self.deferred = Deferred::default();
        self.holds.clear();
    }

    /// Puts a consumer at the end of those who wait.
    pub(super) fn wait(&mut self, id: ConsumerId) {
        self.turns.wait(id.0, &mut self.consumers[id.0].turn);
    }

    /// Notes that a consumer came for messages; returns who else wants some.
    pub(super) fn arrive(&mut self, id: ConsumerId) -> Rivals {
        self.turns.arrive(&mut self.consumers[id.0].turn)
    }

    /// Takes out the next consumer that waits and can take a message.
    pub(super) fn next_waiting(&mut self) -> Option<Arc<Notify>> {
        loop {
            let consumer = &mut self.consumers[self.turns.next()?];
            let is_ready = consumer.credit() > 0;
            self.turns.taken(&mut consumer.turn, is_ready);
            if is_ready {
                return Some(Arc::clone(&consumer.bell));
            }
        }
    }

    /// Messages that came back and wait, in the order in which they go.
    pub(super) fn again(&self) -> impl Iterator<Item = Run> {
        let requeued = self.requeued.iter().map(|requeued| requeued.entry.into());
        self.returned.runs().chain(requeued)
    }

    /// Messages in flight, in no order.
    pub(super) fn in_flight_entries(&self) -> impl Iterator<Item = Entry> {
        self.in_flight.runs().flat_map(Run::entries)
    }

    /// Deferred messages with their due times, in no order.
    pub(super) fn deferred_entries(&self) -> impl Iterator<Item = (Instant, Entry)> {
        self.deferred.entries()
    }

    /// Everything unfinished that the cursor has passed: what can be delivered at once, and what is deferred.
    pub(super) fn unfinished(&self) -> (Vec<Run>, Vec<(Instant, Entry)>) {
        let requeued = self.requeued.iter().map(|requeued| requeued.entry);
        let in_flight = self.in_flight.runs();
        let in_flight = in_flight.filter(|_| !is_on(Fault::PersistCursorOnSend));
        let others = requeued.map(Run::from).chain(self.returned.runs());
        let mut all: Vec<_> = in_flight.chain(others).collect();
        all.sort_unstable_by_key(|run| run.first);
        let mut ready = Vec::new();
        for run in all {
            run.append_to(&mut ready);
        }
        let deferred = self.deferred.entries();
        let deferred = deferred.filter(|_| !is_on(Fault::ForgetDeferred));
        (ready, deferred.collect())
    }

    /// Tells where messages of a segment are now that have moved: `moved(entry)` is the new place, if it has one.
    pub(super) fn relocate(&mut self, segment: u64, mut moved: impl FnMut(Entry) -> Option<Entry>) {
        for (_, consumer) in &mut self.consumers {
            self.in_flight
                .relocate(&mut consumer.held, segment, &mut moved);
        }
        let mut change = |entry: &mut Entry| {
            if let Some(place) = moved(*entry) {
                *entry = place;
            }
        };
        self.returned.for_each_entry(segment, &mut change);
        self.requeued
            .iter_mut()
            .for_each(|requeued| change(&mut requeued.entry));
        self.deferred.for_each_entry(&mut change);
    }
}
