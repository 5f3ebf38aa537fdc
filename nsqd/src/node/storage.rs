//! The storage worker: one task that writes, syncs and removes for all topics, off the async threads.
//!
//! A topic asks for it when memory has no room for its segments, or when files can go. Every `--sync-timeout` it looks at
//! each topic in which something has happened, and every `--checkpoint-interval` at those that are durable. What is written
//! in one round is synced once. A topic whose storage has failed is tried again after a while.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tracing::{error, info, warn};

use super::Node;
use crate::topic::{Durability, Topic, Upkeep};

/// How soon a topic whose storage has failed is tried again, and how late after many failures.
const RETRY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(1);

/// What the storage worker does in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// What topics ask for.
    Care,
    /// The same for topics whose storage has failed.
    Retry,
    /// Progress, and what was only in memory, of durable topics.
    Checkpoint,
    /// Likewise of all topics.
    Tidy,
}

/// When topics whose storage has failed are tried again.
#[derive(Debug)]
struct Retry {
    pause: Duration,
    at: Option<Instant>,
}

impl Retry {
    fn new() -> Self {
        Self {
            pause: *RETRY.start(),
            at: None,
        }
    }

    /// Notes whether there are such topics after a round.
    fn note(&mut self, faulty: bool, round: Round) {
        if !faulty {
            *self = Self::new();
            return;
        }
        if round == Round::Retry {
            self.pause = (self.pause * 2).min(*RETRY.end());
            self.at = None;
        }
        self.at.get_or_insert_with(|| Instant::now() + self.pause);
    }

    async fn due(&self) {
        match self.at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Node {
    /// Does the storage work of all topics until `stopping` says so: no work is under way when it returns.
    pub async fn work(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut tidy = every(self.options.sync_timeout);
        let mut checkpoint = every(self.options.checkpoint_interval);
        let mut retry = Retry::new();
        loop {
            let round = tokio::select! {
                () = self.bell.rung() => Round::Care,
                _ = tidy.tick() => Round::Tidy,
                _ = checkpoint.tick() => Round::Checkpoint,
                () = retry.due() => Round::Retry,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            let node = Arc::clone(&self);
            let worked = tokio::task::spawn_blocking(move || node.do_round(round)).await;
            if let Err(panic) = &worked {
                error!(%panic, "storage work failed");
            }
            retry.note(worked.unwrap_or(true), round);
            if self.metadata.is_behind().await
                && let Err(cause) = self.persist().await
            {
                error!(%cause, "failed to persist metadata");
            }
        }
    }

    /// Returns whether there are topics whose storage has failed. Blocks.
    fn do_round(&self, round: Round) -> bool {
        let _turn = self.storage_turn.lock();
        if round == Round::Tidy {
            self.tidy();
        }
        let is_regular = matches!(round, Round::Checkpoint | Round::Tidy);
        if is_regular && !self.bell.is_stirred() {
            return self.memory.fault().is_some();
        }
        match round {
            Round::Care | Round::Retry => {}
            Round::Checkpoint => self.checkpoint(|topic| topic.durability().is_durable()),
            Round::Tidy => {
                self.bell.settle();
                self.checkpoint(|_| true);
            }
        }
        self.care(round == Round::Retry);
        let fault = self.fault();
        let faulty = fault.is_some();
        self.memory.set_fault(fault);
        faulty
    }

    fn care(&self, retry: bool) {
        let over_budget = self.memory.over_budget();
        let wants_care = |topic: &&Arc<Topic>| {
            let asked = topic.log().directory().take_care() || over_budget;
            topic.fault().map_or(asked, |_| retry)
        };
        let topics = self.topics();
        let work = topics.iter().filter(wants_care).map(Topic::care).collect();
        // Each topic holds its own failure, and all of it is tried again.
        let _ = self.finish(work);
        if self.deleted.swap(false, Ordering::AcqRel)
            && let Err(cause) = self.data_dir.remove_deleted()
        {
            warn!(%cause, "remains of deleted topics not removed");
            self.deleted.store(true, Ordering::Release);
        }
    }

    /// Tidies up what all topics share.
    fn tidy(&self) {
        if let Err(cause) = self.shared.ids.reserve_if_due() {
            error!(%cause, "message ids not reserved");
        }
        self.memory.trim();
    }

    fn checkpoint(&self, wanted: impl Fn(&Topic) -> bool) {
        let topics = self.topics();
        let wanted = topics.iter().filter(|topic| wanted(topic));
        let _ = self.finish(wanted.filter_map(Topic::tidy).collect());
    }

    /// Ends work on many topics, with one sync for all. Returns the first failure.
    fn finish(&self, work: Vec<Upkeep>) -> io::Result<()> {
        let needs_sync = work.iter().any(Upkeep::needs_sync);
        let synced = if needs_sync {
            self.data_dir.sync()
        } else {
            Ok(())
        };
        if synced.is_err() {
            // Of what others have written before, too, nobody knows now whether the disk has it.
            self.topics().iter().for_each(|topic| topic.distrust());
        }
        let outcomes: Vec<_> = work
            .into_iter()
            .map(|upkeep| upkeep.finish(&synced))
            .collect();
        outcomes.into_iter().collect()
    }

    /// Changes what OK promises in a topic, to a level of its own or with `None` to the process's. When this returns, all
    /// that was taken before is as safe as the new level promises, and the level itself comes back after anything.
    ///
    /// # Errors
    /// It could not be made so; the topic has the level all the same, and refuses messages until that is done.
    pub async fn set_durability(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        own: Option<Durability>,
    ) -> io::Result<()> {
        let (node, topic) = (Arc::clone(self), Arc::clone(topic));
        let work = move || {
            let _turn = node.storage_turn.lock();
            let upkeep = topic.set_durability(own);
            info!(topic = %topic.name(), durability = %topic.durability(), "durability of topic set");
            node.finish(vec![upkeep])?;
            topic.log().directory().sync_names()
        };
        let working = tokio::task::spawn_blocking(work);
        working.await.map_err(io::Error::other)??;
        self.metadata.changed();
        self.persist().await
    }

    /// Writes everything that must come back: for a clean stop, after the last session has ended. Blocks.
    ///
    /// # Errors
    /// Of a topic that could not be written; the others were.
    pub fn close(&self) -> io::Result<()> {
        let work = self.topics().iter().map(Topic::close).collect();
        self.finish(work).and_then(|()| self.data_dir.sync())
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
