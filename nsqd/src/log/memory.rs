//! The memory that holds messages: one budget for the whole process, and buffers that are reused, since the first
//! touch of a fresh page costs more than copying a message into a warm one.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use client::wire::{BODY_AT, MessageId, put_message};
use parking_lot::Mutex;

use crate::allocator;

/// Memory that is kept for reuse in any case.
const SPARE_BYTES_MIN: usize = 8 << 20;
/// Up to here a buffer grows by doubling.
const SMALL_BYTES: usize = 64 << 10;
/// How far above the budget memory may go while segments are on their way to disk.
const SLACK_BYTES: usize = 24 << 20;
/// Freed memory that is worth giving back to the system.
const TRIM_BYTES: usize = 16 << 20;
/// File images kept for reuse at most: one for the writer, one for a reader.
const SPARE_IMAGES_MAX: usize = 2;

/// The byte budget of the process, and the buffers waiting to be used again.
#[derive(Debug)]
pub struct Memory {
    budget: usize,
    segment_bytes: usize,
    used: AtomicUsize,
    /// The most that was used since the last look.
    peak: AtomicUsize,
    spare: Mutex<Spare>,
    images: Mutex<Vec<Vec<u8>>>,
    /// Why segments can't be spilled at the moment.
    fault: Mutex<Option<String>>,
}

/// Allocations that wait to be used again.
#[derive(Debug, Default)]
struct Spare {
    parts: Vec<Parts>,
    bytes: usize,
}

/// The allocations of a buffer that is empty.
#[derive(Debug, Default)]
struct Parts {
    frames: Vec<u8>,
    ends: Vec<u32>,
}

impl Memory {
    /// A budget of `budget` bytes (`--mem-queue-bytes`), for segments of about `segment_bytes` each.
    pub fn new(budget: usize, segment_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            segment_bytes,
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            spare: Mutex::default(),
            images: Mutex::default(),
            fault: Mutex::default(),
        })
    }

    /// Bytes that a segment may take before it is sealed.
    pub fn segment_bytes(&self) -> usize {
        self.segment_bytes
    }

    /// Bytes held by the messages in memory, capacity included.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether messages take more memory than the budget allows, so that segments must go to disk.
    pub fn over_budget(&self) -> bool {
        self.used() > self.budget
    }

    /// Whether spilling does not keep up (or fails), so that publishers must wait.
    pub fn exhausted(&self) -> bool {
        self.used() > self.budget + SLACK_BYTES
    }

    /// Why segments could not be spilled when it was last tried; `None` when that went well.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Notes how the last spilling went.
    pub fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock() = fault;
    }

    /// Lends bytes to put a file together in, or to read one into; they are empty at first.
    pub(super) fn with_image<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut image = self.images.lock().pop().unwrap_or_default();
        image.clear();
        let outcome = work(&mut image);
        let mut images = self.images.lock();
        if images.len() < SPARE_IMAGES_MAX && image.capacity() <= 4 * self.segment_bytes {
            images.push(image);
        }
        outcome
    }

    /// An empty buffer; the first message gives it memory, warm if there is some spare.
    pub fn buffer(self: &Arc<Self>) -> Buffer {
        let Parts { frames, ends } = Parts::default();
        Buffer {
            frames,
            ends,
            tags: Vec::new(),
            charged: 0,
            memory: Arc::clone(self),
        }
    }

    /// Keeps the allocations of a segment for the next one, within the budget. They are handed from thread to thread this
    /// way, where the allocator would hold the freed memory of each thread for itself.
    fn keep(&self, mut parts: Parts) {
        if self.is_reusable(&parts.frames) {
            parts.frames.clear();
            parts.ends.clear();
            let bytes = parts.bytes();
            let mut spare = self.spare.lock();
            if self.used() + spare.bytes + bytes <= self.budget + SLACK_BYTES {
                spare.bytes += bytes;
                spare.parts.push(parts);
            }
        }
    }

    /// Takes a spare allocation for frames of so many bytes.
    fn spare(&self, bytes: usize) -> Option<Parts> {
        let mut spare = self.spare.lock();
        // All have room for a segment; it is a message larger than that which has to look for one.
        let fitting = |parts: &Parts| parts.frames.capacity() >= bytes;
        let at = spare.parts.iter().rposition(fitting)?;
        Some(spare.take(at))
    }

    fn is_reusable(&self, frames: &Vec<u8>) -> bool {
        (self.segment_bytes..=self.segment_bytes * 2).contains(&frames.capacity())
    }

    /// Gives memory back to the system that was not needed since the last call; called every few seconds. Blocks.
    pub fn trim(&self) {
        let needed = self
            .peak
            .swap(self.used(), Ordering::Relaxed)
            .max(SPARE_BYTES_MIN);
        let mut unneeded = Vec::new();
        let mut spare = self.spare.lock();
        while self.used() + spare.bytes > needed
            && let Some(last) = spare.parts.len().checked_sub(1)
        {
            unneeded.push(spare.take(last));
        }
        drop(spare);
        let bytes: usize = unneeded.iter().map(Parts::bytes).sum();
        drop(unneeded);
        if bytes > TRIM_BYTES {
            allocator::trim();
        }
    }
}

