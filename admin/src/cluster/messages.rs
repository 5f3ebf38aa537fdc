//! Messages themselves: looking at those that wait, and publishing.

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};

use super::fault::UpstreamError;
use super::round::{self, Kind};
use super::upstream::Question;
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
    /// When a deferred one becomes due, in nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<i64>,
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

/// nsqd's `/info`, as far as it tells of this.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    peek: bool,
}

/// Which messages to look at.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) topic: String,
    pub(crate) channel: String,
    /// One node's; without it, those of each that has the topic.
    pub(crate) node: Option<String>,
    pub(crate) state: State,
    /// How many of each node, from which on.
    pub(crate) count: usize,
    pub(crate) offset: u64,
}

/// What has become of a message so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Queued,
    InFlight,
    Deferred,
}

impl State {
    /// By the names of nsqd.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut all = [Self::Queued, Self::InFlight, Self::Deferred].into_iter();
        all.find(|state| state.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InFlight => "in_flight",
            Self::Deferred => "deferred",
        }
    }
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
    /// True if a node that has the topic lets messages be looked at.
    pub(crate) async fn may_peek(&self, topic: &str) -> bool {
        let Ok((nodes, _)) = self.producers(topic).await else {
            return false;
        };
        let round: round::Round<_, Info> = self.ask_nodes(nodes, "/info").await;
        round.answers.iter().any(|(_, told)| told.peek)
    }

    /// Messages of a channel. Nothing is consumed.
    pub(crate) async fn peek(&self, look: &Look) -> View<Vec<Message>> {
        let (nodes, mut warnings) = match &look.node {
            Some(name) => {
                let (node, warnings) = self.node(name).await?;
                (vec![node], warnings)
            }
            None => self.producers(&look.topic).await?,
        };
        if nodes.is_empty() {
            return Err(ClusterError::ChannelNotFound);
        }
        let path = look.path();
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

impl Look {
    fn path(&self) -> String {
        let (topic, channel) = (escaped(&self.topic), escaped(&self.channel));
        let (count, offset) = (self.count, self.offset);
        let path =
            format!("/channel/peek?topic={topic}&channel={channel}&n={count}&offset={offset}");
        // It is what nsqd shows unless it is told otherwise.
        if self.state == State::Queued {
            return path;
        }
        format!("{path}&state={}", self.state.name())
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
