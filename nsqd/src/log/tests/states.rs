//! Every state that a crash can leave a topic in: random work on it is recorded call by call, and after each call the
//! process is killed and the power is cut, in many ways. What was promised must be there when it opens again.
//!
//! `NSQD_CRASH_STATES` is how many states are tried, `NSQD_TEST_SEED` repeats a run.

use std::collections::BTreeSet;
use std::time::Duration;

use client::wire::{BODY_AT, ID_AT};
use fastrand::Rng;
use tokio::sync::Semaphore;

use super::super::sim_disk::History;
use super::flips::seeded;
use super::*;
use crate::channel::{self, Channel, Claimed, Locality};
use crate::clock::manual::StoppedClock;
use crate::message_id::MessageIds;
use crate::topic::{COMMITS_MAX, Durability, Known, Shared, Topic, Upkeep};

pub(super) const CHANNELS: [&str; 2] = ["archive", "billing"];
const STATES: usize = 10_000;
/// Steps of one piece of work.
const STEPS: usize = 40;
/// How often the power is cut after each call.
const CUTS: usize = 32;
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);
/// All that is deferred is due after it.
const LATER: Duration = Duration::from_hours(10);
const SETTINGS: Settings = Settings {
    mem_queue_size: 0,
    ephemeral: false,
};

/// What holds after a step of the work.
#[derive(Debug, Clone, Default)]
struct Promise {
    /// Calls to the disk up to here.
    calls: usize,
    /// Messages published; each has its number in its body.
    published: u64,
    /// Of these, from the first on, what a power cut must leave.
    stable: u64,
    /// What each channel has finished.
    finished: [BTreeSet<u64>; 2],
}

/// A topic at work, and what it has promised.
struct Work {
    rng: Rng,
    disk: SimDisk,
    clock: Arc<StoppedClock>,
    topic: Arc<Topic>,
    durability: Durability,
    now: Promise,
    promises: Vec<Promise>,
}

impl Work {
    fn new(seed: u64) -> (Self, SimDisk) {
        let mut rng = Rng::with_seed(seed);
        let disk = SimDisk::new("/topics");
        let clock = Arc::new(StoppedClock::new());
        let durability = *rng.choice(&[Durability::Disk, Durability::Fsync]).unwrap();
        let topic = open(&disk, &clock, durability, Some(known()));
        disk.record();
        let before = disk.copy();
        let work = Self {
            rng,
            disk,
            clock,
            topic,
            durability,
            now: Promise::default(),
            promises: vec![Promise::default()],
        };
        (work, before)
    }

    async fn step(&mut self) {
        match self.rng.u8(..10) {
            0..4 => self.publish().await,
            4 => self.defer().await,
            5..8 => self.consume(),
            8 => self.pass(),
            _ => self.tidy(),
        }
        self.now.calls = self.disk.recorded();
        self.promises.push(self.now.clone());
    }

    fn body(&mut self) -> Vec<u8> {
        let length = *self.rng.choice(&[8, 30, 500, 2000]).unwrap();
        let number = self.now.published;
        self.now.published += 1;
        numbered(number, length)
    }

    async fn publish(&mut self) {
        let count = self.rng.usize(1..5);
        let bodies: Vec<_> = (0..count).map(|_| self.body()).collect();
        let bodies = bodies.iter().map(Vec::as_slice);
        self.topic.publish(bodies, &mut Vec::new()).await.unwrap();
        self.answered();
    }

    async fn defer(&mut self) {
        let delay = Duration::from_secs(self.rng.u64(1..100));
        let body = self.body();
        self.topic.publish_deferred(&body, delay).await.unwrap();
        self.answered();
    }

    /// Notes that a publish was answered with OK.
    fn answered(&mut self) {
        if self.durability == Durability::Fsync {
            self.now.stable = self.now.published;
        }
    }

