//! The storage worker's work for a topic: what is written for many topics is synced once, and then settled.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Durability, Topic};
use crate::log::Spill;

/// Work that was done for a topic, and waits for the sync that all topics share.
#[must_use = "what was written counts when it is finished"]
#[derive(Debug)]
pub struct Upkeep {
    topic: Arc<Topic>,
    spill: Spill,
    /// The progress of its channels was written beside the file that it is to replace.
    progress: bool,
    /// What was appended was given to the kernel.
    written: bool,
    outcome: io::Result<()>,
}

impl Topic {
    /// Writes what memory has no room for. Blocks.
    pub fn care(self: &Arc<Self>) -> Upkeep {
        let mut upkeep = Upkeep::new(self);
        if self.is_exiting() {
            return upkeep;
        }
        upkeep.spill = self.log.write_due();
        if self.durability().is_durable() && self.fault().is_some() {
            upkeep.written = true;
            upkeep.outcome = self.log.write_through().outcome;
        }
        upkeep
    }

    /// Once in a while: moves stragglers aside, writes progress, and what was only in memory where that is not enough.
    /// `None` if nothing has happened since the last time. Blocks.
    pub fn tidy(self: &Arc<Self>) -> Option<Upkeep> {
        if self.is_exiting() || !self.log.take_activity() {
            return None;
        }
        let mut upkeep = Upkeep::new(self);
        upkeep.outcome = self.write_tidily(&mut upkeep.written);
        self.log.release_if_idle();
        upkeep.write_progress();
        Some(upkeep)
    }

    fn write_tidily(&self, written: &mut bool) -> io::Result<()> {
        let moved = self
            .channels()
            .iter()
            .filter(|channel| channel.move_stragglers())
            .count();
        if self.durability().is_durable() {
            *written = true;
            self.log.write_through().outcome
        } else if moved > 0 && self.log.directory().exists() {
            // What was on disk stays there, before the files that it was in go.
            *written = true;
            self.log.write_side().outcome
        } else {
            Ok(())
        }
    }

    /// Changes what OK promises, to a level of its own or with `None` to the process's, and writes all that was taken
    /// before under a weaker promise. Blocks.
    pub fn set_durability(self: &Arc<Self>, own: Option<Durability>) -> Upkeep {
        self.own_level.set(own);
        let mut upkeep = Upkeep::new(self);
        if self.durability().is_durable() {
            upkeep.written = true;
            upkeep.outcome = self.log.write_through().outcome;
        }
        if own.is_some() && upkeep.outcome.is_ok() {
            // The level itself comes back from there, should the metadata be lost.
            upkeep.outcome = self.log.directory().ensure();
        }
        upkeep.write_progress();
        upkeep
    }

    /// Ends delivery and writes everything that must come back: for a clean stop. Blocks.
    pub fn close(self: &Arc<Self>) -> Upkeep {
        for channel in self.channels() {
            if channel.name().is_ephemeral() {
                self.delete_channel(channel.name().as_str());
            } else {
                channel.stop();
            }
        }
        self.exiting.store(true, Ordering::Release);
        self.log.close();
        self.log.directory().collect_garbage();
        self.log.directory().keep_files();
        let mut upkeep = Upkeep::new(self);
        upkeep.spill = self.log.write_all();
        upkeep.write_progress();
        upkeep
    }

    /// Notes that a sync has failed which was to cover all that was written, by publishers' commits too: whatever is in
    /// memory is written again, and so is the progress of channels.
    pub fn distrust(&self) {
        self.log.distrust_written();
        self.distrust_progress();
    }

    /// Why messages could not be brought to disk when that was last tried; `None` when it went well.
    pub fn fault(&self) -> Option<String> {
        self.storage.lock().fault.clone()
    }

    /// Holds how the last work ended; a failure is logged when it is new, and the storage worker tries again.
    pub(super) fn note(&self, outcome: &io::Result<()>) {
        let fault = outcome
            .as_ref()
            .err()
            .map(|cause| format!("topic {}: {cause}", self.name));
        let mut storage = self.storage.lock();
        storage.failures += u64::from(fault.is_some());
        let before = std::mem::replace(&mut storage.fault, fault.clone());
        drop(storage);
        match fault {
            Some(fault) if before.as_ref() != Some(&fault) => {
                tracing::error!(fault, "messages can't be moved to disk; trying again");
                self.log.directory().call_for_care();
            }
            None if before.is_some() => {
                tracing::info!(topic = %self.name, "messages can be moved to disk again");
            }
            _ => {}
        }
    }
}

impl Upkeep {
    fn new(topic: &Arc<Topic>) -> Self {
        Self {
            topic: Arc::clone(topic),
            spill: Spill::default(),
            progress: false,
            written: false,
            outcome: Ok(()),
        }
    }

    fn write_progress(&mut self) {
        if self.outcome.is_ok() {
            match self.topic.write_progress() {
                Ok(progress) => self.progress = progress,
                Err(error) => self.outcome = Err(error),
            }
        }
    }

    /// Whether something was written that must be synced before [`Self::finish`].
    pub fn needs_sync(&self) -> bool {
        self.progress || self.written || !self.spill.is_empty()
    }

    /// Ends the work, now that a sync has succeeded or failed: lets go of memory, puts progress in its place, and removes
    /// files that nobody needs any more. Blocks.
    ///
    /// # Errors
    /// The first that happened on the way. Nothing is lost by it while the process lives: all is tried again.
    pub fn finish(self, synced: &io::Result<()>) -> io::Result<()> {
        let Self {
            topic,
            spill,
            progress,
            written: _,
            outcome,
        } = self;
        if synced.is_err() {
            topic.distrust();
        }
        let settled = topic.log.settle(spill, synced);
        let replaced = match synced {
            Ok(()) if progress => topic.replace_progress(),
            _ => Ok(()),
        };
        let outcome = outcome.and(settled).and(replaced);
        if outcome.is_ok() {
            topic.log.directory().collect_garbage();
        } else {
            topic.distrust_progress();
        }
        topic.note(&outcome);
        outcome
    }
}
