//! Flipped bits and damaged ends, at random places of files that were written: what is lost, and what is noticed of it.
//!
//! `NSQD_DAMAGES` is how many of each kind are tried, `NSQD_TEST_SEED` repeats a run.

use fastrand::Rng;

use super::*;

const FLIPS: usize = 500;
const ENDS: usize = 500;
const MESSAGES: u64 = 80;
/// What of a file's end is damaged at most.
const END_BYTES: usize = 64 << 10;

/// How many damages are tried.
pub(super) fn damages(default: usize) -> usize {
    std::env::var("NSQD_DAMAGES").map_or(default, |text| text.parse().unwrap())
}

/// What is found on a disk: the ids, each message checked, and how many are reported as lost.
fn found_on(disk: SimDisk, segment_bytes: usize) -> (Vec<u64>, u64) {
    let mut bench = Bench::new(0, segment_bytes);
    bench.disk = disk;
    bench.next_id = MESSAGES;
    let recovered = bench.reopen(0);
    let reader = bench.log.restore_reader(false, EVERYTHING);
    bench.log.finish_recovery();
    drop(recovered);
    let ids = bench.drain(reader);
    (ids, bench.log.directory().damaged_messages())
}

/// Segments that are sealed, and a last one that is still written to.
fn written() -> Bench {
    let mut bench = Bench::new(0, 1 << 12);
    bench.append(MESSAGES - 10);
    bench.log.spill_all().unwrap();
    bench.append(10);
    bench.log.write_through().outcome.unwrap();
    bench.disk.sync_all(Path::new(TOPIC)).unwrap();
    bench
}

#[test]
fn any_flipped_bit_costs_one_message_and_is_noticed() {
    let mut rng = seeded("flips");
    let bench = written();
    let files = bench.segment_files();
    assert!(files.len() > 3);
    let mut lost = 0;
    for _ in 0..damages(FLIPS) {
        let path = rng.choice(&files).unwrap();
        let mut content = bench.disk.content(path);
        let (at, bit) = (rng.usize(..content.len()), rng.u8(..8));
        content[at] ^= 1 << bit;
        let disk = bench.disk.copy();
        disk.put(path, &content);

        let place = format!("{} byte {at} bit {bit}", path.display());
        let (ids, reported) = found_on(disk, 1 << 12);
        assert!(
            ids.is_sorted() && ids.len() as u64 >= MESSAGES - 1,
            "{place}: {ids:?}"
        );
        let is_lost = (ids.len() as u64) < MESSAGES;
        // The last message of a file that was still written to may just as well not have been written whole.
        let is_cut_off = is_lost && !ids.contains(&(MESSAGES - 1));
        assert_eq!(reported, u64::from(is_lost && !is_cut_off), "{place}");
        lost += usize::from(is_lost);
    }
    eprintln!("{} flips, {lost} messages lost", damages(FLIPS));
}

#[test]
fn any_damaged_end_costs_what_is_in_it() {
    let mut rng = seeded("ends");
    let mut bench = Bench::new(0, 1 << 20);
    while bench.next_id < 500 {
        bench.append(1);
    }
    bench.log.write_through().outcome.unwrap();
    bench.disk.sync_all(Path::new(TOPIC)).unwrap();
    let path = bench.segment_files().pop().unwrap();
    let whole = bench.disk.content(&path);
    assert!(whole.len() > END_BYTES);
    let mut ends = vec![64];
    for id in 0..bench.next_id {
        ends.push((ends[ends.len() - 1] + 40 + body(id).len() + 4).next_multiple_of(8));
    }
    for _ in 0..damages(ENDS) {
        let at = whole.len() - rng.usize(..END_BYTES);
        let mut content = whole.clone();
        let kind = rng.u8(..4);
        match kind {
            0 => content.truncate(at),
            1 => content[at..].fill(0),
            2 => rng.fill(&mut content[at..]),
            _ => repeat_sector(&mut content, at),
        }
        let disk = bench.disk.copy();
        disk.put(&path, &content);
        let (ids, _) = found_on(disk, 1 << 20);
        // What is whole before the damage is there, and nothing that was not written.
        let before = ends[1..].iter().filter(|&&end| end <= at).count();
        let expected: Vec<_> = (0..before as u64).collect();
        assert!(
            ids.starts_with(&expected),
            "kind {kind} at {at}: {} of {before}",
            ids.len()
        );
        assert!(ids.is_sorted() && ids.last().is_none_or(|last| *last < bench.next_id));
    }
}

/// A sector is written where the next one should be, which begins at `at` or soon after it.
fn repeat_sector(content: &mut [u8], at: usize) {
    let target = at.next_multiple_of(512);
    if target + 512 <= content.len() {
        content.copy_within(target - 512..target, target);
    }
}

/// A generator whose seed is shown when the test fails. `NSQD_TEST_SEED` repeats a run.
pub(super) fn seeded(what: &str) -> Rng {
    let given = std::env::var("NSQD_TEST_SEED").map(|text| text.parse().unwrap());
    let seed = given.unwrap_or_else(|_| fastrand::u64(..));
    eprintln!("{what}: repeat with NSQD_TEST_SEED={seed}");
    Rng::with_seed(seed)
}
