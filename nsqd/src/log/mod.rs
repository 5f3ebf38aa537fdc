//! The append-only log of a topic: every message once, whatever the number of channels.
//!
//! ```text
//!            cursor A        cursor B             end
//!               ▼               ▼                  ▼
//!   main  [segment][segment][segment][segment][open segment]      sequence numbers without gaps
//!           on disk   on disk  memory   memory     memory
//!   side  [segment][open segment]      deferred messages, and stragglers moved out of the way
//! ```
//!
//! The **main lane** has the messages in the order of publishing; a channel goes over it with a cursor, so that its
//! depth is a subtraction. The **side lane** has what is not delivered in order; only the channels' own lists lead to
//! it. A place that outlives the process is a segment's number and an index; sequence numbers are of this process.
//!
//! What always holds:
//! - a message is encoded once, as the frame of its first delivery, and copied from there to sockets;
//! - a segment is dropped when no cursor can come to it and no channel has unfinished messages in it, see [`Segment`];
//! - nothing is written, read or removed on disk under the log's lock;
//! - lock order: channel → log → segment body → memory. A segment's output lock is taken by blocking threads only,
//!   never under the log's.

mod append;
mod bulk;
mod commit;
mod directory;
mod file;
mod memory;
mod read;
mod record;
mod recovery;
mod segment;
#[cfg(test)]
pub(crate) mod sim_disk;
mod spill;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use slab::Slab;

pub use append::{Closed, Stamp};
pub use bulk::BulkWriter;
pub use commit::Commit;
pub(crate) use directory::NUMBER_LIMIT;
pub use directory::{Bell, Care, Directory};
pub(crate) use file::read_full_at;
pub use file::{
    Disk, DiskFile, RealDisk, read as read_file, replace as replace_file, temporary,
    write as write_file, write_temporary,
};
pub use memory::{Buffer, Memory, Tag};
pub use read::{Claim, Depth, Read};
pub use record::Lane;
pub(crate) use record::{frame_id, frame_timestamp};
pub use recovery::{Recovered, Report};
pub use segment::Segment;
pub use spill::Spill;

use crate::clock::Random;
use crate::sabotage::{Fault, is_on};

/// What a log is told of how it is to keep its messages.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Messages that wait in memory before further ones go to disk (`--mem-queue-size`).
    pub mem_queue_size: u64,
    /// Nothing is ever written to disk; beyond `mem_queue_size` the oldest messages are dropped.
    pub ephemeral: bool,
}

/// The log of one topic. Its state is behind one short lock.
#[derive(Debug)]
pub struct Log {
    settings: Settings,
    memory: Arc<Memory>,
    directory: Arc<Directory>,
    random: Arc<dyn Random>,
    /// Something has happened since the storage worker looked.
    active: AtomicBool,
    state: Mutex<State>,
}

/// Who is told when there are messages to deliver.
pub trait Waiter: Debug + Send + Sync {
    /// There may be `messages` more than before; called without any lock held.
    fn ring(&self, messages: u64);
}

/// A channel's cursor on a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderId(usize);

#[derive(Debug)]
struct Reader {
    /// The sequence number of the next message to be claimed.
    cursor: u64,
    /// An ephemeral channel's: it skips what is not in memory any more.
    ephemeral: bool,
}

#[derive(Debug)]
struct State {
    /// Main lane, from the first segment that a cursor may come to.
    sealed: VecDeque<Arc<Segment>>,
    open: Open,
    side: Open,
    /// Sealed segments that only channels hold: for spilling when memory is short.
    aside: Vec<Weak<Segment>>,
    /// Sealed segments of either lane that may not be on stable storage.
    unsynced: Vec<Weak<Segment>>,
    next_number: u64,
    /// Nothing is appended any more.
    closed: bool,
    /// Where the part that channels may see ends while the topic is paused.
    visible: Option<u64>,
    readers: Slab<Reader>,
    /// The oldest message that no channel has had a claim to; of meaning while there is no channel.
    unclaimed: u64,
    /// Whom the next append wakes, and for which reader.
    waiters: Vec<(ReaderId, Arc<dyn Waiter>)>,
    /// At most the lowest cursor; brought up to date when it matters.
    floor: u64,
    /// Main segments on disk, which new ones grow with.
    spilled: u64,
    counters: Counters,
}

