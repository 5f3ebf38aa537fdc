//! A channel across restarts, and the stragglers that it moves out of the way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::checkpoint::{ChannelProgress, Due};
use super::{Channel, Entry, Run};
use crate::log::Segment;

impl Channel {
    /// Where the channel is; `wall` tells what a due time is on the wall clock.
    pub fn progress(&self, wall: impl Fn(Instant) -> i64) -> ChannelProgress {
        let inner = self.lock();
        let (ready, deferred) = inner.state.unfinished();
        let mut deferred: Vec<_> = deferred
            .into_iter()
            .map(|(due, entry)| Due {
                entry,
                due_ns: wall(due),
            })
            .collect();
        deferred.sort_unstable_by_key(|due| (due.due_ns, due.entry));
        ChannelProgress {
            name: self.name.clone(),
            paused: inner.state.paused,
            cursor: self.log.position(self.reader),
            ready,
            deferred,
        }
    }

    /// Takes back what the channel had handed out or deferred when its progress was written. What was in memory only is
    /// gone after a crash.
    pub fn restore(
        &self,
        segments: &BTreeMap<u64, Arc<Segment>>,
        written: &ChannelProgress,
        due: impl Fn(i64) -> Instant,
    ) {
        let mut inner = self.lock();
        inner.state.paused = written.paused;
        let mut gone = 0_u64;
        // The segment of a run, and how many messages of the run are in it.
        let mut found = |run: Run| {
            let segment = segments.get(&run.first.segment);
            let end = segment.and_then(|segment| segment.count()).unwrap_or(0);
            let count = run.count.min(end.saturating_sub(run.first.index));
            gone += u64::from(run.count - count);
            segment.filter(|_| count > 0).zip(Some(count))
        };
        for run in &written.ready {
            if let Some((segment, count)) = found(*run) {
                inner.state.restore(segment, Run { count, ..*run });
            }
        }
        for Due { entry, due_ns } in &written.deferred {
            if let Some((segment, _)) = found((*entry).into()) {
                inner.state.defer(segment, *entry, due(*due_ns));
            }
        }
        if gone > 0 {
            tracing::warn!(channel = %self.name, messages = gone,
                "unfinished messages are gone: finished just before a crash, or in memory only");
        }
        self.arm_next(&mut inner);
    }

    /// Copies messages that have been unfinished for long to the side lane, where only they keep a whole segment from
    /// being dropped; tells whether there were any. Blocks. Called every few seconds.
    pub fn move_stragglers(&self) -> bool {
        let segments = {
            let mut inner = self.lock();
            if !inner.state.holds.is_empty() {
                self.log.note_activity();
            }
            inner.state.holds.look_for_stragglers()
        };
        for segment in &segments {
            if let Err(error) = self.move_from(segment) {
                tracing::warn!(channel = %self.name, segment = segment.number(), %error,
                    "stragglers not moved; trying again");
            }
        }
        !segments.is_empty()
    }

    fn move_from(&self, segment: &Arc<Segment>) -> std::io::Result<()> {
        // Not under the lock: it may come from disk.
        let buffer = segment.load(self.log.memory())?;
        let mut inner = self.lock();
        if inner.state.exiting {
            return Ok(());
        }
        let mut moved: HashMap<u32, (Arc<Segment>, u32)> = HashMap::new();
        inner.state.relocate(segment.number(), |entry| {
            if entry.segment != segment.number() || buffer.frame(entry.index).is_empty() {
                return None;
            }
            let place = self
                .log
                .move_aside(buffer.frame(entry.index), buffer.tag(entry.index).due_ns)?;
            let to = Entry {
                segment: place.0.number(),
                index: place.1,
                ..entry
            };
            moved.insert(entry.index, place);
            Some(to)
        });
        for (index, (place, _)) in moved {
            inner.state.holds.add(&place, 1);
            inner.state.holds.release(Entry {
                segment: segment.number(),
                index,
                attempts: 0,
            });
        }
        Ok(())
    }
}
