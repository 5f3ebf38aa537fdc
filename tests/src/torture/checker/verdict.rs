//! What the checker found.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::torture::event::Key;

/// How many violations of one invariant are kept; all are counted.
const KEPT_MAX: usize = 20;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Invariant {
    /// What was acknowledged is delivered and finished on each channel, unless a mishap may have cost it.
    Loss,
    /// What is delivered was published, and was not refused.
    Phantom,
    /// What is delivered is what was sent, to the bit.
    Corruption,
    /// A message comes again only for a cause: REQ, time-out, a lost connection, a restart.
    Duplicate,
    /// What was finished for certain comes again only after a crash that soon followed.
    Resurrection,
    /// Attempts count up by one from one.
    Attempts,
    /// A message has one id, and an id one message.
    Identity,
    /// What is deferred does not come before its time.
    Early,
    /// What is published while a channel is paused waits until it is not.
    Pause,
    /// No more is in flight than a consumer asked for.
    Ready,
    /// Of an MPUB all messages come, or none.
    Atomicity,
    /// Where one sends and one receives, undisturbed, the order is kept.
    Order,
    /// When all is finished, nothing is counted as waiting, in flight or deferred.
    Accounting,
    /// It goes on: answers come, backlogs shrink, daemons start, and end when asked to.
    Liveness,
    /// No success of a sync hides the failure before it.
    Sync,
    /// A flipped bit costs one record, and is noticed.
    Damage,
    /// nsqlookupd knows what there is.
    Registration,
    /// Nothing is left behind: temporary files, files set aside without a reason.
    Litter,
    /// No panic, no second daemon on one data path, no wrong exit status.
    Conduct,
}

/// One breach.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// What did not hold.
    pub invariant: Invariant,
    /// For which message, if it is about one.
    pub message: Option<Key>,
    /// When it showed, in nanoseconds since the run began.
    pub at: u64,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            invariant, text, ..
        } = self;
        write!(f, "{invariant:?} at {}: {text}", Seconds(self.at))
    }
}

/// Nanoseconds, shown as seconds.
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:03} s",
            self.0 / 1_000_000_000,
            self.0 / 1_000_000 % 1000
        )
    }
}

/// Figures of a run. A duplicate is a delivery of a message that the channel was given before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Messages sent.
    pub published: u64,
    /// Messages answered with OK.
    pub acknowledged: u64,
    /// Messages refused for good.
    pub refused: u64,
    /// Messages without an answer that promises anything.
    pub unknown: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Acknowledged messages that a channel never finished, where that was promised not to happen.
    pub lost: u64,
    /// The same, where it may happen.
    pub lost_as_allowed: u64,
    /// Duplicates after a crash or a clean stop.
    pub duplicates_of_restarts: u64,
    /// The most that these may be: what was in flight at each restart, and what was finished shortly before a crash.
    pub duplicates_of_restarts_max: u64,
    /// Duplicates after REQ.
    pub duplicates_of_requeues: u64,
    /// Duplicates after the connection was lost that held a message.
    pub duplicates_of_disconnects: u64,
    /// Duplicates after a message was held for too long.
    pub duplicates_of_timeouts: u64,
    /// Duplicates that a consumer had a hand in which read nothing for a while.
    pub duplicates_of_freezes: u64,
    /// Unanswered batches of which a crash left some messages and not others.
    pub batches_split_by_crashes: u64,
    /// Longest time from a publish to its OK, in milliseconds.
    pub longest_publish_ms: u64,
    /// Ends of nsqd.
    pub clean_stops: u64,
    /// Likewise, by SIGKILL.
    pub kills: u64,
    /// Likewise, without what was not synced.
    pub power_cuts: u64,
}

/// The judgement of a history.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// Figures of the run.
    pub figures: Figures,
    /// How often each invariant was violated.
    pub counts: BTreeMap<Invariant, u64>,
    /// The first violations of each, in order of time.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Whether all that was promised was held.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether this invariant was violated.
    pub fn has(&self, invariant: Invariant) -> bool {
        self.counts.contains_key(&invariant)
    }

    pub(super) fn add(
        &mut self,
        invariant: Invariant,
        message: Option<Key>,
        at: u64,
        text: String,
    ) {
        let count = self.counts.entry(invariant).or_default();
        *count += 1;
        if usize::try_from(*count).is_ok_and(|count| count <= KEPT_MAX) {
            self.violations.push(Violation {
                invariant,
                message,
                at,
                text,
            });
        }
    }

    pub(super) fn finish(&mut self) {
        self.violations.sort_by_key(|violation| violation.at);
    }
}
