//! What goes to disk, and when: everything here blocks and belongs to the storage worker.

use std::io;
use std::sync::{Arc, Weak};

use super::memory::Buffer;
use super::record::Lane;
use super::segment::Segment;
use super::{Log, State};

impl Log {
    /// Moves the segments to disk that memory has no room for: those beyond `mem_queue_size`, and with the process over
    /// its byte budget all. Stops at the first error; what was not written is in memory as before. Blocks.
    pub fn spill_due(&self) -> io::Result<()> {
        if self.settings.ephemeral {
            return Ok(());
        }
        self.spill(|log, state| log.due(state))
    }

    /// Seals what is open and moves everything to disk that somebody still needs. Blocks.
    pub fn spill_all(&self) -> io::Result<()> {
        if self.settings.ephemeral {
            return Ok(());
        }
        self.spill(|log, state| {
            log.seal_needed(state);
            let floor = log.durable_floor(state);
            let main = state
                .sealed
                .iter()
                .filter(|segment| segment.end() > floor)
                .cloned();
            main.chain(state.aside.iter().filter_map(Weak::upgrade))
                .collect()
        })
    }

    fn spill(&self, choose: impl FnOnce(&Self, &mut State) -> Vec<Arc<Segment>>) -> io::Result<()> {
        let chosen = {
            let mut state = self.state.lock();
            state.aside.retain(|segment| segment.strong_count() > 0);
            choose(self, &mut state)
        };
        for segment in &chosen {
            segment.spill(&self.memory)?;
            self.state.lock().spilled += u64::from(segment.lane() == Lane::Main);
        }
        if !chosen.is_empty() {
            self.directory.sync()?;
        }
        Ok(())
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
        let main = state.sealed.iter().filter(|segment| segment.end() > floor);
        let mut due: Vec<_> = main
            .filter(in_memory_only)
            .filter(|segment| !room(segment))
            .cloned()
            .collect();
        let mut aside_in_memory = 0;
        for segment in state.aside.iter().filter_map(Weak::upgrade) {
            aside_in_memory += u64::from(segment.count().unwrap_or(0));
            if !segment.is_spilled() && (over_budget || aside_in_memory > limit) {
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

    /// Gives the kernel everything that was appended up to now (`--mem-queue-size=0`). Blocks.
    pub fn write_through(&self) -> io::Result<()> {
        let unwritten = |segment: &Arc<Segment>| {
            segment
                .count()
                .is_some_and(|count| segment.written() < count)
        };
        let (sealed, open) = {
            let state = self.state.lock();
            let aside = state.aside.iter().filter_map(Weak::upgrade);
            let sealed: Vec<_> = state
                .sealed
                .iter()
                .cloned()
                .chain(aside)
                .filter(unwritten)
                .collect();
            let open = [&state.open, &state.side].map(|open| {
                let first = open.segment.written();
                let mut tail = self.memory.buffer();
                tail.extend(&open.buffer, first..open.buffer.count().max(first));
                (Arc::clone(&open.segment), first, tail)
            });
            (sealed, open)
        };
        for segment in sealed {
            if let Ok(buffer) = segment.resident() {
                segment.write(&buffer, 0, &self.memory)?;
            }
        }
        for (segment, first, tail) in open {
            let tail: Buffer = tail;
            if tail.count() > 0 {
                segment.write(&tail, first, &self.memory)?;
            }
        }
        Ok(())
    }

    /// Waits until what was written of the open segments is on stable storage. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        let open = {
            let state = self.state.lock();
            [
                Arc::clone(&state.open.segment),
                Arc::clone(&state.side.segment),
            ]
        };
        open.iter().try_for_each(|segment| segment.sync())
    }
}
