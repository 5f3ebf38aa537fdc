//! What is to be said of a channel: one plain verdict, from what it has done in the last minutes.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::cluster::Channel;
use crate::sample::ChannelSample;
use crate::units;

/// How a channel is, the worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Verdict {
    /// On all nodes.
    Paused,
    /// Messages wait, and nobody consumes.
    NoConsumers,
    /// Messages wait, there are consumers, and none of them takes any: a ready count of 0. Samples are without ready counts, so it
    /// is told only where somebody looks at the channel.
    NotReady,
    /// Messages wait or are in flight, there are consumers, and nothing has been finished for [`STUCK_AFTER`].
    Stuck,
    /// Of what is delivered, more than [`TIMEOUTS_MAX`] is not finished in time.
    Timeouts,
    /// Of what is delivered, more than [`REQUEUES_MAX`] is given back.
    RequeueStorm,
    /// More and more wait.
    Growing,
    /// On some nodes only.
    PartlyPaused,
    /// One node holds more than [`IMBALANCE_MAX`] of what waits, while consumers are connected to others.
    Imbalance { percent: i64 },
    /// Some nodes have had the topic for [`MISSING_AFTER`], and not this channel: what is published there does not reach it.
    MissingOnNodes { nodes: u32 },
    /// Fewer and fewer wait; none in this many seconds, if it goes on so.
    Draining { seconds: u64 },
    /// Messages come and go.
    KeepingUp,
    /// Nothing happens, and nothing has to.
    #[default]
    Idle,
}

impl Verdict {
    /// As the API has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::NoConsumers => "no_consumers",
            Self::NotReady => "not_ready",
            Self::Stuck => "stuck",
            Self::Timeouts => "timeouts",
            Self::RequeueStorm => "requeue_storm",
            Self::Growing => "growing",
            Self::PartlyPaused => "partly_paused",
            Self::Imbalance { .. } => "imbalance",
            Self::MissingOnNodes { .. } => "missing_on_nodes",
            Self::Draining { .. } => "draining",
            Self::KeepingUp => "keeping_up",
            Self::Idle => "idle",
        }
    }

    /// The same, now that the channel's clients are known too: what waits for consumers none of whom is ready.
    pub(crate) fn refined(self, channel: &Channel) -> Self {
        let ready = channel.clients.iter().flatten();
        let ready = ready.map(|client| client.ready_count);
        let is_ready = ready.fold(0, i64::saturating_add) > 0;
        let has_work = channel.depth > 0 && channel.client_count > 0;
        if self != Self::Paused && has_work && channel.clients.is_some() && !is_ready {
            return Self::NotReady;
        }
        self
    }

    /// How urgent it is for who looks at many channels: 0 is the worst.
    pub(crate) fn severity(self) -> usize {
        match self {
            Self::Stuck => 0,
            Self::NotReady => 1,
            Self::NoConsumers => 2,
            Self::Timeouts => 3,
            Self::RequeueStorm => 4,
            Self::Growing => 5,
            Self::Imbalance { .. } => 6,
            Self::MissingOnNodes { .. } => 7,
            Self::Paused => 8,
            Self::PartlyPaused => 9,
            Self::Draining { .. } => 10,
            Self::KeepingUp => 11,
            Self::Idle => 12,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "paused on all nodes",
            Self::NoConsumers => "messages wait and nobody consumes",
            Self::NotReady => "consumers are there and none is ready for a message",
            Self::Stuck => "consumers are there and nothing is finished",
            Self::Timeouts => "consumers do not finish messages in time",
            Self::RequeueStorm => "consumers give many messages back",
            Self::Growing => "more and more messages wait",
            Self::PartlyPaused => "paused on some nodes",
            Self::Imbalance { percent } => {
                return write!(f, "one node holds {percent} % of what waits");
            }
            Self::MissingOnNodes { nodes: 1 } => "a node has the topic and not this channel",
            Self::MissingOnNodes { nodes } => {
                return write!(f, "{nodes} nodes have the topic and not this channel");
            }
            Self::Draining { seconds } => {
                let seconds = i64::try_from(*seconds).unwrap_or(i64::MAX);
                return write!(f, "empty in about {}", units::span(seconds));
            }
            Self::KeepingUp => "keeping up",
            Self::Idle => "idle",
        })
    }
}

