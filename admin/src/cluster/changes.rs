//! What is done to the cluster, and in which order: nsqlookupds before nodes, so that no consumer is sent to what is going
//! away, and those who have a topic are found before it is forgotten.

use std::fmt;

use bytes::Bytes;
use hyper::StatusCode;

use super::round::{self, Kind, Round};
use super::upstream::{Upstream, UpstreamError};
use super::{Cluster, ClusterError, Node, Warnings, escaped};

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Makes a topic known, and a channel of it on the nodes that have it. Without nsqlookupds, on all nodes.
    Create {
        topic: String,
        channel: Option<String>,
    },
    /// Deletes a topic or channel everywhere, with its messages.
    Delete {
        topic: String,
        channel: Option<String>,
    },
    /// Does this to a topic or channel, on the nodes that have it now.
    Do {
        verb: Verb,
        topic: String,
        channel: Option<String>,
    },
    /// Hides a node from consumers of the topic for a while, and deletes the topic there.
    Tombstone { topic: String, node: String },
}

/// What came of a change.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The nodes that were asked for it.
    pub(crate) nodes: Vec<String>,
    /// Those of them, and of the nsqlookupds, that did not do it.
    pub(crate) warnings: Warnings,
}

impl Done {
    /// Both.
    fn and(mut self, more: Self) -> Self {
        self.nodes.extend(more.nodes);
        self.warnings.extend(more.warnings);
        self
    }
}

impl From<Warnings> for Done {
    fn from(warnings: Warnings) -> Self {
        Self {
            nodes: Vec::new(),
            warnings,
        }
    }
}

/// What can be done to a topic or a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Pause,
    Unpause,
    Empty,
}

/// As the endpoints of nsqd are called.
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Empty => "empty",
        })
    }
}

impl Cluster {
    /// Does `change`. That some nodes did not do it is a warning.
    ///
    /// # Errors
    ///
    /// Of those who had to do a step, nobody did; what was done before stays done.
    pub(crate) async fn apply(&self, change: &Change) -> Result<Done, ClusterError> {
        Ok(match change {
            Change::Create { topic, channel } => self.create(topic, channel.as_deref()).await?,
            Change::Delete { topic, channel } => self.delete(topic, channel.as_deref()).await?,
            Change::Do {
                verb,
                topic,
                channel,
            } => {
                let object = Object::new(topic, channel.as_deref());
                let (nodes, warnings) = self.producers(topic).await?;
                if nodes.is_empty() {
                    return Err(object.not_found());
                }
                let done = self.on_nodes(nodes, &object, &verb.to_string()).await?;
                Done::from(warnings).and(done)
            }
            Change::Tombstone { topic, node } => self.tombstone(topic, node).await?,
        })
    }

    async fn create(&self, topic: &str, channel: Option<&str>) -> Result<Done, ClusterError> {
        let done = self.make_known(&Object::new(topic, None)).await?;
        if channel.is_none() {
            return Ok(done);
        }
        let object = Object::new(topic, channel);
        let done = done.and(self.make_known(&object).await?);
        if !self.has_lookupds() {
            return Ok(done);
        }
        let (nodes, warnings) = self.producers(topic).await?;
        let on_nodes = self.on_nodes(nodes, &object, "create").await?;
        Ok(done.and(warnings.into()).and(on_nodes))
    }

    /// Creates the object where the cluster's knowledge comes from.
    async fn make_known(&self, object: &Object<'_>) -> Result<Done, ClusterError> {
        if self.has_lookupds() {
            return self.on_lookupds(&object.path("create")).await;
        }
        let (nodes, warnings) = self.producers(object.topic).await?;
        let done = self.on_nodes(nodes, object, "create").await?;
        Ok(Done::from(warnings).and(done))
    }

    async fn delete(&self, topic: &str, channel: Option<&str>) -> Result<Done, ClusterError> {
        let object = Object::new(topic, channel);
        let (nodes, warnings) = self.producers(topic).await?;
        let mut done = Done::from(warnings);
        if self.has_lookupds() {
            done = done.and(self.on_lookupds(&object.path("delete")).await?);
        }
        Ok(done.and(self.on_nodes(nodes, &object, "delete").await?))
    }

    async fn tombstone(&self, topic: &str, name: &str) -> Result<Done, ClusterError> {
        let (node, warnings) = self.node(name).await?;
        let mut done = Done::from(warnings);
        if self.has_lookupds() {
            let (topic, node) = (escaped(topic), escaped(name));
            let path = format!("/topic/tombstone?topic={topic}&node={node}");
            done = done.and(self.on_lookupds(&path).await?);
        }
        let object = Object::new(topic, None);
        Ok(done.and(self.on_nodes(vec![node], &object, "delete").await?))
    }

    /// Posts to every nsqlookupd. One that does not know what is to be deleted has nothing to do.
    async fn on_lookupds(&self, path: &str) -> Result<Done, ClusterError> {
        let mut round = post(&self.upstream, self.lookupds(), path).await;
        round.forgive(is_absent);
        if round.failures.is_empty() {
            return Ok(Done::default());
        }
        let (_, warnings) = round.at_least_one(Kind::Lookupd)?;
        Ok(warnings.into())
    }

    /// Posts `verb` to every node. Where nsqlookupds have told who has the topic, a node without the object is worth a
    /// warning, unless the object was to go.
    async fn on_nodes(
        &self,
        nodes: Vec<Node>,
        object: &Object<'_>,
        verb: &str,
    ) -> Result<Done, ClusterError> {
        if nodes.is_empty() {
            return Ok(Done::default());
        }
        let names = nodes.iter().map(Node::name).collect();
        let addresses = nodes.into_iter().map(|node| node.http_address);
        let path = object.path(verb);
        let mut round = post(&self.to_nodes(), addresses.collect(), &path).await;
        if round.answers.is_empty() && round.failures.iter().all(is_absent) {
            return Err(object.not_found());
        }
        if verb == "delete" || !self.has_lookupds() {
            round.forgive(is_absent);
        }
        let (_, warnings) = round.at_least_one(Kind::Nsqd)?;
        Ok(Done {
            nodes: names,
            warnings,
        })
    }
}

async fn post(upstream: &Upstream, addresses: Vec<String>, path: &str) -> Round<String, ()> {
    round::ask_each(addresses, |address: String| {
        let (upstream, path) = (upstream.clone(), path.to_owned());
        async move { upstream.post(&address, &path, Bytes::new()).await }
    })
    .await
}

/// A topic, or a channel of it.
struct Object<'a> {
    topic: &'a str,
    channel: Option<&'a str>,
}

impl<'a> Object<'a> {
    fn new(topic: &'a str, channel: Option<&'a str>) -> Self {
        Self { topic, channel }
    }

    /// The endpoint that does `verb` to it, the same on nsqd and nsqlookupd.
    fn path(&self, verb: &str) -> String {
        let topic = escaped(self.topic);
        match self.channel {
            None => format!("/topic/{verb}?topic={topic}"),
            Some(channel) => {
                let channel = escaped(channel);
                format!("/channel/{verb}?topic={topic}&channel={channel}")
            }
        }
    }

    fn not_found(&self) -> ClusterError {
        match self.channel {
            None => ClusterError::TopicNotFound,
            Some(_) => ClusterError::ChannelNotFound,
        }
    }
}

fn is_absent(error: &UpstreamError) -> bool {
    error.status() == Some(StatusCode::NOT_FOUND)
}
