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
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{PublishError, Topic};
use crate::log;
use crate::sabotage::{Fault, is_on};

/// Commits that are under way at the same time in a process: each has a thread, which a slow disk holds.
pub const COMMITS_MAX: usize = 64;
/// Commits that a topic makes before it is another's turn.
const COMMITS_IN_A_ROW: usize = 64;
/// How long the thread that commits waits for the next ones who want it: those whom it has just answered. Handing over to
/// a thread costs about as much as a sync on a fast disk.
const LINGER: Duration = Duration::from_millis(1);

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
    /// Rung when more is wanted.
    more: Condvar,
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
    worker: Worker,
}

/// Who sees to what is wanted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Worker {
    /// Nobody: who wants something starts a task.
    #[default]
    None,
    /// A task, which looks again by itself.
    Commits,
    /// A task whose thread looks again when it is called.
    Lingers,
    /// The same, and it is about to be called.
    Called,
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
        match wanted.worker {
            Worker::Commits | Worker::Called => {}
            Worker::Lingers => {
                wanted.worker = Worker::Called;
                tokio::spawn(Arc::clone(self).call());
            }
            Worker::None => {
                wanted.worker = Worker::Commits;
                tokio::spawn(Arc::clone(self).commit_all());
            }
        }
    }

    /// Calls the thread that lingers, once others who are ready to append have had their turn.
    async fn call(self: Arc<Self>) {
        tokio::task::yield_now().await;
        self.commits.more.notify_one();
    }

    /// Commits until nobody waits for more; first, others who are ready to append have their turn.
    async fn commit_all(self: Arc<Self>) {
        tokio::task::yield_now().await;
        let mut is_wanted = true;
        while is_wanted {
            let turn = self.shared.commit_turns.acquire().await;
            let _turn = turn.expect("turns are never closed");
            let topic = Arc::clone(&self);
            let committed = tokio::task::spawn_blocking(move || topic.commit_in_a_row()).await;
            is_wanted = committed.unwrap_or_else(|panic| {
                let messages = self.log.counters().messages;
                let outcome = Err(io::Error::other(panic));
                self.end_commit(false, log::Commit { messages, outcome });
                true
            });
        }
    }

    /// Commits while somebody waits, up to a bound; returns whether somebody may still wait. Blocks.
    fn commit_in_a_row(&self) -> bool {
        for _ in 0..COMMITS_IN_A_ROW {
            let Some(synced) = self.next_commit() else {
                return false;
            };
            self.commit(synced);
        }
        true
    }

    /// Whether the next commit is to sync; `None` ends the work, as nobody has wanted one for a moment. Blocks.
    fn next_commit(&self) -> Option<bool> {
        let until = Instant::now() + LINGER;
        let mut wanted = self.commits.wanted.lock();
        let mut is_over = false;
        loop {
            let next = self.lacking(&wanted);
            if next.is_some() || is_over {
                wanted.worker = next.map_or(Worker::None, |_| Worker::Commits);
                return next;
            }
            wanted.worker = Worker::Lingers;
            is_over = (self.commits.more)
                .wait_until(&mut wanted, until)
                .timed_out();
        }
    }

    /// Whether something wanted is still to be synced, or to be written only; `None` if nothing is.
    fn lacking(&self, wanted: &Wanted) -> Option<bool> {
        let reached = self.commits.reached.borrow();
        let lacks = |messages, synced| {
            messages > reached.failed && !reached.includes(Unsettled { messages, synced })
        };
        if lacks(wanted.synced, true) {
            return Some(true);
        }
        lacks(wanted.written, false).then_some(false)
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