/// Messages that a log has taken since the process started, side lane included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages published.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages that an ephemeral channel or topic lost because they did not fit in memory.
    pub dropped: u64,
}

/// A segment that is appended to, with the buffer that becomes its body.
#[derive(Debug)]
struct Open {
    segment: Arc<Segment>,
    buffer: Buffer,
}

impl Log {
    /// An empty log.
    pub fn new(
        settings: Settings,
        memory: &Arc<Memory>,
        directory: Arc<Directory>,
        random: &Arc<dyn Random>,
    ) -> Self {
        let state = State {
            open: Open {
                segment: Segment::open(0, Lane::Main, 0, random.next_u64(), &directory),
                buffer: memory.buffer(),
            },
            side: Open {
                segment: Segment::open(1, Lane::Side, 0, random.next_u64(), &directory),
                buffer: memory.buffer(),
            },
            next_number: 2,
            closed: false,
            sealed: VecDeque::new(),
            aside: Vec::new(),
            unsynced: Vec::new(),
            visible: None,
            readers: Slab::new(),
            unclaimed: 0,
            waiters: Vec::new(),
            floor: 0,
            spilled: 0,
            counters: Counters::default(),
        };
        directory.stir();
        Self {
            settings,
            memory: Arc::clone(memory),
            directory,
            random: Arc::clone(random),
            active: AtomicBool::new(true),
            state: Mutex::new(state),
        }
    }

    /// Where it is on disk.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The memory that its messages are in.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Notes that there is something new to be brought to disk.
    pub fn note_activity(&self) {
        if !self.active.load(Ordering::Relaxed) {
            self.active.store(true, Ordering::Relaxed);
            self.directory.stir();
        }
    }

    /// Whether there was activity since the last call.
    pub fn take_activity(&self) -> bool {
        self.active.swap(false, Ordering::Relaxed)
    }

    /// What was taken so far.
    pub fn counters(&self) -> Counters {
        self.state.lock().counters
    }

    /// Adds a cursor. The first one starts at the oldest message that nobody had a claim to, every other one at the end
    /// of what channels may see.
    pub fn add_reader(&self, ephemeral: bool) -> ReaderId {
        let mut state = self.state.lock();
        let cursor = if state.readers.is_empty() {
            state.unclaimed
        } else {
            state.visible_end()
        };
        ReaderId(state.readers.insert(Reader { cursor, ephemeral }))
    }

    /// Removes a cursor; what only it had not read yet is dropped. What is published from now on waits for the next
    /// first channel, if this was the last one.
    pub fn remove_reader(&self, reader: ReaderId) {
        let mut state = self.state.lock();
        state.readers.remove(reader.0);
        state.waiters.retain(|(waits, _)| *waits != reader);
        if state.readers.is_empty() {
            state.unclaimed = state.visible_end();
        }
        state.trim();
    }

    /// Stops showing what is published from now on to the channels (a topic's pause), or shows it (`false`).
    pub fn set_paused(&self, paused: bool, woken: &mut Vec<Arc<dyn Waiter>>) {
        let mut state = self.state.lock();
        if !paused {
            state.visible = None;
            state.wake(woken);
        } else if state.visible.is_none() {
            // The border lies between segments, so that emptying a paused topic drops whole ones.
            if state.open.buffer.count() > 0 {
                self.seal(&mut state);
            }
            // What nobody has claimed yet is not shown to a channel that is created meanwhile.
            state.visible = Some(state.unshown().unwrap_or_else(|| state.end()));
        }
    }

