//! Files that are not as they were written: torn, zeroed, flipped, missing, strange.

use std::path::PathBuf;

use proptest::prelude::*;

use super::super::record::{self, FileHeader, Found};
use super::*;

/// The image of one unsealed file with these messages, and its path.
fn unsealed(bodies: &[Vec<u8>]) -> (PathBuf, Vec<u8>) {
    let mut bench = Bench::new(0, 1 << 16);
    bench.append_bodies(bodies);
    bench.log.write_through().outcome.unwrap();
    let path = bench.segment_files().pop().unwrap();
    let content = bench.disk.content(&path);
    (path, content)
}

/// What a log finds whose only file has this content.
fn found_in(path: &Path, content: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut bench = Bench::new(0, 1 << 16);
    bench.disk.create_dir(Path::new(TOPIC)).unwrap();
    bench.disk.put(path, content);
    let _segments = bench.reopen(0);
    let reader = bench.log.restore_reader(false, EVERYTHING);
    let mut out = Vec::new();
    loop {
        match bench.log.claim(reader, u32::MAX, usize::MAX, &mut out) {
            Claim::Nothing => break,
            Claim::Run { .. } => {}
            Claim::OnDisk(segment) => {
                let buffer = segment.load(&bench.memory).unwrap();
                let again = bench.log.claim(reader, u32::MAX, usize::MAX, &mut out);
                assert!(!matches!(again, Claim::OnDisk(_)), "it is loaded");
                drop(buffer);
            }
        }
    }
    split(&out).map(|(id, body)| (id, body.to_vec())).collect()
}

fn numbered(bodies: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
    (0..).zip(bodies.iter().cloned()).collect()
}

fn bodies(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(body).collect()
}

#[test]
fn a_file_cut_anywhere_gives_every_whole_record_before_the_cut() {
    let bodies = bodies(12);
    let (path, content) = unsealed(&bodies);
    let mut ends = vec![64];
    for body in &bodies {
        ends.push((ends[ends.len() - 1] + 40 + body.len() + 4).next_multiple_of(8));
    }
    assert_eq!(ends[ends.len() - 1], content.len());
    for cut in 0..content.len() {
        let found = found_in(&path, &content[..cut]);
        let whole = ends[1..].iter().filter(|&&end| end <= cut).count();
        // Up to 7 bytes of padding may be missing from the last one.
        assert!(
            found.len() == whole || found.len() == whole + 1 && ends[whole + 1] - cut < 8,
            "cut at {cut}: {} of {whole}",
            found.len()
        );
        assert_eq!(found, numbered(&bodies[..found.len()]), "cut at {cut}");

        let mut zeroed = content.clone();
        zeroed[cut..].fill(0);
        let found = found_in(&path, &zeroed);
        assert_eq!(found, numbered(&bodies[..found.len()]), "zero from {cut}");
        assert!(found.len() >= whole, "zero from {cut}");
    }
}

