//! Numbers for messages, unique across the topics of a node, across nodes with different ids, and across restarts.
//!
//! ```text
//!  63      54 53                               0
//!  [ node id ][ counter                         ]    shown as 16 lowercase hex digits
//! ```
//!
//! The counter starts at the microseconds of the wall clock or behind what an earlier process may have used, whichever
//! is larger, and only goes up: a clock that steps back stalls nothing and repeats nothing. What may be used is written
//! to disk ahead of use, a block at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::log::{Disk, read_file, replace_file};

/// Bits of the counter.
const COUNTER_BITS: u32 = 54;
/// Numbers reserved at a time: more than an hour at a million messages a second.
const BLOCK: u64 = 1 << 32;
const FILE_NAME: &str = "ids.dat";

/// The source of message ids of a process.
#[derive(Debug)]
pub struct MessageIds {
    node: u64,
    next: AtomicU64,
    /// Numbers below this may be used.
    reserved: AtomicU64,
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl MessageIds {
    /// Starts behind everything that was used before in this data directory. Blocks.
    ///
    /// # Errors
    /// If the reservation can't be read or written. One that is damaged counts as missing: the clock stands in.
    pub fn open(
        disk: Arc<dyn Disk>,
        data_path: &Path,
        node_id: u16,
        wall_ns: i64,
    ) -> io::Result<Self> {
        let path = data_path.join(FILE_NAME);
        let used = match read_file(&*disk, &path) {
            Ok(bytes) => decode(&bytes).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let first = used.max(u64::try_from(wall_ns / 1000).unwrap_or(0));
        let ids = Self {
            node: u64::from(node_id) << COUNTER_BITS,
            next: AtomicU64::new(first),
            reserved: AtomicU64::new(first),
            disk,
            path,
        };
        ids.reserve()?;
        Ok(ids)
    }

    /// Takes `count` numbers that follow one another; returns the first.
    pub fn take(&self, count: u64) -> u64 {
        let counter = self.next.fetch_add(count, Ordering::Relaxed);
        self.node | (counter & ((1 << COUNTER_BITS) - 1))
    }

    /// Reserves the next block once half of the last one is used. Blocks; called about once a second.
    pub fn reserve_if_due(&self) -> io::Result<()> {
        let left = self
            .reserved
            .load(Ordering::Relaxed)
            .saturating_sub(self.next.load(Ordering::Relaxed));
        if left < BLOCK / 2 {
            self.reserve()
        } else {
            Ok(())
        }
    }

    fn reserve(&self) -> io::Result<()> {
        let until = self.next.load(Ordering::Relaxed) + BLOCK;
        replace_file(&*self.disk, &self.path, &encode(until))?;
        self.reserved.store(until, Ordering::Relaxed);
        Ok(())
    }
}

/// Eight bytes and their CRC32C, big endian.
fn encode(reserved: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&reserved.to_be_bytes());
    let check = crc32c::crc32c(&bytes[..8]);
    bytes[8..].copy_from_slice(&check.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, check) = bytes.split_first_chunk::<8>()?;
    (check == crc32c::crc32c(number).to_be_bytes()).then(|| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::RealDisk;

    fn open(directory: &Path, wall_ns: i64) -> MessageIds {
        MessageIds::open(Arc::new(RealDisk), directory, 5, wall_ns).unwrap()
    }

    #[test]
    fn numbers_go_up_over_restarts_whatever_the_clock_does() {
        let directory = tempfile::tempdir().unwrap();
        let hour_ns = 3_600_000_000_000;
        let mut last = 0;
        for wall_ns in [500 * hour_ns, 499 * hour_ns, 0, -1] {
            let first = open(directory.path(), wall_ns).take(10);
            assert!(first > last, "{first:x} after {last:x} at {wall_ns}");
            last = first + 9;
        }
        assert_eq!(last >> COUNTER_BITS, 5);
    }

    #[test]
    fn a_damaged_reservation_counts_as_missing() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), b"garbage bytes").unwrap();
        assert_eq!(
            open(directory.path(), 7_000).take(1),
            (5 << COUNTER_BITS) | 7
        );
    }
}
