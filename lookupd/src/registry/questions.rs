//! What the registry is asked: topics, channels, producers, nodes. Nothing changes in here.

use std::sync::Arc;

use client::wire::{ChannelName, TopicName};

use super::answers::{Counts, Entry, Lookup, Node, Producer};
use super::set::SortedSet;
use super::topic::Topic;
use super::{Peer, PeerId, Registry, small};
use crate::clock::Timestamp;

impl Registry {
    /// Returns all topics, sorted.
    pub fn topics(&self) -> Vec<TopicName> {
        self.topic_ids.keys().cloned().collect()
    }

    /// Returns the channels of the topic, sorted; none if it is not known.
    pub fn channels(&self, topic: &str) -> Vec<ChannelName> {
        let topic = self.topic(topic);
        topic.map_or_else(Vec::new, |topic| topic.channels.keys().cloned().collect())
    }

    /// Returns the channels of the topic, and its producers that are active and not hidden; `None` if it is not known.
    pub fn lookup(&self, topic: &str, now: Timestamp) -> Option<Lookup> {
        let topic = self.topic(topic)?;
        let lifetime = self.rules.tombstone_lifetime;
        let is_shown = |id: &PeerId| {
            self.is_active(&self.peers[id.slot()], now) && !topic.is_tombstoned(*id, now, lifetime)
        };
        let shown = topic.producers.iter().filter(is_shown);
        Some(Lookup {
            channels: topic.channels.keys().cloned().collect(),
            producers: shown.map(|id| self.producer(id)).collect(),
        })
    }

    /// Returns all active peers with their topics.
    pub fn nodes(&self, now: Timestamp) -> Vec<Node> {
        let peers = self.peers.iter();
        let active = peers.filter(|(_, peer)| self.is_active(peer, now));
        active
            .map(|(slot, peer)| self.node(PeerId(small(slot)), peer, now))
            .collect()
    }

    /// Returns every peer, active or not.
    pub fn peers(&self) -> Vec<Entry> {
        let peers = self.peers.iter().map(|(slot, _)| PeerId(small(slot)));
        peers.map(|peer| self.entry(peer, None)).collect()
    }

    /// Returns whoever has the topic, active or not, hidden or not.
    pub fn topic_entries(&self, topic: &str) -> Vec<Entry> {
        let topic = self.topic(topic).into_iter();
        let producers = topic.flat_map(|topic| {
            let tombstone = |peer| topic.tombstones.get(&peer).copied();
            topic
                .producers
                .iter()
                .map(move |peer| (peer, tombstone(peer)))
        });
        producers
            .map(|(peer, tombstoned_at)| self.entry(peer, tombstoned_at))
            .collect()
    }

    /// Returns the channels of the topic with whoever has them, active or not.
    pub fn channel_entries(&self, topic: &str) -> Vec<(ChannelName, Vec<Entry>)> {
        let channels = self
            .topic(topic)
            .into_iter()
            .flat_map(|topic| &topic.channels);
        let entries = |producers: &SortedSet<PeerId>| {
            let producers = producers.iter();
            producers.map(|peer| self.entry(peer, None)).collect()
        };
        channels
            .map(|(name, producers)| (name.clone(), entries(producers)))
            .collect()
    }

    /// Returns how much there is.
    pub fn counts(&self, now: Timestamp) -> Counts {
        let peers = || self.peers.iter().map(|(_, peer)| peer);
        Counts {
            producers: self.peers.len(),
            inactive_producers: peers().filter(|peer| !self.is_active(peer, now)).count(),
            topics: self.topics.len(),
            channels: self.channels,
            registrations: peers().map(|peer| peer.registrations).sum(),
        }
    }

    fn topic(&self, name: &str) -> Option<&Topic> {
        self.topic_ids.get(name).map(|id| &self.topics[id.slot()])
    }

    fn producer(&self, peer: PeerId) -> Arc<Producer> {
        Arc::clone(&self.peers[peer.slot()].producer)
    }

    fn is_active(&self, peer: &Peer, now: Timestamp) -> bool {
        now.since(peer.last_active) <= self.rules.inactive_producer_timeout
    }

    fn node(&self, id: PeerId, peer: &Peer, now: Timestamp) -> Node {
        let lifetime = self.rules.tombstone_lifetime;
        let topics = peer.topics.iter().map(|id| &self.topics[id.slot()]);
        let (tombstones, topics) = topics
            .map(|topic| (topic.is_tombstoned(id, now, lifetime), topic.name.clone()))
            .unzip();
        Node {
            producer: Arc::clone(&peer.producer),
            tombstones,
            topics,
        }
    }

    fn entry(&self, peer: PeerId, tombstoned_at: Option<Timestamp>) -> Entry {
        Entry {
            producer: self.producer(peer),
            last_update: self.peers[peer.slot()].last_active,
            tombstoned_at,
        }
    }
}
