//! What OK promises at each level, over a disk that loses, tears and refuses.

use std::collections::BTreeSet;

use super::*;
use crate::log::sim_disk::EIO;

/// A topic with one channel, and beside it what it owes.
struct Ledger {
    bench: Bench,
    rng: Rng,
    /// All that was ever tried.
    published: BTreeSet<String>,
    /// What was answered with OK, and not finished.
    owed: BTreeSet<String>,
}

impl Ledger {
    fn new(level: Durability, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mem_queue_size = *rng.choice(&[1, 20, 1000]).unwrap();
        let bench = Bench::with(mem_queue_size, level);
        bench.channel("archive");
        Self {
            bench,
            rng,
            published: BTreeSet::new(),
            owed: BTreeSet::new(),
        }
    }

    /// Publishes by as many producers at a time, some of it deferred.
    async fn publish(&mut self, producers: usize) {
        let start = self.published.len();
        let words = (start..start + producers).map(|number| format!("w{number}"));
        let publishing: Vec<_> = words
            .map(|word| {
                let (topic, deferred) = (Arc::clone(&self.bench.topic), self.rng.u8(..4) == 0);
                self.published.insert(word.clone());
                tokio::spawn(async move {
                    let delay = if deferred { SECOND } else { Duration::ZERO };
                    let outcome = topic.publish_deferred(word.as_bytes(), delay).await;
                    (word, outcome)
                })
            })
            .collect();
        for published in publishing {
            let (word, outcome) = published.await.unwrap();
            if outcome.is_ok() {
                self.owed.insert(word);
            }
        }
    }

    /// Takes some messages and finishes half of them.
    fn consume(&mut self) {
        let channel = self.bench.channel("archive");
        let ready_count = self.rng.u64(1..20);
        let (consumer, taken) = self.bench.take_frames("archive", ready_count);
        for frame in frames(&taken) {
            if self.rng.bool() {
                let id = frame_id(frame);
                channel.finish(consumer, &[id], |id, _| panic!("{id} is held"));
                self.owed.remove(&body(frame));
            }
        }
        channel.remove_consumer(consumer);
    }

    async fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.rng.u8(..10) {
                0..5 => {
                    let producers = self.rng.usize(1..6);
                    self.publish(producers).await;
                }
                5..8 => self.consume(),
                8 => self.bench.checkpoint(),
                _ => self.bench.restart(),
            }
        }
    }

    /// Dies, starts, and delivers everything.
    fn crash(&mut self, crash: Crash) {
        self.bench.crash(crash);
        self.bench.pass(SECOND);
        let (_, taken) = self.bench.take_frames("archive", u64::MAX);
        let found: BTreeSet<_> = frames(&taken).map(body).collect();
        let lost: Vec<_> = self.owed.difference(&found).collect();
        assert!(lost.is_empty(), "{crash:?} lost {lost:?}");
        assert!(found.is_subset(&self.published), "{found:?}");
    }
}

#[tokio::test]
async fn at_fsync_no_crash_loses_what_was_answered() {
    for crash in Crash::ALL {
        for seed in 0..20 {
            let mut ledger = Ledger::new(Durability::Fsync, seed);
            ledger.run(25).await;
            ledger.crash(crash);
        }
    }
}

#[tokio::test]
async fn at_disk_the_end_of_the_process_loses_nothing_that_was_answered() {
    for seed in 0..40 {
        let mut ledger = Ledger::new(Durability::Disk, seed);
        ledger.run(25).await;
        ledger.crash(Crash::Process);
    }
}

#[tokio::test]
async fn no_ok_depends_on_a_call_that_failed() {
    for (call, errno) in [
        (Call::Sync, EIO),
        (Call::Write, ENOSPC),
        (Call::Create, EIO),
    ] {
        for skip in 0..60 {
            let times = 1 + skip % 3;
            let mut ledger = Ledger::new(Durability::Fsync, u64::from(skip));
            ledger.bench.disk.fail(call, skip, times, errno);
            for _ in 0..12 {
                let producers = ledger.rng.usize(1..4);
                ledger.publish(producers).await;
                ledger.bench.try_checkpoint();
            }
            ledger.bench.disk.heal();
            ledger.crash(Crash::PowerNone);
            assert!(!ledger.owed.is_empty(), "{call:?} {skip}: the fault ended");
        }
    }
}

#[tokio::test]
async fn progress_that_failed_to_reach_the_disk_is_written_again_though_nothing_happens() {
    for call in [Call::Create, Call::Write, Call::Sync, Call::Rename] {
        for skip in 0..3 {
            let mut bench = Bench::with(100, Durability::Disk);
            bench.channel("archive");
            bench.publish("a b").await;
            bench.checkpoint();
            bench.consume("archive");
            bench.publish("c").await;
            bench.disk.fail(call, skip, 1, EIO);
            bench.try_checkpoint();
            bench.disk.heal();
            bench.checkpoint();
            bench.disk.sync_all(DIRECTORY.as_ref()).unwrap();
            bench.crash(Crash::PowerNone);
            assert_eq!(bench.take("archive"), "c", "{call:?} {skip}");
        }
    }
}

