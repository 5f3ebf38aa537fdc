//! The segment files of a topic, after anything that can happen to a disk.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::damage::{RECORD_BYTES_MAX, body, count_max, read, records, segment_path, write};
use super::disk::MemoryDisk;

/// Any file is opened, whatever is in it. Files that were written and then damaged give every message whose bytes the damage
/// has not touched, in order, and nothing that was not published.
pub fn segments(data: &[u8]) {
    match data {
        [0, content @ ..] => strange(content, "main"),
        [1, content @ ..] => strange(content, "side"),
        [shape, damages @ ..] => damaged(*shape, damages),
        [] => {}
    }
}

fn strange(content: &[u8], lane: &str) {
    let disk = MemoryDisk::default();
    disk.put(&segment_path(3, lane), content.to_vec());
    let found = read(&disk);
    assert!(found.len() <= count_max(content.len()));
    let bytes: usize = found.iter().map(|(_, body)| body.len()).sum();
    assert!(bytes <= content.len());
}

fn damaged(shape: u8, damages: &[u8]) {
    let count = u64::from(shape >> 1) % 40;
    let disk = write(count, shape & 1 == 1);
    let mut files = disk.contents();
    let records = records(&files);
    assert_eq!(records.len() as u64, count);
    let mut touched = Vec::new();
    for damage in damages.chunks_exact(5).take(8) {
        touched.extend(do_damage(damage, &mut files));
    }
    for (path, content) in files {
        disk.put(&path, content);
    }

    let found = read(&disk);
    assert!(found.is_sorted_by(|one, next| one.0 < next.0), "{found:?}");
    for (id, content) in &found {
        assert!(
            *id < count && *content == body(*id),
            "{id} was not published so"
        );
    }
    for (id, (path, range)) in (0..).zip(&records) {
        let is_touched = |(damaged, bytes): &(PathBuf, Range<usize>)| {
            damaged == path && bytes.start < range.end && range.start < bytes.end
        };
        let is_there = found.binary_search_by_key(&id, |found| found.0).is_ok();
        assert!(
            is_there || touched.iter().any(is_touched),
            "{id} is lost without reason"
        );
    }
}

/// Does what five bytes say to one of the files; returns which bytes of it are not as they were.
fn do_damage(damage: &[u8], files: &mut [(PathBuf, Vec<u8>)]) -> Option<(PathBuf, Range<usize>)> {
    let &[kind, file, high, low, value] = damage else {
        return None;
    };
    let count = files.len();
    let (path, content) = files.get_mut(usize::from(file) % count.max(1))?;
    let at = usize::from(u16::from_be_bytes([high, low])) % content.len().max(1);
    let piece = at..content.len().min(at + usize::from(value) * 8);
    let touched = match kind % 6 {
        0 => flip(content, at, value),
        1 => cut(content, at),
        2 => {
            content[piece.clone()].fill(0);
            piece
        }
        3 => {
            content[piece.clone()].fill(value);
            piece
        }
        4 => {
            content.extend_from_slice(&vec![value; usize::from(low)]);
            return None;
        }
        _ => repeat(content, at, piece.len()),
    };
    Some((Path::new(path).to_path_buf(), touched))
}

fn flip(content: &mut [u8], at: usize, bit: u8) -> Range<usize> {
    if let Some(byte) = content.get_mut(at) {
        *byte ^= 1 << (bit % 8);
    }
    at..at + 1
}

fn cut(content: &mut Vec<u8>, at: usize) -> Range<usize> {
    let before = content.len();
    content.truncate(at);
    at..before
}

/// Writes a piece again in the place that follows it. What begins in the piece without ending there hides as much of what
/// follows as it was long.
fn repeat(content: &mut [u8], at: usize, length: usize) -> Range<usize> {
    let target = at + length;
    let end = content.len().min(target + length);
    if target < end {
        content.copy_within(at..at + (end - target), target);
    }
    target..end.max(target) + RECORD_BYTES_MAX
}
