//! Appending to a log: encoding messages once, sealing segments that are full, and waking who waits.

use std::sync::Arc;

use client::wire::{ATTEMPTS_AT, BODY_AT, MessageId, TIMESTAMP_AT};
use parking_lot::MutexGuard;

use super::memory::Tag;
use super::record::Lane;
use super::segment::Segment;
use super::{Log, Open, State, Waiter};

/// So much lies in a drained segment before it is started anew, that quiet traffic seldom pays for that.
const RECYCLED_BYTES: usize = 32 << 10;

/// What nsqd adds to the messages of a publish.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// When it was accepted, in nanoseconds since the Unix epoch.
    pub timestamp_ns: i64,
    /// The number that becomes the first message's id; the others follow.
    pub first_id: u64,
}

/// The topic is being deleted, or the daemon stops: nothing is appended any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("exiting")]
pub struct Closed;

impl Log {
    /// Appends the messages of one publish, all or none, and moves those who wait for messages to `woken`, to be rung
    /// after every lock is gone. Returns how many messages it has taken so far, see [`Counters`](super::Counters).
    pub fn append<'a>(
        &self,
        stamp: Stamp,
        bodies: impl Iterator<Item = &'a [u8]>,
        woken: &mut Vec<Arc<dyn Waiter>>,
    ) -> Result<u64, Closed> {
        let mut state = self.lock_to_append()?;
        if state.open.segment.written() == 0 && state.open.buffer.bytes() >= RECYCLED_BYTES {
            self.recycle(&mut state);
        }
        for (id, body) in (stamp.first_id..).zip(bodies) {
            if !state.open.buffer.has_room(body) {
                self.seal(&mut state);
            }
            state
                .open
                .buffer
                .push(stamp.timestamp_ns, MessageId::from_u64(id), body);
            state.counters.messages += 1;
            state.counters.bytes += body.len() as u64;
        }
        state.open.buffer.charge();
        self.enforce_limits(&mut state);
        if state.visible.is_none() {
            state.wake(woken);
        }
        Ok(state.counters.messages)
    }

    /// Appends a deferred message to the side lane; returns where it is, and how many messages were taken so far.
    pub fn append_deferred(
        &self,
        stamp: Stamp,
        body: &[u8],
        due_ns: i64,
    ) -> Result<(Arc<Segment>, u32, u64), Closed> {
        let mut state = self.lock_to_append()?;
        state.counters.messages += 1;
        state.counters.bytes += body.len() as u64;
        let id = MessageId::from_u64(stamp.first_id);
        let tag = Tag {
            due_ns,
            moved: false,
        };
        let (segment, index) = self.append_aside(&mut state, stamp.timestamp_ns, id, body, tag);
        Ok((segment, index, state.counters.messages))
    }

    fn lock_to_append(&self) -> Result<MutexGuard<'_, State>, Closed> {
        let state = self.state.lock();
        self.note_activity();
        if state.closed { Err(Closed) } else { Ok(state) }
    }

    /// Refuses appends from now on.
    pub fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Appends a copy of a message, given as its frame, to the side lane, for a channel that no longer wants to hold
    /// the segment it was in. `None` when the log is closed.
    pub fn move_aside(&self, frame: &[u8], due_ns: i64) -> Option<(Arc<Segment>, u32)> {
        let timestamp = frame[TIMESTAMP_AT..ATTEMPTS_AT]
            .try_into()
            .expect("eight bytes");
        let timestamp_ns = i64::from_be_bytes(timestamp);
        let tag = Tag {
            due_ns,
            moved: true,
        };
        let mut state = self.lock_to_append().ok()?;
        Some(self.append_aside(
            &mut state,
            timestamp_ns,
            super::frame_id(frame),
            &frame[BODY_AT..],
            tag,
        ))
    }

    fn append_aside(
        &self,
        state: &mut State,
        timestamp_ns: i64,
        id: MessageId,
        body: &[u8],
        tag: Tag,
    ) -> (Arc<Segment>, u32) {
        if !state.side.buffer.has_room(body) {
            self.seal_side(state);
        }
        let index = state.side.buffer.count();
        state.side.buffer.push_tagged(timestamp_ns, id, body, tag);
        state.side.buffer.charge();
        (Arc::clone(&state.side.segment), index)
    }

    /// Starts the open segment anew, in the same warm buffer, if nobody needs any of it.
    fn recycle(&self, state: &mut State) {
        let drained = state.open.buffer.count() > 0
            && Arc::strong_count(&state.open.segment) == 1
            && state.lowest(|_| true) == Some(state.end());
        if drained {
            let base = state.end();
            let number = state.take_number();
            let epoch = self.random.next_u64();
            state.open.segment = Segment::open(number, Lane::Main, base, epoch, &self.directory);
            state.open.buffer.clear();
        }
    }

    /// Gives the memory of drained segments to others; called when a channel has run dry. What is of no use to others, as
    /// it is small, is kept for the next message: a quiet topic would take and free it for each one. A segment that has a
    /// file already goes on in it.
    pub fn release_if_drained(&self) {
        let mut state = self.state.lock();
        if state.open.segment.written() == 0 && state.open.buffer.is_reusable() {
            self.release(&mut state);
        }
    }

    /// Gives the memory of drained segments back, and their files; called every few seconds.
    pub fn release_if_idle(&self) {
        self.release(&mut self.state.lock());
    }

    fn release(&self, state: &mut State) {
        state.trim();
        self.recycle(state);
        if state.open.buffer.count() == 0 && state.open.buffer.is_warm() {
            state.open.buffer = self.memory.buffer();
        }
        let side_is_drained = Arc::strong_count(&state.side.segment) == 1;
        if side_is_drained && state.side.buffer.count() > 0 {
            self.replace_side(state);
        }
    }

    /// Ends the open segment; the next message starts another.
    pub(super) fn seal(&self, state: &mut State) {
        let base = state.end();
        let number = state.take_number();
        let next = Open {
            segment: Segment::open(
                number,
                Lane::Main,
                base,
                self.random.next_u64(),
                &self.directory,
            ),
            buffer: self.memory.buffer(),
        };
        let Open {
            segment,
            mut buffer,
        } = std::mem::replace(&mut state.open, next);
        // A publish larger than a segment seals in its middle.
        buffer.charge();
        segment.seal(buffer);
        state.note_unsynced(&segment);
        state.sealed.push_back(segment);
    }

    /// Ends the open segment of the side lane. From now on only channels hold it.
    pub(super) fn seal_side(&self, state: &mut State) {
        let Open { segment, buffer } = self.replace_side(state);
        segment.seal(buffer);
        state.note_unsynced(&segment);
        state.keep_aside(&segment);
        self.directory.call_for_care();
    }

    fn replace_side(&self, state: &mut State) -> Open {
        let number = state.take_number();
        let next = Open {
            segment: Segment::open(
                number,
                Lane::Side,
                0,
                self.random.next_u64(),
                &self.directory,
            ),
            buffer: self.memory.buffer(),
        };
        std::mem::replace(&mut state.side, next)
    }

    /// Sees to it that no more waits in memory than is allowed: drops what only ephemeral channels lag behind for, and
    /// seals what is to be spilled.
    fn enforce_limits(&self, state: &mut State) {
        let limit = self.settings.mem_queue_size;
        if state.end() - state.floor <= limit && !self.memory.over_budget() {
            return;
        }
        state.trim();
        if state.end() - state.floor <= limit && !self.memory.over_budget() {
            return;
        }
        let durable_floor = self.durable_floor(state);
        let only_ephemeral = durable_floor == state.end();
        while state.sealed.len() > 1
            && state.end() - state.floor > limit
            && state.sealed[0].end() <= durable_floor
        {
            let end = state.sealed[0].end();
            state.skip_ephemeral_to(end);
            state.trim();
        }
        // Small limits make small segments, but their number must not grow with the backlog.
        let count_min = if only_ephemeral {
            limit / 8 + 1
        } else {
            limit.max(8 * state.spilled).max(1)
        };
        if limit > 0 && u64::from(state.open.buffer.count()) >= count_min {
            self.seal(state);
        }
        if !only_ephemeral {
            self.directory.call_for_care();
        }
    }

    /// The lowest place from which messages must be kept, even on disk: the end where only ephemeral channels read.
    pub(super) fn durable_floor(&self, state: &State) -> u64 {
        if self.settings.ephemeral {
            return state.end();
        }
        if state.readers.is_empty() {
            return state.unclaimed;
        }
        state
            .lowest(|reader| !reader.ephemeral)
            .unwrap_or_else(|| state.end())
    }
}

impl State {
    /// Moves the cursors of ephemeral channels that lag behind `to` up to it, and counts what they lose. With no
    /// channel at all, it is what nobody has claimed yet that is lost (an ephemeral topic).
    pub(super) fn skip_ephemeral_to(&mut self, to: u64) {
        if self.readers.is_empty() {
            self.counters.dropped += to.saturating_sub(self.unclaimed);
            self.unclaimed = self.unclaimed.max(to);
        }
        // The border of a paused topic is never before a cursor.
        self.visible = self.visible.map(|visible| visible.max(to));
        for (_, reader) in &mut self.readers {
            if reader.cursor < to {
                self.counters.dropped += to - reader.cursor;
                reader.cursor = to;
            }
        }
    }
}
