//! What each nsqlookupd knows, and where they differ.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::answers::{Producers, Topics};
use super::{Cluster, merge};

/// One nsqlookupd.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Lookupd {
    /// `host:port`.
    pub(crate) address: String,
    /// Why it does not answer; empty if it does.
    pub(crate) error: String,
    pub(crate) version: String,
    /// Of its answer to the question for nodes.
    pub(crate) latency_ms: f64,
    pub(crate) topic_count: usize,
    pub(crate) node_count: usize,
    /// What others know and this one does not.
    pub(crate) missing_topics: Vec<String>,
    pub(crate) missing_nodes: Vec<String>,
    pub(crate) tombstones: Vec<Tombstone>,
}

/// A node that is hidden from consumers of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Tombstone {
    pub(crate) topic: String,
    pub(crate) node: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    version: String,
}

/// One nsqlookupd, and all that it knows.
#[derive(Debug, Default)]
struct Told {
    lookupd: Lookupd,
    topics: BTreeSet<String>,
    nodes: BTreeSet<String>,
}

impl Cluster {
    /// Each nsqlookupd, in the order in which they were given; none where there is none.
    pub(crate) async fn explained(&self) -> Vec<Lookupd> {
        let mut asking = tokio::task::JoinSet::new();
        for (index, address) in self.lookupds().into_iter().enumerate() {
            let cluster = self.clone();
            asking.spawn(async move { (index, cluster.explain(address).await) });
        }
        let mut told = asking.join_all().await;
        told.sort_unstable_by_key(|(index, _)| *index);
        compared(told.into_iter().map(|(_, told)| told).collect())
    }

    async fn explain(&self, address: String) -> Told {
        let start = Instant::now();
        let nodes = self.upstream.get::<Producers>(&address, "/nodes").await;
        let latency_ms = start.elapsed().as_secs_f64() * 1000.0;
        let topics = self.upstream.get::<Topics>(&address, "/topics").await;
        // An old one has no /info: its version is not worth an error.
        let info = self.upstream.get::<Info>(&address, "/info").await;
        let lookupd = Lookupd {
            version: info.unwrap_or_default().version,
            latency_ms,
            address,
            ..Lookupd::default()
        };
        match (nodes, topics) {
            (Ok(nodes), Ok(topics)) => told(lookupd, nodes, topics),
            (Err(error), _) | (_, Err(error)) => Told {
                lookupd: Lookupd {
                    error: error.fault().to_string(),
                    ..lookupd
                },
                ..Told::default()
            },
        }
    }
}

fn told(mut lookupd: Lookupd, nodes: Producers, topics: Topics) -> Told {
    let mut names = BTreeSet::new();
    for producer in nodes.producers {
        let node = merge::node(producer);
        let hidden = node
            .topics
            .iter()
            .flatten()
            .filter(|topic| topic.tombstoned);
        lookupd.tombstones.extend(hidden.map(|topic| Tombstone {
            topic: topic.topic.clone(),
            node: node.name(),
        }));
        names.insert(node.name());
    }
    lookupd.topic_count = topics.topics.len();
    lookupd.node_count = names.len();
    Told {
        lookupd,
        topics: topics.topics.into_iter().collect(),
        nodes: names,
    }
}

/// Each with what it lacks of what all others know.
fn compared(all: Vec<Told>) -> Vec<Lookupd> {
    let topics: BTreeSet<String> = all.iter().flat_map(|told| told.topics.clone()).collect();
    let nodes: BTreeSet<String> = all.iter().flat_map(|told| told.nodes.clone()).collect();
    let compared = all.into_iter().map(|told| {
        if !told.lookupd.error.is_empty() {
            return told.lookupd;
        }
        Lookupd {
            missing_topics: topics.difference(&told.topics).cloned().collect(),
            missing_nodes: nodes.difference(&told.nodes).cloned().collect(),
            ..told.lookupd
        }
    });
    compared.collect()
}
