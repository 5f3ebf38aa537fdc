//! What all nsqds say of their topics and channels at a moment, and what that makes over the whole cluster.

mod filter;
mod meter;
mod rows;

use std::collections::HashSet;
use std::time::Instant;

use client::http::{RequestError, Stats, StatsQuery};

pub(crate) use filter::Filter;
pub(crate) use meter::Meter;
pub(crate) use rows::{Counts, Rates, Row};

use crate::error::Error;
use crate::targets::{Cluster, Node, Round, ask_all};

/// The statistics of all nsqds that were to be asked.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Those who answered, in the order of their addresses.
    pub(crate) nodes: Vec<NodeStats>,
    /// nsqds that did not answer.
    pub(crate) silent: Vec<Silent>,
    /// nsqlookupds that did not answer.
    pub(crate) failures: Vec<RequestError>,
}

/// What one nsqd said.
#[derive(Debug)]
pub(crate) struct NodeStats {
    /// Which one.
    pub(crate) address: String,
    /// When its answer was there.
    pub(crate) at: Instant,
    /// What it said.
    pub(crate) stats: Stats,
}

/// An nsqd that did not answer.
#[derive(Debug)]
pub(crate) struct Silent {
    /// Why there is no answer.
    pub(crate) error: RequestError,
    /// The topics it is known to have; `None` means that it may have any.
    pub(crate) topics: Option<HashSet<String>>,
}

impl Survey {
    /// Everybody who did not answer.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &RequestError> {
        let silent = self.silent.iter().map(|silent| &silent.error);
        silent.chain(&self.failures)
    }
}

/// Asks for what `filter` lets through, with each consumer if `clients`.
///
/// # Errors
///
/// No nsqlookupd answers, or no nsqd although there are some.
pub(crate) async fn survey(
    cluster: &Cluster,
    filter: &Filter,
    clients: bool,
) -> Result<Survey, Error> {
    let topic = filter.only_topic().cloned();
    let (nodes, failures) = if let Some(topic) = &topic {
        let found = cluster.producers(topic).await?;
        (found.value.unwrap_or_default(), found.failures)
    } else {
        let found = cluster.nodes().await?;
        (found.value, found.failures)
    };
    let channel = filter.only_channel().cloned();
    let addresses = nodes.iter().map(|node| node.address.clone()).collect();
    let round = ask_all(addresses, |address| {
        let (client, topic, channel) = (cluster.client.clone(), topic.clone(), channel.clone());
        async move {
            let wanted = StatsQuery {
                topic: topic.as_ref(),
                channel: channel.as_ref(),
                clients,
            };
            let stats = client.nsqd(&address).stats(&wanted).await?;
            Ok((Instant::now(), stats))
        }
    });
    gather(nodes, round.await, failures)
}

fn gather(
    nodes: Vec<Node>,
    round: Round<(Instant, Stats)>,
    failures: Vec<RequestError>,
) -> Result<Survey, Error> {
    let mut survey = Survey {
        nodes: Vec::new(),
        silent: Vec::new(),
        failures,
    };
    for (node, (address, answer)) in nodes.into_iter().zip(round.0) {
        match answer {
            Ok((at, stats)) => survey.nodes.push(NodeStats { address, at, stats }),
            Err(error) => {
                let topics = node.topics.map(|topics| topics.into_keys().collect());
                survey.silent.push(Silent { error, topics });
            }
        }
    }
    if survey.nodes.is_empty() && !survey.silent.is_empty() {
        let silent = survey.silent.into_iter().map(|silent| silent.error);
        return Err(Error::Unanswered(silent.chain(survey.failures).collect()));
    }
    Ok(survey)
}
