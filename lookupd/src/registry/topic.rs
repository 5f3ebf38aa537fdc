//! One topic: who has it, who is hidden from its consumers, and its channels.

use std::collections::BTreeMap;
use std::time::Duration;

use client::wire::{ChannelName, NameRef, TopicName};

use super::PeerId;
use super::set::SortedSet;
use crate::clock::Timestamp;

/// A topic. Whoever has one of its channels has the topic too.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) producers: SortedSet<PeerId>,
    /// Rare, and so kept apart: when a producer was tombstoned.
    pub(super) tombstones: BTreeMap<PeerId, Timestamp>,
    pub(super) channels: BTreeMap<ChannelName, SortedSet<PeerId>>,
}

/// What a producer had of a topic that it has left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) had_topic: bool,
    pub(super) channels: Vec<ChannelName>,
    /// Ephemeral channels that went with their last producer.
    pub(super) dropped_channels: usize,
}

impl Topic {
    pub(super) fn new(name: TopicName) -> Self {
        Self {
            name,
            producers: SortedSet::default(),
            tombstones: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }

    /// True while `peer` is hidden from consumers.
    pub(super) fn is_tombstoned(&self, peer: PeerId, now: Timestamp, lifetime: Duration) -> bool {
        let at = self.tombstones.get(&peer);
        at.is_some_and(|at| now.since(*at) < lifetime)
    }

    /// Takes `peer` off the topic and its channels; its ephemeral channels go with their last producer.
    pub(super) fn leave(&mut self, peer: PeerId) -> Left {
        self.tombstones.remove(&peer);
        let mut left = Left {
            had_topic: self.producers.remove(peer),
            ..Left::default()
        };
        self.channels.retain(|name, producers| {
            if !producers.remove(peer) {
                return true;
            }
            left.channels.push(name.clone());
            let goes = producers.is_empty() && name.is_ephemeral();
            left.dropped_channels += usize::from(goes);
            !goes
        });
        left
    }

    /// Takes `peer` off one channel. As in the reference, an ephemeral one that nobody has goes, also if `peer` never
    /// had it.
    pub(super) fn leave_channel(&mut self, peer: PeerId, channel: NameRef<'_>) -> Left {
        let mut left = Left::default();
        let Some(producers) = self.channels.get_mut(channel.as_str()) else {
            return left;
        };
        if producers.remove(peer) {
            left.channels.push(channel.to_channel());
        }
        if producers.is_empty() && channel.is_ephemeral() {
            self.channels.remove(channel.as_str());
            left.dropped_channels = 1;
        }
        left
    }

    /// True if nothing holds it any more: it is ephemeral, and nobody has it.
    pub(super) fn is_over(&self) -> bool {
        self.producers.is_empty() && self.name.is_ephemeral()
    }
}
