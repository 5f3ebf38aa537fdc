//! What was sent on one connection and is not answered: answers carry no id, they come in the order
//! of the commands.
//!
//! ```text
//!  oldest                                          newest
//!  ├ slot ┼ slot ┼ (given up) ┼ slot ┼ slot ┼ slot ┤
//!                                 bytes taken by the system ┴ not all: certainly not carried out
//! ```
//!
//! A publish whose time is up leaves its slot behind, so that later answers stay with their own.
//!
//! nsqd carries out the commands of a connection one after the other and closes it at the first
//! that it refuses, so all behind a refused one are untouched.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::job::Job;

/// The unanswered publishes of a connection, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    slots: VecDeque<Slot>,
    /// No deadline in the slots is before this; may be earlier than the first of them.
    earliest: Option<Instant>,
}

/// The place of a publish among the answers.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` once its time is up.
    pub(super) job: Option<Job>,
    sent_at: Instant,
    /// How many bytes had been written on the connection with the end of its command.
    end: u64,
}

/// What a lost connection leaves.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// May have been carried out, oldest first.
    pub(super) unsure: Vec<Job>,
    /// Certainly not, oldest first.
    pub(super) untouched: Vec<Job>,
}

impl Pipeline {
    /// Appends a publish whose command ends `end` bytes into all that was written.
    pub(super) fn sent(&mut self, job: Job, end: u64, now: Instant) {
        let deadline = job.terms.deadline;
        self.earliest = Some(self.earliest.map_or(deadline, |first| first.min(deadline)));
        self.slots.push_back(Slot {
            job: Some(job),
            sent_at: now,
            end,
        });
    }

    /// Takes the slot that an answer is for, the oldest; `None` when nothing waits for an answer.
    pub(super) fn answered(&mut self) -> Option<Slot> {
        self.slots.pop_front()
    }

    /// Takes the publishes whose deadline is at or before `now`, leaving their slots.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Job> {
        if self.earliest.is_none_or(|first| first > now) {
            return Vec::new();
        }
        let is_late = |job: &Job| job.terms.deadline <= now;
        let late = self.slots.iter_mut();
        let late = late.filter_map(|slot| slot.job.take_if(|job| is_late(job)));
        let late = late.collect();
        let left = self.slots.iter().filter_map(|slot| slot.job.as_ref());
        self.earliest = left.map(|job| job.terms.deadline).min();
        late
    }

    /// Not later than the first deadline.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Since when an answer is waited for.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.slots.front().map(|slot| slot.sent_at)
    }

    /// Takes all that is left, untouched, after a refusal that ends the connection.
    pub(super) fn refused(&mut self) -> Vec<Job> {
        self.earliest = None;
        self.slots.drain(..).filter_map(|slot| slot.job).collect()
    }

    /// Takes all that is left when the connection is lost, of whose bytes the system had taken the
    /// first `taken`. A command that was not taken whole cannot have been carried out.
    pub(super) fn lost(&mut self, taken: u64) -> Lost {
        self.earliest = None;
        let mut lost = Lost::default();
        for slot in self.slots.drain(..) {
            let jobs = if slot.end <= taken {
                &mut lost.unsure
            } else {
                &mut lost.untouched
            };
            jobs.extend(slot.job);
        }
        lost
    }
}
