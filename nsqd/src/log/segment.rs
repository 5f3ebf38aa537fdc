//! One segment of a log: open, then sealed in memory, then perhaps on disk only, at last dropped.
//!
//! ```text
//!   open ──seal──▶ memory ──spill──▶ disk ⇄ loaded for reading
//!     └───────────────┴────────────────┴──▶ dropped: the file goes, the buffer is used again
//! ```
//!
//! A segment lives as long as somebody may need it, and that is what its `Arc` counts: the log holds it while a cursor
//! may come, a channel while it has unfinished messages in it. When the last one lets go, its file is discarded.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::directory::{Directory, segment_name};
use super::file::{Disk, DiskFile, read_full_at, write_all_at};
use super::memory::{Buffer, Memory};
use super::record::{self, FILE_HEADER_BYTES, FileHeader, Lane};
use crate::sabotage::{Site, pass};

/// How often a failed read is tried again before the unreadable parts are given up.
const READ_ATTEMPTS: u32 = 3;
/// What is given up at once where a disk can't read.
const READ_PAGE_BYTES: usize = 4096;

/// A run of messages, in memory or in a file.
#[derive(Debug)]
pub struct Segment {
    number: u64,
    lane: Lane,
    /// The sequence number of its first message; in the side lane, where there is no order, 0.
    base: u64,
    epoch: u64,
    /// How many messages it has, known once it is sealed.
    count: OnceLock<u32>,
    body: Mutex<Body>,
    /// How many of its messages the kernel has been given.
    written: AtomicU32,
    /// How many of them are on stable storage.
    synced: AtomicU32,
    /// It is sealed, the kernel has all of it, and the header says so.
    complete: AtomicBool,
    damaged: AtomicBool,
    output: Mutex<Output>,
    directory: Arc<Directory>,
}

#[derive(Debug)]
enum Body {
    /// The buffer is the log's, which still appends to it.
    Open,
    /// Sealed, and in memory.
    Memory(Arc<Buffer>),
    /// On disk only; in memory as long as somebody reads it.
    Disk(Weak<Buffer>),
}

/// The file while it is written to. Its lock is held across writes, so only threads that may block take it.
#[derive(Debug, Default)]
struct Output {
    file: Option<Arc<dyn DiskFile>>,
    length: u64,
    /// The file is there, open or not.
    exists: bool,
    /// How often what had been written lost all trust.
    distrusted: u32,
}

impl Segment {
    pub(super) fn open(
        number: u64,
        lane: Lane,
        base: u64,
        epoch: u64,
        directory: &Arc<Directory>,
    ) -> Arc<Self> {
        Arc::new(Self {
            number,
            lane,
            base,
            epoch,
            count: OnceLock::new(),
            body: Mutex::new(Body::Open),
            written: AtomicU32::new(0),
            synced: AtomicU32::new(0),
            complete: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            output: Mutex::default(),
            directory: Arc::clone(directory),
        })
    }

    /// A segment that an earlier process left on disk.
    pub(super) fn recovered(
        header: &FileHeader,
        base: u64,
        directory: &Arc<Directory>,
    ) -> Arc<Self> {
        let segment = Self::open(header.number, header.lane, base, header.epoch, directory);
        segment.count.set(header.count).expect("just created");
        segment.written.store(header.count, Ordering::Relaxed);
        segment.synced.store(header.count, Ordering::Relaxed);
        segment.complete.store(true, Ordering::Relaxed);
        segment.output.lock().exists = true;
        *segment.body.lock() = Body::Disk(Weak::new());
        segment
    }

    /// Its number, unique within the topic and growing in the order of creation.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Which of the two lanes it belongs to.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The sequence number of its first message.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// How many messages it has; `None` while it is open.
    pub fn count(&self) -> Option<u32> {
        self.count.get().copied()
    }

    /// The sequence number after its last message; of an open segment, the first one.
    pub(super) fn end(&self) -> u64 {
        self.base + u64::from(self.count().unwrap_or(0))
    }

