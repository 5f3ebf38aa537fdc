//! A topic: a name, a log, and the channels that read it.
//!
//! Publishing (`publish.rs`) takes the log's lock only, and waits in `commit.rs` where OK promises more than memory; the
//! lock on the channels is for those who create, delete, pause or look. Lock order: channels → channel → log.

mod commit;
mod durability;
mod limits;
mod persist;
mod publish;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::wire::{ChannelName, TopicName};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use commit::{COMMITS_MAX, Unsettled};
pub use durability::{Durability, DurabilityError};
pub(crate) use limits::is_reached;
pub use limits::{CreateError, TooMany};
pub use persist::{Known, PROGRESS_NAME, read_progress};
pub use publish::PublishError;
pub use upkeep::Upkeep;

use commit::Commits;
use durability::OwnLevel;

use crate::channel::checkpoint::Due;
use crate::channel::{self, Channel, Entry, Start};
use crate::log::{Depth, Log, Segment};
use crate::message_id::MessageIds;

/// What all topics of a process share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// What their channels share.
    pub channels: channel::Shared,
    /// Where message ids come from.
    pub ids: Arc<MessageIds>,
    /// Most channels of a topic; 0 for no limit.
    pub channels_max: usize,
    /// What OK promises where a topic has no level of its own (`--durability`).
    pub durability: Durability,
    /// Whose turn it is to commit, where very many topics want to.
    pub commit_turns: Arc<Semaphore>,
}

/// A topic.
#[derive(Debug)]
pub struct Topic {
    name: TopicName,
    epoch: u64,
    log: Arc<Log>,
    shared: Shared,
    exiting: AtomicBool,
    channels: Mutex<Channels>,
    own_level: OwnLevel,
    commits: Commits,
    progress: Mutex<persist::Written>,
    storage: Mutex<Storage>,
}

#[derive(Debug, Default)]
struct Channels {
    by_name: BTreeMap<ChannelName, Arc<Channel>>,
    paused: bool,
    /// It is not known yet which channels there are elsewhere.
    held: bool,
    /// Deferred messages that no channel has been shown, since there was none or the topic is paused or held.
    unshown_deferred: Vec<Unshown>,
}

/// How it went to bring messages to disk.
#[derive(Debug, Default)]
struct Storage {
    /// Why it failed, if it did so the last time.
    fault: Option<String>,
    /// How often it failed.
    failures: u64,
}

#[derive(Debug)]
struct Unshown {
    segment: Arc<Segment>,
    index: u32,
    due: Instant,
    due_ns: i64,
}

/// What `/stats` tells of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// Messages that no channel has been shown, and those of them on disk.
    pub depth: Depth,
    /// Messages published.
    pub message_count: u64,
    /// Bytes of their bodies.
    pub message_bytes: u64,
    /// Whether channels are shown nothing new.
    pub paused: bool,
    /// Messages that ephemeral channels lost for lack of memory.
    pub dropped: u64,
    /// Messages that could not be read back from disk.
    pub damaged: u64,
    /// What OK promises.
    pub durability: Durability,
    /// Group commits that were made for publishers.
    pub commits: u64,
    /// How often messages could not be brought to disk.
    pub storage_failures: u64,
    /// Whether that failed the last time.
    pub storage_fault: bool,
}

impl Topic {
    /// A new topic with a log, and the level of durability that it was given for itself.
    pub fn new(
        name: TopicName,
        log: Log,
        own_level: Option<Durability>,
        shared: Shared,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            epoch: shared.channels.random.next_u64(),
            log: Arc::new(log),
            shared,
            exiting: AtomicBool::new(false),
            channels: Mutex::default(),
            own_level: OwnLevel::new(own_level),
            commits: Commits::default(),
            progress: Mutex::default(),
            storage: Mutex::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// Tells it from a topic of the same name that was deleted before. Random.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Its log.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Whether it is being deleted: get it anew from the node.
    pub fn is_exiting(&self) -> bool {
        self.exiting.load(Ordering::Acquire)
    }

    /// What OK promises.
    pub fn durability(&self) -> Durability {
        if self.name.is_ephemeral() {
            return Durability::Memory;
        }
        self.own_level.read().unwrap_or(self.shared.durability)
    }

    /// The channel with this name, if there is one.
    pub fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.lock().by_name.get(name).cloned()
    }

    /// The channels, by name.
    pub fn channels(&self) -> Vec<Arc<Channel>> {
        self.channels.lock().by_name.values().cloned().collect()
    }