/// What has to be remembered of a channel to judge it.
#[derive(Debug)]
pub(super) struct Tracker {
    updated: Instant,
    /// The last time that something was finished, or nothing had to be.
    moved: Instant,
    /// The last time that every node with the topic had the channel too.
    whole: Instant,
    /// Since when it has been paused on all nodes.
    paused: Option<Instant>,
    /// Per second, over about a minute.
    messages: f64,
    finishes: f64,
    requeues: f64,
    timeouts: f64,
    /// Depths of the last [`TREND`], at least [`DEPTH_INTERVAL`] apart.
    depths: VecDeque<(Instant, i64)>,
}

impl Tracker {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            updated: now,
            moved: now,
            whole: now,
            paused: None,
            messages: 0.0,
            finishes: 0.0,
            requeues: 0.0,
            timeouts: 0.0,
            depths: VecDeque::new(),
        }
    }

    /// Takes in what was seen of the channel, whose topic is on `topic_nodes`, and judges it. Unless the sample `is_complete`,
    /// depths say nothing of trends.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        channel: &ChannelSample,
        topic_nodes: u32,
        is_complete: bool,
    ) -> Verdict {
        let figures = &channel.figures;
        if channel.nodes >= topic_nodes || !is_complete {
            self.whole = now;
        }
        self.paused = is_paused(channel).then(|| self.paused.unwrap_or(now));
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.updated = now;
        let weight = 1.0 - (-elapsed / MEMORY.as_secs_f64()).exp();
        for (mean, rate) in [
            (&mut self.messages, figures.message_rate),
            (&mut self.finishes, figures.finish_rate),
            (&mut self.requeues, figures.requeue_rate),
            (&mut self.timeouts, figures.timeout_rate),
        ] {
            *mean += (rate - *mean) * weight;
        }
        let has_work = figures.depth > 0 || figures.in_flight_count > 0;
        if !has_work || figures.finish_rate > 0.0 || figures.client_count == 0 {
            self.moved = now;
        }
        self.note_depth(now, figures.depth, is_complete);
        self.verdict(now, channel, topic_nodes)
    }

    /// For how long it has been paused on all nodes.
    pub(super) fn paused_for(&self, now: Instant) -> Duration {
        let paused = self.paused.unwrap_or(now);
        now.saturating_duration_since(paused)
    }

    fn note_depth(&mut self, now: Instant, depth: i64, is_complete: bool) {
        if !is_complete {
            self.depths.clear();
            return;
        }
        let is_due =
            |(at, _): &(Instant, i64)| now.saturating_duration_since(*at) >= DEPTH_INTERVAL;
        if self.depths.back().is_none_or(is_due) {
            self.depths.push_back((now, depth));
        }
        let is_old =
            |(at, _): &(Instant, i64)| now.saturating_duration_since(*at) > TREND + DEPTH_INTERVAL;
        while self.depths.front().is_some_and(is_old) {
            self.depths.pop_front();
        }
    }

    fn verdict(&self, now: Instant, channel: &ChannelSample, topic_nodes: u32) -> Verdict {
        let figures = &channel.figures;
        let delivered = self.finishes + self.requeues + self.timeouts;
        let is_busy = delivered > BUSY_RATE_MIN;
        if is_paused(channel) {
            return Verdict::Paused;
        }
        if figures.depth > 0 && figures.client_count == 0 {
            return Verdict::NoConsumers;
        }
        if now.saturating_duration_since(self.moved) >= STUCK_AFTER {
            return Verdict::Stuck;
        }
        if is_busy && self.timeouts > delivered * TIMEOUTS_MAX {
            return Verdict::Timeouts;
        }
        if is_busy && self.requeues > delivered * REQUEUES_MAX {
            return Verdict::RequeueStorm;
        }
        let slope = self.slope(now, figures.depth);
        if slope.is_some_and(|slope| slope > 0.0) {
            return Verdict::Growing;
        }
        if channel.paused_nodes > 0 {
            return Verdict::PartlyPaused;
        }
        if let Some(percent) = imbalance(channel) {
            return Verdict::Imbalance { percent };
        }
        if now.saturating_duration_since(self.whole) >= MISSING_AFTER {
            let nodes = topic_nodes.saturating_sub(channel.nodes);
            return Verdict::MissingOnNodes { nodes };
        }
        if let Some(seconds) = self.seconds_to_empty(now, figures.depth) {
            return Verdict::Draining { seconds };
        }
        if self.messages > 0.0 && is_busy {
            return Verdict::KeepingUp;
        }
        Verdict::Idle
    }

    /// By how much the depth grows a second, over [`TREND`]; `None` before that long is known, and for what is no trend:
    /// less than a hundredth of the depth a minute, or a few messages.
    fn slope(&self, now: Instant, depth: i64) -> Option<f64> {
        let (at, before) = *self.depths.front()?;
        let elapsed = now.saturating_duration_since(at);
        if elapsed < TREND {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a slope needs no more")]
        let (depth, before) = (depth as f64, before as f64);
        let slope = (depth - before) / elapsed.as_secs_f64();
        let is_trend = slope.abs() * 60.0 > depth.max(before) * GROWTH_MIN;
        // Ups and downs are no trend: the way there has to lie between both ends.
        let is_steady = self
            .depths
            .iter()
            .zip(self.depths.iter().skip(1))
            .all(|((_, a), (_, b))| if slope > 0.0 { a <= b } else { a >= b });
        ((depth - before).abs() >= DEPTH_MIN && is_trend && is_steady).then_some(slope)
    }

    /// When nothing will wait, judged by the last minute; `None` unless it gets less.
    fn seconds_to_empty(&self, now: Instant, depth: i64) -> Option<u64> {
        let is_recent = |(at, _): &&(Instant, i64)| now.saturating_duration_since(*at) <= MEMORY;
        let (at, before) = *self.depths.iter().find(is_recent)?;
        let elapsed = now.saturating_duration_since(at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a slope needs no more")]
        let (depth, before) = (depth as f64, before as f64);
        if elapsed < DEPTH_INTERVAL.as_secs_f64()
            || depth <= 0.0
            || before - depth < before * GROWTH_MIN
        {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and a cast stops at the largest number"
        )]
        Some((depth * elapsed / (before - depth)).ceil() as u64)
    }
}