    /// How many of its messages the kernel has been given.
    pub(super) fn written(&self) -> u32 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether all of a sealed segment is with the kernel or, if that is asked for, on stable storage, and nothing is left
    /// to be done.
    pub(super) fn is_written(&self, synced: bool) -> bool {
        let stable = || Some(self.synced.load(Ordering::Acquire)) >= self.count();
        self.is_spilled() || (self.complete.load(Ordering::Acquire) && (!synced || stable()))
    }

    /// Whether its messages are on disk only.
    pub fn is_spilled(&self) -> bool {
        matches!(*self.body.lock(), Body::Disk(_))
    }

    /// Its messages, if they are in memory; `Err` says why not.
    pub(super) fn resident(&self) -> Result<Arc<Buffer>, Elsewhere> {
        match &*self.body.lock() {
            Body::Open => Err(Elsewhere::Open),
            Body::Memory(buffer) => Ok(Arc::clone(buffer)),
            Body::Disk(cached) => cached.upgrade().ok_or(Elsewhere::OnDisk),
        }
    }

    /// Ends the open state: `buffer` has all messages that there will be.
    pub(super) fn seal(&self, buffer: Buffer) {
        pass(Site::SegmentRoll);
        self.count
            .set(buffer.count())
            .expect("a segment is sealed once, under the log's lock");
        *self.body.lock() = Body::Memory(Arc::new(buffer));
    }

    /// Gives the kernel the messages of `buffer` that it has not been given yet; `buffer` has those from index `first`
    /// on. Blocks. After an error they are written again, at the same place.
    pub(super) fn write(&self, buffer: &Buffer, first: u32, memory: &Memory) -> io::Result<()> {
        let mut output = self.output.lock();
        let (written, end) = (self.written(), first + buffer.count());
        if written >= end {
            // Somebody else was faster, and may have spilled the segment: its file must not be created anew.
            return Ok(());
        }
        if written < first {
            // More is to be written than the caller has.
            return Err(lost_trust());
        }
        let file = self.open_output(&mut output)?;
        memory.with_image(|image| {
            if output.length == 0 {
                image.extend_from_slice(&self.header(0, 0).encode());
            }
            for index in written..end {
                record::encode(image, self.epoch, index, buffer, index - first);
            }
            write_all_at(&*file, image, output.length)?;
            output.length += image.len() as u64;
            self.written.store(end, Ordering::Release);
            Ok(())
        })
    }

