//! The cluster, asked afresh for each view: one question to many nodes at once, and what came of it.
//!
//! | file | owns |
//! | --- | --- |
//! | `mod.rs` | [`Cluster`]: which questions make a view |
//! | `nodes.rs` | which nodes there are, and which of them have a topic |
//! | `round.rs` | asking many at once; who answered and who did not |
//! | `upstream.rs`, `fault.rs` | one request to one node, with its deadline and bounds; why there is no answer |
//! | `answers.rs`, `model.rs` | what nodes answer; what the API tells |
//! | `merge.rs`, `version.rs` | pure: many answers into one |
//! | `changes.rs` | what is done to the cluster, and in which order |
//! | `messages.rs`, `tail.rs` | looking at messages that wait; publishing; where new ones are to be had |
//! | `people.rs`, `explain.rs` | who is connected; where nsqlookupds differ |
//!
//! A node that fails never takes the others with it: what the rest said is shown, with a warning. Only when nobody answers is
//! there nothing to show. Only addresses that were configured, or that a nsqlookupd has just told of, are ever asked.

mod answers;
mod changes;
mod explain;
mod fault;
mod merge;
mod messages;
mod model;
mod nodes;
mod people;
mod round;
mod tail;
pub(crate) mod upstream;
mod version;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use thiserror::Error;

pub(crate) use answers::or_default;
use answers::{Channels, Stats, Topics};
pub(crate) use changes::{Change, Done, Verb};
pub(crate) use explain::Lookupd;
pub(crate) use fault::{Report, UpstreamError, is_loopback};
pub(crate) use messages::{Look, Message, Publication, State};
#[cfg(test)]
pub(crate) use model::Percentile;
pub(crate) use model::{Channel, Client, Counter, Latency, Node, NodeDetail, Topic};
pub(crate) use people::{Consumer, Publisher};
pub(crate) use round::{Failures, Warnings};
use round::{Kind, Round};
pub(crate) use tail::TAIL_PREFIX;
use upstream::Upstream;

use crate::cidr::Cidr;
use crate::options::{Options, Sources};

/// The cluster, as far as the configured addresses know it.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// Asks the configured addresses.
    upstream: Upstream,
    /// Where announced nodes are connected to; if empty, everywhere.
    producer_ranges: Arc<[Cidr]>,
    /// Shared by all that ask; nsqlookupds can be changed while nsqadmin runs.
    sources: Arc<RwLock<Sources>>,
}

