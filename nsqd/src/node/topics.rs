//! How topics and channels come and go. Each change is told to the nsqlookupds; a new channel, and what was deleted, is
//! on disk before who asked for it hears of it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use client::wire::{ChannelName, TopicName};
use tracing::{error, info};

use super::Node;
use crate::channel::Channel;
use crate::clock::Random;
use crate::log::Log;
use crate::sabotage::{Site, pass};
use crate::topic::{CreateError, TooMany, Topic, is_reached};

impl Node {
    /// The topics, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    /// The topic of this name, if there is one.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    /// The topic of this name, created if need be. Its name is on disk some time later; see [`Self::persist`].
    ///
    /// # Errors
    /// There are as many topics as there may be.
    pub fn topic_or_create(&self, name: &TopicName) -> Result<Arc<Topic>, TooMany> {
        if let Some(topic) = self.topics.read().get(name) {
            return Ok(Arc::clone(topic));
        }
        let mut topics = self.topics.write();
        if let Some(topic) = topics.get(name) {
            return Ok(Arc::clone(topic));
        }
        if is_reached(topics.len(), self.options.max_topics) {
            return Err(TooMany::Topics(self.options.max_topics));
        }
        info!(topic = %name, "topic created");
        let directory = self.directory(name, false);
        let random: &Arc<dyn Random> = &self.shared.channels.random;
        let log = Log::new(self.log_settings(name), &self.memory, directory, random);
        let topic = Topic::new(name.clone(), log, None, self.shared.clone());
        self.lookup.ask_for(&topic);
        topics.insert(name.clone(), Arc::clone(&topic));
        drop(topics);
        self.lookup.changed();
        if !name.is_ephemeral() {
            self.metadata.changed();
            self.bell.ring();
        }
        Ok(topic)
    }

    /// The channel of this name on the topic of that one, both created if need be; a new one is on disk when this returns.
    ///
    /// # Errors
    /// There are as many of either as there may be, or the topic is deleted meanwhile.
    pub async fn channel_or_create(
        &self,
        topic: &TopicName,
        channel: &ChannelName,
    ) -> Result<Arc<Channel>, CreateError> {
        let topic = self.topic_or_create(topic)?;
        self.create_channel(&topic, channel).await
    }

    /// The channel of this name on a topic, created if need be; a new one is on disk when this returns.
    ///
    /// # Errors
    /// The topic is being deleted, or has as many channels as it may.
    pub async fn create_channel(
        &self,
        topic: &Arc<Topic>,
        channel: &ChannelName,
    ) -> Result<Arc<Channel>, CreateError> {
        let (found, created) = topic.channel_or_create(channel)?;
        if created {
            info!(topic = %topic.name(), %channel, "channel created");
            self.lookup.changed();
            if !topic.name().is_ephemeral() && !channel.is_ephemeral() {
                self.persist_channels(topic).await;
            }
        }
        Ok(found)
    }

    /// Creates the channels that a new topic has elsewhere, and lets it start once they are on disk.
    pub async fn start_topic(&self, topic: &Arc<Topic>, channels: &BTreeSet<ChannelName>) {
        let create = |channel: &&ChannelName| {
            let outcome = topic.channel_or_create(channel);
            outcome.is_ok_and(|(_, created)| created)
        };
        let created = channels.iter().filter(create).count();
        if created > 0 {
            info!(topic = %topic.name(), channels = created, "channels known elsewhere created");
            self.lookup.changed();
            self.persist_channels(topic).await;
        }
        topic.start();
    }

    /// Waits until channels that were created are on disk: first where they start, then that they are there. A failure
    /// is logged, as with [`Self::persist_change`].
    async fn persist_channels(&self, topic: &Arc<Topic>) {
        if topic.log().directory().exists() {
            let of = Arc::clone(topic);
            let written = tokio::task::spawn_blocking(move || of.checkpoint()).await;
            if let Err(cause) = written.map_err(io::Error::other).flatten() {
                error!(topic = %topic.name(), %cause, "failed to persist where a new channel starts");
            }
        }
        self.persist_change().await;
    }

    /// Deletes a topic with all its channels and messages; `false` if there is none of that name.
    pub async fn delete_topic(&self, name: &str) -> bool {
        let Some(topic) = self.remove_topic(name) else {
            return false;
        };
        info!(topic = %topic.name(), "topic deleted");
        if !topic.name().is_ephemeral() {
            self.persist_change().await;
        }
        true
    }

    fn remove_topic(&self, name: &str) -> Option<Arc<Topic>> {
        let mut topics = self.topics.write();
        let topic = topics.remove(name)?;
        topic.exit();
        pass(Site::TopicDelete);
        // Under the lock, so that a new topic of the same name finds the place free.
        if let Err(cause) = self
            .data_dir
            .set_aside(topic.name(), self.shared.channels.random.next_u64())
        {
            error!(topic = %topic.name(), %cause, "directory of a deleted topic not set aside");
        }
        pass(Site::TopicDelete);
        drop(topics);
        self.lookup.changed();
        self.deleted.store(true, Ordering::Release);
        self.bell.ring();
        Some(topic)
    }

    /// Deletes a channel with all its messages; `false` if there is none of that name.
    pub async fn delete_channel(&self, topic: &Arc<Topic>, name: &str) -> bool {
        if !topic.delete_channel(name) {
            return false;
        }
        info!(topic = %topic.name(), channel = name, "channel deleted");
        self.after_channel_deleted(topic);
        if !topic.name().is_ephemeral() && !name.ends_with("#ephemeral") {
            self.persist_change().await;
        }
        true
    }

    /// Deletes an ephemeral channel whose last consumer has gone, unless it has another one by now.
    pub fn delete_ephemeral(&self, topic: &TopicName, channel: &Arc<Channel>) {
        let Some(topic) = self.topic(topic.as_str()) else {
            return;
        };
        if topic.delete_unused_channel(channel) {
            info!(topic = %topic.name(), channel = %channel.name(), "ephemeral channel deleted");
            self.after_channel_deleted(&topic);
        }
    }

    fn after_channel_deleted(&self, topic: &Arc<Topic>) {
        self.lookup.changed();
        if topic.name().is_ephemeral() && topic.has_no_channel() {
            info!(topic = %topic.name(), "ephemeral topic deleted");
            self.remove_topic(topic.name().as_str());
        }
    }

    /// Notes a change of topics, channels or pause states, and waits until it is on disk. A failure is logged: the
    /// change holds, and is written with the next one.
    pub async fn persist_change(&self) {
        self.metadata.changed();
        if let Err(cause) = self.persist().await {
            error!(%cause, "failed to persist metadata");
        }
    }

    /// Waits until every change is on disk.
    pub async fn persist(&self) -> io::Result<()> {
        self.metadata.persist(|| self.topics()).await
    }
}
