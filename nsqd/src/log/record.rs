//! A message on disk, and the header of the file that it is in.
//!
//! ```text
//! segment file                              record (starts at a multiple of 8)
//!  0  8  magic "NSQLOG01"                    0  4  length of the body, n
//!  8  8  epoch, random for each file         4  4  CRC32C of bytes 0..4 and 8..40, seeded with the epoch
//! 16  8  number of the segment               8  4  index of the message in the segment
//! 24  4  lane: 0 main, 1 side               12  4  kind: 0 plain, 1 deferred, 2 moved
//! 28  4  messages, 0 while unsealed         16  8  message id
//! 32  8  bytes of records, 0 while unsealed 24  8  timestamp, nanoseconds since the Unix epoch
//! 40 20  zero                               32  8  due, likewise; 0: none
//!                                           40  n  body
//! 60  4  CRC32C of bytes 0..60            40+n  4  CRC32C of the body, seeded with the index; then zeros to 8
//! 64     records
//! ```
//!
//! All integers are big endian. A record describes itself: its header has a check of its own, so that a flipped length
//! cannot swallow what follows, and reading resumes at the next valid header. The check is seeded with the file's epoch
//! (which its name holds too), so that zeros, the remains of another file, or a body that looks like a record are never
//! taken for one.

use client::wire::{ATTEMPTS_AT, BODY_AT, ID_AT, MessageId, TIMESTAMP_AT};

use super::memory::{Buffer, Tag};
use crate::sabotage::{Fault, is_on};

/// Bytes of a file's header.
pub(super) const FILE_HEADER_BYTES: usize = 64;
/// Bytes of a record's header.
const HEADER_BYTES: usize = 40;
/// Records start at multiples of this.
const ALIGNMENT: usize = 8;
const MAGIC: [u8; 8] = *b"NSQLOG01";
const KIND_PLAIN: u32 = 0;
const KIND_DEFERRED: u32 = 1;
const KIND_MOVED: u32 = 2;

/// Which of a topic's two sequences a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Messages in the order of publishing; channels go over them with a cursor.
    Main,
    /// Messages that are not delivered in order: deferred ones, and stragglers moved out of the way.
    Side,
}

/// The header of a segment file. The last two are 0 in a file that is still written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) epoch: u64,
    pub(super) number: u64,
    pub(super) lane: Lane,
    pub(super) count: u32,
    pub(super) record_bytes: u64,
}

impl FileHeader {
    pub(super) fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_be_bytes());
        bytes[24..28].copy_from_slice(&u32::from(self.lane == Lane::Side).to_be_bytes());
        bytes[28..32].copy_from_slice(&self.count.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.record_bytes.to_be_bytes());
        let check = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&check.to_be_bytes());
        bytes
    }

    /// The header, if these bytes are one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; FILE_HEADER_BYTES] = bytes.get(..FILE_HEADER_BYTES)?.try_into().ok()?;
        if bytes[..8] != MAGIC || u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return None;
        }
        let lane = match u32_at(bytes, 24) {
            0 => Lane::Main,
            1 => Lane::Side,
            _ => return None,
        };
        Some(Self {
            epoch: u64_at(bytes, 8),
            number: u64_at(bytes, 16),
            lane,
            count: u32_at(bytes, 28),
            record_bytes: u64_at(bytes, 32),
        })
    }
}

