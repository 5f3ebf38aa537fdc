//! A topic and its channels, across pauses, deletions, stops and crashes.

mod durability;

use std::time::Duration;

use client::wire::{ATTEMPTS_AT, BODY_AT, MessageId};
use fastrand::Rng;

use super::*;
use crate::channel::{Claimed, ConsumerId, Locality, SubscribeError};
use crate::clock::manual::{Dice, StoppedClock};
use crate::log::sim_disk::{Call, Crash, ENOSPC, SimDisk};
use crate::log::{Care, Directory, Disk, Memory, Settings, frame_id};

const DIRECTORY: &str = "/topics/t-orders";
const TIMEOUT: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    disk: SimDisk,
    clock: Arc<StoppedClock>,
    shared: Shared,
    memory: Arc<Memory>,
    settings: Settings,
    topic: Arc<Topic>,
}

impl Bench {
    /// With no queue in memory everything goes to disk before OK.
    fn new(mem_queue_size: u64) -> Self {
        if mem_queue_size == 0 {
            Self::with(mem_queue_size, Durability::Disk)
        } else {
            Self::with(mem_queue_size, Durability::Memory)
        }
    }

    fn with(mem_queue_size: u64, durability: Durability) -> Self {
        let disk = SimDisk::new("/topics");
        let clock = Arc::new(StoppedClock::new());
        let shared = Shared {
            channels: channel::Shared {
                clock: Arc::<StoppedClock>::clone(&clock),
                random: Arc::new(Dice::new(3)),
                timers: Arc::default(),
                max_msg_timeout: TIMEOUT * 15,
                consumers_max: 0,
                latency: None,
            },
            ids: Arc::new(
                MessageIds::open(Arc::new(disk.clone()), "/topics".as_ref(), 1, 0).unwrap(),
            ),
            channels_max: 0,
            durability,
            commit_turns: Arc::new(Semaphore::new(COMMITS_MAX)),
        };
        let settings = Settings {
            mem_queue_size,
            ephemeral: false,
        };
        let memory = Memory::new(1 << 20, 1 << 10);
        let topic = open(&disk, &memory, settings, Some(Known::default()), &shared);
        Self {
            disk,
            clock,
            shared,
            memory,
            settings,
            topic,
        }
    }

    /// Publishes one message for each word.
    async fn publish(&self, words: &str) {
        let bodies: Vec<_> = words.split(' ').map(str::as_bytes).collect();
        let bodies = bodies.iter().copied();
        self.topic.publish(bodies, &mut Vec::new()).await.unwrap();
    }

    async fn defer(&self, word: &str, delay: Duration) {
        let published = self.topic.publish_deferred(word.as_bytes(), delay);
        published.await.unwrap();
    }

    fn channel(&self, name: &str) -> Arc<Channel> {
        let name = name.parse().unwrap();
        self.topic.channel_or_create(&name).unwrap().0
    }

    /// What a new consumer of a channel gets: the bodies, each with its attempts if there were several.
    fn take(&self, name: &str) -> String {
        self.take_by(name, u64::MAX).1
    }

    fn take_by(&self, name: &str, ready_count: u64) -> (ConsumerId, String) {
        let (consumer, frames) = self.take_frames(name, ready_count);
        (consumer, words(&frames))
    }

    fn take_frames(&self, name: &str, ready_count: u64) -> (ConsumerId, Vec<u8>) {
        let channel = self.channel(name);
        let consumer = channel
            .add_consumer(TIMEOUT, Locality::default(), Arc::default())
            .unwrap();
        channel.set_ready(consumer, ready_count);
        let mut out = Vec::new();
        loop {
            match channel.claim(consumer, 0, 1 << 16, &mut out) {
                Claimed::Some => {}
                Claimed::OnDisk(segment) => channel.load_now(&segment).unwrap(),
                _ => return (consumer, out),
            }
        }
    }