    /// Takes some messages of a channel; finishes some of them, defers others, and holds the rest or lets go of it.
    fn consume(&mut self) {
        let at = self.rng.usize(..CHANNELS.len());
        let channel = self.topic.channel(CHANNELS[at]).unwrap();
        let consumer = channel
            .add_consumer(TIMEOUT, Locality::default(), Arc::default())
            .unwrap();
        for (number, id) in take(&channel, consumer, self.rng.u64(1..12)) {
            match self.rng.u8(..4) {
                0 => {}
                1 => {
                    let delay = Duration::from_secs(self.rng.u64(..50));
                    channel.requeue(consumer, id, delay).unwrap();
                }
                _ => {
                    channel.finish(consumer, &[id], |id, _| panic!("{id} is held"));
                    self.now.finished[at].insert(number);
                }
            }
        }
        // One that stays keeps what it has in flight, until it times out.
        channel.set_ready(consumer, 0);
        if self.rng.bool() {
            channel.remove_consumer(consumer);
        }
    }

    fn pass(&mut self) {
        let time = Duration::from_secs(self.rng.u64(1..90));
        self.clock.advance(time);
        for channel in self.topic.channels() {
            channel.advance();
        }
    }

    /// What the storage worker does once in a while.
    fn tidy(&mut self) {
        self.finish(self.topic.care());
        if let Some(upkeep) = self.topic.tidy() {
            self.finish(upkeep);
        }
        self.now.stable = self.now.published;
    }

    fn finish(&self, upkeep: Upkeep) {
        let synced = self.disk.sync_all(Path::new(TOPIC));
        upkeep.finish(&synced).unwrap();
    }
}

/// Opens the topic that is on a disk, with the channels that are known.
pub(super) fn open(
    disk: &SimDisk,
    clock: &Arc<StoppedClock>,
    durability: Durability,
    known: Option<Known>,
) -> Arc<Topic> {
    let ids = MessageIds::open(Arc::new(disk.clone()), Path::new("/topics"), 1, 0).unwrap();
    let shared = Shared {
        channels: channel::Shared {
            clock: Arc::<StoppedClock>::clone(clock),
            random: Arc::new(Dice::new(3)),
            timers: Arc::default(),
            max_msg_timeout: TIMEOUT * 15,
            consumers_max: 0,
            latency: None,
        },
        ids: Arc::new(ids),
        channels_max: 0,
        durability,
        commit_turns: Arc::new(Semaphore::new(COMMITS_MAX)),
    };
    let directory = directory(disk, disk.list(Path::new(TOPIC)).is_ok());
    let memory = Memory::new(1 << 20, 1 << 12);
    let name = "orders".parse().unwrap();
    Topic::restore(name, SETTINGS, (&memory, directory), known, shared).unwrap()
}

/// Both channels, as the metadata knows them.
pub(super) fn known() -> Known {
    Known {
        channels: CHANNELS.map(|name| (name.parse().unwrap(), false)).into(),
        ..Known::default()
    }
}

/// Opens what a disk has, and gives every message that each of the channels has to a consumer: their numbers.
pub(super) fn open_and_drain(disk: &SimDisk, known: Option<Known>) -> Vec<BTreeSet<u64>> {
    let clock = Arc::new(StoppedClock::new());
    let topic = open(disk, &clock, Durability::Disk, known);
    topic.log().directory().keep_files();
    clock.advance(LATER);
    let drain = |name| {
        let channel = topic.channel(name).unwrap();
        channel.advance();
        let consumer = channel
            .add_consumer(TIMEOUT, Locality::default(), Arc::default())
            .unwrap();
        let taken = take(&channel, consumer, u64::MAX);
        taken.into_iter().map(|(number, _)| number).collect()
    };
    let found = CHANNELS.into_iter().map(drain).collect();
    // Lets go of the channels, which wait for more.
    topic.exit();
    found
}

/// A body that says which message it is.
pub(super) fn numbered(number: u64, length: usize) -> Vec<u8> {
    number
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(length)
        .collect()
}

/// Claims up to `count` messages; each is checked.
pub(super) fn take(
    channel: &Channel,
    consumer: channel::ConsumerId,
    count: u64,
) -> Vec<(u64, MessageId)> {
    channel.set_ready(consumer, count);
    let mut out = Vec::new();
    loop {
        match channel.claim(consumer, 0, usize::MAX, &mut out) {
            Claimed::Some => {}
            Claimed::OnDisk(segment) => channel.load_now(&segment).unwrap(),
            _ => return frames(&out).collect(),
        }
    }
}