/// Appends a record to `out`: message `index` of its segment, which is message `at` of `buffer`. A message that is
/// absent there leaves no record.
pub(super) fn encode(out: &mut Vec<u8>, epoch: u64, index: u32, buffer: &Buffer, at: u32) {
    let frame = buffer.frame(at);
    let Some(body) = frame.get(BODY_AT..) else {
        return;
    };
    let Tag { due_ns, moved } = buffer.tag(at);
    let kind = match (moved, due_ns) {
        (true, _) => KIND_MOVED,
        (false, 0) => KIND_PLAIN,
        (false, _) => KIND_DEFERRED,
    };
    let id = frame_id(frame)
        .to_u64()
        .expect("ids are made here, as hex digits");
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(
        &u32::try_from(body.len())
            .expect("a segment is below 4 GiB")
            .to_be_bytes(),
    );
    header[8..12].copy_from_slice(&index.to_be_bytes());
    header[12..16].copy_from_slice(&kind.to_be_bytes());
    header[16..24].copy_from_slice(&id.to_be_bytes());
    header[24..32].copy_from_slice(&frame[TIMESTAMP_AT..ATTEMPTS_AT]);
    header[32..40].copy_from_slice(&due_ns.to_be_bytes());
    let check = header_check(epoch, &header);
    header[4..8].copy_from_slice(&check.to_be_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
    out.extend_from_slice(&crc32c::crc32c_append(index, body).to_be_bytes());
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

/// A record as read from disk.
#[derive(Debug, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) index: u32,
    pub(super) id: MessageId,
    pub(super) timestamp_ns: i64,
    pub(super) tag: Tag,
    pub(super) body: &'a [u8],
}

/// What stands at a place of a file.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// A record that passes its checks; `next` is where the one after it starts.
    Record { record: Record<'a>, next: usize },
    /// No valid header; the next place to look at is one alignment further.
    Nothing,
    /// A valid header, but the body is cut short or damaged; the next record, if any, starts at `next` at the latest.
    Damaged { next: usize },
}

/// Reads what stands at `at`, which must be a multiple of the alignment.
pub(super) fn decode(bytes: &[u8], at: usize, epoch: u64) -> Found<'_> {
    let Some(header) = bytes.get(at..at + HEADER_BYTES) else {
        return Found::Nothing;
    };
    let header: &[u8; HEADER_BYTES] = header.try_into().expect("sliced to its length");
    if u32_at(header, 4) != header_check(epoch, header) {
        return Found::Nothing;
    }
    let body_start = at + HEADER_BYTES;
    let body_end = body_start + u32_at(header, 0) as usize;
    let next = (body_end + 4).next_multiple_of(ALIGNMENT);
    let index = u32_at(header, 8);
    let (Some(body), Some(check)) = (
        bytes.get(body_start..body_end),
        bytes.get(body_end..body_end + 4),
    ) else {
        return Found::Damaged { next };
    };
    if u32_at(check, 0) != crc32c::crc32c_append(index, body) && !is_on(Fault::NoCrc) {
        return Found::Damaged { next };
    }
    let due_ns = i64::from_be_bytes(u64_at(header, 32).to_be_bytes());
    let record = Record {
        index,
        id: MessageId::from_u64(u64_at(header, 16)),
        timestamp_ns: i64::from_be_bytes(u64_at(header, 24).to_be_bytes()),
        tag: Tag {
            due_ns,
            moved: u32_at(header, 12) == KIND_MOVED,
        },
        body,
    };
    Found::Record { record, next }
}

/// Whether `bytes` are where one record begins, and end within it.
pub(super) fn is_torn(bytes: &[u8], epoch: u64) -> bool {
    let ends_within = |next| next > bytes.len();
    bytes.len() < HEADER_BYTES
        || matches!(decode(bytes, 0, epoch), Found::Damaged { next } if ends_within(next))
}

/// What was found in the records of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scan {
    /// Bytes up to the end of the last valid record.
    pub(super) valid_bytes: usize,
    /// Whether there was anything other than valid records before that end.
    pub(super) damaged: bool,
}

/// Reads all valid records of `bytes` (a file without its header) into `buffer`, resuming behind damage, so that each
/// message is at its index and those that can't be read are absent. No index at or above `count_max` is taken.
pub(super) fn scan(
    bytes: &[u8],
    epoch: u64,
    lane: Lane,
    count_max: u32,
    buffer: &mut Buffer,
) -> Scan {
    let tagged = lane == Lane::Side;
    let mut outcome = Scan {
        valid_bytes: 0,
        damaged: false,
    };
    let mut suspicious = false;
    let mut at = 0;
    while at + HEADER_BYTES <= bytes.len() {
        let (record, next) = match decode(bytes, at, epoch) {
            Found::Record { record, next } => (record, next),
            Found::Nothing => {
                suspicious = true;
                at += ALIGNMENT;
                continue;
            }
            Found::Damaged { next } => {
                suspicious = true;
                at = next;
                continue;
            }
        };
        at = next;
        if record.index < buffer.count() || record.index >= count_max {
            suspicious = true;
            continue;
        }
        outcome.damaged |= suspicious || record.index > buffer.count();
        suspicious = false;
        while buffer.count() < record.index {
            buffer.push_absent(tagged);
        }
        if tagged {
            buffer.push_tagged(record.timestamp_ns, record.id, record.body, record.tag);
        } else {
            buffer.push(record.timestamp_ns, record.id, record.body);
        }
        outcome.valid_bytes = next.min(bytes.len());
    }
    buffer.charge();
    outcome
}

/// When the message in a frame was published, in nanoseconds since the Unix epoch.
pub(crate) fn frame_timestamp(frame: &[u8]) -> i64 {
    let stamp = frame[TIMESTAMP_AT..ATTEMPTS_AT].try_into();
    i64::from_be_bytes(stamp.expect("a timestamp has 8 bytes"))
}

/// The id in a message frame.
pub(crate) fn frame_id(frame: &[u8]) -> MessageId {
    MessageId::from_bytes(
        frame[ID_AT..BODY_AT]
            .try_into()
            .expect("an id has 16 bytes"),
    )
}

fn header_check(epoch: u64, header: &[u8; HEADER_BYTES]) -> u32 {
    let seeded = crc32c::crc32c(&epoch.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seeded, &header[..4]), &header[8..])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
