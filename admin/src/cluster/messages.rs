//! Messages themselves: looking at those that wait, and publishing.

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};

use super::round::{self, Kind};
use super::upstream::{Question, UpstreamError};
use super::{Cluster, ClusterError, Node, View, Warnings, escaped, or_default};

/// A message that waits on a node.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Message {
    pub(crate) id: String,
    /// Nanoseconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) attempts: u32,
    /// Bytes of the whole body.
    pub(crate) size: u64,
    /// The body in base64, or its start.
    pub(crate) body: String,
    pub(crate) body_truncated: bool,
    /// Where it is.
    #[serde(skip_deserializing)]
    pub(crate) node: String,
}

/// nsqd's `/channel/peek`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Peeked {
    #[serde(deserialize_with = "or_default")]
    messages: Vec<Message>,
}

/// What to publish.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) topic: String,
    /// The node to publish to; any that has the topic if there is none, or any at all if none has it.
    pub(crate) node: Option<String>,
    pub(crate) body: Bytes,
    /// A message for each line.
    pub(crate) is_batch: bool,
    pub(crate) defer_ms: u64,
}

impl Cluster {
    /// Messages that wait in a channel, `count` from `offset` on of each node that has it, or of the one that is named.
    /// Nothing is consumed.
    pub(crate) async fn peek(
        &self,
        topic: &str,
        channel: &str,
        node: Option<&str>,
        count: usize,
        offset: u64,
    ) -> View<Vec<Message>> {
        let (nodes, mut warnings) = match node {
            Some(name) => {
                let (node, warnings) = self.node(name).await?;
                (vec![node], warnings)
            }
            None => self.producers(topic).await?,
        };
        if nodes.is_empty() {
            return Err(ClusterError::ChannelNotFound);
        }
        let (topic, channel) = (escaped(topic), escaped(channel));
        let path =
            format!("/channel/peek?topic={topic}&channel={channel}&n={count}&offset={offset}");
        let upstream = self.to_nodes();
        let round = round::ask_each(nodes, |node: Node| {
            let (upstream, path) = (upstream.clone(), path.clone());
            async move {
                let told = upstream.get::<Peeked>(&node.http_address, &path).await;
                told.map_err(UpstreamError::of_peek)
            }
        });
        let (told, more) = round.await.at_least_one(Kind::Nsqd)?;
        warnings.extend(more);
        let messages = told.into_iter().flat_map(|(node, peeked)| {
            let name = node.name();
            let named = move |message| Message {
                node: name.clone(),
                ..message
            };
            peeked.messages.into_iter().map(named)
        });
        Ok((messages.collect(), warnings))
    }

    /// Publishes, and returns the node that took it. Another node is tried only if the one before cannot have got it.
    pub(crate) async fn publish(&self, publication: &Publication) -> View<String> {
        let (mut nodes, mut warnings) = match &publication.node {
            Some(name) => {
                let (node, warnings) = self.node(name).await?;
                (vec![node], warnings)
            }
            None => self.homes(&publication.topic).await?,
        };
        fastrand::shuffle(&mut nodes);
        let path = publication.path();
        let mut failures: Vec<UpstreamError> = Vec::new();
        for node in nodes {
            let body = publication.body.clone();
            let question = Question::new(Method::POST, &node.http_address, &path, body);
            match self.to_nodes().ask(question).await {
                Ok(_) => {
                    warnings.extend(failures.into());
                    return Ok((node.name(), warnings));
                }
                Err(error) => {
                    let may_go_on = error.is_unsent();
                    failures.push(error);
                    if !may_go_on {
                        break;
                    }
                }
            }
        }
        Err(round::failed(Kind::Nsqd, failures).into())
    }

    /// The nodes that have the topic, or all if none has.
    async fn homes(&self, topic: &str) -> View<Vec<Node>> {
        match self.producers(topic).await {
            Err(ClusterError::TopicNotFound) => {}
            Ok((nodes, _)) if nodes.is_empty() => {}
            found => return found,
        }
        let (nodes, warnings): (Vec<Node>, Warnings) = self.nodes().await?;
        if nodes.is_empty() {
            return Err(ClusterError::NodeNotFound);
        }
        Ok((nodes, warnings))
    }
}

impl Publication {
    fn path(&self) -> String {
        let verb = if self.is_batch { "mpub" } else { "pub" };
        let topic = escaped(&self.topic);
        if self.defer_ms == 0 {
            return format!("/{verb}?topic={topic}");
        }
        format!("/{verb}?topic={topic}&defer={}", self.defer_ms)
    }
}
