//! Who is connected: what `/stats` tells of producers and consumers. Sessions write their own entry, nobody else's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use client::transport::Accepted;
use client::wire::{Settings, TopicName};
use parking_lot::Mutex;
use slab::Slab;

use crate::auth::Grant;
use crate::channel::{Channel, ConsumerId, ConsumerSnapshot};

/// Where a connection stands; the numbers are those of `/stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not subscribed.
    Init = 0,
    /// It consumes a channel.
    Subscribed = 3,
    /// It has said CLS, and gets nothing new.
    Closing = 4,
}

/// What is known of a connection.
#[derive(Debug)]
pub struct Connected {
    /// Its address as text.
    pub peer: String,
    /// When it was accepted, in seconds since the Unix epoch.
    pub connected_at: i64,
    settings: Mutex<Arc<Settings>>,
    stage: AtomicU8,
    tls: OnceLock<Accepted>,
    subscription: Mutex<Option<Subscription>>,
    published: Mutex<BTreeMap<TopicName, Arc<AtomicU64>>>,
    authorization: Mutex<Option<Arc<Grant>>>,
}

/// What a connection consumes.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) topic: TopicName,
    pub(super) channel: Arc<Channel>,
    pub(super) consumer: ConsumerId,
}

impl Connected {
    /// What it was granted.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock())
    }

    pub(super) fn set_settings(&self, settings: Settings) -> Arc<Settings> {
        let settings = Arc::new(settings);
        *self.settings.lock() = Arc::clone(&settings);
        settings
    }

    /// What it may do, if an authorization server has told.
    pub fn authorization(&self) -> Option<Arc<Grant>> {
        self.authorization.lock().clone()
    }

    pub(super) fn set_authorization(&self, grant: Arc<Grant>) {
        *self.authorization.lock() = Some(grant);
    }

    /// What the handshake has told, if it is in TLS.
    pub fn tls(&self) -> Option<&Accepted> {
        self.tls.get()
    }

    pub(super) fn set_tls(&self, accepted: Accepted) {
        // Once in TLS, a connection is not asked to do it again.
        let _ = self.tls.set(accepted);
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Init,
            3 => Stage::Subscribed,
            _ => Stage::Closing,
        }
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub(super) fn subscribe(&self, subscription: Subscription) {
        *self.subscription.lock() = Some(subscription);
        self.set_stage(Stage::Subscribed);
    }

    /// Ends the subscription; the caller removes the consumer, which nobody can look at any more.
    pub(super) fn unsubscribe(&self) -> Option<Subscription> {
        self.subscription.lock().take()
    }

    /// What it consumes and how, if it does.
    pub fn consumes(&self) -> Option<(TopicName, Arc<Channel>, ConsumerSnapshot)> {
        let subscription = self.subscription.lock();
        let Subscription {
            topic,
            channel,
            consumer,
        } = subscription.as_ref()?;
        Some((
            topic.clone(),
            Arc::clone(channel),
            channel.consumer_snapshot(*consumer),
        ))
    }

    /// The counter of messages that it published to a topic.
    pub(super) fn published_to(&self, topic: &TopicName) -> Arc<AtomicU64> {
        Arc::clone(self.published.lock().entry(topic.clone()).or_default())
    }

    /// How many messages it published to which topic.
    pub fn published(&self) -> Vec<(TopicName, u64)> {
        let published = self.published.lock();
        published
            .iter()
            .map(|(topic, count)| (topic.clone(), count.load(Ordering::Relaxed)))
            .collect()
    }
}

/// All connections.
#[derive(Debug, Default)]
pub struct Registry {
    connections: Mutex<Slab<Arc<Connected>>>,
    refused: AtomicU64,
}

impl Registry {
    /// Adds a connection; it is known as long as the result lives.
    pub(super) fn add(
        self: &Arc<Self>,
        peer: String,
        connected_at: i64,
        settings: Settings,
    ) -> Registered {
        let connected = Arc::new(Connected {
            peer,
            connected_at,
            settings: Mutex::new(Arc::new(settings)),
            stage: AtomicU8::new(Stage::Init as u8),
            tls: OnceLock::new(),
            subscription: Mutex::default(),
            published: Mutex::default(),
            authorization: Mutex::default(),
        });
        let key = self.connections.lock().insert(Arc::clone(&connected));
        Registered {
            registry: Arc::clone(self),
            key,
            connected,
        }
    }

    /// How many connections there was no room for, since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.connections.lock().len()
    }

    /// All connections as they are now.
    pub fn all(&self) -> Vec<Arc<Connected>> {
        self.connections
            .lock()
            .iter()
            .map(|(_, connected)| Arc::clone(connected))
            .collect()
    }
}

/// An entry of the registry, taken out when it is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    registry: Arc<Registry>,
    key: usize,
    pub(super) connected: Arc<Connected>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.connections.lock().remove(self.key);
    }
}