impl Spare {
    fn take(&mut self, at: usize) -> Parts {
        let parts = self.parts.swap_remove(at);
        self.bytes -= parts.bytes();
        parts
    }
}

impl Parts {
    fn bytes(&self) -> usize {
        self.frames.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// What the side lane knows of a message beyond its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tag {
    /// Wall-clock time in nanoseconds before which the message must not be delivered; 0: none.
    pub due_ns: i64,
    /// The message was moved here for one channel; where the checkpoint does not name it, it is nobody's.
    pub moved: bool,
}

/// Messages in memory, one after the other, each as the frame that a consumer receives, with attempts = 1.
///
/// A message that could not be read back from disk keeps its index and has an empty frame.
#[derive(Debug)]
pub struct Buffer {
    frames: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<u32>,
    /// One per message in the side lane; empty in the main lane.
    tags: Vec<Tag>,
    charged: usize,
    memory: Arc<Memory>,
}

impl Buffer {
    /// Appends a message; the caller sees to it that the buffer stays below 4 GiB.
    pub fn push(&mut self, timestamp_ns: i64, id: MessageId, body: &[u8]) {
        self.make_room(BODY_AT + body.len());
        put_message(&mut self.frames, timestamp_ns, 1, id, body);
        self.end_frame();
    }

    /// Appends a message of the side lane.
    pub fn push_tagged(&mut self, timestamp_ns: i64, id: MessageId, body: &[u8], tag: Tag) {
        self.push(timestamp_ns, id, body);
        self.tags.push(tag);
    }

    /// Appends a place without a message.
    pub(super) fn push_absent(&mut self, tagged: bool) {
        self.end_frame();
        if tagged {
            self.tags.push(Tag::default());
        }
    }

    /// Whether its memory is of a size that another segment can use.
    pub(super) fn is_reusable(&self) -> bool {
        self.memory.is_reusable(&self.frames)
    }

    /// Whether it holds any memory.
    pub(super) fn is_warm(&self) -> bool {
        self.frames.capacity() > 0
    }

    /// Appends copies of the messages of another buffer.
    pub(super) fn extend(&mut self, other: &Self, range: Range<u32>) {
        self.make_room(other.frames(range.clone()).len());
        for index in range {
            self.frames.extend_from_slice(other.frame(index));
            self.end_frame();
            self.tags.extend(other.tags.get(index as usize));
        }
    }

    /// Whether a message still belongs in a segment of the usual size; one always does.
    pub(super) fn has_room(&self, body: &[u8]) -> bool {
        self.count() == 0 || self.frames.len() + BODY_AT + body.len() <= self.memory.segment_bytes
    }

    fn make_room(&mut self, bytes: usize) {
        if self.frames.capacity() - self.frames.len() < bytes {
            self.grow(bytes);
        }
    }

    /// Takes memory for `bytes` more: a spare buffer if there is one that will do, else doubling while it is small, and then all that a
    /// segment takes at once, so that the allocator sees one size and the next segment fits where this one was.
    #[cold]
    fn grow(&mut self, bytes: usize) {
        let needed = self.frames.len() + bytes;
        if let Some(Parts {
            mut frames,
            mut ends,
        }) = self.memory.spare(needed)
        {
            frames.extend_from_slice(&self.frames);
            ends.extend_from_slice(&self.ends);
            (self.frames, self.ends) = (frames, ends);
        } else if needed <= SMALL_BYTES {
            self.frames.reserve(bytes);
        } else {
            let target = needed.max(self.memory.segment_bytes);
            self.frames.reserve_exact(target - self.frames.len());
        }
    }