    /// What a new consumer gets and finishes.
    fn consume(&self, name: &str) -> String {
        let (consumer, taken) = self.take_by(name, u64::MAX);
        let channel = self.channel(name);
        let entries = channel.snapshot().in_flight_count;
        for id in self.first_ids() {
            channel.finish(consumer, &[id], |_, _| {});
        }
        assert_eq!(channel.snapshot().in_flight_count, 0, "of {entries}");
        channel.remove_consumer(consumer);
        taken
    }

    /// The ids that were given out so far.
    fn first_ids(&self) -> impl Iterator<Item = MessageId> {
        let end = self.shared.ids.take(1);
        (1 << 54..end).map(MessageId::from_u64)
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        for channel in self.topic.channels() {
            channel.advance();
        }
    }

    /// What the storage worker does once in a while.
    fn checkpoint(&self) {
        self.work(self.topic.care());
        if let Some(upkeep) = self.topic.tidy() {
            self.work(upkeep);
        }
    }

    /// The same on a disk that may refuse.
    fn try_checkpoint(&self) {
        // Whatever comes of it, it is tried again.
        let _ = self.try_work(self.topic.care());
        let _ = self.topic.tidy().map(|upkeep| self.try_work(upkeep));
    }

    fn work(&self, upkeep: Upkeep) {
        self.try_work(upkeep).unwrap();
    }

    fn try_work(&self, upkeep: Upkeep) -> std::io::Result<()> {
        let synced = self.disk.sync_all(DIRECTORY.as_ref());
        upkeep.finish(&synced)
    }

    /// Stops cleanly and starts, with what the metadata knows.
    fn restart(&mut self) {
        let known = self.known();
        self.work(self.topic.close());
        self.start(Some(known));
    }

    fn crash(&mut self, crash: Crash) {
        let known = self.known();
        self.topic.log().directory().keep_files();
        self.disk.crash(crash, &mut Rng::with_seed(1));
        self.start(Some(known));
    }

    fn start(&mut self, known: Option<Known>) {
        self.topic = open(&self.disk, &self.memory, self.settings, known, &self.shared);
    }

    fn known(&self) -> Known {
        let channels = self.topic.channels().into_iter();
        let durable = channels.filter(|channel| !channel.name().is_ephemeral());
        Known {
            durability: self.topic.own_level.read(),
            paused: self.topic.is_paused(),
            channels: durable
                .map(|channel| (channel.name().clone(), channel.is_paused()))
                .collect(),
        }
    }

    fn depth(&self) -> u64 {
        self.topic.snapshot().depth.messages
    }
}

fn open(
    disk: &SimDisk,
    memory: &Arc<Memory>,
    settings: Settings,
    known: Option<Known>,
    shared: &Shared,
) -> Arc<Topic> {
    let exists = disk.list(DIRECTORY.as_ref()).is_ok();
    let care = Care::new(&Arc::default());
    let directory = Directory::new(Arc::new(disk.clone()), DIRECTORY.into(), exists, care);
    let name = "orders".parse().unwrap();
    Topic::restore(name, settings, (memory, directory), known, shared.clone()).unwrap()
}

/// The bodies of frames; a second or later attempt is told behind a colon.
fn words(taken: &[u8]) -> String {
    let word = |frame: &[u8]| {
        let body = body(frame);
        match frame[ATTEMPTS_AT + 1] {
            1 => body,
            attempts => format!("{body}:{attempts}"),
        }
    };
    frames(taken).map(word).collect::<Vec<_>>().join(" ")
}

fn frames(mut taken: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(*taken.first_chunk()?) as usize + 4;
        let (frame, rest) = taken.split_at(size);
        taken = rest;
        assert!(frame_id(frame).to_u64().is_some());
        Some(frame)
    })
}

fn body(frame: &[u8]) -> String {
    String::from_utf8_lossy(&frame[BODY_AT..]).into_owned()
}

#[tokio::test]
async fn the_first_channel_gets_the_backlog_and_later_ones_start_at_the_end() {
    let bench = Bench::new(100);
    bench.publish("a b").await;
    bench.defer("later", SECOND).await;
    assert_eq!(bench.depth(), 3);
    bench.channel("first");
    assert_eq!(bench.depth(), 0);
    bench.channel("second");
    bench.publish("c").await;
    bench.pass(SECOND);
    assert_eq!(bench.take("first"), "a b c later");
    assert_eq!(bench.take("second"), "c");
}

