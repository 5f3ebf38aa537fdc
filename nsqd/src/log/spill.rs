//! What goes to disk, and when: everything here blocks and belongs to the storage worker.

use std::io;
use std::sync::{Arc, Weak};

use super::record::Lane;
use super::segment::Segment;
use super::{Log, State};

/// Segments that were written, and wait for the sync after which their memory can go.
#[must_use = "the memory of its segments goes when it is settled"]
#[derive(Debug, Default)]
pub struct Spill {
    segments: Vec<Arc<Segment>>,
    /// Why not all were written.
    error: Option<io::Error>,
}

impl Spill {
    /// Whether there is something to sync.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

impl Log {
    /// Writes the segments that memory has no room for: those beyond `mem_queue_size`, and with the process over its byte
    /// budget all. Their memory goes when they are [settled](Self::settle). Blocks.
    pub fn write_due(&self) -> Spill {
        self.write(Self::due)
    }

    /// Seals what is open and writes everything that somebody still needs. Blocks.
    pub fn write_all(&self) -> Spill {
        self.write(|log, state| {
            log.seal_needed(state);
            let floor = log.durable_floor(state);
            let main = state
                .sealed
                .iter()
                .filter(|segment| is_needed(segment, floor))
                .cloned();
            main.chain(state.aside.iter().filter_map(Weak::upgrade))
                .filter(|segment| !segment.is_spilled())
                .collect()
        })
    }

    fn write(&self, choose: impl FnOnce(&Self, &mut State) -> Vec<Arc<Segment>>) -> Spill {
        let mut spill = Spill::default();
        if self.settings.ephemeral {
            return spill;
        }
        let chosen = {
            let mut state = self.state.lock();
            // What no cursor needs is in `aside` from now on, if a channel needs it.
            state.trim();
            state.aside.retain(|segment| segment.strong_count() > 0);
            choose(self, &mut state)
        };
        for segment in chosen {
            if let Err(error) = segment.write_sealed(&self.memory) {
                spill.error = Some(error);
                break;
            }
            segment.close();
            spill.segments.push(segment);
        }
        spill
    }

    /// Ends a spill once a sync has told that it is on stable storage, or that it can't be relied on: then everything is
    /// in memory as before, and is written again the next time.
    ///
    /// # Errors
    /// That of the writing, or of the sync.
    pub fn settle(&self, spill: Spill, synced: &io::Result<()>) -> io::Result<()> {
        for segment in &spill.segments {
            segment.settle(synced.is_ok());
            self.state.lock().spilled += u64::from(segment.lane() == Lane::Main && synced.is_ok());
        }
        match (spill.error, synced) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(io::Error::new(error.kind(), error.to_string())),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Which segments are to be spilled now, oldest first.
    fn due(&self, state: &mut State) -> Vec<Arc<Segment>> {
        let over_budget = self.memory.over_budget();
        if over_budget {
            self.seal_needed(state);
        }
        let floor = self.durable_floor(state);
        let limit = self.settings.mem_queue_size;
        let mut in_memory = u64::from(state.open.buffer.count());
        let mut room = |segment: &Segment| {
            in_memory += u64::from(segment.count().unwrap_or(0));
            in_memory <= limit && !over_budget
        };
        let in_memory_only = |segment: &&Arc<Segment>| !segment.is_spilled();
        let main = state
            .sealed
            .iter()
            .filter(|segment| is_needed(segment, floor));
        let mut due: Vec<_> = main
            .filter(in_memory_only)
            .filter(|segment| !room(segment))
            .cloned()
            .collect();
        let mut aside_in_memory = 0;
        for segment in state.aside.iter().filter_map(Weak::upgrade) {
            if segment.is_spilled() {
                continue;
            }
            aside_in_memory += u64::from(segment.count().unwrap_or(0));
            if over_budget || aside_in_memory > limit {
                due.push(segment);
            }
        }
        due
    }

    /// Seals the open segments of both lanes if somebody needs what is in them.
    fn seal_needed(&self, state: &mut State) {
        let main_is_needed =
            state.end() > self.durable_floor(state) || Arc::strong_count(&state.open.segment) > 1;
        if state.open.buffer.count() > 0 && main_is_needed {
            self.seal(state);
            state.trim();
        }
        if state.side.buffer.count() > 0 && Arc::strong_count(&state.side.segment) > 1 {
            self.seal_side(state);
        }
    }

    /// Spills and syncs what is due, by itself.
    #[cfg(test)]
    pub(crate) fn spill_due(&self) -> io::Result<()> {
        self.sync_and_settle(self.write_due())
    }

    /// Spills and syncs everything, by itself.
    #[cfg(test)]
    pub(crate) fn spill_all(&self) -> io::Result<()> {
        self.sync_and_settle(self.write_all())
    }

    #[cfg(test)]
    fn sync_and_settle(&self, spill: Spill) -> io::Result<()> {
        let synced = if spill.is_empty() {
            Ok(())
        } else {
            self.directory.disk().sync_all(self.directory.path())
        };
        self.settle(spill, &synced)
    }
}

/// Whether a segment must be kept, even on disk: a cursor comes to it, or a channel has unfinished messages in it.
fn is_needed(segment: &Arc<Segment>, floor: u64) -> bool {
    segment.end() > floor || Arc::strong_count(segment) > 1
}
