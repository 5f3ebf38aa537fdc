//! Random operations on a log, against a model that is a list.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::super::sim_disk::Crash;
use super::*;

const STEPS: usize = 150;

/// What a channel would know.
#[derive(Debug)]
struct Consumer {
    reader: ReaderId,
    ephemeral: bool,
    /// How many of the shown messages it has passed.
    passed: usize,
    /// Messages claimed and not finished.
    held: Vec<(Arc<Segment>, u32, u64)>,
}

/// A log, and beside it what it should have.
struct Model {
    bench: Bench,
    rng: Rng,
    /// All that was published, in order, but for what was emptied.
    messages: Vec<u64>,
    /// How many of them no channel has had a claim to come first, while there is no channel.
    unclaimed: usize,
    /// Where the part that channels see ends, while paused.
    border: Option<usize>,
    consumers: Vec<Consumer>,
    /// What must survive the process, and what must survive the power.
    kernel: BTreeSet<u64>,
    stable: BTreeSet<u64>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = Settings {
            mem_queue_size: *rng.choice(&[0, 3, 50, 100_000]).unwrap(),
            ephemeral: false,
        };
        let budget = *rng.choice(&[0, 10_000, 1 << 20]).unwrap();
        let segment_bytes = rng.usize(100..5000);
        Self {
            bench: Bench::with(settings, Memory::new(budget, segment_bytes), seed),
            rng,
            messages: Vec::new(),
            unclaimed: 0,
            border: None,
            consumers: Vec::new(),
            kernel: BTreeSet::new(),
            stable: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..100) {
            0..30 => {
                let count = self.rng.u64(1..30);
                self.messages
                    .extend(self.bench.next_id..self.bench.next_id + count);
                self.bench.append(count);
            }
            30..60 => self.claim(),
            60..70 => self.finish(),
            70..74 => self.add_consumer(),
            74..76 => self.remove_consumer(),
            76..79 => self.set_paused(),
            79..80 => self.empty(),
            80..85 => self.bench.log.spill_due().unwrap(),
            85..87 => {
                self.bench.log.spill_all().unwrap();
                self.stable.extend(self.needed());
            }
            87..90 => {
                self.bench.log.write_through().outcome.unwrap();
                self.kernel.extend(self.needed());
            }
            90..92 => {
                self.bench.log.sync_through().outcome.unwrap();
                self.stable.extend(self.needed());
            }
            92..93 => self.read_again(),
            93..95 => self.bench.log.release_if_idle(),
            95..98 => self.bench.log.directory().collect_garbage(),
            98 => self.restart(),
            _ => self.crash(),
        }
        self.check();
    }

    fn shown(&self) -> usize {
        self.border.unwrap_or(self.messages.len())
    }

    /// What somebody still has a claim to.
    fn needed(&self) -> BTreeSet<u64> {
        let durable = || self.consumers.iter().filter(|consumer| !consumer.ephemeral);
        let from = if self.consumers.is_empty() {
            self.unclaimed
        } else {
            durable()
                .map(|one| one.passed)
                .min()
                .expect("never only ephemeral ones")
        };
        let waiting = self.messages.iter().skip(from).copied();
        let held = durable().flat_map(|consumer| &consumer.held);
        waiting.chain(held.map(|&(_, _, id)| id)).collect()
    }

    fn check(&self) {
        for consumer in &self.consumers {
            let depth = self.bench.log.depth(consumer.reader);
            let expected = (self.shown() - consumer.passed) as u64;
            if consumer.ephemeral {
                assert!(depth.messages <= expected, "{depth:?} of {expected}");
            } else {
                assert_eq!(depth.messages, expected);
            }
            assert!(depth.on_disk <= depth.messages);
        }
        let unshown = if self.consumers.is_empty() {
            self.messages.len() - self.unclaimed
        } else {
            self.messages.len() - self.shown()
        };
        assert_eq!(self.bench.log.unshown().messages, unshown as u64);
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.consumers.len();
        (count > 0).then(|| self.rng.usize(..count))
    }

    fn claim(&mut self) {
        let Some(at) = self.pick() else { return };
        let count_max = self.rng.u32(1..40);
        let shown = self.shown();
        let consumer = &mut self.consumers[at];
        let Some((segment, first, ids)) = self.bench.claim(consumer.reader, count_max) else {
            assert!(consumer.ephemeral || consumer.passed == shown);
            consumer.passed = shown;
            return;
        };
        if consumer.ephemeral {
            let skipped = self.messages[consumer.passed..].iter();
            consumer.passed += skipped.take_while(|&&id| id < ids[0]).count();
        }
        let upto = consumer.passed + ids.len();
        assert!(upto <= shown, "hidden messages were claimed");
        assert_eq!(ids, self.messages[consumer.passed..upto]);
        consumer.passed = upto;
        let places = (first..).zip(ids);
        consumer
            .held
            .extend(places.map(|(index, id)| (Arc::clone(&segment), index, id)));
    }

    fn finish(&mut self) {
        let Some(at) = self.pick() else { return };
        let held = &mut self.consumers[at].held;
        self.rng.shuffle(held);
        let keep = self.rng.usize(..=held.len().min(5));
        held.truncate(keep);
    }

    fn add_consumer(&mut self) {
        let passed = if self.consumers.is_empty() {
            self.unclaimed
        } else {
            self.shown()
        };
        // An ephemeral channel alone would drop the backlog; that has a test of its own.
        let ephemeral = self.rng.u8(..4) == 0 && !self.consumers.is_empty();
        self.consumers.push(Consumer {
            reader: self.bench.log.add_reader(ephemeral),
            ephemeral,
            passed,
            held: Vec::new(),
        });
    }

    fn remove_consumer(&mut self) {
        let durable = self.consumers.iter().filter(|one| !one.ephemeral).count();
        let Some(at) = self.pick() else { return };
        if durable == 1 && !self.consumers[at].ephemeral && self.consumers.len() > 1 {
            return;
        }
        self.remove(at);
    }

    fn remove(&mut self, at: usize) {
        let gone = self.consumers.swap_remove(at);
        self.bench.log.remove_reader(gone.reader);
        if self.consumers.is_empty() {
            self.unclaimed = self.shown();
        }
    }

    fn set_paused(&mut self) {
        let pause = self.border.is_none();
        self.bench.log.set_paused(pause, &mut Vec::new());
        let from = if self.consumers.is_empty() {
            self.unclaimed
        } else {
            self.messages.len()
        };
        self.border = pause.then_some(from);
    }

    fn empty(&mut self) {
        let from = match (self.consumers.is_empty(), self.border) {
            (true, _) => self.unclaimed,
            (false, Some(border)) => border,
            (false, None) => return assert_eq!(self.bench.log.empty(), 0),
        };
        let dropped = self.messages.split_off(from);
        assert_eq!(self.bench.log.empty(), dropped.len() as u64);
        for id in dropped {
            self.kernel.remove(&id);
            self.stable.remove(&id);
        }
    }

    fn read_again(&mut self) {
        for consumer in &self.consumers {
            for (segment, index, id) in &consumer.held {
                let mut out = Vec::new();
                let mut _loaded = None;
                while self.bench.log.read(segment, *index, &mut out) == Read::OnDisk {
                    _loaded = Some(segment.load(&self.bench.memory).unwrap());
                }
                assert_eq!(checked_ids(&out), [*id]);
            }
        }
    }

    /// Stops cleanly and starts: everything is as it was, but for ephemeral channels.
    fn restart(&mut self) {
        while let Some(at) = self.consumers.iter().position(|one| one.ephemeral) {
            self.remove(at);
        }
        self.bench.log.directory().collect_garbage();
        self.bench.log.directory().keep_files();
        self.bench.log.spill_all().unwrap();
        let log = &self.bench.log;
        let unshown = log.unshown_position();
        let positions: Vec<_> = self
            .consumers
            .iter()
            .map(|consumer| log.position(consumer.reader))
            .collect();
        let number_min = positions
            .iter()
            .chain([&unshown])
            .map(|place| place.0)
            .max();
        let recovered = self.bench.reopen(number_min.unwrap() + 1);
        for (consumer, position) in self.consumers.iter_mut().zip(positions) {
            consumer.reader = self.bench.log.restore_reader(false, position);
            for (segment, _, _) in &mut consumer.held {
                *segment = Arc::clone(&recovered.segments[&segment.number()]);
            }
        }
        let paused = self.border.is_some();
        self.bench.log.restore_unshown(unshown, paused);
        self.bench.log.finish_recovery();
    }

    /// Dies and starts, with one channel that reads everything that is left.
    fn crash(&mut self) {
        let crash = *self.rng.choice(&Crash::ALL).unwrap();
        let needed = self.needed();
        let mut survivors: BTreeSet<_> = self.stable.intersection(&needed).copied().collect();
        if crash == Crash::Process {
            survivors.extend(self.kernel.intersection(&needed));
        }
        self.consumers.clear();
        self.bench.disk.crash(crash, &mut self.rng);
        let _segments = self.bench.reopen(0);
        let reader = self.bench.log.restore_reader(false, EVERYTHING);
        self.bench.log.finish_recovery();
        let found = self.bench.drain(reader);
        assert!(found.is_sorted_by(|a, b| a < b), "{crash:?}: {found:?}");
        assert!(found.last().is_none_or(|&last| last < self.bench.next_id));
        let found_set: BTreeSet<_> = found.iter().copied().collect();
        let lost: Vec<_> = survivors.difference(&found_set).collect();
        assert!(lost.is_empty(), "{crash:?} lost {lost:?}");

        self.messages = found;
        self.border = None;
        self.kernel.clear();
        self.stable.clear();
        let passed = self.messages.len();
        self.consumers.push(Consumer {
            reader,
            ephemeral: false,
            passed,
            held: Vec::new(),
        });
    }

    /// Reads and finishes everything: nothing may be left in memory or on disk.
    fn drain(mut self) {
        if self.border.is_some() {
            self.set_paused();
        }
        if self.consumers.is_empty() {
            self.add_consumer();
        }
        for consumer in &mut self.consumers {
            let ids = self.bench.drain(consumer.reader);
            assert!(consumer.ephemeral || ids == self.messages[consumer.passed..]);
            consumer.held.clear();
        }
        self.bench.log.release_if_idle();
        self.bench.log.directory().collect_garbage();
        assert_eq!(self.bench.segment_files(), Vec::<std::path::PathBuf>::new());
        assert_eq!(self.bench.memory.used(), 0);
    }
}

