//! Who has which topic and channel. No sockets, clocks, locks or log lines in here: time is an argument.
//!
//! ```text
//! topic_ids: name ─▶ id     topics: id ─▶ Topic { producers, tombstones, channels: name ─▶ producers }
//!                                              │ peer ids        ▲ topic ids
//!                                              ▼                 │
//!                           peers: id ─▶ Peer { producer, last_active, topics }
//! ```
//!
//! Each side knows the other by small ids, so a ping touches one peer, an answer about a topic only that topic, and
//! a lost connection only what it had. What holds always:
//!
//! - a peer is in a topic's producers exactly if the topic is in the peer's topics;
//! - who has a channel has its topic;
//! - an ephemeral topic or channel that had a producer goes with its last one.

mod answers;
mod questions;
mod set;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::wire::{ChannelName, NameRef, TopicName};
use slab::Slab;
use thiserror::Error;

pub use answers::{Counts, Entry, Lookup, Node, Producer};

use crate::clock::Timestamp;
use set::SortedSet;
use topic::Topic;

/// What is hidden, and how much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Time without a ping after which a peer is left out of answers. Default 5 min (`--inactive-producer-timeout`).
    pub inactive_producer_timeout: Duration,
    /// Time for which a tombstone hides a producer. Default 45 s (`--tombstone-lifetime`).
    pub tombstone_lifetime: Duration,
    /// Most topics and channels that one peer may register. Default 100,000 (`--max-registrations`).
    pub max_registrations: usize,
    /// Most topics and channels known. Default 1,000,000 (`--max-names`).
    pub max_names: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            inactive_producer_timeout: Duration::from_mins(5),
            tombstone_lifetime: Duration::from_secs(45),
            max_registrations: 100_000,
            max_names: 1_000_000,
        }
    }
}

/// Why a topic or channel is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LimitError {
    /// The peer has as many as it may.
    #[error("too many topics and channels, --max-registrations allows {max} per nsqd")]
    Registrations {
        /// How many it may have.
        max: usize,
    },
    /// There are as many as there may be.
    #[error("too many topics and channels, --max-names allows {max} in all")]
    Names {
        /// How many there may be.
        max: usize,
    },
}

/// A connected peer. Given again once the peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(u32);

/// A topic that exists. Given again once the topic is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TopicId(u32);

/// What a registration has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The peer did not have the topic before.
    pub topic: bool,
    /// The peer did not have the channel before.
    pub channel: bool,
}

/// What a peer had of what it has no more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unregistered {
    /// It had the topic, and was asked about the whole topic.
    pub topic: bool,
    /// The channels that it had.
    pub channels: Vec<ChannelName>,
}

/// All that is known.
#[derive(Debug)]
pub struct Registry {
    rules: Rules,
    peers: Slab<Peer>,
    topics: Slab<Topic>,
    topic_ids: BTreeMap<TopicName, TopicId>,
    channels: usize,
}

#[derive(Debug)]
struct Peer {
    producer: Arc<Producer>,
    /// When it last identified or pinged.
    last_active: Timestamp,
    topics: SortedSet<TopicId>,
    /// Its topics and its channels.
    registrations: usize,
}

