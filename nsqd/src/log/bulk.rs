//! Writing messages from elsewhere straight into sealed segment files, without a log in between: a topic that is
//! recovered over them finds them as if an earlier process had left them.

use std::io;
use std::sync::Arc;

use client::wire::MessageId;

use super::directory::Directory;
use super::memory::{Buffer, Memory, Tag};
use super::record::Lane;
use super::segment::Segment;
use crate::clock::Random;

/// Writes segments into a directory, one in memory at a time. Nothing is synced.
#[derive(Debug)]
pub struct BulkWriter {
    directory: Arc<Directory>,
    memory: Arc<Memory>,
    random: Arc<dyn Random>,
    lane: Lane,
    /// The number of the segment that the buffer becomes.
    number: u64,
    buffer: Buffer,
}

impl BulkWriter {
    /// Writes into `directory`, whose files it leaves behind, segments with the numbers from `number` on.
    pub fn new(
        directory: Arc<Directory>,
        memory: &Arc<Memory>,
        random: &Arc<dyn Random>,
        number: u64,
    ) -> Self {
        directory.keep_files();
        Self {
            directory,
            memory: Arc::clone(memory),
            random: Arc::clone(random),
            lane: Lane::Main,
            number,
            buffer: memory.buffer(),
        }
    }

    /// Ends a segment, and goes on in a new one in this lane; returns its number. Blocks.
    pub fn begin(&mut self, lane: Lane) -> io::Result<u64> {
        self.seal()?;
        self.lane = lane;
        Ok(self.number)
    }

    /// Adds a message; returns the number of its segment and its index there. One in the side lane is for the channel whose
    /// progress names it, and for no other. Blocks when a segment is full.
    pub fn push(
        &mut self,
        timestamp_ns: i64,
        id: MessageId,
        body: &[u8],
    ) -> io::Result<(u64, u32)> {
        if !self.buffer.has_room(body) {
            self.seal()?;
        }
        let place = (self.number, self.buffer.count());
        match self.lane {
            Lane::Main => self.buffer.push(timestamp_ns, id, body),
            Lane::Side => {
                let tag = Tag {
                    due_ns: 0,
                    moved: true,
                };
                self.buffer.push_tagged(timestamp_ns, id, body, tag);
            }
        }
        Ok(place)
    }

    fn seal(&mut self) -> io::Result<()> {
        if self.buffer.count() == 0 {
            return Ok(());
        }
        let epoch = self.random.next_u64();
        let segment = Segment::open(self.number, self.lane, 0, epoch, &self.directory);
        let mut buffer = std::mem::replace(&mut self.buffer, self.memory.buffer());
        buffer.charge();
        segment.seal(buffer);
        segment.write_sealed(&self.memory)?;
        self.number += 1;
        Ok(())
    }
}
