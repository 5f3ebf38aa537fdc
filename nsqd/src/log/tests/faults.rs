//! Calls that fail: nothing that was taken is lost by it, and all goes on when the disk is well again.

use super::super::sim_disk::{Call, Crash, EIO, ENOSPC};
use super::*;

fn ids(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn a_spill_that_fails_anywhere_leaves_all_in_memory_and_works_later() {
    for (call, errno) in [
        (Call::Create, ENOSPC),
        (Call::Write, ENOSPC),
        (Call::Sync, EIO),
    ] {
        for skip in 0..8 {
            let mut bench = Bench::new(0, 1 << 10);
            let reader = bench.log.add_reader(false);
            bench.append(40);
            bench.disk.fail(call, skip, 1, errno);
            let failed = bench.log.spill_all().is_err();
            assert!(failed || skip > 0, "{call:?} {skip}");
            assert_eq!(bench.log.depth(reader).messages, 40);

            bench.disk.heal();
            bench.append(1);
            bench.log.spill_all().unwrap();
            assert_eq!(bench.log.depth(reader).on_disk, 41, "{call:?} {skip}");
            // What is told to be on disk is there when the power goes.
            bench
                .disk
                .crash(Crash::PowerNone, &mut fastrand::Rng::new());
            assert_eq!(bench.recover_ids(), ids(0..41), "{call:?} {skip}");
        }
    }
}

#[test]
fn while_the_disk_refuses_all_is_delivered_from_memory() {
    let mut bench = Bench::new(0, 1 << 10);
    let reader = bench.log.add_reader(false);
    bench.append(40);
    for call in [Call::Create, Call::Write] {
        bench.disk.fail(call, 0, u32::MAX, ENOSPC);
    }
    assert!(bench.log.spill_due().is_err());
    assert_eq!(bench.drain(reader), ids(0..40));
    bench.log.release_if_idle();
    bench.log.directory().collect_garbage();
    assert_eq!(bench.segment_files(), Vec::<std::path::PathBuf>::new());
    assert_eq!(bench.memory.used(), 0);
}

#[test]
fn short_writes_are_continued() {
    let mut bench = Bench::new(0, 1 << 10);
    bench.disk.write_short();
    bench.append(20);
    bench.log.spill_all().unwrap();
    assert_eq!(bench.recover_ids(), ids(0..20));
}

#[test]
fn after_a_failed_sync_what_is_open_is_written_again() {
    let mut bench = Bench::new(0, 1 << 16);
    let topic = Path::new(TOPIC);
    bench.append(10);
    bench.log.write_through().outcome.unwrap();
    bench.disk.fail(Call::Sync, 0, 1, EIO);
    bench.disk.sync_all(topic).unwrap_err();
    bench.log.distrust_written();
    bench.append(2);
    bench.log.write_through().outcome.unwrap();
    bench.disk.sync_all(topic).unwrap();
    bench
        .disk
        .crash(Crash::PowerNone, &mut fastrand::Rng::new());
    assert_eq!(bench.recover_ids(), ids(0..12));
}

#[test]
fn what_a_failed_sync_was_to_cover_is_written_again_by_the_next_one() {
    for skip in 0..30 {
        let mut bench = Bench::new(1000, 1 << 10);
        let _reader = bench.log.add_reader(false);
        bench.disk.fail(Call::Sync, skip, 1, EIO);
        for _ in 0..6 {
            bench.append(8);
            let commit = bench.log.sync_through();
            if commit.outcome.is_err() {
                bench.log.sync_through().outcome.unwrap();
            }
            assert_eq!(commit.messages, bench.next_id);
        }
        bench.disk.heal();
        bench
            .disk
            .crash(Crash::PowerNone, &mut fastrand::Rng::new());
        assert_eq!(bench.recover_ids(), ids(0..48), "{skip}");
    }
}

#[test]
fn no_file_stays_open_that_is_not_written_to() {
    let mut bench = Bench::new(1000, 1 << 10);
    let before = bench.disk.users();
    let _reader = bench.log.add_reader(false);
    for _ in 0..20 {
        bench.append(8);
        bench.log.sync_through().outcome.unwrap();
    }
    assert!(bench.segment_files().len() > 10);
    assert!(bench.disk.users() <= before + 1);
}

#[test]
fn a_process_that_dies_while_writing_again_leaves_what_the_kernel_had() {
    let mut bench = Bench::new(0, 1 << 16);
    bench.append(10);
    bench.log.write_through().outcome.unwrap();
    bench.log.distrust_written();
    bench.disk.fail(Call::Write, 0, u32::MAX, EIO);
    bench.log.write_through().outcome.unwrap_err();
    bench.disk.heal();
    assert_eq!(bench.recover_ids(), ids(0..10));
}

#[test]
fn a_late_writer_does_not_empty_a_spilled_file() {
    let mut bench = Bench::new(0, 1 << 16);
    let reader = bench.log.add_reader(false);
    bench.append(10);
    let (segment, ..) = bench.claim(reader, 1).unwrap();
    let mut tail = bench.memory.buffer();
    for id in 0..10 {
        tail.push(7, MessageId::from_u64(id), &body(id));
    }
    bench.log.spill_all().unwrap();
    segment.write(&tail, 0, &bench.memory).unwrap();
    assert_eq!(bench.drain(reader), ids(1..10));
}

#[test]
fn a_file_that_was_only_begun_goes_with_its_segment() {
    let mut bench = Bench::new(0, 1 << 16);
    let reader = bench.log.add_reader(false);
    bench.append(10);
    bench.disk.fail(Call::Write, 0, 1, ENOSPC);
    bench.log.write_through().outcome.unwrap_err();
    assert_eq!(bench.drain(reader), ids(0..10));
    bench.log.release_if_idle();
    bench.log.directory().collect_garbage();
    assert!(bench.recover_ids().is_empty());
}

#[test]
fn a_read_that_fails_for_a_while_loses_nothing() {
    for times in 1..4 {
        let mut bench = Bench::new(0, 1 << 16);
        let reader = bench.log.add_reader(false);
        bench.append(20);
        bench.log.spill_all().unwrap();
        bench.disk.fail(Call::Read, 0, times, EIO);
        assert_eq!(bench.drain(reader), ids(0..20), "{times} failures");
    }
}

#[test]
fn a_file_that_cannot_be_opened_now_is_not_given_up() {
    let mut bench = Bench::new(0, 1 << 16);
    let reader = bench.log.add_reader(false);
    bench.append(20);
    bench.log.spill_all().unwrap();
    let too_many_files = 24;
    bench.disk.fail(Call::Open, 0, 1, too_many_files);
    let Claim::OnDisk(segment) = bench.log.claim(reader, 9, 9, &mut Vec::new()) else {
        panic!("it was spilled");
    };
    segment.load(&bench.memory).unwrap_err();
    assert_eq!(bench.drain(reader), ids(0..20));
}

#[test]
fn a_page_that_cannot_be_read_costs_the_records_that_touch_it() {
    let mut bench = Bench::new(0, 1 << 20);
    let reader = bench.log.add_reader(false);
    let count = 200;
    bench.append(count);
    bench.log.spill_all().unwrap();
    let path = bench.segment_files().pop().unwrap();
    bench.disk.spoil_page(&path, 2);

    let page = 8192..12288;
    let mut at = 64;
    let mut untouched = Vec::new();
    for id in 0..count {
        let end = (at + 40 + body(id).len() + 4).next_multiple_of(8);
        if end <= page.start || at >= page.end {
            untouched.push(id);
        }
        at = end;
    }
    assert_eq!(bench.drain(reader), untouched);
}

#[test]
fn a_publish_larger_than_a_segment_is_charged_at_once() {
    let mut bench = Bench::new(1000, 1 << 10);
    let bodies: Vec<_> = (0..100).map(body).collect();
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    bench.append_bodies(&bodies);
    assert!(bench.memory.used() >= bytes, "{}", bench.memory.used());
}
