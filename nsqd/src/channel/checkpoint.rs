//! The progress of a topic's channels on disk, one file per topic, replaced as a whole.
//!
//! ```text
//!  0  8  magic "NSQPROG3"
//!  8  4  CRC32C of the payload
//! 12     payload: topic, then channels until the end
//!
//! topic    8 + 4  where begins what no channel has been shown      1  paused
//!          1      level of durability of its own: 0 none, 1 memory, 2 disk, 3 fsync
//!          8 + 4  end of the side lane: what comes after it is newer than this file
//!          4 × n  entries deferred before any channel was shown them
//! channel  1 + n  name       1  paused     8 + 4  cursor
//!          4 × n  runs to deliver now   4 × n  entries deferred
//! run      8 segment, 4 index of the first message, 2 attempts, 4 messages
//! entry    8 segment, 4 index, 2 attempts, 8 due in nanoseconds since the Unix epoch, 0: now
//! ```
//!
//! Earlier forms are still read: "NSQPROG2" has no level, and in "NSQPROG1" what is to be delivered now is a list of
//! entries too.
//!
//! All integers are big endian. Positions are a segment's number and an index in it. Depths are not here: they follow
//! from the log and these positions.

use bytes::{Buf, BufMut, TryGetError};
use client::wire::ChannelName;

use super::{Entry, Run};
use crate::log::NUMBER_LIMIT;
use crate::topic::Durability;

const MAGIC: &[u8; 8] = b"NSQPROG3";
const MAGIC_WITHOUT_LEVEL: &[u8; 8] = b"NSQPROG2";
const MAGIC_OF_ENTRIES: &[u8; 8] = b"NSQPROG1";

/// The progress of a topic's channels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Where begins what no channel has been shown.
    pub unshown: (u64, u32),
    /// Whether the topic is paused.
    pub paused: bool,
    /// The level of durability that the topic was given for itself.
    pub durability: Option<Durability>,
    /// The end of the side lane.
    pub side_end: (u64, u32),
    /// Deferred messages that no channel has been shown.
    pub unshown_deferred: Vec<Due>,
    /// The channels.
    pub channels: Vec<ChannelProgress>,
}

/// The progress of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelProgress {
    /// Its name.
    pub name: ChannelName,
    /// Whether it is paused.
    pub paused: bool,
    /// Where its next new message is.
    pub cursor: (u64, u32),
    /// Messages behind the cursor that can be delivered at once.
    pub ready: Vec<Run>,
    /// Messages that are deferred.
    pub deferred: Vec<Due>,
}

/// An entry and its due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The message.
    pub entry: Entry,
    /// Nanoseconds since the Unix epoch; 0: now.
    pub due_ns: i64,
}

/// Why a progress file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// It does not begin as one.
    #[error("not a progress file")]
    NotOne,
    /// Its content does not match its checksum.
    #[error("checksum does not match")]
    Checksum,
    /// It ends too early.
    #[error("cut short")]
    CutShort(#[from] TryGetError),
    /// A place in it is in no segment that there can be.
    #[error("bad place: segment {0}")]
    Place(u64),
    /// A channel name in it is not one.
    #[error("bad channel name")]
    Name,
}

impl ChannelProgress {
    /// A channel that has seen nothing yet.
    pub fn at_start(name: ChannelName) -> Self {
        Self {
            name,
            paused: false,
            cursor: (0, 0),
            ready: Vec::new(),
            deferred: Vec::new(),
        }
    }
}

impl Progress {
    /// The highest segment number that a place in it may have.
    pub fn number_max(&self) -> u64 {
        let cursors = self.channels.iter().map(|channel| channel.cursor.0);
        cursors
            .max()
            .unwrap_or(0)
            .max(self.unshown.0)
            .max(self.side_end.0)
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_slice(MAGIC);
        out.put_u32(0);
        put_position(&mut out, self.unshown);
        out.put_u8(u8::from(self.paused));
        out.put_u8(Durability::code(self.durability));
        put_position(&mut out, self.side_end);
        put_entries(&mut out, &self.unshown_deferred);
        for channel in &self.channels {
            let name = channel.name.as_str().as_bytes();
            out.put_u8(u8::try_from(name.len()).expect("a name has at most 64 bytes"));
            out.put_slice(name);
            out.put_u8(u8::from(channel.paused));
            put_position(&mut out, channel.cursor);
            put_runs(&mut out, &channel.ready);
            put_entries(&mut out, &channel.deferred);
        }
        let check = crc32c::crc32c(&out[12..]);
        out[8..12].copy_from_slice(&check.to_be_bytes());
        out
    }

    /// Reads the bytes of the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProgressError> {
        let (magic, mut input) = bytes.split_at_checked(8).ok_or(ProgressError::NotOne)?;
        let has_level = magic == MAGIC;
        let get_ready = match magic {
            _ if has_level || magic == MAGIC_WITHOUT_LEVEL => get_runs,
            _ if magic == MAGIC_OF_ENTRIES => get_entries_as_runs,
            _ => return Err(ProgressError::NotOne),
        };
        if input.try_get_u32()? != crc32c::crc32c(input) {
            return Err(ProgressError::Checksum);
        }
        let input = &mut input;
        let mut progress = Self {
            unshown: get_position(input)?,
            paused: input.try_get_u8()? != 0,
            durability: if has_level {
                Durability::from_code(input.try_get_u8()?)
            } else {
                None
            },
            side_end: get_position(input)?,
            unshown_deferred: get_entries(input)?,
            channels: Vec::new(),
        };
        while input.has_remaining() {
            progress.channels.push(ChannelProgress {
                name: get_name(input)?,
                paused: input.try_get_u8()? != 0,
                cursor: get_position(input)?,
                ready: get_ready(input)?,
                deferred: get_entries(input)?,
            });
        }
        Ok(progress)
    }
}

