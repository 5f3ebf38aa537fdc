//! Which nodes there are, and which of them have a topic.

use hyper::StatusCode;

use super::answers::{Producer, Producers, Stats};
use super::fault::UpstreamError;
use super::round::{self, Kind, Round};
use super::{Cluster, ClusterError, Node, STATS, View, escaped, merge};
use crate::options::Sources;

impl Cluster {
    /// All nodes.
    pub(crate) async fn nodes(&self) -> View<Vec<Node>> {
        match &self.sources() {
            Sources::Lookupds(lookupds) => {
                let round: Round<_, Producers> = self.ask(lookupds.clone(), "/nodes").await;
                let (answers, warnings) = round.at_least_one(Kind::Lookupd)?;
                let told = answers
                    .into_iter()
                    .map(|(lookupd, told)| (lookupd, told.producers));
                Ok((merge::nodes(told), warnings))
            }
            Sources::Nsqds(nsqds) => self.known_nodes(nsqds, true).await,
        }
    }

    /// All nodes, as they are known without looking at what they do. Of those that were given, one that does not answer is
    /// there too, under the address that was given.
    pub(crate) async fn announced(&self) -> View<Vec<Node>> {
        let Sources::Nsqds(nsqds) = self.sources() else {
            return self.nodes().await;
        };
        let (mut nodes, warnings) = match self.known_nodes(&nsqds, false).await {
            Ok(known) => known,
            Err(ClusterError::Unanswered(failures)) => (Vec::new(), failures.into()),
            Err(error) => return Err(error),
        };
        for address in nsqds {
            if !nodes.iter().any(|node| node.http_address == address) {
                nodes.push(Node::at(&address));
            }
        }
        Ok((nodes, warnings))
    }

    /// The nodes that are configured, with their topics if they are wanted.
    pub(super) async fn known_nodes(&self, nsqds: &[String], with_topics: bool) -> View<Vec<Node>> {
        let round = round::ask_each(nsqds.to_vec(), |address| {
            let upstream = self.upstream.clone();
            async move {
                let info: Producer = upstream.get(&address, "/info").await?;
                let stats = if with_topics {
                    upstream.get(&address, STATS).await?
                } else {
                    Stats::default()
                };
                Ok((info, stats))
            }
        });
        let (answers, warnings) = round.await.at_least_one(Kind::Nsqd)?;
        let told = answers
            .into_iter()
            .map(|(address, (info, stats))| (address, info, stats));
        Ok((merge::known_nodes(told.collect()), warnings))
    }

    /// One node, by the name under which it is known.
    pub(crate) async fn node(&self, name: &str) -> View<Node> {
        let (nodes, warnings) = self.nodes().await?;
        let node = nodes.into_iter().find(|node| node.name() == name);
        node.map(|node| (node, warnings))
            .ok_or(ClusterError::NodeNotFound)
    }

    /// The nodes that have a topic; none if it is registered only. Without nsqlookupds, all nodes: they are asked anyway.
    pub(super) async fn producers(&self, topic: &str) -> View<Vec<Node>> {
        let lookupds = match self.sources() {
            Sources::Nsqds(nsqds) => return self.known_nodes(&nsqds, false).await,
            Sources::Lookupds(lookupds) => lookupds,
        };
        let path = format!("/lookup?topic={}", escaped(topic));
        let mut round: Round<_, Producers> = self.ask(lookupds, &path).await;
        // Not to know the topic is an answer too.
        let unknown = |error: &UpstreamError| error.status() == Some(StatusCode::NOT_FOUND);
        round.forgive(unknown);
        if round.answers.is_empty() && round.failures.is_empty() {
            return Err(ClusterError::TopicNotFound);
        }
        let (answers, warnings) = round.at_least_one(Kind::Lookupd)?;
        let told = answers.into_iter().map(|(_, answer)| answer.producers);
        Ok((merge::producers(told), warnings))
    }
}
