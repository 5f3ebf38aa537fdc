//! A topic's directory in memory, as an nsqd leaves it, and what can happen to the files in it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::wire::{BODY_AT, ID_AT, MessageId};
use nsqd::clock::Random;
use nsqd::log::{Care, Claim, Directory, Log, Memory, ReaderId, Recovered, Settings, Stamp};

use super::disk::MemoryDisk;

/// Where the files are.
pub(super) const TOPIC: &str = "/data/topics/t-orders";
/// What a log keeps, with nothing in memory only.
pub(super) const SETTINGS: Settings = Settings {
    mem_queue_size: 0,
    ephemeral: false,
};
/// Bytes of a segment file before its records, and of a record around its body.
const FILE_HEADER_BYTES: usize = 64;
const RECORD_HEADER_BYTES: usize = 40;
const RECORD_BYTES_MIN: usize = 48;
/// Bytes of a record with the longest [`body`].
pub(super) const RECORD_BYTES_MAX: usize = 144;

/// Numbers that are the same each time.
#[derive(Debug, Default)]
pub(super) struct Dice(AtomicU64);

impl Random for Dice {
    fn next_u64(&self) -> u64 {
        let thrown = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        thrown.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Memory for a log, in small segments.
pub(super) fn memory() -> Arc<Memory> {
    Memory::new(1 << 20, 512)
}

/// The directory of a topic on this disk.
pub(super) fn directory(disk: &MemoryDisk) -> Arc<Directory> {
    Directory::new(
        Arc::new(disk.clone()),
        TOPIC.into(),
        true,
        Care::new(&Arc::default()),
    )
}

/// A body that tells which message it belongs to.
pub(super) fn body(id: u64) -> Vec<u8> {
    let size = usize::try_from(id * 37 % 101).expect("it is below 101");
    id.to_be_bytes().into_iter().cycle().take(size).collect()
}

/// Writes a topic with `count` messages; the last segment is sealed, or still written to.
pub(super) fn write(count: u64, sealed: bool) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let memory = memory();
    let random: Arc<dyn Random> = Arc::new(Dice::default());
    let log = Log::new(SETTINGS, &memory, directory(&disk), &random);
    for first_id in 0..count {
        let stamp = Stamp {
            timestamp_ns: 7,
            first_id,
        };
        let body = body(first_id);
        log.append(stamp, std::iter::once(body.as_slice()), &mut Vec::new())
            .expect("the log is open");
    }
    if sealed {
        log.settle(log.write_all(), &Ok(()))
            .expect("memory takes all");
    } else {
        log.write_through().outcome.expect("memory takes all");
    }
    log.directory().keep_files();
    disk
}

/// Opens what is there and reads all of it: ids and bodies. What a log finds, it finds again.
pub(super) fn read(disk: &MemoryDisk) -> Vec<(u64, Vec<u8>)> {
    let found = read_once(disk);
    assert_eq!(read_once(disk), found, "recovery changes nothing");
    found
}

fn read_once(disk: &MemoryDisk) -> Vec<(u64, Vec<u8>)> {
    let memory = memory();
    let random: Arc<dyn Random> = Arc::new(Dice::default());
    let recovered = Log::recover(SETTINGS, &memory, directory(disk), &random, 0);
    let Recovered { log, segments, .. } = recovered.expect("memory can be read");
    log.directory().keep_files();
    let reader = log.restore_reader(false, (0, 0));
    log.finish_recovery();
    drop(segments);
    let mut frames = Vec::new();
    drain(&log, &memory, reader, &mut frames);
    split(&frames).collect()
}

fn drain(log: &Log, memory: &Arc<Memory>, reader: ReaderId, frames: &mut Vec<u8>) {
    let mut _loaded = None;
    loop {
        match log.claim(reader, u32::MAX, usize::MAX, frames) {
            Claim::Nothing => return,
            Claim::Run { .. } => {}
            Claim::OnDisk(segment) => {
                _loaded = Some(segment.load(memory).expect("memory can be read"));
            }
        }
    }
}

fn split(mut frames: &[u8]) -> impl Iterator<Item = (u64, Vec<u8>)> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(*frames.first_chunk()?) as usize + 4;
        let (frame, rest) = frames.split_at(size);
        frames = rest;
        let id = frame[ID_AT..BODY_AT]
            .try_into()
            .expect("an id has 16 bytes");
        let id = MessageId::from_bytes(id)
            .to_u64()
            .expect("ids are made by nsqd");
        Some((id, frame[BODY_AT..].to_vec()))
    })
}

/// Where the records of the messages are: the file and the bytes in it, in the order of publishing.
pub(super) fn records(files: &[(PathBuf, Vec<u8>)]) -> Vec<(PathBuf, Range<usize>)> {
    let mut records = Vec::new();
    for (path, content) in files {
        let mut at = FILE_HEADER_BYTES;
        while let Some(length) = content.get(at..).and_then(|rest| rest.first_chunk()) {
            let body = u32::from_be_bytes(*length) as usize;
            let end = (at + RECORD_HEADER_BYTES + body + 4).next_multiple_of(8);
            records.push((path.clone(), at..end));
            at = end;
        }
    }
    records
}

/// The most messages that a file of this many bytes can have.
pub(super) fn count_max(bytes: usize) -> usize {
    bytes / RECORD_BYTES_MIN
}

/// The path of a segment file with this number, whose epoch is 1.
pub(super) fn segment_path(number: u8, lane: &str) -> PathBuf {
    Path::new(TOPIC).join(format!("{number:012}-0000000000000001.{lane}"))
}