/// A view, and who is missing in it.
pub(crate) type View<T> = Result<(T, Warnings), ClusterError>;

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub(crate) enum ClusterError {
    /// None of those who had to answer did.
    #[error(transparent)]
    Unanswered(#[from] Failures),
    /// No node of this name is known.
    #[error("NODE_NOT_FOUND")]
    NodeNotFound,
    /// Everybody answered, and nobody knows the topic.
    #[error("TOPIC_NOT_FOUND")]
    TopicNotFound,
    /// The topic has no channel of this name on any node.
    #[error("CHANNEL_NOT_FOUND")]
    ChannelNotFound,
}

impl ClusterError {
    /// Who did not answer, for people.
    pub(crate) fn reports(&self) -> Vec<Report> {
        match self {
            Self::Unanswered(failures) => failures.reports(),
            Self::NodeNotFound | Self::TopicNotFound | Self::ChannelNotFound => Vec::new(),
        }
    }
}

impl Cluster {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            upstream: Upstream::new(options),
            producer_ranges: options.producer_ranges.as_slice().into(),
            sources: Arc::new(RwLock::new(options.sources.clone())),
        }
    }

    /// The same cluster, asked in another way.
    pub(crate) fn asking_through(&self, upstream: Upstream) -> Self {
        Self {
            upstream,
            producer_ranges: Arc::clone(&self.producer_ranges),
            sources: Arc::clone(&self.sources),
        }
    }

    /// What asks nodes: those that were configured wherever they are, those that were announced only where that is allowed.
    pub(crate) fn to_nodes(&self) -> Upstream {
        match self.sources() {
            Sources::Lookupds(_) => self.upstream.only_to(&self.producer_ranges),
            Sources::Nsqds(_) => self.upstream.clone(),
        }
    }

    /// The names of all topics.
    pub(crate) async fn topics(&self) -> View<Vec<String>> {
        match &self.sources() {
            Sources::Lookupds(lookupds) => {
                let round: Round<_, Topics> = self.ask(lookupds.clone(), "/topics").await;
                let (answers, warnings) = round.at_least_one(Kind::Lookupd)?;
                let lists = answers.into_iter().map(|(_, answer)| answer.topics);
                Ok((merge::names(lists), warnings))
            }
            Sources::Nsqds(nsqds) => {
                let round: Round<_, Stats> = self.ask(nsqds.clone(), STATS).await;
                let (answers, warnings) = round.at_least_one(Kind::Nsqd)?;
                let names = |stats: Stats| stats.topics.into_iter().map(|topic| topic.topic_name);
                let lists = answers.into_iter().map(|(_, stats)| names(stats).collect());
                Ok((merge::names(lists), warnings))
            }
        }
    }

    /// The topics that no active, untombstoned node has, with their channels (`None` if there are none). A topic of which
    /// somebody could not be asked is left out: it may well be active.
    pub(crate) async fn inactive_topics(&self) -> View<BTreeMap<String, Option<Vec<String>>>> {
        let Sources::Lookupds(_) = self.sources() else {
            return Ok((BTreeMap::new(), Warnings::default()));
        };
        let (names, mut warnings) = self.topics().await?;
        let (nodes, more) = self.nodes().await?;
        // While a nsqlookupd is silent, nothing is known to be inactive.
        let is_complete = warnings.is_empty() && more.is_empty();
        warnings.extend(more);
        if !is_complete {
            return Ok((BTreeMap::new(), warnings));
        }
        let topics = nodes.iter().flat_map(|node| node.topics.iter().flatten());
        let active = topics.filter(|topic| !topic.tombstoned);
        let active: HashSet<&str> = active.map(|topic| topic.topic.as_str()).collect();
        let inactive = names
            .into_iter()
            .filter(|name| !active.contains(name.as_str()));
        let (channels, more) = self.registered_channels(inactive.collect()).await;
        warnings.extend(more);
        Ok((channels, warnings))
    }

    /// The channels of these topics that nsqlookupds know, `None` where there are none.
    async fn registered_channels(
        &self,
        topics: Vec<String>,
    ) -> (BTreeMap<String, Option<Vec<String>>>, Warnings) {
        let mut questions = Vec::new();
        for lookupd in self.lookupds() {
            questions.extend(topics.iter().map(|topic| (topic.clone(), lookupd.clone())));
        }
        let round: Round<_, Channels> = round::ask_each(questions, |(topic, lookupd)| {
            let upstream = self.upstream.clone();
            let path = format!("/channels?topic={}", escaped(&topic));
            async move { upstream.get(&lookupd, &path).await }
        })
        .await;
        let mut known: BTreeMap<String, Option<Vec<String>>> =
            topics.into_iter().map(|topic| (topic, None)).collect();
        for ((topic, _), told) in round.answers {
            let before = known.remove(&topic).flatten().unwrap_or_default();
            let names = merge::names([before, told.channels]);
            known.insert(topic, (!names.is_empty()).then_some(names));
        }
        (known, Warnings::from(round.failures))
    }

    /// A topic on all nodes that have it.
    pub(crate) async fn topic(&self, name: &str) -> View<Topic> {
        let path = format!("{STATS}&topic={}", escaped(name));
        let (told, warnings) = self.stats_of_topic(name, &path).await?;
        let now = unix_seconds();
        let rows = told.into_iter().flat_map(|(node, stats)| {
            let topics = stats.topics.into_iter();
            let row = topics
                .filter(|topic| topic.topic_name == name)
                .map(|topic| merge::topic_row(&node, topic, now));
            row.collect::<Vec<_>>()
        });
        let rows: Vec<Topic> = rows.collect();
        if rows.is_empty() && !self.has_lookupds() {
            return Err(ClusterError::TopicNotFound);
        }
        Ok((merge::topic(name, rows), warnings))
    }

    /// A channel on all nodes that have it, with its consumers.
    pub(crate) async fn channel(&self, topic: &str, name: &str) -> View<Channel> {
        let path = format!(
            "/stats?format=json&topic={}&channel={}",
            escaped(topic),
            escaped(name)
        );
        let (told, warnings) = self.stats_of_topic(topic, &path).await?;
        let now = unix_seconds();
        let rows = told.into_iter().flat_map(|(node, stats)| {
            let topics = stats.topics.into_iter();
            let topics = topics.filter(|told| told.topic_name == topic);
            let channels = topics.flat_map(|topic| topic.channels);
            let rows = channels
                .filter(|told| told.channel_name == name)
                .map(|told| merge::channel_row(&node, topic, told, now));
            rows.collect::<Vec<_>>()
        });
        let rows: Vec<Channel> = rows.collect();
        if rows.is_empty() {
            return Err(ClusterError::ChannelNotFound);
        }
        Ok((merge::channel(topic, name, rows), warnings))
    }

    /// What those who have the topic say to `path`. A topic that is registered and on no node yet has no answers.
    async fn stats_of_topic(&self, topic: &str, path: &str) -> View<Vec<(Node, Stats)>> {
        let (nodes, mut warnings) = self.producers(topic).await?;
        if nodes.is_empty() {
            return Ok((Vec::new(), warnings));
        }
        let (told, more) = self.ask_nodes(nodes, path).await.at_least_one(Kind::Nsqd)?;
        warnings.extend(more);
        Ok((told, warnings))
    }

    /// What one node is doing.
    pub(crate) async fn node_detail(&self, name: &str) -> View<NodeDetail> {
        let (node, warnings) = self.node(name).await?;
        let round = self.ask_nodes(vec![node], "/stats?format=json").await;
        let (mut told, _) = round.at_least_one(Kind::Nsqd)?;
        let (node, stats) = told.pop().expect("the one node has answered");
        Ok((merge::node_detail(&node, stats, unix_seconds()), warnings))
    }

    /// What each channel on each node has received.
    pub(crate) async fn counters(&self) -> View<BTreeMap<String, Counter>> {
        let (told, warnings) = self.figures().await?;
        Ok((merge::counters(told), warnings))
    }

    /// The figures of all nodes, without clients.
    async fn figures(&self) -> View<Vec<(Node, Stats)>> {
        self.each_node(STATS).await
    }

    /// What all nodes say to `path`.
    async fn each_node<T>(&self, path: &str) -> View<Vec<(Node, T)>>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        let (nodes, mut warnings) = match &self.sources() {
            Sources::Lookupds(_) => self.nodes().await?,
            Sources::Nsqds(nsqds) => self.known_nodes(nsqds, false).await?,
        };
        let (told, more) = self.ask_nodes(nodes, path).await.at_least_one(Kind::Nsqd)?;
        warnings.extend(more);
        Ok((told, warnings))
    }

    async fn ask_nodes<T>(&self, nodes: Vec<Node>, path: &str) -> Round<Node, T>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        let upstream = self.to_nodes();
        round::ask_each(nodes, |node: Node| {
            let (upstream, path) = (upstream.clone(), path.to_owned());
            async move { upstream.get(&node.http_address, &path).await }
        })
        .await
    }

    async fn ask<T>(&self, addresses: Vec<String>, path: &str) -> Round<String, T>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        round::ask_each(addresses, |address| {
            let (upstream, path) = (self.upstream.clone(), path.to_owned());
            async move { upstream.get(&address, &path).await }
        })
        .await
    }

    pub(crate) fn has_lookupds(&self) -> bool {
        matches!(self.sources(), Sources::Lookupds(_))
    }

    /// The nsqlookupds, if there are any.
    pub(crate) fn lookupds(&self) -> Vec<String> {
        match &self.sources() {
            Sources::Lookupds(lookupds) => lookupds.clone(),
            Sources::Nsqds(_) => Vec::new(),
        }
    }

    /// Whom knowledge of the cluster comes from now.
    pub(crate) fn sources(&self) -> Sources {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.clone()
    }

    /// From now on asks these nsqlookupds; none of them is asked whether it is one.
    pub(crate) fn set_lookupds(&self, addresses: Vec<String>) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        *sources = Sources::Lookupds(addresses);
    }
}

/// A name as an argument of a query.
fn escaped(name: &str) -> PercentEncode<'_> {
    utf8_percent_encode(name, &ESCAPED)
}

/// The time, as nsqd counts it.
pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Everything but what is plain in a query.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// All figures of an nsqd, without its clients.
const STATS: &str = "/stats?format=json&include_clients=false";