    /// Gives the kernel all of a sealed segment, header included. Blocks. Its memory goes with [`Self::settle`], after a
    /// sync; after an error it is in memory as before.
    pub(super) fn write_sealed(&self, memory: &Memory) -> io::Result<()> {
        let Ok(buffer) = self.resident() else {
            return Ok(());
        };
        self.write(&buffer, 0, memory).inspect_err(|_| {
            if self.written() == 0 {
                self.forget_file();
            }
        })?;
        let mut output = self.output.lock();
        if self.complete.load(Ordering::Acquire) || !output.exists {
            return Ok(());
        }
        let file = self.open_output(&mut output)?;
        let record_bytes = output.length - FILE_HEADER_BYTES as u64;
        let header = self.header(buffer.count(), record_bytes);
        write_all_at(&*file, &header.encode(), 0).inspect_err(|_| self.distrust(&mut output))?;
        self.complete.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits until its first `end` messages, which were written, are on stable storage. Blocks, without a lock that
    /// writers need.
    ///
    /// # Errors
    /// The sync has failed, here or elsewhere: all of the segment is to be written again.
    pub(super) fn sync(&self, end: u32) -> io::Result<()> {
        let (file, written, distrusted) = {
            let mut output = self.output.lock();
            if self.synced.load(Ordering::Acquire) >= end {
                return Ok(());
            }
            if self.written() < end {
                return Err(lost_trust());
            }
            let file = self.open_output(&mut output)?;
            (file, self.written(), output.distrusted)
        };
        let synced = file.sync();
        let mut output = self.output.lock();
        if output.distrusted != distrusted {
            return Err(lost_trust());
        }
        synced.inspect_err(|_| self.distrust(&mut output))?;
        self.synced.fetch_max(written, Ordering::AcqRel);
        Ok(())
    }

    /// Closes the file if there is nothing more to write to it.
    pub(super) fn close(&self) {
        let mut output = self.output.lock();
        if self.complete.load(Ordering::Acquire) {
            output.file = None;
        }
    }

    /// Ends the writing of a sealed segment: what was written is on stable storage now, so that its memory can go; or
    /// the sync has failed, and it is all to be written again.
    pub(super) fn settle(&self, synced: bool) {
        let mut output = self.output.lock();
        if !synced {
            self.distrust(&mut output);
            return;
        }
        self.synced.store(self.written(), Ordering::Release);
        output.file = None;
        let mut body = self.body.lock();
        if let Body::Memory(buffer) = &*body {
            *body = Body::Disk(Arc::downgrade(buffer));
        }
    }

    /// After a failed sync the kernel may have dropped anything that was written and call it clean, so that a later
    /// sync which succeeds says nothing: all is written again first, from memory. It is written in place, since what the
    /// kernel still has survives the process.
    fn distrust(&self, output: &mut Output) {
        if self.is_spilled() {
            // A sync of all has succeeded meanwhile.
            return;
        }
        *output = Output {
            exists: output.exists,
            distrusted: output.distrusted + 1,
            ..Output::default()
        };
        self.written.store(0, Ordering::Release);
        self.synced.store(0, Ordering::Release);
        self.complete.store(false, Ordering::Release);
    }

    /// The file, opened or created if need be.
    fn open_output(&self, output: &mut Output) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &output.file {
            return Ok(Arc::clone(file));
        }
        let file: Arc<dyn DiskFile> = if output.exists {
            self.directory.disk().open(&self.path())?.into()
        } else {
            self.directory.create_file(&self.name())?.into()
        };
        output.exists = true;
        output.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Removes what a failed first write left, so that the space is free for somebody else.
    fn forget_file(&self) {
        *self.output.lock() = Output::default();
        // Best effort: if it can't be removed, the next attempt empties it.
        let _ = self.directory.disk().remove(&self.path());
    }

    /// Brings the messages of a spilled segment back to memory for as long as the result is held. Blocks. Messages that
    /// are damaged or can't be read are absent, and told in the log.
    ///
    /// # Errors
    /// Only such as may pass (no file descriptor, no memory): nothing is given up, try again later.
    pub fn load(&self, memory: &Arc<Memory>) -> io::Result<Arc<Buffer>> {
        // Held so that those who want the same segment wait for one read instead of each doing its own.
        let _reading = self.output.lock();
        match self.resident() {
            Ok(buffer) => return Ok(buffer),
            Err(Elsewhere::Open) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(Elsewhere::OnDisk) => {}
        }
        let buffer = Arc::new(memory.with_image(|image| self.read(image, memory))?);
        *self.body.lock() = Body::Disk(Arc::downgrade(&buffer));
        Ok(buffer)
    }

    fn read(&self, image: &mut Vec<u8>, memory: &Arc<Memory>) -> io::Result<Buffer> {
        let readable = match self.directory.disk().open(&self.path()) {
            Ok(file) => read_salvaging(&*file, image)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        let count = self.count().unwrap_or(0);
        let mut buffer = memory.buffer();
        let records = image.get(FILE_HEADER_BYTES..).unwrap_or_default();
        let scan = record::scan(records, self.epoch, self.lane, count, &mut buffer);
        let whole = readable && !scan.damaged && buffer.count() == count;
        while buffer.count() < count {
            buffer.push_absent(self.lane == Lane::Side);
        }
        if !whole {
            self.report_damage(&buffer);
        }
        Ok(buffer)
    }

    fn report_damage(&self, buffer: &Buffer) {
        let lost = (0..buffer.count())
            .filter(|&index| buffer.frame(index).is_empty())
            .count();
        if !self.damaged.swap(true, Ordering::Relaxed) {
            self.directory.count_damaged(lost as u64);
            tracing::error!(path = %self.path().display(), lost, kept = buffer.count() as usize - lost,
                "segment file is damaged; messages that cannot be read are skipped");
        }
    }

    fn header(&self, count: u32, record_bytes: u64) -> FileHeader {
        let Self {
            epoch,
            number,
            lane,
            ..
        } = *self;
        FileHeader {
            epoch,
            number,
            lane,
            count,
            record_bytes,
        }
    }

    /// Removes its file, though it may be needed at the next start: a fault.
    pub(super) fn unlink(&self) {
        self.directory.discard(&self.name(), false);
    }

    fn name(&self) -> String {
        segment_name(self.number, self.epoch, self.lane)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(self.name())
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.output.get_mut().exists {
            self.directory
                .discard(&self.name(), self.damaged.load(Ordering::Relaxed));
        }
    }
}

/// Why what was written since the caller looked does not count.
fn lost_trust() -> io::Error {
    io::Error::other("another sync has failed meanwhile, so all is written again")
}

/// Where the messages of a segment are, if not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// With the log, under its lock.
    Open,
    /// In its file.
    OnDisk,
}

/// Reads a file whole; where the disk refuses, page by page, with zeros for what it can't read. Returns whether all
/// could be read.
fn read_salvaging(file: &dyn DiskFile, image: &mut Vec<u8>) -> io::Result<bool> {
    image.resize(usize::try_from(file.length()?).unwrap_or(usize::MAX), 0);
    for _ in 0..READ_ATTEMPTS {
        if let Ok(count) = read_full_at(file, image, 0) {
            image.truncate(count);
            return Ok(true);
        }
    }
    for (number, page) in image.chunks_mut(READ_PAGE_BYTES).enumerate() {
        if read_full_at(file, page, (number * READ_PAGE_BYTES) as u64).is_err() {
            page.fill(0);
        }
    }
    Ok(false)
}

/// What a segment file that an earlier process left has in it.
#[derive(Debug)]
pub(super) enum Inspected {
    /// It was sealed and is whole.
    Whole(FileHeader),
    /// It had to be read, and was sealed at its last valid record.
    Scanned(FileHeader),
    /// No message was ever written to it whole.
    Empty,
    /// There are bytes, but no message that can be read.
    Unreadable,
}

/// Looks at a segment file that an earlier process left. One that was sealed and is whole is believed; any other is
/// read.
pub(super) fn inspect(
    disk: &dyn Disk,
    path: &std::path::Path,
    (number, epoch, lane): (u64, u64, Lane),
    memory: &Arc<Memory>,
) -> io::Result<Inspected> {
    let file = disk.open(path)?;
    let mut bytes = [0; FILE_HEADER_BYTES];
    let header = read_full_at(&*file, &mut bytes, 0)
        .ok()
        .and_then(|_| FileHeader::decode(&bytes));
    if let Some(header) = header
        && header.count > 0
        && (header.number, header.epoch, header.lane) == (number, epoch, lane)
        && file.length()? >= FILE_HEADER_BYTES as u64 + header.record_bytes
    {
        return Ok(Inspected::Whole(header));
    }
    memory.with_image(|image| {
        let readable = read_salvaging(&*file, image)?;
        let records = image.get(FILE_HEADER_BYTES..).unwrap_or_default();
        let mut buffer = memory.buffer();
        let scan = record::scan(records, epoch, lane, u32::MAX, &mut buffer);
        if buffer.count() == 0 {
            let zero = records.iter().all(|&byte| byte == 0);
            return Ok(if readable && (zero || record::is_torn(records, epoch)) {
                Inspected::Empty
            } else {
                Inspected::Unreadable
            });
        }
        let header = FileHeader {
            epoch,
            number,
            lane,
            count: buffer.count(),
            record_bytes: scan.valid_bytes as u64,
        };
        write_all_at(&*file, &header.encode(), 0)?;
        file.sync()?;
        Ok(Inspected::Scanned(header))
    })
}
