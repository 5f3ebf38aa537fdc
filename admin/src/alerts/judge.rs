//! Which conditions hold in a sample. Verdicts of channels are written into it on the way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::verdict::{Tracker, Verdict};
use crate::sample::{NodeSample, Sample, TopicSample};

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
    /// An nsqlookupd does not answer.
    LookupdMissing,
    /// See [`Verdict::Stuck`].
    ConsumersStuck,
    /// See [`Verdict::NoConsumers`].
    NoConsumers,
    /// See [`Verdict::Growing`].
    DepthGrowing,
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
            Self::LookupdMissing => "lookupd_missing",
            Self::ConsumersStuck => "consumers_stuck",
            Self::NoConsumers => "no_consumers",
            Self::DepthGrowing => "depth_growing",
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
            Self::NoConsumers | Self::HighTimeouts | Self::HighRequeues => Duration::from_secs(10),
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
}

/// Remembers what it takes to judge: of each topic and of each channel.
#[derive(Debug, Default)]
pub(crate) struct Judge {
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
    /// Judges every channel, and tells what is wrong.
    pub(crate) fn judge(&mut self, now: Instant, sample: &mut Sample) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let is_alone = sample.nodes.len() == 1;
        for (name, node) in &sample.nodes {
            conditions.extend(of_node(name, node, is_alone));
        }
        conditions.extend(sample.warnings.iter().map(|text| {
            let who = text.split('/').next().unwrap_or(text);
            Condition::of_node(Rule::LookupdMissing, who, text.clone())
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
            tracker.judge(now, name, topic, is_complete, &mut conditions);
        }
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
        conditions: &mut Vec<Condition>,
    ) {
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
        for (channel_name, channel) in &mut topic.channels {
            if !self.channels.contains_key(channel_name) {
                self.channels
                    .insert(channel_name.clone(), Tracker::new(now));
            }
            let tracker = self.channels.get_mut(channel_name);
            let tracker = tracker.expect("inserted above");
            channel.verdict = tracker.judge(now, channel, is_complete);
            let rule = match channel.verdict {
                Verdict::NoConsumers => Rule::NoConsumers,
                Verdict::Stuck => Rule::ConsumersStuck,
                Verdict::Timeouts => Rule::HighTimeouts,
                Verdict::RequeueStorm => Rule::HighRequeues,
                Verdict::Growing => Rule::DepthGrowing,
                _ => continue,
            };
            let (verdict, depth) = (channel.verdict, channel.figures.depth);
            conditions.push(Condition {
                rule,
                topic: name.to_owned(),
                channel: channel_name.clone(),
                node: String::new(),
                text: format!("{name}/{channel_name}: {verdict}; {depth} waiting"),
            });
        }
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

fn of_node(name: &str, node: &NodeSample, is_alone: bool) -> Option<Condition> {
    if let Some(error) = &node.error {
        let text = format!("{name}: {error}");
        return Some(Condition::of_node(Rule::NodeMissing, name, text));
    }
    if !["", "OK"].contains(&node.health.as_str()) {
        let text = format!("{name}: {}", node.health);
        return Some(Condition::of_node(Rule::NodeUnhealthy, name, text));
    }
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    // Where all run on one machine it is as it should be: several nodes that do are told apart by their hosts' names.
    (is_loopback && !is_alone && node.lookupds > 0 && !is_here(&node.hostname)).then(|| {
        let text = format!(
            "{name}: {} announces an address of the asker itself; set its --broadcast-address",
            node.hostname
        );
        Condition::of_node(Rule::NodeLoopback, name, text)
    })
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
mod tests {
    use super::*;
    use crate::sample::{ChannelSample, Figures};

    fn sample(message_rate: f64) -> Sample {
        let mut sample = Sample::default();
        let topic = TopicSample {
            figures: Figures {
                message_rate,
                ..Figures::default()
            },
            nodes: 1,
            ..TopicSample::default()
        };
        sample.topics.insert("t".to_owned(), topic);
        sample.nodes.insert("n:1".to_owned(), NodeSample::default());
        sample
    }

    fn rules(conditions: &[Condition]) -> Vec<Rule> {
        conditions.iter().map(|condition| condition.rule).collect()
    }

    #[test]
    fn a_topic_that_falls_silent_is_told_until_that_is_usual() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        let mut at = |seconds: u64, rate| {
            let now = start + Duration::from_secs(seconds);
            rules(&judge.judge(now, &mut sample(rate)))
        };
        for second in (0..60).step_by(2) {
            assert_eq!(at(second, 50.0), [], "{second}");
        }
        assert_eq!(at(100, 0.0), []);
        assert_eq!(at(118, 0.0), [Rule::TopicSilent]);
        assert_eq!(at(120, 1.0), []);
        assert_eq!(at(200, 0.0), [Rule::TopicSilent]);
        assert_eq!(at(2000, 0.0), [], "usual by now");
    }

    #[test]
    fn nodes_that_are_away_or_unwell_are_told() {
        let (mut judge, now) = (Judge::default(), Instant::now());
        let mut sample = sample(0.0);
        let node = |error: Option<&str>, health: &str| NodeSample {
            error: error.map(str::to_owned),
            health: health.to_owned(),
            hostname: "elsewhere".to_owned(),
            lookupds: 1,
            ..NodeSample::default()
        };
        for (name, node) in [
            ("a:1", node(Some("gone"), "")),
            ("b:1", node(None, "NOK - disk")),
            ("127.0.0.1:1", node(None, "OK")),
            ("c:1", node(None, "OK")),
        ] {
            sample.nodes.insert(name.to_owned(), node);
        }
        sample.warnings = vec!["lk:4161/nodes: cannot connect".to_owned()];
        let conditions = judge.judge(now, &mut sample);
        let mut ids: Vec<String> = conditions.iter().map(Condition::id).collect();
        ids.sort();
        assert_eq!(
            ids,
            [
                "lookupd_missing:lk:4161",
                "node_loopback:127.0.0.1:1",
                "node_missing:a:1",
                "node_unhealthy:b:1"
            ]
        );
    }

    #[test]
    fn a_channel_without_consumers_is_named() {
        let (mut judge, now) = (Judge::default(), Instant::now());
        let mut sample = sample(0.0);
        let channel = ChannelSample {
            figures: Figures {
                depth: 7,
                ..Figures::default()
            },
            nodes: 1,
            ..ChannelSample::default()
        };
        let topic = sample.topics.get_mut("t").unwrap();
        topic.channels.insert("c".to_owned(), channel);
        let conditions = judge.judge(now, &mut sample);
        assert_eq!(
            conditions[0].text,
            "t/c: messages wait and nobody consumes; 7 waiting"
        );
        assert_eq!(
            sample.topics["t"].channels["c"].verdict,
            Verdict::NoConsumers
        );
    }
}
