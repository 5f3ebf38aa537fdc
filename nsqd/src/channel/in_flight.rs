//! Who holds which message until when.
//!
//! Messages are found from their id by a hash of its bytes, and lie in one list per consumer in the order of their
//! deadlines: since a consumer's timeout is fixed, claiming appends at the end, and the next deadline is at the front.
//! The same list tells what a consumer that disconnects gives back.

use client::wire::MessageId;
use rustc_hash::FxHashMap;
use slab::Slab;
use tokio::time::Instant;

use super::state::{ConsumerId, Entry};

/// A message that a consumer holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) id: MessageId,
    pub(super) entry: Entry,
    pub(super) holder: ConsumerId,
    /// When it was published: its stamp, nanoseconds since the Unix epoch.
    pub(super) published_ns: i64,
    pub(super) claimed_at: Instant,
    pub(super) deadline: Instant,
}

/// All messages in flight on a channel.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    slots: Slab<Slot>,
    by_id: FxHashMap<MessageId, usize>,
}

#[derive(Debug)]
struct Slot {
    held: Held,
    before: Option<usize>,
    after: Option<usize>,
}

/// The messages of one consumer, by deadline. Empty it before it is dropped.
#[derive(Debug, Default)]
pub(super) struct HeldList {
    first: Option<usize>,
    last: Option<usize>,
    count: u64,
}

impl HeldList {
    /// How many messages the consumer holds.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl InFlight {
    /// How many messages are in flight.
    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Adds a message to a consumer's list.
    pub(super) fn insert(&mut self, list: &mut HeldList, held: Held) {
        let key = self.slots.insert(Slot {
            held,
            before: None,
            after: None,
        });
        self.by_id.insert(held.id, key);
        self.link(list, key);
    }

    /// Where a message is, and who holds it.
    pub(super) fn find(&self, id: MessageId) -> Option<(usize, ConsumerId)> {
        let &key = self.by_id.get(&id)?;
        Some((key, self.slots[key].held.holder))
    }

    /// Takes out a message that was found.
    pub(super) fn remove(&mut self, list: &mut HeldList, key: usize) -> Held {
        self.unlink(list, key);
        let held = self.slots.remove(key).held;
        if self.by_id.get(&held.id) == Some(&key) {
            self.by_id.remove(&held.id);
        }
        held
    }

    /// Moves the deadline of a message that was found: `timeout` from now, but at most `max` after it was claimed.
    pub(super) fn extend(
        &mut self,
        list: &mut HeldList,
        key: usize,
        now: Instant,
        (timeout, max): (std::time::Duration, std::time::Duration),
    ) {
        self.unlink(list, key);
        let held = &mut self.slots[key].held;
        held.deadline = (now + timeout).min(held.claimed_at + max);
        self.link(list, key);
    }

    /// The deadline that comes next in a consumer's list.
    pub(super) fn next_deadline(&self, list: &HeldList) -> Option<Instant> {
        list.first.map(|key| self.slots[key].held.deadline)
    }

    /// Takes out the first message of a consumer's list if its deadline has come.
    pub(super) fn pop_expired(&mut self, list: &mut HeldList, now: Instant) -> Option<Held> {
        let key = list
            .first
            .filter(|&key| self.slots[key].held.deadline <= now)?;
        Some(self.remove(list, key))
    }

    /// Takes out the first message of a consumer's list.
    pub(super) fn pop(&mut self, list: &mut HeldList) -> Option<Held> {
        list.first.map(|key| self.remove(list, key))
    }

    /// All messages, in no order.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.slots.iter_mut().map(|(_, slot)| &mut slot.held.entry)
    }

    /// All messages, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.slots.iter().map(|(_, slot)| slot.held.entry)
    }

    /// Links a slot behind the last one with the same deadline or an earlier one. Only a deadline that `touch` has
    /// capped is not the latest.
    fn link(&mut self, list: &mut HeldList, key: usize) {
        let deadline = self.slots[key].held.deadline;
        let mut before = list.last;
        while let Some(other) = before
            && self.slots[other].held.deadline > deadline
        {
            before = self.slots[other].before;
        }
        let after = match before {
            Some(other) => self.slots[other].after.replace(key),
            None => list.first.replace(key),
        };
        match after {
            Some(other) => self.slots[other].before = Some(key),
            None => list.last = Some(key),
        }
        let slot = &mut self.slots[key];
        (slot.before, slot.after) = (before, after);
        list.count += 1;
    }

    fn unlink(&mut self, list: &mut HeldList, key: usize) {
        let Slot { before, after, .. } = self.slots[key];
        match before {
            Some(other) => self.slots[other].after = after,
            None => list.first = after,
        }
        match after {
            Some(other) => self.slots[other].before = before,
            None => list.last = before,
        }
        list.count -= 1;
    }
}