fn put_position(out: &mut Vec<u8>, (segment, index): (u64, u32)) {
    out.put_u64(segment);
    out.put_u32(index);
}

fn get_position(input: &mut &[u8]) -> Result<(u64, u32), ProgressError> {
    let (segment, index) = (input.try_get_u64()?, input.try_get_u32()?);
    if segment < NUMBER_LIMIT {
        Ok((segment, index))
    } else {
        Err(ProgressError::Place(segment))
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u32(u32::try_from(count).expect("a channel has fewer than 2^32 unfinished messages"));
}

fn put_entries(out: &mut Vec<u8>, entries: &[Due]) {
    put_count(out, entries.len());
    for Due { entry, due_ns } in entries {
        put_position(out, (entry.segment, entry.index));
        out.put_u16(entry.attempts);
        out.put_i64(*due_ns);
    }
}

fn get_entries(input: &mut &[u8]) -> Result<Vec<Due>, ProgressError> {
    let count = input.try_get_u32()?;
    // Grows with what is there, not with what is announced.
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(Due {
            entry: get_entry(input)?,
            due_ns: input.try_get_i64()?,
        });
    }
    Ok(entries)
}

fn put_runs(out: &mut Vec<u8>, runs: &[Run]) {
    put_count(out, runs.len());
    for Run { first, count } in runs {
        put_position(out, (first.segment, first.index));
        out.put_u16(first.attempts);
        out.put_u32(*count);
    }
}

fn get_runs(input: &mut &[u8]) -> Result<Vec<Run>, ProgressError> {
    let count = input.try_get_u32()?;
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(Run {
            first: get_entry(input)?,
            count: input.try_get_u32()?,
        });
    }
    Ok(runs)
}

fn get_entries_as_runs(input: &mut &[u8]) -> Result<Vec<Run>, ProgressError> {
    let entries = get_entries(input)?;
    Ok(entries.iter().map(|due| due.entry.into()).collect())
}

fn get_entry(input: &mut &[u8]) -> Result<Entry, ProgressError> {
    let (segment, index) = get_position(input)?;
    Ok(Entry {
        segment,
        index,
        attempts: input.try_get_u16()?,
    })
}

fn get_name(input: &mut &[u8]) -> Result<ChannelName, ProgressError> {
    let length = usize::from(input.try_get_u8()?);
    let (name, rest) = input.split_at_checked(length).ok_or(ProgressError::Name)?;
    *input = rest;
    std::str::from_utf8(name)
        .ok()
        .and_then(|name| name.parse().ok())
        .ok_or(ProgressError::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        let due = |segment, due_ns| Due {
            entry: Entry {
                segment,
                index: 3,
                attempts: 2,
            },
            due_ns,
        };
        let run = |segment, count| Run {
            first: due(segment, 0).entry,
            count,
        };
        Progress {
            unshown: (7, 8),
            paused: true,
            durability: Some(Durability::Disk),
            side_end: (9, 1),
            unshown_deferred: vec![due(1, 99)],
            channels: vec![ChannelProgress {
                name: "archive".parse().unwrap(),
                paused: false,
                cursor: (5, 6),
                ready: vec![run(2, 1), run(3, 1_000_000)],
                deferred: vec![due(4, i64::MAX)],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for progress in [progress(), Progress::default()] {
            assert_eq!(Progress::decode(&progress.encode()).unwrap(), progress);
        }
    }

    #[test]
    fn a_place_beyond_all_segments_is_damage() {
        let beyond = Progress {
            unshown: (u64::MAX, 0),
            ..progress()
        };
        let refused = Progress::decode(&beyond.encode());
        assert!(matches!(refused, Err(ProgressError::Place(u64::MAX))));
    }

    /// Makes earlier bytes of a whole progress file: with this magic, without a level, and with a check that fits.
    fn make_earlier(bytes: &mut Vec<u8>, magic: [u8; 8]) {
        bytes[..8].copy_from_slice(&magic);
        bytes.remove(12 + 12 + 1);
        let check = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&check.to_be_bytes());
    }

    #[test]
    fn the_form_without_a_level_is_read() {
        let mut bytes = progress().encode();
        make_earlier(&mut bytes, *MAGIC_WITHOUT_LEVEL);
        let expected = Progress {
            durability: None,
            ..progress()
        };
        assert_eq!(Progress::decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn the_form_without_runs_is_read() {
        let mut bytes = progress().encode();
        let ready = put_and_take(|out| put_runs(out, &progress().channels[0].ready));
        let singles = [2, 3].map(|segment| Due {
            entry: Entry {
                segment,
                index: 3,
                attempts: 2,
            },
            due_ns: 0,
        });
        let at = bytes
            .windows(ready.len())
            .position(|window| window == ready)
            .unwrap();
        bytes.splice(
            at..at + ready.len(),
            put_and_take(|out| put_entries(out, &singles)),
        );
        make_earlier(&mut bytes, *MAGIC_OF_ENTRIES);
        let mut expected = progress();
        expected.durability = None;
        expected.channels[0].ready = singles.iter().map(|due| due.entry.into()).collect();
        assert_eq!(Progress::decode(&bytes).unwrap(), expected);
    }

    fn put_and_take(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out);
        out
    }

    #[test]
    fn no_cut_and_no_flipped_bit_goes_unnoticed() {
        let bytes = progress().encode();
        for cut in 0..bytes.len() {
            assert!(Progress::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Progress::decode(&flipped).is_err(), "bit {bit}");
        }
    }
}
