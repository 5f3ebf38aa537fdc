//! What becomes due when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use super::state::Entry;

/// Messages that must not be delivered before their time.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    heap: BinaryHeap<Reverse<Item>>,
    /// Keeps messages with the same due time in the order in which they came.
    next_order: u64,
}

/// Compared by due time, then by order; no two items have the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    due: Instant,
    order: u64,
    entry: Entry,
}

impl Deferred {
    pub(super) fn count(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn push(&mut self, due: Instant, entry: Entry) {
        self.heap.push(Reverse(Item {
            due,
            order: self.next_order,
            entry,
        }));
        self.next_order += 1;
    }

    /// When the next message becomes due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(item)| item.due)
    }

    /// Takes out the next message if its time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Entry> {
        self.next_due().filter(|&due| due <= now)?;
        self.heap.pop().map(|Reverse(item)| item.entry)
    }

    /// All messages with their due times, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Instant, Entry)> {
        self.heap.iter().map(|Reverse(item)| (item.due, item.entry))
    }

    /// Gives `change` every entry.
    pub(super) fn for_each_entry(&mut self, mut change: impl FnMut(&mut Entry)) {
        let mut items = std::mem::take(&mut self.heap).into_vec();
        for Reverse(item) in &mut items {
            change(&mut item.entry);
        }
        self.heap = items.into();
    }
}
