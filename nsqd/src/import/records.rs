//! The records of a file of the reference's disk queues.
//!
//! ```text
//!  0  4  length of what follows, 26 + body    int32
//!  4  8  timestamp, nanoseconds since the Unix epoch
//! 12  2  attempts
//! 14 16  message id, lowercase hex digits
//! 30     body
//! ```
//!
//! All integers are big endian. There is no checksum, but an id tells a record from anything else well: reading resumes
//! behind damage where the next one stands.

use std::io;
use std::ops::Range;

use client::wire::MessageId;

use crate::log::{DiskFile, read_full_at};

/// Bytes before the body.
const HEADER_BYTES: usize = 30;
/// Bytes of the length itself.
const LENGTH_BYTES: usize = 4;
/// Bytes that the length counts beside the body.
const COUNTED_BYTES: usize = HEADER_BYTES - LENGTH_BYTES;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// A longer record is damage: 64 times what `--max-msg-size` allows when nothing is said.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// A message as the reference kept it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) timestamp_ns: i64,
    /// Deliveries so far.
    pub(super) attempts: u16,
    pub(super) id: MessageId,
    pub(super) body: &'a [u8],
}

/// Reads a file record by record, with one window of it in memory.
#[derive(Debug)]
pub(super) struct Records {
    file: Box<dyn DiskFile>,
    file_bytes: u64,
    /// The file from `at` on, as far as it was read.
    window: Vec<u8>,
    /// How much of the window was handed out.
    used: usize,
    at: u64,
    damage: Vec<Range<u64>>,
}

impl Records {
    /// Reads `file` from the position `at` on.
    pub(super) fn new(file: Box<dyn DiskFile>, at: u64) -> io::Result<Self> {
        Ok(Self {
            file_bytes: file.length()?,
            file,
            window: Vec::new(),
            used: 0,
            at,
            damage: Vec::new(),
        })
    }

    /// The next whole record; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        loop {
            if self.at >= self.file_bytes {
                return Ok(None);
            }
            let Some(bytes) = self.record_bytes()? else {
                self.skip(1);
                continue;
            };
            if let Some(inner) = self.swallowed(bytes)? {
                self.skip(inner);
                continue;
            }
            let from = self.used;
            self.advance(bytes);
            return Ok(Some(decode(&self.window[from..from + bytes])));
        }
    }

    /// The parts of the file that were no records, up to here.
    pub(super) fn damage(&self) -> &[Range<u64>] {
        &self.damage
    }

    /// The length of the record that stands here, if one does.
    fn record_bytes(&mut self) -> io::Result<Option<usize>> {
        let left = self.file_bytes - self.at;
        let length = length_of(self.peek(0, HEADER_BYTES)?);
        Ok(length.filter(|&bytes| bytes as u64 <= left))
    }

    /// Where in a record of `bytes` another one starts, if no record follows it: then it is the length that is damaged.
    fn swallowed(&mut self, bytes: usize) -> io::Result<Option<usize>> {
        let next = self.peek(bytes, HEADER_BYTES)?;
        if next.is_empty() || length_of(next).is_some() {
            return Ok(None);
        }
        let record = self.peek(0, bytes + HEADER_BYTES)?;
        let mut inside = (1..bytes).filter(|&at| length_of(&record[at..]).is_some());
        Ok(inside.next())
    }

    /// Up to `bytes` bytes that come `ahead` bytes after this place; fewer where the file ends.
    fn peek(&mut self, ahead: usize, bytes: usize) -> io::Result<&[u8]> {
        let wanted = ahead + bytes;
        if self.window.len() - self.used < wanted {
            self.window.drain(..self.used);
            self.used = 0;
            let filled = self.window.len();
            self.window.resize(filled + wanted.max(READ_BYTES), 0);
            let from = self.at + filled as u64;
            let count = read_full_at(&*self.file, &mut self.window[filled..], from)?;
            self.window.truncate(filled + count);
        }
        let there = &self.window[self.used..];
        Ok(&there[ahead.min(there.len())..wanted.min(there.len())])
    }

    fn advance(&mut self, bytes: usize) {
        self.used += bytes;
        self.at += bytes as u64;
    }

    /// Notes that what stands here is no record.
    fn skip(&mut self, bytes: usize) {
        let range = self.at..self.at + bytes as u64;
        match self.damage.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.damage.push(range),
        }
        self.advance(bytes);
    }
}