impl Registry {
    /// Returns a registry that knows nothing.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            peers: Slab::new(),
            topics: Slab::new(),
            topic_ids: BTreeMap::new(),
            channels: 0,
        }
    }

    /// Adds a peer that has identified; it is known until [`Registry::disconnect`].
    pub fn connect(&mut self, producer: Producer, now: Timestamp) -> PeerId {
        let slot = self.peers.insert(Peer {
            producer: Arc::new(producer),
            last_active: now,
            topics: SortedSet::default(),
            registrations: 0,
        });
        PeerId(small(slot))
    }

    /// Notes that `peer` is alive; returns how long ago that was noted before.
    pub fn ping(&mut self, peer: PeerId, now: Timestamp) -> Duration {
        let peer = &mut self.peers[peer.slot()];
        let last = std::mem::replace(&mut peer.last_active, now);
        now.since(last)
    }

    /// Adds `peer` to the topic, and to the channel if one is given. What it has already stays as it is, tombstone included.
    ///
    /// # Errors
    ///
    /// There would be more than the rules allow.
    pub fn register(
        &mut self,
        peer: PeerId,
        topic: NameRef<'_>,
        channel: Option<NameRef<'_>>,
    ) -> Result<Registered, LimitError> {
        let mut registered = Registered::default();
        let id = match self.topic_ids.get(topic.as_str()) {
            Some(id) if self.topics[id.slot()].producers.contains(peer) => *id,
            _ => {
                registered.topic = true;
                self.join_topic(peer, topic)?
            }
        };
        if let Some(channel) = channel {
            registered.channel = self.join_channel(peer, id, channel)?;
        }
        Ok(registered)
    }

    /// Takes `peer` off the channel; or, without one, off the topic and all its channels. It may have none of them.
    pub fn unregister(
        &mut self,
        peer: PeerId,
        topic: NameRef<'_>,
        channel: Option<NameRef<'_>>,
    ) -> Unregistered {
        let Some(&id) = self.topic_ids.get(topic.as_str()) else {
            return Unregistered::default();
        };
        let topic = &mut self.topics[id.slot()];
        let left = match channel {
            Some(channel) => topic.leave_channel(peer, channel),
            None => topic.leave(peer),
        };
        self.channels -= left.dropped_channels;
        let had = &mut self.peers[peer.slot()];
        had.registrations -= usize::from(left.had_topic) + left.channels.len();
        if channel.is_none() {
            had.topics.remove(id);
            self.drop_if_over(id);
        }
        Unregistered {
            topic: left.had_topic,
            channels: left.channels,
        }
    }

    /// Forgets `peer`; returns how many topics and channels it had.
    pub fn disconnect(&mut self, peer: PeerId) -> usize {
        let Peer {
            topics,
            registrations,
            ..
        } = self.peers.remove(peer.slot());
        for id in topics.iter() {
            let left = self.topics[id.slot()].leave(peer);
            self.channels -= left.dropped_channels;
            self.drop_if_over(id);
        }
        registrations
    }

    /// Makes the topic known; false if it was.
    ///
    /// # Errors
    ///
    /// There would be more names than the rules allow.
    pub fn create_topic(&mut self, topic: NameRef<'_>) -> Result<bool, LimitError> {
        let before = self.topics.len();
        self.topic_or_create(topic)?;
        Ok(self.topics.len() > before)
    }

    /// Makes the channel and its topic known; false if the channel was.
    ///
    /// # Errors
    ///
    /// There would be more names than the rules allow.
    pub fn create_channel(
        &mut self,
        topic: NameRef<'_>,
        channel: NameRef<'_>,
    ) -> Result<bool, LimitError> {
        let before = self.channels;
        let id = self.topic_or_create(topic)?;
        self.channel_or_create(id, channel)?;
        Ok(self.channels > before)
    }

    /// Forgets the topic, its channels and who has them; false if it was not known.
    pub fn delete_topic(&mut self, topic: &str) -> bool {
        let Some(&id) = self.topic_ids.get(topic) else {
            return false;
        };
        self.drop_topic(id);
        true
    }

    /// Forgets the channel and who has it; false if it was not known.
    pub fn delete_channel(&mut self, topic: &str, channel: &str) -> bool {
        let Some(&id) = self.topic_ids.get(topic) else {
            return false;
        };
        let Some(producers) = self.topics[id.slot()].channels.remove(channel) else {
            return false;
        };
        self.channels -= 1;
        self.uncount(&producers);
        true
    }

    /// Hides from consumers of the topic whoever has the HTTP address `node`, until the lifetime of tombstones has
    /// passed or it has unregistered; returns how many peers that are.
    pub fn tombstone(&mut self, topic: &str, node: &str, now: Timestamp) -> usize {
        let Some(&id) = self.topic_ids.get(topic) else {
            return 0;
        };
        let Topic {
            producers,
            tombstones,
            ..
        } = &mut self.topics[id.slot()];
        let is_node = |peer: &PeerId| self.peers[peer.slot()].producer.is_node(node);
        let hidden = producers.iter().filter(is_node).map(|peer| (peer, now));
        let hidden: Vec<(PeerId, Timestamp)> = hidden.collect();
        let count = hidden.len();
        tombstones.extend(hidden);
        count
    }

    fn join_topic(&mut self, peer: PeerId, name: NameRef<'_>) -> Result<TopicId, LimitError> {
        self.check_registrations(peer)?;
        let id = self.topic_or_create(name)?;
        self.topics[id.slot()].producers.insert(peer);
        let peer = &mut self.peers[peer.slot()];
        peer.topics.insert(id);
        peer.registrations += 1;
        Ok(id)
    }

    /// False if `peer` had the channel.
    fn join_channel(
        &mut self,
        peer: PeerId,
        topic: TopicId,
        name: NameRef<'_>,
    ) -> Result<bool, LimitError> {
        let channel = self.topics[topic.slot()].channels.get(name.as_str());
        if channel.is_some_and(|producers| producers.contains(peer)) {
            return Ok(false);
        }
        self.check_registrations(peer)?;
        self.channel_or_create(topic, name)?.insert(peer);
        self.peers[peer.slot()].registrations += 1;
        Ok(true)
    }

    fn topic_or_create(&mut self, name: NameRef<'_>) -> Result<TopicId, LimitError> {
        if let Some(id) = self.topic_ids.get(name.as_str()) {
            return Ok(*id);
        }
        self.check_names()?;
        let name = name.to_topic();
        let id = TopicId(small(self.topics.insert(Topic::new(name.clone()))));
        self.topic_ids.insert(name, id);
        Ok(id)
    }

    fn channel_or_create(
        &mut self,
        topic: TopicId,
        name: NameRef<'_>,
    ) -> Result<&mut SortedSet<PeerId>, LimitError> {
        if !self.topics[topic.slot()]
            .channels
            .contains_key(name.as_str())
        {
            self.check_names()?;
            self.channels += 1;
        }
        let channels = &mut self.topics[topic.slot()].channels;
        Ok(channels.entry(name.to_channel()).or_default())
    }

    fn check_names(&self) -> Result<(), LimitError> {
        let max = self.rules.max_names;
        let is_full = self.topics.len() + self.channels >= max;
        if is_full {
            Err(LimitError::Names { max })
        } else {
            Ok(())
        }
    }

    fn check_registrations(&self, peer: PeerId) -> Result<(), LimitError> {
        let max = self.rules.max_registrations;
        let is_full = self.peers[peer.slot()].registrations >= max;
        if is_full {
            Err(LimitError::Registrations { max })
        } else {
            Ok(())
        }
    }

    /// Counts one registration less for each of `producers`.
    fn uncount(&mut self, producers: &SortedSet<PeerId>) {
        for peer in producers.iter() {
            self.peers[peer.slot()].registrations -= 1;
        }
    }

    fn drop_if_over(&mut self, id: TopicId) {
        if self.topics[id.slot()].is_over() {
            self.drop_topic(id);
        }
    }

    fn drop_topic(&mut self, id: TopicId) {
        let topic = self.topics.remove(id.slot());
        self.topic_ids.remove(&topic.name);
        self.channels -= topic.channels.len();
        self.uncount(&topic.producers);
        for producers in topic.channels.values() {
            self.uncount(producers);
        }
        for peer in topic.producers.iter() {
            self.peers[peer.slot()].topics.remove(id);
        }
    }
}

impl PeerId {
    fn slot(self) -> usize {
        self.0 as usize
    }
}

impl TopicId {
    fn slot(self) -> usize {
        self.0 as usize
    }
}

/// A slot as 32 bits: there are fewer peers than file descriptors, and fewer topics than names allowed.
fn small(slot: usize) -> u32 {
    u32::try_from(slot).expect("slots are bounded by limits of 32 bits")
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
