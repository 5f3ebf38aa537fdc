//! Which conditions hold in a sample. Verdicts of channels are written into it on the way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::verdict::{Tracker, Verdict};
use crate::cluster::is_loopback;
use crate::options::AlertLimits;
use crate::sample::{ChannelSample, NodeSample, Sample, TopicSample};
use crate::units;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// A node that is known does not answer, or has left.
    NodeMissing,
    /// A node says that it is not well.
    NodeUnhealthy,
    /// A node announces an address that leads everybody to themselves, while there are others.
    NodeLoopback,
    /// Some nsqlookupds do not know a node that others know: consumers that ask them miss its messages.
    NodeUnregistered,
    /// An nsqlookupd does not answer.
    LookupdMissing,
    /// See [`Verdict::Stuck`].
    ConsumersStuck,
    /// See [`Verdict::NoConsumers`].
    NoConsumers,
    /// See [`Verdict::Growing`].
    DepthGrowing,
    /// More messages wait than an operator allows.
    DepthHigh,
    /// A channel has been paused for longer than an operator allows.
    PausedLong,
    /// A topic that was published to is so no longer.
    TopicSilent,
    /// See [`Verdict::Timeouts`].
    HighTimeouts,
    /// See [`Verdict::RequeueStorm`].
    HighRequeues,
}

impl Rule {
    /// As the API has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NodeMissing => "node_missing",
            Self::NodeUnhealthy => "node_unhealthy",
            Self::NodeLoopback => "node_loopback",
            Self::NodeUnregistered => "node_unregistered",
            Self::LookupdMissing => "lookupd_missing",
            Self::ConsumersStuck => "consumers_stuck",
            Self::NoConsumers => "no_consumers",
            Self::DepthGrowing => "depth_growing",
            Self::DepthHigh => "depth_high",
            Self::PausedLong => "paused_long",
            Self::TopicSilent => "topic_silent",
            Self::HighTimeouts => "high_timeouts",
            Self::HighRequeues => "high_requeues",
        }
    }

    /// `critical` before `warning`, in the alphabet too.
    pub(crate) fn severity(self) -> &'static str {
        match self {
            Self::NodeMissing | Self::NodeUnhealthy | Self::ConsumersStuck => "critical",
            _ => "warning",
        }
    }

    /// How long a condition has to hold. Verdicts that look back have waited already.
    pub(super) fn hold(self) -> Duration {
        match self {
            Self::NodeMissing | Self::LookupdMissing => Duration::from_secs(5),
            // A node registers with one nsqlookupd after the other, and we learn of it every ten seconds.
            Self::NodeUnregistered => Duration::from_secs(30),
            Self::NoConsumers | Self::DepthHigh | Self::HighTimeouts | Self::HighRequeues => {
                Duration::from_secs(10)
            }
            _ => Duration::ZERO,
        }
    }
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) rule: Rule,
    pub(crate) topic: String,
    pub(crate) channel: String,
    pub(crate) node: String,
    pub(crate) text: String,
}

impl Condition {
    /// What the alert is called.
    pub(super) fn id(&self) -> String {
        let parts = [self.rule.name(), &self.topic, &self.channel, &self.node];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(":")
    }

    fn of_node(rule: Rule, node: &str, text: String) -> Self {
        Self {
            rule,
            topic: String::new(),
            channel: String::new(),
            node: node.to_owned(),
            text,
        }
    }

    fn of_channel(rule: Rule, topic: &str, channel: &str, text: &str) -> Self {
        Self {
            rule,
            topic: topic.to_owned(),
            channel: channel.to_owned(),
            node: String::new(),
            text: format!("{topic}/{channel}: {text}"),
        }
    }
}

/// Remembers what it takes to judge: of each topic and of each channel.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    limits: AlertLimits,
    topics: HashMap<String, TopicTracker>,
}

#[derive(Debug)]
struct TopicTracker {
    /// Messages a second, over some minutes.
    rate: f64,
    updated: Instant,
    published: Instant,
    channels: HashMap<String, Tracker>,
}

impl Judge {
    pub(crate) fn new(limits: AlertLimits) -> Self {
        Self {
            limits,
            topics: HashMap::new(),
        }
    }

    /// Judges every channel, and tells what is wrong.
    pub(crate) fn judge(&mut self, now: Instant, sample: &mut Sample) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let is_alone = sample.nodes.len() == 1;
        for (name, node) in &sample.nodes {
            conditions.extend(of_node(name, node, is_alone, sample.lookupd_count));
        }
        conditions.extend(sample.warnings.iter().map(|report| {
            let text = format!("{}: {}", report.who, report.what);
            Condition::of_node(Rule::LookupdMissing, &report.who, text)
        }));

        let is_complete = sample.is_complete();
        if is_complete {
            self.topics
                .retain(|name, _| sample.topics.contains_key(name));
        }
        for (name, topic) in &mut sample.topics {
            if !self.topics.contains_key(name) {
                self.topics.insert(name.clone(), TopicTracker::new(now));
            }
            let tracker = self.topics.get_mut(name).expect("inserted above");
            let told = tracker.judge(now, name, topic, is_complete, &self.limits);
            conditions.extend(told);
        }
        let limits = &self.limits;
        conditions.retain(|told| !limits.ignores(&told.topic, &told.channel));
        conditions
    }
}