#[tokio::test]
async fn a_paused_topic_hides_what_is_published() {
    let bench = Bench::new(100);
    bench.channel("archive");
    bench.publish("a").await;
    bench.topic.set_paused(true);
    bench.publish("b").await;
    bench.defer("later", SECOND).await;
    assert_eq!(bench.depth(), 2);
    bench.channel("metrics");
    bench.pass(SECOND);
    assert_eq!(bench.take("archive"), "a");
    bench.topic.set_paused(false);
    bench.pass(Duration::ZERO);
    // Both are there when the topic goes on, so both get it.
    for name in ["archive", "metrics"] {
        let taken = bench.take(name);
        assert!(taken == "b later" || taken == "later b", "{name}: {taken}");
    }
}

#[tokio::test]
async fn a_channel_created_while_paused_gets_the_backlog_after_it() {
    let bench = Bench::new(100);
    bench.publish("a").await;
    bench.topic.set_paused(true);
    bench.publish("b").await;
    assert_eq!(bench.take("archive"), "");
    assert_eq!(bench.depth(), 2);
    bench.topic.set_paused(false);
    assert_eq!(bench.take("archive"), "a b");
}

#[tokio::test]
async fn empty_drops_what_no_channel_was_shown_and_leaves_the_channels_alone() {
    let bench = Bench::new(100);
    bench.publish("a").await;
    bench.defer("later", SECOND).await;
    bench.topic.empty();
    assert_eq!(bench.depth(), 0);
    bench.channel("archive");
    bench.publish("b").await;
    bench.topic.empty();
    bench.topic.set_paused(true);
    bench.publish("c").await;
    bench.topic.empty();
    bench.publish("d").await;
    bench.topic.set_paused(false);
    bench.pass(SECOND);
    assert_eq!(bench.take("archive"), "b d");
}

#[tokio::test]
async fn a_deleted_channel_is_gone_and_one_of_its_name_is_new() {
    let bench = Bench::new(100);
    bench.channel("archive");
    bench.channel("metrics");
    bench.publish("a b").await;
    assert!(bench.topic.delete_channel("archive"));
    assert!(!bench.topic.delete_channel("archive"));
    bench.publish("c").await;
    bench.channel("archive");
    bench.publish("d").await;
    assert_eq!(bench.take("archive"), "d");
    assert_eq!(bench.take("metrics"), "a b c d");
}

#[tokio::test]
async fn a_channel_with_a_consumer_is_not_deleted_as_unused() {
    let bench = Bench::new(100);
    let channel = bench.channel("tail#ephemeral");
    let consumer = channel.add_consumer(TIMEOUT, Locality::Global, Arc::default());
    assert!(!bench.topic.delete_unused_channel(&channel));
    channel.remove_consumer(consumer.unwrap());
    assert!(bench.topic.delete_unused_channel(&channel));
    assert!(!bench.topic.delete_unused_channel(&channel), "it has gone");
    let late = channel.add_consumer(TIMEOUT, Locality::Global, Arc::default());
    assert_eq!(
        late,
        Err(SubscribeError::Exiting),
        "it is to ask for a new one"
    );
}

#[tokio::test]
async fn a_topic_whose_last_channel_went_keeps_only_what_comes_after() {
    let bench = Bench::new(100);
    bench.channel("archive");
    bench.publish("a").await;
    bench.topic.delete_channel("archive");
    bench.publish("b").await;
    assert_eq!(bench.depth(), 1);
    assert_eq!(bench.take("metrics"), "b");
}

