//! The log over a disk that tears, loses and refuses.

mod damage;
mod faults;
mod flips;
mod metadata;
mod model;
mod states;

use std::path::Path;
use std::sync::Arc;

use client::wire::{BODY_AT, MessageId};

use super::sim_disk::SimDisk;
use super::*;
use crate::clock::manual::Dice;

const TOPIC: &str = "/topics/t-orders";
const EVERYTHING: (u64, u32) = (0, 0);

/// A log and what it stands on.
struct Bench {
    disk: SimDisk,
    memory: Arc<Memory>,
    random: Arc<dyn Random>,
    settings: Settings,
    log: Log,
    next_id: u64,
}

impl Bench {
    fn new(mem_queue_size: u64, segment_bytes: usize) -> Self {
        let settings = Settings {
            mem_queue_size,
            ephemeral: false,
        };
        Self::with(settings, Memory::new(1 << 20, segment_bytes), 1)
    }

    fn with(settings: Settings, memory: Arc<Memory>, seed: u64) -> Self {
        let disk = SimDisk::new("/topics");
        let random: Arc<dyn Random> = Arc::new(Dice::new(seed));
        let log = Log::new(settings, &memory, directory(&disk, false), &random);
        Self {
            disk,
            memory,
            random,
            settings,
            log,
            next_id: 0,
        }
    }

    /// Appends messages with the next ids and bodies that follow from them.
    fn append(&mut self, count: u64) {
        let bodies: Vec<_> = (self.next_id..self.next_id + count).map(body).collect();
        self.append_bodies(&bodies);
    }

    fn append_bodies(&mut self, bodies: &[Vec<u8>]) {
        let stamp = Stamp {
            timestamp_ns: 7,
            first_id: self.next_id,
        };
        let bodies = bodies.iter().map(Vec::as_slice);
        self.next_id += bodies.len() as u64;
        self.log.append(stamp, bodies, &mut Vec::new()).unwrap();
    }

    /// Opens the log again, after whatever has happened to the disk.
    fn reopen(&mut self, number_min: u64) -> Recovered {
        self.log.directory().keep_files();
        let exists = self.disk.list(Path::new(TOPIC)).is_ok();
        let directory = directory(&self.disk, exists);
        let random = &self.random;
        let mut recovered =
            Log::recover(self.settings, &self.memory, directory, random, number_min).unwrap();
        let empty = Log::new(
            self.settings,
            &self.memory,
            self::directory(&self.disk, false),
            random,
        );
        self.log = std::mem::replace(&mut recovered.log, empty);
        recovered
    }

    /// Opens the log again and reads all that is there.
    fn recover_ids(&mut self) -> Vec<u64> {
        let recovered = self.reopen(0);
        let reader = self.log.restore_reader(false, EVERYTHING);
        self.log.finish_recovery();
        drop(recovered);
        self.drain(reader)
    }

    /// Claims all that there is for a reader; each message is checked against its id.
    fn drain(&self, reader: ReaderId) -> Vec<u64> {
        let mut ids = Vec::new();
        while let Some((_, _, claimed)) = self.claim(reader, u32::MAX) {
            ids.extend(claimed);
        }
        ids
    }

    /// Claims one run: its segment, the index of its first message, and the ids.
    fn claim(&self, reader: ReaderId, count_max: u32) -> Option<(Arc<Segment>, u32, Vec<u64>)> {
        let mut out = Vec::new();
        let mut _loaded = None;
        loop {
            match self.log.claim(reader, count_max, 2000, &mut out) {
                Claim::Nothing => return None,
                Claim::OnDisk(segment) => _loaded = Some(segment.load(&self.memory).unwrap()),
                Claim::Run {
                    segment,
                    first,
                    count,
                } => {
                    let ids = checked_ids(&out);
                    assert_eq!(ids.len(), count as usize);
                    return Some((segment, first, ids));
                }
            }
        }
    }

    fn segment_files(&self) -> Vec<std::path::PathBuf> {
        let mut files = self.disk.files(TOPIC);
        files.retain(|path| directory::parse_segment_name(path.file_name().unwrap()).is_some());
        files
    }
}

fn directory(disk: &SimDisk, exists: bool) -> Arc<Directory> {
    Directory::new(
        Arc::new(disk.clone()),
        TOPIC.into(),
        exists,
        Care::new(&Arc::default()),
    )
}

/// A body that tells which message it belongs to, of 0 to 300 bytes.
fn body(id: u64) -> Vec<u8> {
    let size = usize::try_from(id * 37 % 301).unwrap();
    id.to_be_bytes().into_iter().cycle().take(size).collect()
}

/// The ids of frames; panics if a body is not that of its message.
fn checked_ids(frames: &[u8]) -> Vec<u64> {
    split(frames)
        .map(|(id, found)| {
            assert_eq!(found, body(id), "message {id} is corrupt");
            id
        })
        .collect()
}

/// Ids and bodies of frames.
fn split(mut frames: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(*frames.first_chunk()?) as usize + 4;
        let (frame, rest) = frames.split_at(size);
        frames = rest;
        let id: MessageId = frame_id(frame);
        Some((id.to_u64().unwrap(), &frame[BODY_AT..]))
    })
}
