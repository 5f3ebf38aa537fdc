//! Reading a log: claiming runs of new messages for a channel, and reading single ones again.

use std::sync::Arc;

use super::record::Lane;
use super::segment::{Elsewhere, Segment};
use super::{Log, ReaderId, State, Waiter};

/// What a claim found.
#[derive(Debug)]
pub enum Claim {
    /// A run of messages was copied, and the cursor is behind it. Their indices in the segment are
    /// `first..first + count`.
    Run {
        /// Where they are.
        segment: Arc<Segment>,
        /// The index of the first one.
        first: u32,
        /// How many.
        count: u32,
    },
    /// The next messages are on disk: load the segment (blocking) and claim again.
    OnDisk(Arc<Segment>),
    /// There is nothing.
    Nothing,
}

/// What reading a message again found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Its frame was copied.
    Copied,
    /// It is damaged on disk and lost.
    Absent,
    /// Load its segment (blocking) and read again.
    OnDisk,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages waiting.
    pub messages: u64,
    /// Those of them whose bytes are in a file.
    pub on_disk: u64,
}

impl std::ops::Add for Depth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            on_disk: self.on_disk + other.on_disk,
        }
    }
}

impl Log {
    /// Copies the frames of the next messages to `out`: at most `count_max`, and at most `bytes_max` bytes, but one
    /// message at least. Messages that were lost to damage are skipped.
    pub fn claim(
        &self,
        reader: ReaderId,
        count_max: u32,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Claim {
        let mut state = self.state.lock();
        let state = &mut *state;
        let end = state.visible_end();
        loop {
            let cursor = state.readers[reader.0].cursor;
            if cursor >= end {
                return Claim::Nothing;
            }
            let open = &state.open;
            let (segment, run) = if cursor >= open.segment.base() {
                let run = open
                    .buffer
                    .run(index_in(&open.segment, cursor), count_max, bytes_max);
                out.extend_from_slice(open.buffer.frames(run.clone()));
                (Arc::clone(&open.segment), run)
            } else {
                let at = state
                    .sealed
                    .partition_point(|segment| segment.end() <= cursor);
                let segment = Arc::clone(&state.sealed[at]);
                let Ok(buffer) = segment.resident() else {
                    if state.readers[reader.0].ephemeral {
                        state.skip_reader(reader, segment.end());
                        continue;
                    }
                    return Claim::OnDisk(segment);
                };
                let run = buffer.run(index_in(&segment, cursor), count_max, bytes_max);
                out.extend_from_slice(buffer.frames(run.clone()));
                (segment, run)
            };
            let count = run.end - run.start;
            // Where the run is empty, the message is absent: the cursor goes over it.
            state.readers[reader.0].cursor += u64::from(count.max(1));
            if segment
                .count()
                .is_some_and(|total| run.start + count.max(1) >= total)
            {
                state.trim();
            }
            if count > 0 {
                return Claim::Run {
                    segment,
                    first: run.start,
                    count,
                };
            }
        }
    }

    /// Registers whom to ring when there is more to claim; returns `false`, and does nothing, if there is already.
    pub fn wait(&self, reader: ReaderId, waiter: impl FnOnce() -> Arc<dyn Waiter>) -> bool {
        let mut state = self.state.lock();
        let nothing = state.readers[reader.0].cursor >= state.visible_end();
        if nothing {
            state.waiters.push((reader, waiter()));
        }
        nothing
    }

    /// Copies the frame of one message to `out`.
    pub fn read(&self, segment: &Arc<Segment>, index: u32, out: &mut Vec<u8>) -> Read {
        loop {
            let frame_bytes = match segment.resident() {
                Ok(buffer) => append(buffer.frame(index), out),
                Err(Elsewhere::OnDisk) => return Read::OnDisk,
                Err(Elsewhere::Open) => {
                    let state = self.state.lock();
                    match [&state.open, &state.side]
                        .into_iter()
                        .find(|open| Arc::ptr_eq(&open.segment, segment))
                    {
                        Some(open) => append(open.buffer.frame(index), out),
                        // It was sealed in between.
                        None => continue,
                    }
                }
            };
            return if frame_bytes == 0 {
                Read::Absent
            } else {
                Read::Copied
            };
        }
    }

    /// The segment that a reader comes to after `segment` of the main lane, if it is on disk: worth loading ahead.
    pub fn next_on_disk(&self, segment: &Segment) -> Option<Arc<Segment>> {
        if segment.lane() == Lane::Side {
            return None;
        }
        let state = self.state.lock();
        let at = state
            .sealed
            .partition_point(|other| other.number() <= segment.number());
        let next = state.sealed.get(at)?;
        next.resident().is_err().then(|| Arc::clone(next))
    }

    /// The sequence number of a reader's next message.
    pub fn cursor(&self, reader: ReaderId) -> u64 {
        self.state.lock().readers[reader.0].cursor
    }

    /// The sequence number after the last message that channels may see.
    pub fn visible_end(&self) -> u64 {
        self.state.lock().visible_end()
    }

    /// How many messages wait for a reader; cheaper than [`Log::depth`].
    pub fn waiting(&self, reader: ReaderId) -> u64 {
        let state = self.state.lock();
        state
            .visible_end()
            .saturating_sub(state.readers[reader.0].cursor)
    }

    /// Where the messages are that wait for a reader: at most `count_max`, after the first `skip`. Nothing moves.
    pub fn waiting_places(
        &self,
        reader: ReaderId,
        skip: u64,
        count_max: usize,
    ) -> Vec<(Arc<Segment>, u32)> {
        let state = self.state.lock();
        let first = state.readers[reader.0].cursor.saturating_add(skip);
        let place = |sequence| {
            let at = state
                .sealed
                .partition_point(|segment| segment.end() <= sequence);
            let segment = state.sealed.get(at).unwrap_or(&state.open.segment);
            (Arc::clone(segment), index_in(segment, sequence))
        };
        (first..state.visible_end())
            .take(count_max)
            .map(place)
            .collect()
    }

    /// How much waits for a reader.
    pub fn depth(&self, reader: ReaderId) -> Depth {
        let state = self.state.lock();
        state.depth_from(state.readers[reader.0].cursor, state.visible_end())
    }

    /// Moves a reader's cursor to the end of what it may see.
    pub fn skip_to_end(&self, reader: ReaderId) {
        let mut state = self.state.lock();
        state.readers[reader.0].cursor = state.visible_end();
        state.trim();
    }

    /// Where a reader's next message is, as it outlives the process.
    pub fn position(&self, reader: ReaderId) -> (u64, u32) {
        let state = self.state.lock();
        state.position_of(state.readers[reader.0].cursor)
    }
}

impl State {
    pub(super) fn depth_from(&self, from: u64, to: u64) -> Depth {
        let overlap = |base: u64, end: u64| end.min(to).saturating_sub(base.max(from));
        let sealed = self.sealed.iter().map(|segment| {
            overlap(
                segment.base(),
                segment.base() + u64::from(segment.written()),
            )
        });
        let open_base = self.open.segment.base();
        let open = overlap(
            open_base,
            open_base + u64::from(self.open.segment.written()),
        );
        Depth {
            messages: to.saturating_sub(from),
            on_disk: sealed.sum::<u64>() + open,
        }
    }

    pub(super) fn position_of(&self, sequence: u64) -> (u64, u32) {
        let at = self
            .sealed
            .partition_point(|segment| segment.end() <= sequence);
        let segment = self.sealed.get(at).unwrap_or(&self.open.segment);
        (
            segment.number(),
            index_in(segment, sequence.max(segment.base())),
        )
    }

    fn skip_reader(&mut self, reader: ReaderId, to: u64) {
        let reader = &mut self.readers[reader.0];
        self.counters.dropped += to - reader.cursor;
        reader.cursor = to;
        self.trim();
    }
}

fn index_in(segment: &Segment, sequence: u64) -> u32 {
    u32::try_from(sequence - segment.base()).expect("a segment has fewer than 2^32 messages")
}

fn append(frame: &[u8], out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(frame);
    frame.len()
}