#[test]
fn the_start_of_a_first_message_is_as_good_as_nothing() {
    let (path, content) = unsealed(&bodies(1));
    for cut in 0..content.len() - 8 {
        let mut bench = Bench::new(0, 1 << 16);
        bench.disk.create_dir(Path::new(TOPIC)).unwrap();
        bench.disk.put(&path, &content[..cut]);
        bench.reopen(0);
        assert_eq!(
            bench.disk.files(TOPIC),
            [""; 0].map(PathBuf::from),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_flipped_bit_costs_one_record_at_most() {
    let bodies = bodies(8);
    let (path, unsealed) = unsealed(&bodies);
    let mut sealed = unsealed.clone();
    let header = FileHeader::decode(&sealed).unwrap();
    let header = FileHeader {
        count: 8,
        record_bytes: sealed.len() as u64 - 64,
        ..header
    };
    sealed[..64].copy_from_slice(&header.encode());
    let all = numbered(&bodies);
    for content in [unsealed, sealed] {
        for at in 0..content.len() {
            let mut flipped = content.clone();
            flipped[at] ^= 1 << (at % 8);
            let found = found_in(&path, &flipped);
            assert!(found.len() >= 7, "byte {at}: {} of 8", found.len());
            assert!(found.is_sorted(), "byte {at}");
            assert!(found.iter().all(|one| all.contains(one)), "byte {at}");
        }
    }
}

#[test]
fn a_record_inside_a_body_is_no_message() {
    let (path, first) = unsealed(&bodies(3));
    // The same file, whose last message holds all that was written before it, aligned as the records are.
    let mut with_copy = bodies(3);
    with_copy.push(first.clone());
    let (same_path, content) = unsealed(&with_copy);
    assert_eq!(path, same_path, "the same dice give the same epoch");
    assert_eq!(found_in(&path, &content), numbered(&with_copy));

    // Even where the record around it can't be read.
    for damaged in [first.len(), first.len() + 8, content.len() - 8] {
        let mut content = content.clone();
        content[damaged] ^= 1;
        assert_eq!(found_in(&path, &content), numbered(&with_copy[..3]));
    }
}

#[test]
fn records_of_another_file_are_not_taken() {
    let (path, content) = unsealed(&bodies(3));
    let other = path.with_file_name("000000000000-0123456789abcdef.main");
    assert_eq!(found_in(&other, &content), []);
    let mut recycled = vec![0; 64];
    recycled.extend_from_slice(&content[64..]);
    assert_eq!(found_in(&other, &recycled), []);
}

#[test]
fn a_missing_segment_costs_what_was_in_it() {
    let mut bench = Bench::new(1, 1 << 10);
    bench.append(40);
    bench.log.spill_all().unwrap();
    let files = bench.segment_files();
    assert!(files.len() > 3);
    bench.disk.remove(&files[1]).unwrap();
    let ids = bench.recover_ids();
    assert!(ids.is_sorted() && ids.len() < 40);
    assert_eq!((ids[0], ids[ids.len() - 1]), (0, 39));
}

#[test]
fn strangers_stay_and_garbage_is_set_aside() {
    let mut bench = Bench::new(0, 1 << 10);
    bench.append(10);
    bench.log.spill_all().unwrap();
    let topic = Path::new(TOPIC);
    let garbage = topic.join("000000000900-0123456789abcdef.main");
    let empty = topic.join("000000000901-0123456789abcdef.side");
    let stranger = topic.join("notes.txt");
    let directory = topic.join("000000000902-0123456789abcdef.main");
    bench.disk.put(&garbage, &[0xa5; 5000]);
    bench.disk.put(&empty, &[]);
    bench.disk.put(&stranger, b"mine");
    bench.disk.create_dir(&directory).unwrap();
    assert_eq!(bench.recover_ids(), (0..10).collect::<Vec<_>>());
    let files = bench.disk.files(TOPIC);
    assert!(files.contains(&garbage.with_extension("damaged")));
    assert!(!files.contains(&garbage) && !files.contains(&empty));
    assert_eq!(bench.disk.content(&stranger), b"mine");
    assert!(bench.disk.list(&directory).is_ok());
}

#[test]
fn what_is_lost_is_counted_and_its_file_kept() {
    let mut bench = Bench::new(0, 1 << 16);
    let reader = bench.log.add_reader(false);
    bench.append(10);
    bench.log.spill_all().unwrap();
    let path = bench.segment_files().pop().unwrap();
    let mut content = bench.disk.content(&path);
    *content.last_mut().unwrap() ^= 1;
    content[64] ^= 1;
    bench.disk.put(&path, &content);
    let ids = bench.drain(reader);
    assert!(ids == (1..10).collect::<Vec<_>>() || ids == (1..9).collect::<Vec<_>>());
    assert_eq!(
        bench.log.directory().damaged_messages(),
        10 - ids.len() as u64
    );
    bench.log.release_if_idle();
    bench.log.directory().collect_garbage();
    assert_eq!(bench.disk.files(TOPIC), [path.with_extension("damaged")]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, epoch: u64) {
        let memory = Memory::new(1 << 20, 1 << 10);
        for at in (0..bytes.len()).step_by(8) {
            let is_record = matches!(record::decode(&bytes, at, epoch), Found::Record { .. });
            prop_assert!(!is_record);
        }
        for lane in [Lane::Main, Lane::Side] {
            let mut buffer = memory.buffer();
            record::scan(&bytes, epoch, lane, u32::MAX, &mut buffer);
            prop_assert_eq!(buffer.count(), 0);
        }
        prop_assert!(FileHeader::decode(&bytes).is_none());
    }

    #[test]
    fn a_record_that_is_written_is_read(
        epoch: u64, index: u32, id: u64, timestamp_ns: i64, due_ns in 1_i64.., moved: bool, body: Vec<u8>,
    ) {
        let tag = Tag { due_ns, moved };
        let memory = Memory::new(1 << 20, 1 << 10);
        let mut buffer = memory.buffer();
        buffer.push_tagged(timestamp_ns, MessageId::from_u64(id), &body, tag);
        let mut bytes = Vec::new();
        record::encode(&mut bytes, epoch, index, &buffer, 0);
        let id = MessageId::from_u64(id);
        let record = record::Record { index, id, timestamp_ns, tag, body: &body };
        prop_assert_eq!(record::decode(&bytes, 0, epoch), Found::Record { record, next: bytes.len() });
        prop_assert_eq!(record::decode(&bytes, 0, epoch ^ 1), Found::Nothing);
    }
}