    fn end_frame(&mut self) {
        self.ends
            .push(u32::try_from(self.frames.len()).expect("a segment is below 4 GiB"));
    }

    /// Tells the budget of what was taken since the last call; called once per batch.
    pub fn charge(&mut self) {
        let held = self.frames.capacity() + self.ends.capacity() * 4 + self.tags.capacity() * 16;
        if held != self.charged {
            let change = held.wrapping_sub(self.charged);
            let before = self.memory.used.fetch_add(change, Ordering::Relaxed);
            self.memory
                .peak
                .fetch_max(before.wrapping_add(change), Ordering::Relaxed);
            self.charged = held;
        }
    }

    /// How many messages there are, absent ones included.
    pub fn count(&self) -> u32 {
        u32::try_from(self.ends.len()).expect("a segment is below 4 GiB")
    }

    /// Bytes of all frames.
    pub fn bytes(&self) -> usize {
        self.frames.len()
    }

    /// The frame of a message; empty where it could not be read.
    pub fn frame(&self, index: u32) -> &[u8] {
        self.frames(index..index + 1)
    }

    /// The frames of a run of messages, ready to be sent.
    pub fn frames(&self, run: Range<u32>) -> &[u8] {
        &self.frames[self.start(run.start)..self.start(run.end)]
    }

    /// What the side lane keeps of a message; nothing special in the main lane.
    pub fn tag(&self, index: u32) -> Tag {
        self.tags.get(index as usize).copied().unwrap_or_default()
    }

    /// The longest run from `from` on with at most `count_max` messages, `bytes_max` bytes (but at least one message)
    /// and no absent one.
    pub fn run(&self, from: u32, count_max: u32, bytes_max: usize) -> Range<u32> {
        let start = self.start(from);
        let mut end = from;
        let stop = self.count().min(from.saturating_add(count_max));
        while end < stop {
            let (frame_start, frame_end) = (self.start(end), self.start(end + 1));
            if frame_end == frame_start || (end > from && frame_end - start > bytes_max) {
                break;
            }
            end += 1;
        }
        from..end
    }

    /// Forgets all messages and keeps the allocations.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.ends.clear();
        self.tags.clear();
    }

    fn start(&self, index: u32) -> usize {
        match index {
            0 => 0,
            after => self.ends[after as usize - 1] as usize,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.charged, Ordering::Relaxed);
        self.memory.keep(Parts {
            frames: std::mem::take(&mut self.frames),
            ends: std::mem::take(&mut self.ends),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MessageId {
        MessageId::from_u64(number)
    }

    #[test]
    fn a_run_stops_at_count_bytes_and_absent_messages() {
        let memory = Memory::new(1 << 20, 1 << 10);
        let mut buffer = memory.buffer();
        for number in 0..4 {
            buffer.push(7, id(number), b"0123456789");
        }
        buffer.push_absent(false);
        buffer.push(7, id(5), b"x");
        assert_eq!(buffer.run(0, 2, 1000), 0..2);
        assert_eq!(buffer.run(0, 10, 1), 0..1, "one message always fits");
        assert_eq!(buffer.run(1, 10, 88), 1..3, "two frames of 44 bytes");
        assert_eq!(buffer.run(0, 10, 1000), 0..4);
        assert_eq!(buffer.run(4, 10, 1000), 4..4, "an absent message is no run");
        assert_eq!(buffer.run(5, 10, 1000), 5..6);
    }

    #[test]
    fn memory_is_charged_while_a_buffer_lives_and_its_allocation_is_used_again() {
        let memory = Memory::new(1 << 20, 1 << 10);
        let mut buffer = memory.buffer();
        buffer.push(7, id(1), &[0; 1500]);
        buffer.charge();
        assert!(memory.used() >= 1534);
        let address = buffer.frames(0..1).as_ptr();
        drop(buffer);
        assert_eq!(memory.used(), 0);
        for body in [&b"y"[..], &[0; 1500]] {
            let mut again = memory.buffer();
            again.push(8, id(2), body);
            assert_eq!(again.frames(0..1).as_ptr(), address);
        }
    }
}
