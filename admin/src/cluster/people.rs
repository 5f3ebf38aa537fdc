//! Who is connected: all consumers, and all who publish.

use serde::{Deserialize, Serialize};

use super::answers::Stats;
use super::{Client, Cluster, View, merge, or_default, unix_seconds};

/// A consumer, and what it consumes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Consumer {
    pub(crate) topic_name: String,
    pub(crate) channel_name: String,
    #[serde(flatten)]
    pub(crate) client: Client,
}

/// A connection that has published.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the reference"
)]
pub(crate) struct Publisher {
    #[serde(skip_deserializing)]
    pub(crate) node: String,
    pub(crate) client_id: String,
    pub(crate) hostname: String,
    pub(crate) remote_address: String,
    pub(crate) user_agent: String,
    pub(crate) version: String,
    /// Unix seconds, by the clock of nsqd.
    pub(crate) connect_ts: i64,
    pub(crate) tls: bool,
    pub(crate) deflate: bool,
    pub(crate) snappy: bool,
    pub(crate) authed: bool,
    pub(crate) auth_identity: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) pub_counts: Vec<PublishCount>,
}

/// How much it has published to a topic.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct PublishCount {
    pub(crate) topic: String,
    pub(crate) count: u64,
}

impl Consumer {
    /// True if one of its names has `text` in it, which is in lower case.
    pub(crate) fn is_called(&self, text: &str) -> bool {
        let client = &self.client;
        let names = [
            &client.client_id,
            &client.hostname,
            &client.remote_address,
            &client.user_agent,
            &self.topic_name,
            &self.channel_name,
        ];
        names.iter().any(|name| name.to_lowercase().contains(text))
    }
}

impl Publisher {
    /// True if one of its names, or a topic that it publishes to, has `text` in it, which is in lower case.
    pub(crate) fn is_called(&self, text: &str) -> bool {
        let own = [
            &self.client_id,
            &self.hostname,
            &self.remote_address,
            &self.user_agent,
        ];
        let topics = self.pub_counts.iter().map(|count| &count.topic);
        let mut names = own.into_iter().chain(topics);
        names.any(|name| name.to_lowercase().contains(text))
    }
}

/// What `/stats` says of publishers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Producers {
    #[serde(deserialize_with = "or_default")]
    producers: Vec<Publisher>,
}

impl Cluster {
    /// All consumers, by topic, channel and node.
    pub(crate) async fn consumers(&self) -> View<Vec<Consumer>> {
        let (told, warnings) = self.each_node::<Stats>("/stats?format=json").await?;
        let mut consumers = Vec::new();
        let now = unix_seconds();
        for (node, stats) in told {
            for topic in stats.topics {
                let topic = merge::topic_row(&node, topic, now);
                for channel in topic.channels.into_iter().flatten() {
                    consumers.extend(channel.clients.into_iter().flatten().map(|client| {
                        Consumer {
                            topic_name: channel.topic_name.clone(),
                            channel_name: channel.channel_name.clone(),
                            client,
                        }
                    }));
                }
            }
        }
        consumers.sort_by(|a, b| {
            let key = |c: &'_ Consumer| {
                (
                    c.topic_name.clone(),
                    c.channel_name.clone(),
                    c.client.node.clone(),
                    c.client.remote_address.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        Ok((consumers, warnings))
    }

    /// All connections that have published, by host and node.
    pub(crate) async fn publishers(&self) -> View<Vec<Publisher>> {
        let (told, warnings) = self.each_node::<Producers>("/stats?format=json").await?;
        let publishers = told.into_iter().flat_map(|(node, told)| {
            let name = node.name();
            told.producers.into_iter().map(move |publisher| Publisher {
                node: name.clone(),
                ..publisher
            })
        });
        let mut publishers: Vec<Publisher> = publishers.collect();
        publishers.sort_by_cached_key(|publisher| {
            (
                publisher.hostname.clone(),
                publisher.node.clone(),
                publisher.remote_address.clone(),
            )
        });
        Ok((publishers, warnings))
    }
}
