//! Messages that go before new ones: what a consumer that left gave back, and what an earlier process left to be
//! delivered. In runs, so that a backlog of millions takes a few bytes.

use std::collections::VecDeque;

use super::state::Entry;

/// Unfinished messages that follow one another in a segment, and were handed out equally often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first one.
    pub first: Entry,
    /// How many there are, at least one.
    pub count: u32,
}

impl Run {
    /// Adds the run to the end of a list, as part of its last one where that goes on with it.
    pub fn append_to(self, runs: &mut Vec<Self>) {
        if let Some(last) = runs.last_mut()
            && last.end() == Some(self.first)
            && let Some(count) = last.count.checked_add(self.count)
        {
            last.count = count;
        } else {
            runs.push(self);
        }
    }

    /// The entry that would go on with it.
    fn end(self) -> Option<Entry> {
        let index = self.first.index.checked_add(self.count)?;
        Some(Entry {
            index,
            ..self.first
        })
    }

    /// Its messages.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry> {
        (self.first.index..)
            .take(self.count as usize)
            .map(move |index| Entry {
                index,
                ..self.first
            })
    }
}

impl From<Entry> for Run {
    fn from(first: Entry) -> Self {
        Self { first, count: 1 }
    }
}

/// The queue of these messages.
#[derive(Debug, Default)]
pub(super) struct Returned {
    runs: VecDeque<Run>,
    count: u64,
}

impl Returned {
    /// How many messages there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The message that is next.
    pub(super) fn front(&self) -> Option<Entry> {
        self.runs.front().map(|run| run.first)
    }

    /// Takes out the message that is next.
    pub(super) fn pop_front(&mut self) -> Option<Entry> {
        let run = self.runs.front_mut()?;
        let entry = run.first;
        run.count -= 1;
        if run.count == 0 {
            self.runs.pop_front();
        } else {
            run.first.index += 1;
        }
        self.count -= 1;
        Some(entry)
    }

    /// Adds messages behind all others.
    pub(super) fn push_back(&mut self, run: Run) {
        self.count += u64::from(run.count);
        self.runs.push_back(run);
    }

    /// Adds messages before all others, in their order.
    pub(super) fn put_before(&mut self, entries: Vec<Entry>) {
        self.count += entries.len() as u64;
        for entry in entries.into_iter().rev() {
            self.runs.push_front(entry.into());
        }
    }

    /// All messages, in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        self.runs.iter().copied()
    }

    /// Gives `change` every entry in `segment`.
    pub(super) fn for_each_entry(&mut self, segment: u64, mut change: impl FnMut(&mut Entry)) {
        let mut runs = Vec::new();
        for run in std::mem::take(&mut self.runs) {
            if run.first.segment != segment {
                runs.push(run);
                continue;
            }
            for mut entry in run.entries() {
                change(&mut entry);
                Run::from(entry).append_to(&mut runs);
            }
        }
        self.runs = runs.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(segment: u64, index: u32) -> Entry {
        Entry {
            segment,
            index,
            attempts: 2,
        }
    }

    fn run(segment: u64, index: u32, count: u32) -> Run {
        let first = entry(segment, index);
        Run { first, count }
    }

    #[test]
    fn what_goes_on_becomes_one_run() {
        let mut runs = Vec::new();
        for single in [entry(1, 5), entry(1, 6), entry(1, 8), entry(2, 9)] {
            Run::from(single).append_to(&mut runs);
        }
        run(2, 10, 7).append_to(&mut runs);
        let attempts = 3;
        let other = Entry {
            attempts,
            ..entry(2, 17)
        };
        Run::from(other).append_to(&mut runs);
        assert_eq!(
            runs,
            [run(1, 5, 2), run(1, 8, 1), run(2, 9, 8), other.into()]
        );
        run(4, u32::MAX, 1).append_to(&mut runs);
        run(4, 0, 1).append_to(&mut runs);
        assert_eq!(runs.len(), 6, "an index has an end");
    }

    #[test]
    fn messages_come_out_in_order_and_what_is_moved_stays_in_its_place() {
        let mut returned = Returned::default();
        returned.push_back(run(1, 0, 2));
        returned.push_back(run(2, 7, 3));
        returned.put_before(vec![entry(9, 1), entry(9, 2)]);
        returned.for_each_entry(2, |entry| {
            if entry.index > 7 {
                entry.segment = 5;
            }
        });
        assert_eq!(returned.count(), 7);
        let all: Vec<_> = std::iter::from_fn(|| returned.pop_front()).collect();
        let places: Vec<_> = all
            .iter()
            .map(|entry| (entry.segment, entry.index))
            .collect();
        assert_eq!(
            places,
            [(9, 1), (9, 2), (1, 0), (1, 1), (2, 7), (5, 8), (5, 9)]
        );
        assert_eq!((returned.count(), returned.front()), (0, None));
    }
}