    /// Drops what no channel has been shown yet; returns how many messages that were.
    pub fn empty(&self) -> u64 {
        let mut state = self.state.lock();
        let Some(from) = state.unshown() else {
            return 0;
        };
        let end = state.end();
        let inside = |segment: &Segment, end| segment.base() < from && from < end;
        let border_is_inside = inside(&state.open.segment, end)
            || state
                .sealed
                .iter()
                .any(|segment| inside(segment, segment.end()));
        while state
            .sealed
            .back()
            .is_some_and(|segment| segment.base() >= from)
        {
            state.sealed.pop_back();
        }
        // Where the border is inside a segment, no channel is behind it, and numbers go on; else they are given again,
        // so that a channel which is still before the border finds no gap there.
        let base = if border_is_inside || state.readers.is_empty() {
            end
        } else {
            from
        };
        for (_, reader) in &mut state.readers {
            if reader.cursor >= from {
                reader.cursor = base;
            }
        }
        let number = state.take_number();
        let epoch = self.random.next_u64();
        state.open = Open {
            segment: Segment::open(number, Lane::Main, base, epoch, &self.directory),
            buffer: self.memory.buffer(),
        };
        state.unclaimed = base;
        state.visible = state.visible.map(|_| base);
        state.trim();
        end - from
    }

    /// Messages that no channel has been shown yet.
    pub fn unshown(&self) -> Depth {
        let state = self.state.lock();
        state
            .unshown()
            .map_or(Depth::default(), |from| state.depth_from(from, state.end()))
    }
}

impl State {
    fn end(&self) -> u64 {
        self.open.segment.base() + u64::from(self.open.buffer.count())
    }

    fn visible_end(&self) -> u64 {
        self.visible.unwrap_or_else(|| self.end())
    }

    /// Where the messages start that no channel has been shown; `None` if they are all shown as they come.
    fn unshown(&self) -> Option<u64> {
        if self.readers.is_empty() {
            Some(self.unclaimed)
        } else {
            self.visible
        }
    }

    /// The lowest place that somebody may still read from.
    fn lowest(&self, counts: impl Fn(&Reader) -> bool) -> Option<u64> {
        self.readers
            .iter()
            .filter(|(_, reader)| counts(reader))
            .map(|(_, reader)| reader.cursor)
            .min()
    }

    /// Lets go of the segments that no cursor can come to.
    fn trim(&mut self) {
        self.floor = self.lowest(|_| true).unwrap_or(self.unclaimed);
        while let Some(segment) = self.sealed.front()
            && segment.end() <= self.floor
        {
            self.spilled -= u64::from(segment.is_spilled()).min(self.spilled);
            let segment = self.sealed.pop_front().expect("just seen");
            if Arc::strong_count(&segment) > 1 {
                self.keep_aside(&segment);
                if is_on(Fault::UnlinkBeforeAckSync) {
                    segment.unlink();
                }
            }
        }
    }

    /// Notes a segment that only channels hold from now on.
    fn keep_aside(&mut self, segment: &Arc<Segment>) {
        if self.aside.len() == self.aside.capacity() {
            self.aside.retain(|segment| segment.strong_count() > 0);
        }
        self.aside.push(Arc::downgrade(segment));
    }

    /// Notes a segment that was sealed, and is in memory.
    fn note_unsynced(&mut self, segment: &Arc<Segment>) {
        if self.unsynced.len() == self.unsynced.capacity() {
            self.forget_synced();
        }
        self.unsynced.push(Arc::downgrade(segment));
    }

    fn forget_synced(&mut self) {
        self.unsynced.retain(|segment| {
            let segment = segment.upgrade();
            segment.is_some_and(|segment| !segment.is_written(true))
        });
    }

    /// Moves those who wait to `woken`.
    fn wake(&mut self, woken: &mut Vec<Arc<dyn Waiter>>) {
        woken.extend(self.waiters.drain(..).map(|(_, waiter)| waiter));
    }

    fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }
}