#[tokio::test]
async fn where_every_message_is_written_a_kill_loses_none() {
    let mut bench = Bench::new(0);
    bench.channel("archive");
    bench.publish("a b").await;
    bench.defer("later", SECOND).await;
    bench.take("archive");
    bench.crash(Crash::Process);
    assert_eq!(bench.consume("archive"), "a b");
    bench.pass(SECOND);
    assert_eq!(bench.consume("archive"), "later");
}

#[tokio::test]
async fn those_who_wait_together_share_a_commit() {
    let bench = Bench::with(100, Durability::Fsync);
    let all_turns = bench.shared.commit_turns.acquire_many(64).await.unwrap();
    let publishing: Vec<_> = (0..50)
        .map(|_| {
            let topic = Arc::clone(&bench.topic);
            tokio::spawn(async move {
                topic
                    .publish([&b"m"[..]].into_iter(), &mut Vec::new())
                    .await
            })
        })
        .collect();
    while bench.topic.snapshot().message_count < 50 {
        tokio::task::yield_now().await;
    }
    drop(all_turns);
    for published in publishing {
        published.await.unwrap().unwrap();
    }
    assert_eq!(bench.topic.snapshot().commits, 1);
}

#[tokio::test]
async fn a_level_that_is_raised_covers_what_was_taken_before() {
    for (level, crash) in [
        (Durability::Disk, Crash::Process),
        (Durability::Fsync, Crash::PowerNone),
    ] {
        let mut bench = Bench::new(100);
        bench.channel("archive");
        bench.publish("a b").await;
        bench.defer("later", SECOND).await;
        bench.work(bench.topic.set_durability(Some(level)));
        bench.topic.log().directory().sync_names().unwrap();
        bench.publish("c").await;
        bench.disk.crash(crash, &mut Rng::with_seed(1));
        bench.topic.log().directory().keep_files();
        // The metadata is lost too.
        bench.start(None);
        assert_eq!(bench.topic.durability(), level);
        assert_eq!(bench.take("archive"), "a b c", "{level}");
        assert_eq!(bench.channel("archive").snapshot().deferred_count, 1);

        bench.work(bench.topic.set_durability(None));
        assert_eq!(bench.topic.durability(), Durability::Memory);
    }
}

#[tokio::test]
async fn a_channel_that_was_created_starts_there_after_a_crash() {
    for crash in Crash::ALL {
        let mut bench = Bench::with(100, Durability::Fsync);
        bench.channel("archive");
        bench.topic.checkpoint().unwrap();
        bench.publish("a b").await;
        bench.channel("later");
        bench.topic.checkpoint().unwrap();
        bench.publish("c").await;
        bench.crash(crash);
        assert_eq!(bench.take("later"), "c", "{crash:?}");
        assert_eq!(bench.take("archive"), "a b c", "{crash:?}");
    }
}

#[tokio::test]
async fn where_a_channel_starts_is_written_again_after_a_failure() {
    for call in [Call::Create, Call::Write, Call::Sync, Call::Rename] {
        let mut bench = Bench::with(100, Durability::Fsync);
        bench.channel("archive");
        bench.publish("a b").await;
        bench.checkpoint();
        bench.channel("later");
        bench.disk.fail(call, 0, 1, EIO);
        bench.topic.checkpoint().unwrap_err();
        bench.checkpoint();
        bench.disk.sync_all(DIRECTORY.as_ref()).unwrap();
        bench.crash(Crash::PowerNone);
        assert_eq!(bench.take("later"), "", "{call:?}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_the_worker_does_not_undo_a_newer_one() {
    let mut bench = Bench::with(100, Durability::Disk);
    bench.channel("archive");
    bench.publish("a").await;
    let upkeep = bench.topic.tidy().unwrap();
    bench.channel("later");
    bench.topic.checkpoint().unwrap();
    bench.work(upkeep);
    bench.crash(Crash::Process);
    assert_eq!(bench.take("later"), "");
}

#[tokio::test]
async fn on_a_full_disk_what_must_be_written_is_refused_before_it_is_taken() {
    let bench = Bench::new(0);
    bench.channel("archive");
    bench.publish("a").await;
    bench.disk.fail(Call::Write, 0, u32::MAX, ENOSPC);
    let refused = |word: &'static str| {
        let topic = Arc::clone(&bench.topic);
        async move {
            topic
                .publish([word.as_bytes()].into_iter(), &mut Vec::new())
                .await
        }
    };
    assert!(matches!(
        refused("unknown").await,
        Err(PublishError::NotWritten(_))
    ));
    for _ in 0..3 {
        assert!(matches!(
            refused("never").await,
            Err(PublishError::DiskFault(_))
        ));
        let synced = bench.disk.sync_all(DIRECTORY.as_ref());
        assert!(
            bench.topic.care().finish(&synced).is_err(),
            "it is still full"
        );
    }
    bench.disk.heal();
    bench.checkpoint();
    bench.publish("b").await;
    assert_eq!(bench.take("archive"), "a unknown b");
}
