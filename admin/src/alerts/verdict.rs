//! What is to be said of a channel: one plain verdict, from what it has done in the last minutes.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::sample::ChannelSample;

/// How a channel is, the worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Verdict {
    /// On all nodes.
    Paused,
    /// Messages wait, and nobody consumes.
    NoConsumers,
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
            Self::Stuck => "stuck",
            Self::Timeouts => "timeouts",
            Self::RequeueStorm => "requeue_storm",
            Self::Growing => "growing",
            Self::PartlyPaused => "partly_paused",
            Self::Draining { .. } => "draining",
            Self::KeepingUp => "keeping_up",
            Self::Idle => "idle",
        }
    }

    /// How urgent it is for who looks at many channels: 0 is the worst.
    pub(crate) fn severity(self) -> usize {
        match self {
            Self::Stuck => 0,
            Self::NoConsumers => 1,
            Self::Timeouts => 2,
            Self::RequeueStorm => 3,
            Self::Growing => 4,
            Self::Paused => 5,
            Self::PartlyPaused => 6,
            Self::Draining { .. } => 7,
            Self::KeepingUp => 8,
            Self::Idle => 9,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "paused on all nodes",
            Self::NoConsumers => "messages wait and nobody consumes",
            Self::Stuck => "consumers are there and nothing is finished",
            Self::Timeouts => "consumers do not finish messages in time",
            Self::RequeueStorm => "consumers give many messages back",
            Self::Growing => "more and more messages wait",
            Self::PartlyPaused => "paused on some nodes",
            Self::Draining { seconds } => return write!(f, "empty in about {seconds} s"),
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
            messages: 0.0,
            finishes: 0.0,
            requeues: 0.0,
            timeouts: 0.0,
            depths: VecDeque::new(),
        }
    }

    /// Takes in what was seen of the channel, and judges it. Unless the sample `is_complete`, depths say nothing of trends.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        channel: &ChannelSample,
        is_complete: bool,
    ) -> Verdict {
        let figures = &channel.figures;
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
        self.verdict(now, channel)
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

    fn verdict(&self, now: Instant, channel: &ChannelSample) -> Verdict {
        let figures = &channel.figures;
        let delivered = self.finishes + self.requeues + self.timeouts;
        let is_busy = delivered > BUSY_RATE_MIN;
        if channel.paused_nodes > 0 && channel.paused_nodes == channel.nodes {
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

/// Nothing finished for as long is no pause for thought.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// A hundredth of deliveries.
const TIMEOUTS_MAX: f64 = 0.01;
/// A tenth of deliveries.
const REQUEUES_MAX: f64 = 0.1;
/// Below this many deliveries a second, shares of them say nothing.
const BUSY_RATE_MIN: f64 = 0.1;
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
mod tests {
    use super::*;
    use crate::sample::Figures;

    fn channel(figures: Figures) -> ChannelSample {
        ChannelSample {
            figures,
            nodes: 2,
            ..ChannelSample::default()
        }
    }

    /// The verdict after `seconds` in which the depth goes from one to the other while the rest stays.
    fn after(seconds: u64, depth: (i64, i64), figures: Figures) -> Verdict {
        let start = Instant::now();
        let mut tracker = Tracker::new(start);
        let mut verdict = Verdict::Idle;
        for second in (0..=seconds).step_by(2) {
            let (now, share) = (
                start + Duration::from_secs(second),
                i64::try_from(second).unwrap(),
            );
            let (from, to) = depth;
            let depth = from + (to - from) * share / i64::try_from(seconds).unwrap();
            verdict = tracker.judge(now, &channel(Figures { depth, ..figures }), true);
        }
        verdict
    }

    #[test]
    fn each_state_has_its_verdict() {
        let none = Figures::default();
        let busy = Figures {
            client_count: 3,
            message_rate: 100.0,
            finish_rate: 100.0,
            ..none
        };
        let idle_consumer = Figures {
            client_count: 1,
            ..none
        };
        for (seconds, depth, figures, name) in [
            (60, (0, 0), none, "idle"),
            (60, (0, 0), idle_consumer, "idle"),
            (10, (5, 5), none, "no_consumers"),
            (20, (5, 5), idle_consumer, "idle"),
            (40, (5, 5), idle_consumer, "stuck"),
            (60, (5, 5), busy, "keeping_up"),
            (170, (100, 1000), busy, "keeping_up"),
            (240, (100, 1000), busy, "growing"),
            (240, (1_000_000, 1_000_100), busy, "keeping_up"),
            (60, (1000, 100), busy, "draining"),
            (
                60,
                (5, 5),
                Figures {
                    timeout_rate: 2.0,
                    ..busy
                },
                "timeouts",
            ),
            (
                60,
                (5, 5),
                Figures {
                    requeue_rate: 20.0,
                    ..busy
                },
                "requeue_storm",
            ),
        ] {
            let verdict = after(seconds, depth, figures);
            assert_eq!(verdict.name(), name, "{seconds} s, {depth:?}, {figures:?}");
        }
    }

    #[test]
    fn draining_tells_when_it_ends() {
        let busy = Figures {
            client_count: 1,
            finish_rate: 10.0,
            ..Figures::default()
        };
        let Verdict::Draining { seconds } = after(60, (1200, 600), busy) else {
            panic!("not draining");
        };
        assert!((55..=65).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_pause_is_told_whether_on_all_nodes_or_on_some() {
        let now = Instant::now();
        for (paused_nodes, verdict) in [(2, Verdict::Paused), (1, Verdict::PartlyPaused)] {
            let paused = ChannelSample {
                paused_nodes,
                ..channel(Figures::default())
            };
            assert_eq!(Tracker::new(now).judge(now, &paused, true), verdict);
        }
    }

    #[test]
    fn while_nodes_are_missing_nothing_grows() {
        let start = Instant::now();
        let mut tracker = Tracker::new(start);
        for second in (0..300).step_by(2) {
            let now = start + Duration::from_secs(second);
            let depth = i64::try_from(second).unwrap() * 100;
            let figures = Figures {
                depth,
                client_count: 1,
                finish_rate: 1.0,
                ..Figures::default()
            };
            let verdict = tracker.judge(now, &channel(figures), second != 200);
            assert_eq!(
                verdict == Verdict::Growing,
                (180..200).contains(&second),
                "{second}"
            );
        }
    }
}
