//! Looking at the messages of a channel without taking any: nothing here moves a cursor or counts a delivery.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Channel, Entry};
use crate::log::{Read, Segment};

/// Which of a channel's messages are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that can be delivered: what came back first, then what is new, in the order of publishing.
    Queued,
    /// Those that consumers hold, in the order of publishing.
    InFlight,
    /// Those that are not due yet, the next one first.
    Deferred,
}

/// A message that was seen. It can be read as long as this is held, whatever becomes of it meanwhile.
#[derive(Debug)]
pub struct Seen {
    segment: Arc<Segment>,
    index: u32,
    /// Deliveries so far.
    pub attempts: u16,
    /// When a deferred one becomes due.
    pub due: Option<Instant>,
}

impl Channel {
    /// Where the messages are: at most `count_max`, after the first `skip`.
    pub fn peek(&self, which: Which, skip: u64, count_max: usize) -> Vec<Seen> {
        if which == Which::Queued {
            return self.peek_queued(skip, count_max);
        }
        let mut entries: Vec<(Option<Instant>, Entry)> = {
            let inner = self.lock();
            match which {
                Which::Deferred => {
                    let entries = inner.state.deferred_entries();
                    entries.map(|(due, entry)| (Some(due), entry)).collect()
                }
                _ => inner
                    .state
                    .in_flight_entries()
                    .map(|entry| (None, entry))
                    .collect(),
            }
        };
        // Not under the lock: there may be millions.
        entries.sort_unstable();
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let chosen = entries.into_iter().skip(skip).take(count_max);
        let inner = self.lock();
        let seen = |(due, entry): (_, Entry)| {
            let segment = inner.state.holds.segment(entry)?;
            Some(Seen {
                due,
                ..Seen::at(segment, entry)
            })
        };
        chosen.filter_map(seen).collect()
    }

    fn peek_queued(&self, mut skip: u64, count_max: usize) -> Vec<Seen> {
        let inner = self.lock();
        let mut seen = Vec::new();
        for run in inner.state.again() {
            let left = count_max - seen.len();
            let Some(segment) = inner.state.holds.segment(run.first) else {
                continue;
            };
            let skipped = skip.min(run.count.into());
            skip -= skipped;
            let entries = run
                .entries()
                .skip(usize::try_from(skipped).unwrap_or(usize::MAX));
            seen.extend(entries.take(left).map(|entry| Seen::at(segment, entry)));
            if seen.len() == count_max {
                return seen;
            }
        }
        let places = self
            .log
            .waiting_places(self.reader, skip, count_max - seen.len());
        seen.extend(places.into_iter().map(|(segment, index)| Seen {
            segment,
            index,
            attempts: 0,
            due: None,
        }));
        seen
    }

    /// Appends the frame of a message that was seen to `out`, and tells whether there is one: a message that is damaged
    /// on disk has none. Blocks.
    ///
    /// # Errors
    /// Its segment can't be read at the moment.
    pub fn read_seen(&self, seen: &Seen, out: &mut Vec<u8>) -> io::Result<bool> {
        let read = match self.log.read(&seen.segment, seen.index, out) {
            Read::OnDisk => {
                let _loaded = seen.segment.load(self.log.memory())?;
                self.log.read(&seen.segment, seen.index, out)
            }
            read => read,
        };
        Ok(read == Read::Copied)
    }
}

impl Seen {
    fn at(segment: &Arc<Segment>, entry: Entry) -> Self {
        Self {
            segment: Arc::clone(segment),
            index: entry.index,
            attempts: entry.attempts,
            due: None,
        }
    }
}