#[tokio::test]
async fn a_deleted_topic_takes_nothing() {
    let bench = Bench::new(100);
    let channel = bench.channel("archive");
    let consumer = channel
        .add_consumer(TIMEOUT, Locality::default(), Arc::default())
        .unwrap();
    bench.topic.exit();
    let mut woken = Vec::new();
    let refused = bench.topic.publish([&b"a"[..]].into_iter(), &mut woken);
    assert_eq!(refused.await, Err(PublishError::Exiting));
    let refused = bench.topic.publish_deferred(b"a", SECOND).await;
    assert_eq!(refused, Err(PublishError::Exiting));
    assert_eq!(
        bench.topic.channel_or_create(channel.name()).err(),
        Some(CreateError::Exiting)
    );
    let claimed = channel.claim(consumer, 0, 100, &mut Vec::new());
    assert!(matches!(claimed, Claimed::Exiting));
}

#[tokio::test]
async fn a_clean_stop_keeps_everything() {
    for mem_queue_size in [100, 2, 0] {
        let mut bench = Bench::new(mem_queue_size);
        bench.channel("archive");
        bench.channel("gone#ephemeral");
        bench.publish("a b c d e").await;
        bench.defer("later", TIMEOUT).await;
        let (consumer, taken) = bench.take_by("archive", 3);
        assert_eq!(taken, "a b c");
        let ids: Vec<_> = bench.first_ids().take(3).collect();
        let channel = bench.channel("archive");
        channel.finish(consumer, &ids[..1], |id, _| panic!("{id} is held"));
        channel.requeue(consumer, ids[1], SECOND * 10).unwrap();
        channel.set_paused(true);
        bench.topic.set_paused(true);
        bench.publish("hidden").await;

        bench.restart();
        assert!(bench.topic.is_paused() && bench.channel("archive").is_paused());
        assert!(bench.topic.channel("gone#ephemeral").is_none());
        let snapshot = bench.channel("archive").snapshot();
        assert_eq!(snapshot.depth.messages, 3);
        assert_eq!(snapshot.deferred_count, 2);
        assert_eq!(bench.depth(), 1);

        bench.channel("archive").set_paused(false);
        assert_eq!(bench.consume("archive"), "c:2 d e");
        bench.pass(SECOND * 9);
        assert_eq!(bench.consume("archive"), "");
        bench.pass(SECOND);
        assert_eq!(bench.consume("archive"), "b:2");
        bench.pass(TIMEOUT);
        assert_eq!(bench.consume("archive"), "later");
        bench.topic.set_paused(false);
        assert_eq!(bench.consume("archive"), "hidden");

        bench.restart();
        assert_eq!(bench.consume("archive"), "");
    }
}

#[tokio::test]
async fn a_topic_without_channels_keeps_its_backlog() {
    let mut bench = Bench::new(100);
    bench.publish("a b").await;
    bench.defer("later", TIMEOUT).await;
    bench.restart();
    assert_eq!(bench.depth(), 3);
    assert_eq!(bench.consume("archive"), "a b");
    bench.pass(TIMEOUT);
    assert_eq!(bench.consume("archive"), "later");
}

