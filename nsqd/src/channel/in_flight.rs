//! Who holds which messages until when.
//!
//! What was published together and is claimed together has ids that follow one another, lies side by side and has one
//! deadline, so it is kept as one run: to claim a thousand messages costs about as much as to claim one, and what is
//! finished in the order of delivery only makes its run shorter. A message that leaves from the middle splits its run.
//!
//! A run is found from an id by the number of its last message, which stays when it becomes shorter from the front. The
//! runs of a consumer form a list in the order of their deadlines: since a consumer's timeout is fixed, claiming appends
//! at the end, and the next deadline is at the front. The same list tells what a consumer that disconnects gives back.

use std::collections::BTreeMap;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use super::returned::Run;
use super::state::{ConsumerId, Entry};
use crate::log::Stamp;

/// Messages that a consumer claimed together, with ids that follow one another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// When they were published, and the number that the first one's id spells.
    pub(super) stamp: Stamp,
    pub(super) run: Run,
    pub(super) holder: ConsumerId,
    pub(super) claimed_at: Instant,
    pub(super) deadline: Instant,
}

impl Held {
    fn last_id(&self) -> u64 {
        self.stamp.first_id + u64::from(self.run.count - 1)
    }

    /// Its first `count` messages, of which it has more.
    fn head(mut self, count: u32) -> Self {
        self.run.count = count;
        self
    }

    /// What comes after its first `count` messages, of which it has more.
    fn tail(mut self, count: u32) -> Self {
        self.stamp.first_id += u64::from(count);
        self.run.first.index += count;
        self.run.count -= count;
        self
    }
}

