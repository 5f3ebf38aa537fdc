//! Which segments a channel still needs, because messages in them are unfinished.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::Entry;
use crate::log::Segment;

/// How many looks a segment must have survived before its last messages count as stragglers.
const PATIENCE: u8 = 5;
/// A segment of which at most one in this many messages is unfinished is held by stragglers.
const STRAGGLER_SHARE: u32 = 8;

/// The segments held, by number, each with the count of unfinished messages in it.
#[derive(Debug, Default)]
pub(super) struct Holds {
    segments: BTreeMap<u64, Hold>,
}

#[derive(Debug)]
struct Hold {
    segment: Arc<Segment>,
    unfinished: u32,
    looks: u8,
}

impl Holds {
    /// Notes `count` more unfinished messages in a segment.
    pub(super) fn add(&mut self, segment: &Arc<Segment>, count: u32) {
        self.segments
            .entry(segment.number())
            .or_insert_with(|| Hold {
                segment: Arc::clone(segment),
                unfinished: 0,
                looks: 0,
            })
            .unfinished += count;
    }

    /// Notes that one message is finished; lets go of the segment with its last one.
    pub(super) fn release(&mut self, entry: Entry) {
        let Some(hold) = self.segments.get_mut(&entry.segment) else {
            return;
        };
        hold.unfinished -= 1;
        if hold.unfinished == 0 {
            self.segments.remove(&entry.segment);
        }
    }

    /// The segment that an entry is in.
    pub(super) fn segment(&self, entry: Entry) -> Option<&Arc<Segment>> {
        self.segments.get(&entry.segment).map(|hold| &hold.segment)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.segments.clear();
    }

    /// The sealed segments that only a few old messages hold; called about once a second.
    pub(super) fn look_for_stragglers(&mut self) -> Vec<Arc<Segment>> {
        let mut found = Vec::new();
        for hold in self.segments.values_mut() {
            hold.looks = hold.looks.saturating_add(1);
            let Some(count) = hold.segment.count() else {
                continue;
            };
            if hold.looks > PATIENCE && hold.unfinished <= count / STRAGGLER_SHARE {
                found.push(Arc::clone(&hold.segment));
            }
        }
        found
    }
}
