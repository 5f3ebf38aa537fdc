//! Giving the disk what was appended while it stays in memory as well: for publishers who are answered after that.
//! Everything here blocks.

use std::io;
use std::sync::{Arc, Weak};

use super::memory::Buffer;
use super::record::Lane;
use super::segment::Segment;
use super::{Log, Open, State};

/// How far a commit came.
#[must_use = "what was written counts if it has succeeded"]
#[derive(Debug)]
pub struct Commit {
    /// The messages that it was about: as many as had been taken when it began, see [`Counters`](super::Counters).
    pub messages: u64,
    /// Whether they are where they were to be.
    pub outcome: io::Result<()>,
}

/// What is to be written of a log.
struct Work {
    messages: u64,
    sealed: Vec<Arc<Segment>>,
    open: [Tail; 2],
}

/// What an open segment had, and a copy of what the kernel has not been given of it.
struct Tail {
    segment: Arc<Segment>,
    /// The index of the first message in the copy.
    first: u32,
    copy: Buffer,
}

impl Log {
    /// Gives the kernel everything that was appended up to now.
    pub fn write_through(&self) -> Commit {
        self.commit(&[Lane::Main, Lane::Side], false)
    }

    /// Gives the kernel everything in the side lane.
    pub fn write_side(&self) -> Commit {
        self.commit(&[Lane::Side], false)
    }

    /// Waits until everything that was appended up to now is on stable storage, with the names that lead to it.
    pub fn sync_through(&self) -> Commit {
        self.commit(&[Lane::Main, Lane::Side], true)
    }

    fn commit(&self, lanes: &[Lane], synced: bool) -> Commit {
        let work = self.work(&mut self.state.lock(), lanes, synced);
        let mut outcome = self.write_work(&work);
        if synced {
            outcome = outcome.and_then(|()| self.sync_work(&work));
        }
        work.sealed.iter().for_each(|segment| segment.close());
        if outcome.is_ok() && synced {
            self.state.lock().forget_synced();
        }
        Commit {
            messages: work.messages,
            outcome,
        }
    }

    fn work(&self, state: &mut State, lanes: &[Lane], synced: bool) -> Work {
        let sealed = state.unsynced.iter().filter_map(Weak::upgrade);
        Work {
            messages: state.counters.messages,
            sealed: sealed
                .filter(|segment| lanes.contains(&segment.lane()) && !segment.is_written(synced))
                .collect(),
            open: [&state.open, &state.side].map(|open| {
                let wanted = lanes.contains(&open.segment.lane());
                self.tail(open, wanted)
            }),
        }
    }

    fn tail(&self, open: &Open, wanted: bool) -> Tail {
        let first = open.segment.written();
        let mut copy = self.memory.buffer();
        if wanted {
            copy.extend(&open.buffer, first..open.buffer.count());
        }
        Tail {
            segment: Arc::clone(&open.segment),
            first,
            copy,
        }
    }

    fn write_work(&self, work: &Work) -> io::Result<()> {
        for segment in &work.sealed {
            segment.write_sealed(&self.memory)?;
        }
        for tail in &work.open {
            let Tail {
                segment,
                first,
                copy,
            } = tail;
            segment.write(copy, *first, &self.memory)?;
        }
        Ok(())
    }

    fn sync_work(&self, work: &Work) -> io::Result<()> {
        for segment in &work.sealed {
            segment.sync(segment.count().unwrap_or(0))?;
        }
        for Tail {
            segment,
            first,
            copy,
        } in &work.open
        {
            segment.sync(first + copy.count())?;
        }
        // A name that can't be synced makes what it leads to worth nothing.
        let named = self.directory.sync_names();
        named.inspect_err(|_| self.distrust_written())
    }

    /// Notes that a sync has failed which was to cover what was written: whatever is still in memory is written again the
    /// next time.
    pub fn distrust_written(&self) {
        let in_memory: Vec<_> = {
            let mut state = self.state.lock();
            let aside = state.aside.iter().filter_map(Weak::upgrade);
            let sealed = state.sealed.iter().cloned().chain(aside);
            let sealed: Vec<_> = sealed.filter(|segment| !segment.is_spilled()).collect();
            state.unsynced = sealed.iter().map(Arc::downgrade).collect();
            let open = [&state.open, &state.side].map(|open| Arc::clone(&open.segment));
            sealed.into_iter().chain(open).collect()
        };
        for segment in in_memory {
            segment.settle(false);
        }
    }
}
