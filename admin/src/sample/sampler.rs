//! The task that looks at every node, every `--sample-interval`.
//!
//! Each look is bounded: in time, by the interval, so that a dead node costs one interval at the most; in number, by
//! [`REQUESTS_MAX`]. Nodes that failed last time are asked last, so that the dead never make the living wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::answer::NodeStats;
use super::counters::{self, Counters};
use super::roster::Roster;
use super::{Figures, NodeSample, Sample};
use crate::alerts::{Alerts, Judge};
use crate::cluster::upstream::Upstream;
use crate::cluster::{Cluster, Node, Report, UpstreamError, unix_seconds};
use crate::history::History;
use crate::options::Options;

/// What the samples go into.
#[derive(Clone, Debug)]
pub(crate) struct Sinks {
    pub(crate) history: Arc<History>,
    pub(crate) alerts: Arc<Alerts>,
}

/// Looks until `stopped`, and hands each sample to all who watch.
pub(crate) async fn run(
    options: Options,
    cluster: Cluster,
    sinks: Sinks,
    samples_tx: watch::Sender<Arc<Sample>>,
    mut stopped: watch::Receiver<bool>,
) {
    let sample_interval = options.sample_interval;
    let mut sampler = Sampler {
        cluster: cluster.asking_through(upstream(&options)),
        roster_ticks: roster_ticks(options.sample_interval),
        roster: Roster::default(),
        counters: HashMap::new(),
        judge: Judge::new(options.alert_limits),
        warnings: Vec::new(),
        tick: 0,
    };
    let mut ticks = interval(sample_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = async {
        loop {
            ticks.tick().await;
            let sample = sampler.look(&sinks).await;
            debug!(tick = sample.tick, topics = sample.topics.len(), "sampled");
            samples_tx.send_replace(Arc::new(sample));
        }
    };
    tokio::select! {
        () = look => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Asks in the sampler's own way, apart from what viewers ask.
pub(crate) fn upstream(options: &Options) -> Upstream {
    let timeout = options.sample_interval.max(TIMEOUT_MIN);
    Upstream::hurried(options, timeout, REQUESTS_MAX)
}

fn roster_ticks(interval: Duration) -> u64 {
    let ticks = ROSTER_INTERVAL.as_millis() / interval.as_millis().max(1);
    u64::try_from(ticks).unwrap_or(1).max(1)
}

struct Sampler {
    /// Asked in the sampler's own way.
    cluster: Cluster,
    roster: Roster,
    /// Ticks from one question for the nodes to the next.
    roster_ticks: u64,
    /// What nodes had counted, by name; nothing of those that failed last time.
    counters: HashMap<String, Counters>,
    judge: Judge,
    /// Who did not tell of nodes when they were asked last.
    warnings: Vec<Report>,
    tick: u64,
}

impl Sampler {
    async fn look(&mut self, sinks: &Sinks) -> Sample {
        let mut sample = Sample::default();
        self.tick += 1;
        sample.tick = self.tick;
        if self.tick % self.roster_ticks == 1 || self.roster_ticks == 1 || self.counters.is_empty()
        {
            self.learn_nodes().await;
        }
        sample.warnings.clone_from(&self.warnings);
        if self.warnings.is_empty() {
            sample.lookupd_count = self.cluster.lookupds().len();
        }
        self.add_nodes(&mut sample).await;
        sample.time = unix_seconds();
        let now = Instant::now();
        let conditions = self.judge.judge(now, &mut sample);
        sinks.alerts.observe(now, sample.time, conditions);
        sinks.history.push(&sample);
        sample
    }

    async fn learn_nodes(&mut self) {
        match self.cluster.announced().await {
            Ok((nodes, warnings)) => {
                self.roster.update(Instant::now(), nodes);
                self.warnings = warnings.reports();
            }
            Err(error) => self.warnings = error.reports(),
        }
    }

    async fn add_nodes(&mut self, sample: &mut Sample) {
        let mut nodes = Vec::new();
        for (node, is_gone) in self.roster.nodes() {
            if is_gone {
                let error = Some("has left: no nsqlookupd knows it any more".to_owned());
                sample.nodes.insert(node.name(), described(node, error));
            } else {
                nodes.push(node.clone());
            }
        }
        nodes.sort_by_key(|node| !self.counters.contains_key(&node.name()));
        let mut before = std::mem::take(&mut self.counters);
        let mut asking = self.ask(nodes);
        while let Some(answered) = asking.join_next().await {
            // None of them panics, and none is aborted while this is polled.
            let Ok((node, at, answer)) = answered else {
                continue;
            };
            let name = node.name();
            let stats = match answer {
                Ok(stats) => stats,
                Err(error) => {
                    let error = Some(error.fault().to_string());
                    sample.nodes.insert(name, described(&node, error));
                    continue;
                }
            };
            let mut row = described(&node, None);
            row.topic_count = stats.topics.len();
            row.start_time = stats.start_time;
            row.health.clone_from(&stats.health);
            if !stats.version.is_empty() {
                row.version.clone_from(&stats.version);
            }
            let before = before.remove(&name);
            let (figures, messages, now) = counters::add(sample, stats, at, before.as_ref());
            (row.figures, row.message_count) = (figures, messages);
            sample.total += figures;
            sample.message_count = sample.message_count.saturating_add(messages);
            sample.nodes.insert(name.clone(), row);
            self.counters.insert(name, now);
        }
    }

    fn ask(&self, nodes: Vec<Node>) -> JoinSet<(Node, Instant, Result<NodeStats, UpstreamError>)> {
        let (mut asking, upstream) = (JoinSet::new(), self.cluster.to_nodes());
        for node in nodes {
            let upstream = upstream.clone();
            asking.spawn(async move {
                let answer = upstream.get(&node.http_address, STATS).await;
                (node, Instant::now(), answer)
            });
        }
        asking
    }
}

fn described(node: &Node, error: Option<String>) -> NodeSample {
    NodeSample {
        hostname: node.hostname.clone(),
        version: node.version.clone(),
        out_of_date: node.out_of_date,
        lookupds: node.remote_addresses.as_ref().map_or(0, Vec::len),
        error,
        figures: Figures::default(),
        ..NodeSample::default()
    }
}

/// How often nsqlookupds are asked for the nodes.
const ROSTER_INTERVAL: Duration = Duration::from_secs(10);
/// Nodes asked at a time.
const REQUESTS_MAX: usize = 8;
/// Less than this is not enough for a node with many topics.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// All figures of an nsqd, without its clients.
const STATS: &str = "/stats?format=json&include_clients=false";