    /// The channel with this name, created if need be. Tells whether it was created. The first one gets all that has
    /// waited.
    ///
    /// # Errors
    /// The topic is being deleted, or has as many channels as it may.
    pub fn channel_or_create(
        &self,
        name: &ChannelName,
    ) -> Result<(Arc<Channel>, bool), CreateError> {
        let mut channels = self.channels.lock();
        if self.is_exiting() {
            return Err(CreateError::Exiting);
        }
        if let Some(channel) = channels.by_name.get(name) {
            return Ok((Arc::clone(channel), false));
        }
        if is_reached(channels.by_name.len(), self.shared.channels_max) {
            return Err(TooMany::Channels(self.shared.channels_max).into());
        }
        let channel = Channel::new(name.clone(), &self.log, Start::New, &self.shared.channels);
        channels.by_name.insert(name.clone(), Arc::clone(&channel));
        channels.show_deferred();
        Ok((channel, true))
    }

    /// Deletes a channel and all it has; `false` if there is none of that name.
    pub fn delete_channel(&self, name: &str) -> bool {
        let mut channels = self.channels.lock();
        let removed = channels.by_name.remove(name);
        removed.inspect(|channel| channel.exit()).is_some()
    }

    /// Deletes this channel, unless it has consumers or is not of this topic any more; returns whether it did.
    pub fn delete_unused_channel(&self, channel: &Arc<Channel>) -> bool {
        let mut channels = self.channels.lock();
        let found = channels.by_name.get(channel.name());
        let is_there = found.is_some_and(|found| Arc::ptr_eq(found, channel));
        if !is_there || !channel.exit_unless_consumed() {
            return false;
        }
        channels.by_name.remove(channel.name());
        true
    }

    /// Whether it has no channel.
    pub fn has_no_channel(&self) -> bool {
        self.channels.lock().by_name.is_empty()
    }

    /// Stops showing channels what is published, or shows it.
    pub fn set_paused(&self, paused: bool) {
        self.show(|channels| channels.paused = paused);
    }

    /// Shows channels nothing until [`Self::start`], so that those created meanwhile get every message. For a topic that
    /// is new: this is not kept over a restart.
    pub fn hold(&self) {
        self.show(|channels| channels.held = true);
    }

    /// Shows channels what is published, unless the topic is paused.
    pub fn start(&self) {
        self.show(|channels| channels.held = false);
    }

    /// Shows channels what is published, or stops that, as it is to be after `change`.
    fn show(&self, change: impl FnOnce(&mut Channels)) {
        let mut woken = Vec::new();
        let mut channels = self.channels.lock();
        change(&mut channels);
        self.log
            .set_paused(channels.paused || channels.held, &mut woken);
        channels.show_deferred();
        drop(channels);
        for waiter in woken {
            waiter.ring(u64::MAX);
        }
    }

    /// Whether channels are shown nothing new.
    pub fn is_paused(&self) -> bool {
        self.channels.lock().paused
    }

    /// Drops what no channel has been shown.
    pub fn empty(&self) {
        let mut channels = self.channels.lock();
        channels.unshown_deferred.clear();
        self.log.empty();
    }

    /// Ends the topic: refuses publishes, deletes every channel, and forgets all messages. What is on disk is the
    /// caller's to remove.
    pub fn exit(&self) {
        let mut channels = self.channels.lock();
        self.exiting.store(true, Ordering::Release);
        self.log.close();
        self.log.directory().leave();
        for channel in std::mem::take(&mut channels.by_name).into_values() {
            channel.exit();
        }
        channels.unshown_deferred.clear();
    }

    /// What `/stats` tells.
    pub fn snapshot(&self) -> Snapshot {
        let channels = self.channels.lock();
        let deferred = Depth {
            messages: channels.unshown_deferred.len() as u64,
            on_disk: 0,
        };
        let counters = self.log.counters();
        let storage = self.storage.lock();
        Snapshot {
            depth: self.log.unshown() + deferred,
            message_count: counters.messages,
            message_bytes: counters.bytes,
            paused: channels.paused,
            dropped: counters.dropped,
            damaged: self.log.directory().damaged_messages(),
            durability: self.durability(),
            commits: self.commits.made(),
            storage_failures: storage.failures,
            storage_fault: storage.fault.is_some(),
        }
    }
}

impl Channels {
    /// Whether what is published now is shown to no channel.
    fn hides_new(&self) -> bool {
        self.paused || self.held || self.by_name.is_empty()
    }

    /// Gives the channels the deferred messages that waited for them.
    fn show_deferred(&mut self) {
        if self.hides_new() {
            return;
        }
        for Unshown {
            segment,
            index,
            due,
            ..
        } in std::mem::take(&mut self.unshown_deferred)
        {
            self.by_name
                .values()
                .for_each(|channel| channel.defer(&segment, index, due));
        }
    }
}

impl Unshown {
    fn due(&self) -> Due {
        let entry = Entry {
            segment: self.segment.number(),
            index: self.index,
            attempts: 0,
        };
        Due {
            entry,
            due_ns: self.due_ns,
        }
    }
}