fn is_paused(channel: &ChannelSample) -> bool {
    channel.paused_nodes > 0 && channel.paused_nodes == channel.nodes
}

/// The share of what waits that is on the fullest node, in percent, if that is most of it and consumers are elsewhere.
fn imbalance(channel: &ChannelSample) -> Option<i64> {
    let depth = channel.figures.depth;
    let percent = channel.node_depth_max.saturating_mul(100) / depth.max(1);
    let is_consumed_elsewhere = channel.figures.client_count > channel.fullest_client_count;
    let is_worth_it = channel.nodes > 1 && depth >= IMBALANCE_DEPTH_MIN;
    (is_worth_it && is_consumed_elsewhere && percent > IMBALANCE_MAX).then_some(percent)
}

/// Nothing finished for as long is no pause for thought.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// A hundredth of deliveries.
const TIMEOUTS_MAX: f64 = 0.01;
/// A tenth of deliveries.
const REQUEUES_MAX: f64 = 0.1;
/// Below this many deliveries a second, shares of them say nothing.
const BUSY_RATE_MIN: f64 = 0.1;
/// Percent of what waits that one node may hold; below this depth it does not matter.
const IMBALANCE_MAX: i64 = 80;
const IMBALANCE_DEPTH_MIN: i64 = 100;
/// As long as consumers take to hear of a node from nsqlookupd, and to make their channel there.
const MISSING_AFTER: Duration = Duration::from_mins(2);
/// Growth that counts, a minute, as a share of the depth.
const GROWTH_MIN: f64 = 0.01;
/// Growth that counts, in messages.
const DEPTH_MIN: f64 = 10.0;
/// How long something has to grow.
const TREND: Duration = Duration::from_mins(3);
const DEPTH_INTERVAL: Duration = Duration::from_secs(10);
/// What rates are means over.
const MEMORY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
