//! What is done to the cluster, and in which order: nsqlookupds before nodes, so that no consumer is sent to what is going
//! away, and those who have a topic are found before it is forgotten.

use std::fmt;

use bytes::Bytes;
use hyper::StatusCode;

use super::fault::UpstreamError;
use super::round::{self, Kind, Round};
use super::upstream::Upstream;
use super::{Cluster, ClusterError, Node, Warnings, escaped};

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Makes a topic known, and channels of it on the nodes that have it and on those that are named. Without nsqlookupds,
    /// on the nodes that are named, or on all.
    Create {
        topic: String,
        channels: Vec<String>,
        nodes: Vec<String>,
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

impl Change {
    /// The topic that it is about.
    pub(crate) fn topic(&self) -> &str {
        match self {
            Self::Create { topic, .. }
            | Self::Delete { topic, .. }
            | Self::Do { topic, .. }
            | Self::Tombstone { topic, .. } => topic,
        }
    }
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
            Change::Create {
                topic,
                channels,
                nodes,
            } => self.create(topic, channels, nodes).await?,
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

    async fn create(
        &self,
        topic: &str,
        channels: &[String],
        names: &[String],
    ) -> Result<Done, ClusterError> {
        let (chosen, warnings) = self.named(names).await?;
        let mut done = Done::from(warnings);
        let objects = std::iter::once(None).chain(channels.iter().map(|name| Some(name.as_str())));
        let objects: Vec<Object<'_>> = objects.map(|channel| Object::new(topic, channel)).collect();
        for object in objects.iter().filter(|_| self.has_lookupds()) {
            done = done.and(self.on_lookupds(&object.path("create")).await?);
        }
        let (nodes, warnings) = self.makers(topic, channels, chosen).await?;
        done.warnings.extend(warnings);
        for object in &objects {
            // Nodes that are found by their topic have it already.
            if object.channel.is_none() && self.has_lookupds() && names.is_empty() {
                continue;
            }
            let made = self.on_nodes(nodes.clone(), object, "create").await?;
            done.warnings.extend(made.warnings);
            done.nodes = made.nodes;
        }
        Ok(done)
    }

    /// The nodes on which a topic and its channels are made: those that are named, and for channels those that have the topic.
    /// Where nodes are all there is, all of them, unless some are named.
    async fn makers(
        &self,
        topic: &str,
        channels: &[String],
        mut named: Vec<Node>,
    ) -> Result<(Vec<Node>, Warnings), ClusterError> {
        let is_settled = if self.has_lookupds() {
            channels.is_empty()
        } else {
            !named.is_empty()
        };
        if is_settled {
            return Ok((named, Warnings::default()));
        }
        let (nodes, warnings) = self.producers(topic).await?;
        named.retain(|known| nodes.iter().all(|node| node.name() != known.name()));
        named.extend(nodes);
        Ok((named, warnings))
    }

    /// The nodes of these names.
    async fn named(&self, names: &[String]) -> Result<(Vec<Node>, Warnings), ClusterError> {
        if names.is_empty() {
            return Ok((Vec::new(), Warnings::default()));
        }
        let (mut nodes, warnings) = self.nodes().await?;
        nodes.retain(|node| names.contains(&node.name()));
        let is_known = |name: &String| nodes.iter().any(|node| node.name() == *name);
        if !names.iter().all(is_known) {
            return Err(ClusterError::NodeNotFound);
        }
        Ok((nodes, warnings))
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
