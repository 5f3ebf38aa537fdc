//! The storage worker: one task that writes, syncs and removes for all topics, off the async threads.
//!
//! A topic asks for it when memory has no room for its segments, or when files can go; and every `--sync-timeout` it
//! looks at each topic in which something has happened. What is written in one round is synced once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::Node;
use crate::topic::{Durability, Topic, Upkeep};

impl Node {
    /// Does the storage work of all topics as they ask for it, and once every `--sync-timeout` tidies up, until
    /// `stopping` says so: no work is under way when it returns.
    pub async fn work(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut tidy =
            tokio::time::interval(self.options.sync_timeout.max(Duration::from_millis(10)));
        tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let tidying = tokio::select! {
                () = self.bell.notified() => false,
                _ = tidy.tick() => true,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            let node = Arc::clone(&self);
            let work = move || if tidying { node.tidy() } else { node.care() };
            if let Err(panic) = tokio::task::spawn_blocking(work).await {
                error!(%panic, "storage work failed");
            }
            if self.metadata.is_behind().await
                && let Err(cause) = self.persist().await
            {
                error!(%cause, "failed to persist metadata");
            }
        }
    }

    fn care(&self) {
        let over_budget = self.memory.over_budget();
        let wants_care = |topic: &Arc<Topic>| {
            topic.log().directory().take_care() || over_budget || topic.fault().is_some()
        };
        let topics = self.topics();
        let work = topics
            .iter()
            .filter(|topic| wants_care(topic))
            .map(Topic::care)
            .collect();
        // Each topic holds its own failure, and all of it is tried again.
        let _ = self.finish(work);
        self.memory.set_fault(self.fault());
        if self.deleted.swap(false, Ordering::AcqRel)
            && let Err(cause) = self.data_dir.remove_deleted()
        {
            warn!(%cause, "remains of deleted topics not removed");
        }
    }

    fn tidy(&self) {
        let work = self.topics().iter().filter_map(Topic::tidy).collect();
        let _ = self.finish(work);
        if let Err(cause) = self.shared.ids.reserve_if_due() {
            error!(%cause, "message ids not reserved");
        }
        self.care();
        self.memory.trim();
    }

    /// Ends work on many topics, with one sync for all. Returns the first failure.
    fn finish(&self, work: Vec<Upkeep>) -> io::Result<()> {
        let needs_sync = work.iter().any(Upkeep::needs_sync);
        let synced = if needs_sync {
            self.data_dir.sync()
        } else {
            Ok(())
        };
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