fn run(seed: u64) {
    let mut model = Model::new(seed);
    (0..STEPS).for_each(|_| model.step());
    model.drain();
}

#[test]
fn messages_in_flight_are_written_whatever_else_holds_their_segment() {
    // A segment that no durable cursor needs any more is needed by a consumer: sealed by a pause, or kept in the log's
    // list by an ephemeral channel that lags behind.
    for seed in [
        2_839_811_136_851_491_499,
        2_963_243_344_866_424_092,
        229_272_810_124_580_945,
    ] {
        run(seed);
    }
}

#[test]
fn a_log_does_what_a_list_does() {
    let first = fastrand::u64(..u64::MAX / 2);
    for seed in first..first + 60 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "run({seed}) repeats it");
    }
}

#[test]
fn ephemeral_channels_skip_what_memory_has_no_room_for() {
    let mut bench = Bench::new(20, 1 << 10);
    let reader = bench.log.add_reader(true);
    for _ in 0..100 {
        bench.append(1);
        let Depth { messages, on_disk } = bench.log.depth(reader);
        assert!(
            messages <= 30 && on_disk == 0,
            "{messages}, {on_disk} on disk"
        );
    }
    bench.log.spill_due().unwrap();
    assert!(!bench.log.directory().exists(), "nothing is on disk");
    let dropped = bench.log.counters().dropped;
    assert_eq!(bench.drain(reader), (dropped..100).collect::<Vec<_>>());
}

#[test]
fn a_paused_ephemeral_topic_that_overflows_goes_on_after_it() {
    let settings = Settings {
        mem_queue_size: 10,
        ephemeral: true,
    };
    let mut bench = Bench::with(settings, Memory::new(1 << 20, 1 << 10), 1);
    let reader = bench.log.add_reader(false);
    bench.log.set_paused(true, &mut Vec::new());
    bench.append(5);
    (0..100).for_each(|_| bench.append(1));
    bench.log.empty();
    bench.log.set_paused(false, &mut Vec::new());
    bench.append(3);
    assert_eq!(bench.drain(reader), [105, 106, 107]);
}

#[test]
fn many_segments_that_channels_held_leave_nothing_behind() {
    let mut bench = Bench::new(100_000, 1 << 8);
    let reader = bench.log.add_reader(false);
    for _ in 0..1000 {
        bench.append(1);
        let held = bench.claim(reader, 1);
        bench.append(3);
        bench.drain(reader);
        drop(held);
    }
    assert!(bench.log.state.lock().aside.capacity() < 20);
}