/// The numbers and ids of messages.
fn frames(mut frames: &[u8]) -> impl Iterator<Item = (u64, MessageId)> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(*frames.first_chunk()?) as usize + 4;
        let (frame, rest) = frames.split_at(size);
        frames = rest;
        let body = &frame[BODY_AT..];
        let number = u64::from_be_bytes(*body.first_chunk().unwrap());
        assert_eq!(
            body,
            numbered(number, body.len()),
            "message {number} is corrupt"
        );
        let id = MessageId::from_bytes(frame[ID_AT..BODY_AT].try_into().unwrap());
        Some((number, id))
    })
}

/// Opens what a crash has left: of the first `stable` messages each channel gets what it has not finished.
fn check(disk: &SimDisk, after: &Promise, stable: u64) {
    let found = open_and_drain(disk, Some(known()));
    for (found, finished) in found.iter().zip(&after.finished) {
        let is_lost = |number: &u64| !finished.contains(number) && !found.contains(number);
        let lost: Vec<_> = (0..stable).filter(is_lost).collect();
        assert!(lost.is_empty(), "lost {lost:?}");
        assert!(found.last().is_none_or(|last| *last < after.published));
    }
}

/// Tries every crash of one piece of work; returns how many that were.
fn run(seed: u64) -> usize {
    let (mut work, before) = Work::new(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(async {
        for _ in 0..STEPS {
            work.step().await;
        }
    });
    let mut history = work.disk.history(&before);
    let mut states = 0;
    let mut promised = work.promises.iter().peekable();
    let mut before = promised.next().expect("one is made at the start");
    for calls in 1.. {
        if !history.advance() {
            break;
        }
        while let Some(promise) = promised.next_if(|promise| promise.calls <= calls) {
            before = promise;
        }
        let after = promised.peek().copied().filter(|_| before.calls < calls);
        states += crash(&history, &mut work.rng, before, after.unwrap_or(before));
    }
    work.topic.log().directory().keep_files();
    states
}

/// Tries the crashes after one call, between two promises.
fn crash(history: &History, rng: &mut Rng, before: &Promise, after: &Promise) -> usize {
    check(&history.kill(), after, before.published);
    for _ in 0..CUTS {
        check(&history.cut_power(rng), after, before.stable);
    }
    1 + CUTS
}

#[tokio::test]
async fn what_queues_behind_lost_messages_is_delivered() {
    let (disk, clock) = (SimDisk::new("/topics"), Arc::new(StoppedClock::new()));
    let topic = open(&disk, &clock, Durability::Fsync, Some(known()));
    let bodies = [numbered(0, 100), numbered(1, 100)];
    let bodies = bodies.iter().map(Vec::as_slice);
    topic.publish(bodies, &mut Vec::new()).await.unwrap();
    let channel = topic.channel(CHANNELS[0]).unwrap();
    let consumer = channel
        .add_consumer(TIMEOUT, Locality::default(), Arc::default())
        .unwrap();
    let (_, first) = take(&channel, consumer, 1)[0];
    channel.requeue(consumer, first, TIMEOUT).unwrap();
    let closing = topic.close();
    closing.finish(&disk.sync_all(Path::new(TOPIC))).unwrap();

    // The first message comes back behind the second one, whose last bytes are damaged.
    let is_main = |path: &std::path::PathBuf| path.extension().is_some_and(|kind| kind == "main");
    let segment = disk.files(TOPIC).into_iter().find(is_main).unwrap();
    let mut content = disk.content(&segment);
    let end = content.len() - 20;
    content[end] ^= 1;
    disk.put(&segment, &content);
    let found = open_and_drain(&disk, Some(known()));
    assert_eq!(found, [BTreeSet::from([0]), BTreeSet::from([0])]);
}

#[test]
fn no_crash_takes_what_was_promised() {
    let states = std::env::var("NSQD_CRASH_STATES").map_or(STATES, |text| text.parse().unwrap());
    let mut seeds = seeded("states");
    let mut tried = 0;
    while tried < states {
        let seed = seeds.u64(..);
        let outcome = std::panic::catch_unwind(|| run(seed));
        tried += outcome.unwrap_or_else(|_| panic!("run({seed}) repeats it"));
    }
    eprintln!("{tried} crash states");
}
