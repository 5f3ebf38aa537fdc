//! Group commit: publishers of a durable topic wait here until what they appended is where OK promises it to be. One
//! write, and one sync, serves all who wait.
//!
//! ```text
//!   publisher ─ append ─ wants n ─ waits until n is reached, or it failed
//!                          │
//!                          ▼
//!   one task, while something is wanted: [write and sync all that was appended] ─▶ reached
//! ```
//!
//! Messages are counted in the order in which the log took them, so that what is reached is one number.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{PublishError, Topic};
use crate::log;
use crate::sabotage::{Fault, is_on};

/// Commits that are under way at the same time in a process: each has a thread, which a slow disk holds.
pub const COMMITS_MAX: usize = 64;

/// What was appended, and where it is to be before it is answered with OK; see [`Topic::settled`].
#[must_use = "it may be answered when it is settled"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// How many messages the log had taken then.
    pub(super) messages: u64,
    /// Stable storage is to have them, rather than the kernel.
    pub(super) synced: bool,
}

impl Unsettled {
    /// Both, one of which was appended after the other.
    pub fn and(self, other: Self) -> Self {
        Self {
            messages: self.messages.max(other.messages),
            synced: self.synced || other.synced,
        }
    }
}

/// Who waits in a topic, and for what.
#[derive(Debug, Default)]
pub(super) struct Commits {
    wanted: Mutex<Wanted>,
    reached: watch::Sender<Reached>,
    made: AtomicU64,
}

impl Commits {
    /// How many were made, failed ones included.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Wanted {
    /// Messages that the kernel is to have, and those to be on stable storage.
    written: u64,
    synced: u64,
    /// A task sees to it.
    working: bool,
}

/// How many messages the kernel has, how many are on stable storage, and how many were tried for when it failed last.
#[derive(Debug, Default)]
struct Reached {
    written: u64,
    synced: u64,
    failed: u64,
    reason: String,
}

impl Reached {
    fn includes(&self, unsettled: Unsettled) -> bool {
        let kernel_will_do = !unsettled.synced && self.written >= unsettled.messages;
        kernel_will_do || self.synced >= unsettled.messages
    }
}

impl Topic {
    /// Waits until what was appended is where it is to be. Nothing is lost when it is cancelled and called again.
    ///
    /// # Errors
    /// It could not be brought there; it may be delivered all the same.
    pub async fn settled(self: &Arc<Self>, unsettled: Unsettled) -> Result<(), PublishError> {
        let mut reached = self.commits.reached.subscribe();
        if reached.borrow().includes(unsettled) {
            return Ok(());
        }
        self.want(unsettled);
        let ended =
            |reached: &Reached| reached.includes(unsettled) || reached.failed >= unsettled.messages;
        let reached = reached.wait_for(ended).await;
        let reached = reached.expect("the topic, which is borrowed, holds the sender");
        if reached.includes(unsettled) || self.log.directory().is_left() {
            // With the topic its messages were deleted, after they were taken.
            return Ok(());
        }
        Err(PublishError::NotWritten(reached.reason.clone()))
    }

    fn want(self: &Arc<Self>, unsettled: Unsettled) {
        let mut wanted = self.commits.wanted.lock();
        let messages = if unsettled.synced {
            &mut wanted.synced
        } else {
            &mut wanted.written
        };
        *messages = unsettled.messages.max(*messages);
        if !std::mem::replace(&mut wanted.working, true) {
            tokio::spawn(Arc::clone(self).commit_all());
        }
    }

    /// Commits until nobody waits for more.
    async fn commit_all(self: Arc<Self>) {
        let turns = Arc::clone(&self.shared.commit_turns);
        while let Some(synced) = self.next_commit() {
            let _turn = turns.acquire().await.expect("turns are never closed");
            let topic = Arc::clone(&self);
            let committed = tokio::task::spawn_blocking(move || topic.commit(synced)).await;
            if let Err(panic) = committed {
                let messages = self.log.counters().messages;
                let outcome = Err(io::Error::other(panic));
                self.end_commit(synced, log::Commit { messages, outcome });
            }
        }
    }

    /// Whether the next commit is to sync; `None` ends the task, as nobody waits.
    fn next_commit(&self) -> Option<bool> {
        let mut wanted = self.commits.wanted.lock();
        let reached = self.commits.reached.borrow();
        let lacks = |messages, synced| {
            messages > reached.failed && !reached.includes(Unsettled { messages, synced })
        };
        let next = if lacks(wanted.synced, true) {
            Some(true)
        } else {
            lacks(wanted.written, false).then_some(false)
        };
        wanted.working = next.is_some();
        next
    }

    /// Brings everything that was appended up to now to the kernel, or to stable storage. Blocks.
    fn commit(&self, synced: bool) {
        let commit = if synced && !is_on(Fault::AckBeforeFsync) {
            self.log.sync_through()
        } else {
            self.log.write_through()
        };
        self.end_commit(synced, commit);
    }

    fn end_commit(&self, synced: bool, commit: log::Commit) {
        let log::Commit { messages, outcome } = commit;
        self.commits.made.fetch_add(1, Ordering::Relaxed);
        // Until it has succeeded, further messages are refused before they are taken.
        self.note(&outcome);
        self.commits.reached.send_modify(|reached| match outcome {
            Ok(()) if synced => reached.synced = messages,
            Ok(()) => reached.written = messages,
            Err(error) => (reached.failed, reached.reason) = (messages, error.to_string()),
        });
    }
}