/// The length of the record that begins with these bytes; `None` if none can.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let length = u32::from_be_bytes(header[..4].try_into().expect("four bytes")) as usize;
    let allowed = COUNTED_BYTES..=RECORD_BYTES_MAX;
    let has_id = id_of(header).to_u64().is_some();
    (allowed.contains(&length) && has_id).then_some(LENGTH_BYTES + length)
}

fn id_of(record: &[u8]) -> MessageId {
    MessageId::from_bytes(record[14..HEADER_BYTES].try_into().expect("16 bytes"))
}

fn decode(record: &[u8]) -> Record<'_> {
    Record {
        timestamp_ns: i64::from_be_bytes(record[4..12].try_into().expect("eight bytes")),
        attempts: u16::from_be_bytes(record[12..14].try_into().expect("two bytes")),
        id: id_of(record),
        body: &record[HEADER_BYTES..],
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::import::tests::record;
    use crate::log::Disk;
    use crate::log::sim_disk::SimDisk;

    /// The bodies of the records in `bytes` from `at` on, and what was damaged.
    fn read(bytes: &[u8], at: u64) -> (Vec<String>, Vec<Range<u64>>) {
        let (disk, path) = (SimDisk::new("/d"), Path::new("/d/f"));
        disk.put(path, bytes);
        let mut records = Records::new(disk.open(path).unwrap(), at).unwrap();
        let mut bodies = Vec::new();
        while let Some(record) = records.next().unwrap() {
            bodies.push(String::from_utf8_lossy(record.body).into_owned());
        }
        (bodies, records.damage().to_vec())
    }

    fn three() -> Vec<u8> {
        let words = ["one", "two", "three"];
        (1..)
            .zip(words)
            .flat_map(|(id, word)| record(id, 0, word))
            .collect()
    }

    #[test]
    fn a_record_of_the_reference_is_read() {
        let mut bytes = b"\x00\x00\x00\x1f\x18\xe9\xef\x71\x5a\x8c\x66\xa3\x00\x00".to_vec();
        bytes.extend_from_slice(b"18a29a84d6005000hello");
        let expected = Record {
            timestamp_ns: 0x18e9_ef71_5a8c_66a3,
            attempts: 0,
            id: MessageId::from_bytes(*b"18a29a84d6005000"),
            body: b"hello",
        };
        assert_eq!(length_of(&bytes), Some(bytes.len()));
        assert_eq!(decode(&bytes), expected);
    }

    #[test]
    fn reading_begins_where_it_is_told_to() {
        assert_eq!(read(&three(), 33).0, ["two", "three"]);
        assert_eq!(read(&three(), 1000).0, Vec::<String>::new());
    }

    #[test]
    fn a_file_cut_anywhere_gives_its_whole_records() {
        let bytes = three();
        for cut in 0..=bytes.len() {
            let (bodies, damage) = read(&bytes[..cut], 0);
            let whole = [33, 66, 101].iter().filter(|&&end| end <= cut).count();
            assert_eq!(bodies, ["one", "two", "three"][..whole], "cut at {cut}");
            let torn = cut - [0, 33, 66, 101][whole];
            assert_eq!(
                damage
                    .iter()
                    .map(|range| range.end - range.start)
                    .sum::<u64>(),
                torn as u64
            );
        }
    }

    #[test]
    fn a_damaged_length_costs_one_record() {
        for length in [0, 25, 26 + 3 + 33, 26 + 4, 1 << 20, u32::MAX] {
            let mut bytes = three();
            bytes[33..37].copy_from_slice(&length.to_be_bytes());
            let (bodies, damage) = read(&bytes, 0);
            assert_eq!(bodies.last().unwrap(), "three", "length {length}");
            assert_eq!(bodies[0], "one");
            assert!(
                bodies.len() <= 3 && damage.len() <= 1,
                "length {length}: {bodies:?}"
            );
        }
    }

    #[test]
    fn garbage_between_records_is_skipped() {
        let mut bytes = three();
        bytes.splice(33..33, [7; 5000]);
        let (bodies, damage) = read(&bytes, 0);
        assert_eq!(bodies, ["one", "two", "three"]);
        assert_eq!(damage, std::slice::from_ref(&(33..5033)));
    }

    #[test]
    fn a_record_longer_than_the_window_is_read() {
        let long = "x".repeat(READ_BYTES * 2);
        let bytes = [record(1, 0, &long), record(2, 0, "after")].concat();
        assert_eq!(read(&bytes, 0), (vec![long, "after".into()], vec![]));
    }
}