#[tokio::test]
async fn stop_after_stop_leaves_no_file_behind() {
    let mut bench = Bench::new(100);
    bench.channel("archive");
    for _ in 0..5 {
        bench.publish("a b").await;
        bench.restart();
        assert_eq!(bench.consume("archive"), "a b");
        bench.checkpoint();
    }
    let files = bench.disk.files(DIRECTORY);
    assert_eq!(
        files,
        [format!("{DIRECTORY}/progress.dat").as_ref() as &std::path::Path]
    );
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_on_disk_and_repeats_only_the_latest() {
    for crash in Crash::ALL {
        let mut bench = Bench::new(2);
        bench.channel("archive");
        bench.publish("a b c d").await;
        bench.checkpoint();
        bench.topic.log().spill_all().unwrap();
        let (consumer, _) = bench.take_by("archive", 2);
        let ids: Vec<_> = bench.first_ids().take(2).collect();
        let channel = bench.channel("archive");
        channel.finish(consumer, &ids[..1], |id, _| panic!("{id} is held"));
        bench.checkpoint();
        // The rename that ends a checkpoint is made durable by the next sync.
        bench.disk.sync_all(DIRECTORY.as_ref()).unwrap();
        channel.finish(consumer, &ids[1..], |id, _| panic!("{id} is held"));

        bench.crash(crash);
        // `a` was finished before the checkpoint, `b` after it, in the second attempt now.
        assert_eq!(bench.consume("archive"), "b:2 c d", "{crash:?}");
    }
}

#[tokio::test]
async fn a_straggler_survives_a_crash_after_its_segment_has_gone() {
    let mut bench = Bench::new(0);
    bench.channel("archive");
    let words: Vec<_> = (0..64).map(|number| format!("w{number}")).collect();
    bench.publish(&words.join(" ")).await;
    bench.publish("last").await;
    bench.topic.log().spill_all().unwrap();
    let (consumer, _) = bench.take_by("archive", 1000);
    let channel = bench.channel("archive");
    let all_but_one: Vec<_> = bench.first_ids().skip(1).take(64).collect();
    channel.finish(consumer, &all_but_one, |id, _| panic!("{id} is held"));
    for _ in 0..10 {
        bench.checkpoint();
    }
    let first_segment = "/topics/t-orders/000000000000-";
    let files = bench.disk.files(DIRECTORY);
    let is_first =
        |path: &std::path::PathBuf| path.display().to_string().starts_with(first_segment);
    assert!(!files.iter().any(is_first), "{files:?}");
    bench.crash(Crash::PowerNone);
    assert_eq!(bench.consume("archive"), "w0:2");
}

#[tokio::test]
async fn damaged_progress_costs_no_message() {
    let mut bench = Bench::new(0);
    bench.channel("archive");
    bench.publish("a b").await;
    bench.defer("later", SECOND).await;
    let known = bench.known();
    bench.restart();
    bench.work(bench.topic.close());
    let path = std::path::Path::new(DIRECTORY).join("progress.dat");
    let content = bench.disk.content(&path);
    for damage in 0..content.len() {
        let mut damaged = content.clone();
        damaged[damage] ^= 0x10;
        bench.disk.put(&path, &damaged);
        bench.start(Some(known.clone()));
        let snapshot = bench.channel("archive").snapshot();
        assert_eq!(snapshot.depth.messages, 2, "byte {damage}");
        assert_eq!(snapshot.deferred_count, 1, "byte {damage}");
        bench.topic.log().directory().keep_files();
        assert!(
            bench
                .disk
                .files(DIRECTORY)
                .contains(&path.with_extension("damaged"))
        );
    }
}

#[tokio::test]
async fn without_metadata_the_progress_tells_the_channels() {
    let mut bench = Bench::new(100);
    bench.channel("archive").set_paused(true);
    bench.publish("a b").await;
    bench.work(bench.topic.close());
    bench.start(None);
    assert!(bench.channel("archive").is_paused());
    bench.channel("archive").set_paused(false);
    assert_eq!(bench.take("archive"), "a b");
}

#[tokio::test]
async fn without_metadata_and_progress_the_first_channel_gets_all_that_is_on_disk() {
    let mut bench = Bench::new(100);
    bench.channel("archive");
    bench.publish("a b").await;
    bench.work(bench.topic.close());
    let progress = format!("{DIRECTORY}/progress.dat");
    bench.disk.remove(progress.as_ref()).unwrap();
    bench.start(None);
    assert!(bench.topic.has_no_channel());
    assert_eq!(bench.take("archive"), "a b");
}

#[tokio::test]
async fn a_wall_clock_that_steps_by_an_hour_stalls_and_times_out_nothing() {
    for hour in [3600, -3600] {
        let bench = Bench::new(100);
        bench.channel("archive");
        bench.publish("a b").await;
        bench.defer("later", 10 * SECOND).await;
        let (consumer, _) = bench.take_by("archive", 1);

        bench.clock.step_wall(hour);
        bench.pass(9 * SECOND);
        let snapshot = bench.channel("archive").snapshot();
        let held = (
            snapshot.in_flight_count,
            snapshot.deferred_count,
            snapshot.timeout_count,
        );
        assert_eq!(held, (1, 1, 0), "{hour}");
        bench.publish("c").await;
        bench.pass(SECOND);
        assert_eq!(bench.take("archive"), "b c later", "{hour}");
        bench.channel("archive").remove_consumer(consumer);
    }
}