impl TopicTracker {
    fn new(now: Instant) -> Self {
        Self {
            rate: 0.0,
            updated: now,
            published: now,
            channels: HashMap::new(),
        }
    }

    fn judge(
        &mut self,
        now: Instant,
        name: &str,
        topic: &mut TopicSample,
        is_complete: bool,
        limits: &AlertLimits,
    ) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if self.is_silent(now, topic, is_complete) {
            let rate = self.rate;
            conditions.push(Condition {
                rule: Rule::TopicSilent,
                topic: name.to_owned(),
                channel: String::new(),
                node: String::new(),
                text: format!("{name}: nothing is published any more; it was {rate:.1} a second"),
            });
        }
        if is_complete {
            let channels = &topic.channels;
            self.channels.retain(|name, _| channels.contains_key(name));
        }
        let nodes = topic.nodes;
        for (channel_name, channel) in &mut topic.channels {
            if !self.channels.contains_key(channel_name) {
                self.channels
                    .insert(channel_name.clone(), Tracker::new(now));
            }
            let tracker = self.channels.get_mut(channel_name);
            let tracker = tracker.expect("inserted above");
            channel.verdict = tracker.judge(now, channel, nodes, is_complete);
            let depth_max = limits.depth_max(name, channel_name);
            let paused_for = tracker.paused_for(now);
            for (rule, text) in of_channel(channel, paused_for, depth_max, limits.paused_max) {
                conditions.push(Condition::of_channel(rule, name, channel_name, &text));
            }
        }
        conditions
    }

    /// True if the topic was published to, and nothing has come for [`SILENT_AFTER`]. After [`SILENT_UNTIL`] it is the new
    /// usual.
    fn is_silent(&mut self, now: Instant, topic: &TopicSample, is_complete: bool) -> bool {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.updated = now;
        // While a node is missing, its publishers may be talking to it all the same.
        if !is_complete || topic.paused_nodes == topic.nodes {
            self.published = now;
            return false;
        }
        let rate = topic.figures.message_rate;
        if rate > 0.0 {
            let weight = 1.0 - (-elapsed / USUAL.as_secs_f64()).exp();
            self.rate += (rate - self.rate) * weight;
            self.published = now;
            return false;
        }
        let silent_for = now.saturating_duration_since(self.published);
        if silent_for >= SILENT_UNTIL {
            self.rate = 0.0;
        }
        self.rate >= SILENT_RATE_MIN && silent_for >= SILENT_AFTER
    }
}

/// What is wrong with a channel that was judged: rules, and their sentences.
fn of_channel(
    channel: &ChannelSample,
    paused_for: Duration,
    depth_max: Option<i64>,
    paused_max: Duration,
) -> Vec<(Rule, String)> {
    let (verdict, depth) = (channel.verdict, channel.figures.depth);
    let rule = match verdict {
        Verdict::NoConsumers => Some(Rule::NoConsumers),
        Verdict::Stuck => Some(Rule::ConsumersStuck),
        Verdict::Timeouts => Some(Rule::HighTimeouts),
        Verdict::RequeueStorm => Some(Rule::HighRequeues),
        Verdict::Growing => Some(Rule::DepthGrowing),
        _ => None,
    };
    let depth_text = units::grouped(depth);
    let mut found = Vec::new();
    found.extend(rule.map(|rule| (rule, format!("{verdict}; {depth_text} waiting"))));
    if let Some(depth_max) = depth_max.filter(|depth_max| depth > *depth_max) {
        let depth_max = units::grouped(depth_max);
        found.push((
            Rule::DepthHigh,
            format!("{depth_text} waiting, above {depth_max}"),
        ));
    }
    if !paused_max.is_zero() && paused_for >= paused_max {
        let text = format!("paused on all nodes; {depth_text} waiting");
        found.push((Rule::PausedLong, text));
    }
    found
}

fn of_node(
    name: &str,
    node: &NodeSample,
    is_alone: bool,
    lookupd_count: usize,
) -> Option<Condition> {
    let told = |rule, text: String| Some(Condition::of_node(rule, name, format!("{name}: {text}")));
    if let Some(error) = &node.error {
        return told(Rule::NodeMissing, error.clone());
    }
    if !["", "OK"].contains(&node.health.as_str()) {
        return told(Rule::NodeUnhealthy, node.health.clone());
    }
    // Where all run on one machine it is as it should be: several nodes that do are told apart by their hosts' names.
    if is_loopback(name) && !is_alone && node.lookupds > 0 && !is_here(&node.hostname) {
        let hostname = &node.hostname;
        let text = format!(
            "{hostname} announces an address of the asker itself; set its --broadcast-address"
        );
        return told(Rule::NodeLoopback, text);
    }
    if node.lookupds < lookupd_count {
        let text = format!(
            "only {} of {lookupd_count} nsqlookupds know it",
            node.lookupds
        );
        return told(Rule::NodeUnregistered, text);
    }
    None
}

fn is_here(hostname: &str) -> bool {
    let ours = rustix::system::uname();
    ours.nodename().to_str() == Ok(hostname)
}

/// What the usual rate of a topic is a mean over.
const USUAL: Duration = Duration::from_mins(2);
/// Below this many messages a second, silence is usual too.
const SILENT_RATE_MIN: f64 = 0.5;
const SILENT_AFTER: Duration = Duration::from_mins(1);
const SILENT_UNTIL: Duration = Duration::from_mins(30);

#[cfg(test)]
mod tests;
