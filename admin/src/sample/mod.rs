//! The cluster at one moment, as everybody who watches it sees it: one look at each nsqd, for all viewers.
//!
//! | file | owns |
//! | --- | --- |
//! | `mod.rs` | [`Sample`]: what was seen |
//! | `answer.rs` | the part of nsqd's `/stats` that is looked at |
//! | `counters.rs` | pure: two looks at a node into rates; a restart is no negative rate |
//! | `roster.rs` | pure: which nodes there are, and which are missing |
//! | `sampler.rs` | the task that looks, every `--sample-interval` |

mod answer;
mod counters;
mod roster;
pub(crate) mod sampler;

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

use crate::alerts::Verdict;
use crate::cluster::Report;

/// What nodes do: how much waits, and how fast it moves. Rates are messages a second since the look before; they are 0 where
/// there was none, and of a node that has just started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Messages that wait: of a channel its own; of a topic, a node or the cluster those of topics and of all their channels.
    pub(crate) depth: i64,
    pub(crate) in_flight_count: i64,
    pub(crate) deferred_count: i64,
    pub(crate) client_count: i64,
    /// Published to a topic; received by a channel.
    pub(crate) message_rate: f64,
    /// Left their channel: what came, less what has been added to those waiting, in flight and deferred. Emptied ones count.
    pub(crate) finish_rate: f64,
    pub(crate) requeue_rate: f64,
    pub(crate) timeout_rate: f64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.depth = self.depth.saturating_add(other.depth);
        self.in_flight_count = self.in_flight_count.saturating_add(other.in_flight_count);
        self.deferred_count = self.deferred_count.saturating_add(other.deferred_count);
        self.client_count = self.client_count.saturating_add(other.client_count);
        self.message_rate += other.message_rate;
        self.finish_rate += other.finish_rate;
        self.requeue_rate += other.requeue_rate;
        self.timeout_rate += other.timeout_rate;
    }
}

/// Everything that was seen in one look at all nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Counts looks, from 1.
    pub(crate) tick: u64,
    /// When it was complete, in Unix seconds.
    pub(crate) time: i64,
    pub(crate) total: Figures,
    /// Messages published to all topics since their nodes started.
    pub(crate) message_count: i64,
    /// By name.
    pub(crate) topics: BTreeMap<String, TopicSample>,
    /// By name.
    pub(crate) nodes: BTreeMap<String, NodeSample>,
    /// Nsqlookupds that there are; 0 while one of them is silent.
    pub(crate) lookupd_count: usize,
    /// Who did not tell of nodes, and why.
    pub(crate) warnings: Vec<Report>,
}

impl Sample {
    /// The nodes that did not answer, and why.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Report> {
        self.nodes.iter().filter_map(|(name, node)| {
            let what = node.error.clone()?;
            Some(Report {
                raw: format!("{name}: {what}"),
                who: name.clone(),
                what,
                cause: "",
            })
        })
    }

    /// True if every node that is known has answered.
    pub(crate) fn is_complete(&self) -> bool {
        self.nodes.values().all(|node| node.error.is_none())
    }
}

/// A topic on all nodes that answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicSample {
    pub(crate) figures: Figures,
    /// Messages that no channel has been given yet.
    pub(crate) queue_depth: i64,
    pub(crate) message_count: i64,
    /// Nodes that have it, and those of them on which it is paused.
    pub(crate) nodes: u32,
    pub(crate) paused_nodes: u32,
    /// By name.
    pub(crate) channels: BTreeMap<String, ChannelSample>,
}

impl TopicSample {
    /// That of the channel which is worst off.
    pub(crate) fn worst_verdict(&self) -> Verdict {
        let verdicts = self.channels.values().map(|channel| channel.verdict);
        let worst = verdicts.min_by_key(|verdict| verdict.severity());
        worst.unwrap_or_default()
    }
}

/// A channel on all nodes that answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelSample {
    pub(crate) figures: Figures,
    pub(crate) message_count: i64,
    /// Nodes that have it, and those of them on which it is paused.
    pub(crate) nodes: u32,
    pub(crate) paused_nodes: u32,
    /// The depth on the node where it is greatest, and the consumers there.
    pub(crate) node_depth_max: i64,
    pub(crate) fullest_client_count: i64,
    pub(crate) verdict: Verdict,
}

/// A node that is known, whether it answered or not.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct NodeSample {
    pub(crate) hostname: String,
    pub(crate) version: String,
    pub(crate) out_of_date: bool,
    /// Nsqlookupds that know it.
    pub(crate) lookupds: usize,
    /// `OK`, or what is wrong, in nsqd's words.
    pub(crate) health: String,
    /// Unix seconds; 0 if it does not say.
    pub(crate) start_time: i64,
    pub(crate) topic_count: usize,
    pub(crate) message_count: i64,
    /// Why it did not answer, or has left; then the figures are 0.
    pub(crate) error: Option<String>,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}