/// All messages in flight on a channel.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    slots: Slab<Slot>,
    by_last_id: BTreeMap<u64, usize>,
    count: u64,
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
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds messages to a consumer's list.
    pub(super) fn insert(&mut self, list: &mut HeldList, held: Held) {
        let key = self.add_slot(held);
        self.link(list, key);
        list.count += u64::from(held.run.count);
        self.count += u64::from(held.run.count);
    }

    /// The run that a message is in, and who holds it.
    pub(super) fn find(&self, id: u64) -> Option<(usize, ConsumerId)> {
        let (_, &key) = self.by_last_id.range(id..).next()?;
        let held = &self.slots[key].held;
        (held.stamp.first_id <= id).then_some((key, held.holder))
    }

    /// Takes out one message of the run that was found for it.
    pub(super) fn remove(&mut self, list: &mut HeldList, key: usize, id: u64) -> Held {
        let before = id - self.slots[key].held.stamp.first_id;
        if before > 0 {
            let before = u32::try_from(before).expect("a run's count fits");
            self.split(list, key, before);
        }
        let held = self.slots[key].held;
        if held.run.count == 1 {
            return self.remove_run(list, key);
        }
        self.slots[key].held = held.tail(1);
        list.count -= 1;
        self.count -= 1;
        held.head(1)
    }

    /// Moves the deadline of a message that was found: `timeout` from now, but at most `max` after it was claimed.
    pub(super) fn extend(
        &mut self,
        list: &mut HeldList,
        (key, id): (usize, u64),
        now: Instant,
        (timeout, max): (Duration, Duration),
    ) {
        let mut held = self.remove(list, key, id);
        held.deadline = (now + timeout).min(held.claimed_at + max);
        self.insert(list, held);
    }

    /// The deadline that comes next in a consumer's list.
    pub(super) fn next_deadline(&self, list: &HeldList) -> Option<Instant> {
        list.first.map(|key| self.slots[key].held.deadline)
    }

    /// Takes out the first messages of a consumer's list if their deadline has come.
    pub(super) fn pop_expired(&mut self, list: &mut HeldList, now: Instant) -> Option<Run> {
        (self.next_deadline(list)? <= now).then(|| self.pop(list))?
    }

    /// Takes out the first messages of a consumer's list.
    pub(super) fn pop(&mut self, list: &mut HeldList) -> Option<Run> {
        list.first.map(|key| self.remove_run(list, key).run)
    }

    /// All messages, in no order.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        self.slots.iter().map(|(_, slot)| slot.held.run)
    }

    /// Tells where messages of a consumer in `segment` are now: `moved(entry)` is the new place, if it has one. They keep
    /// their turns in the list.
    pub(super) fn relocate(
        &mut self,
        list: &mut HeldList,
        segment: u64,
        mut moved: impl FnMut(Entry) -> Option<Entry>,
    ) {
        let mut next = list.first;
        while let Some(key) = next {
            next = self.slots[key].after;
            let run = self.slots[key].held.run;
            if run.first.segment != segment {
                continue;
            }
            let mut rest = run.first.index;
            for entry in run.entries() {
                if let Some(place) = moved(entry) {
                    let single = self.isolate(list, key, entry.index - rest);
                    self.slots[single].held.run.first = place;
                    rest = entry.index + 1;
                }
            }
        }
    }

    /// Gives the message that comes after the first `before` ones of a run a run of its own; what comes after it, if
    /// anything, stays in the old one.
    fn isolate(&mut self, list: &mut HeldList, key: usize, before: u32) -> usize {
        if before > 0 {
            self.split(list, key, before);
        }
        if self.slots[key].held.run.count == 1 {
            return key;
        }
        self.split(list, key, 1)
    }

    /// Moves the first `count` messages of a run, which has more, to a new one right before it; returns that.
    fn split(&mut self, list: &mut HeldList, key: usize, count: u32) -> usize {
        let whole = self.slots[key].held;
        self.slots[key].held = whole.tail(count);
        let head = self.add_slot(whole.head(count));
        let before = self.slots[key].before;
        self.link_between(list, head, (before, Some(key)));
        head
    }

    fn remove_run(&mut self, list: &mut HeldList, key: usize) -> Held {
        self.unlink(list, key);
        let held = self.slots.remove(key).held;
        let last_id = held.last_id();
        if self.by_last_id.get(&last_id) == Some(&key) {
            self.by_last_id.remove(&last_id);
        }
        list.count -= u64::from(held.run.count);
        self.count -= u64::from(held.run.count);
        held
    }

    fn add_slot(&mut self, held: Held) -> usize {
        let key = self.slots.insert(Slot {
            held,
            before: None,
            after: None,
        });
        self.by_last_id.insert(held.last_id(), key);
        key
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
            Some(other) => self.slots[other].after,
            None => list.first,
        };
        self.link_between(list, key, (before, after));
    }

    fn link_between(
        &mut self,
        list: &mut HeldList,
        key: usize,
        (before, after): (Option<usize>, Option<usize>),
    ) {
        match before {
            Some(other) => self.slots[other].after = Some(key),
            None => list.first = Some(key),
        }
        match after {
            Some(other) => self.slots[other].before = Some(key),
            None => list.last = Some(key),
        }
        let slot = &mut self.slots[key];
        (slot.before, slot.after) = (before, after);
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
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::channel::Locality;
    use crate::channel::state::State;

    /// What a consumer holds that claimed ids 100 to 109, which lie at 0 to 9.
    fn claimed() -> (InFlight, HeldList) {
        let now = Instant::now();
        let timeout = Duration::from_mins(1);
        let holder = State::default().add_consumer(timeout, Locality::default(), Arc::default());
        let (mut in_flight, mut list) = <(InFlight, HeldList)>::default();
        let held = Held {
            stamp: Stamp {
                timestamp_ns: 7,
                first_id: 100,
            },
            run: run(0, 10),
            holder,
            claimed_at: now,
            deadline: now + timeout,
        };
        in_flight.insert(&mut list, held);
        (in_flight, list)
    }

    fn run(index: u32, count: u32) -> Run {
        let first = Entry {
            segment: 3,
            index,
            attempts: 1,
        };
        Run { first, count }
    }

    fn remove(in_flight: &mut InFlight, list: &mut HeldList, id: u64) {
        let (key, _) = in_flight.find(id).unwrap();
        let held = in_flight.remove(list, key, id);
        assert_eq!((held.stamp.first_id, held.run.count), (id, 1));
        assert_eq!(u64::from(held.run.first.index), id - 100);
        assert!(in_flight.find(id).is_none());
    }

    /// Takes out all there is, in the order of the list.
    fn pop_all(mut in_flight: InFlight, mut list: HeldList) -> Vec<Run> {
        let runs = std::iter::from_fn(|| in_flight.pop(&mut list)).collect();
        assert_eq!((in_flight.count(), list.count()), (0, 0));
        assert!(in_flight.by_last_id.is_empty());
        runs
    }

    #[test]
    fn what_is_finished_in_order_leaves_one_run() {
        let (mut in_flight, mut list) = claimed();
        (100..104).for_each(|id| remove(&mut in_flight, &mut list, id));
        assert_eq!((in_flight.count(), list.count()), (6, 6));
        assert_eq!(pop_all(in_flight, list), [run(4, 6)]);
    }

    #[test]
    fn what_leaves_from_the_middle_or_the_end_splits_a_run() {
        let (mut in_flight, mut list) = claimed();
        for id in [104, 109, 102] {
            remove(&mut in_flight, &mut list, id);
        }
        assert!(in_flight.find(99).is_none() && in_flight.find(110).is_none());
        assert_eq!(pop_all(in_flight, list), [run(0, 2), run(3, 1), run(5, 4)]);
    }

    #[test]
    fn what_gets_more_time_goes_behind_the_others() {
        let (mut in_flight, mut list) = claimed();
        let (key, _) = in_flight.find(105).unwrap();
        let (now, time) = (Instant::now(), Duration::from_mins(2));
        in_flight.extend(&mut list, (key, 105), now, (time, time));
        assert_eq!(pop_all(in_flight, list), [run(0, 5), run(6, 4), run(5, 1)]);
    }

    #[test]
    fn what_moves_keeps_its_turn_and_its_id() {
        let (mut in_flight, mut list) = claimed();
        let moved = |entry: Entry| [0, 4, 5, 9].contains(&entry.index).then(|| place(entry));
        in_flight.relocate(&mut list, 3, moved);
        let (key, _) = in_flight.find(105).unwrap();
        assert_eq!(in_flight.slots[key].held.run, place(run(5, 1).first).into());
        let singles = [0, 4, 5, 9].map(|index| Run::from(place(run(index, 1).first)));
        let expected = [
            singles[0],
            run(1, 3),
            singles[1],
            singles[2],
            run(6, 3),
            singles[3],
        ];
        assert_eq!(pop_all(in_flight, list), expected);
    }

    fn place(entry: Entry) -> Entry {
        Entry {
            segment: 8,
            index: 50 - entry.index,
            ..entry
        }
    }
}
