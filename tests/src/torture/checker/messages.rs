//! What must hold of each message on each channel: not lost, not altered, not again without a cause, not early, counted right.

use std::collections::HashMap;

use super::Terms;
use super::index::{Delivery, Index, Message, Then};
use super::verdict::{Invariant, Seconds, Verdict};
use crate::torture::event::{Outcome, Stop};
use crate::torture::promises::{Loss, allowed_loss};

/// How much earlier than its consumer's own clock says nsqd may count a message as timed out, and how much later than nsqd its
/// consumer may see a connection end: a busy machine.
const LEEWAY: u64 = 2_000_000_000;
/// Due times are kept in whole milliseconds.
const ROUNDING: u64 = 2_000_000;
const MILLISECOND: u64 = 1_000_000;

pub(super) fn check(terms: &Terms, index: &Index, verdict: &mut Verdict) {
    for (at, key) in &index.phantoms {
        let text = format!("{key} was delivered, and was not published there");
        verdict.add(Invariant::Phantom, Some(*key), *at, text);
    }
    let mut checked = Checked {
        terms,
        index,
        verdict,
    };
    for message in index.messages() {
        for channel in 0..terms.channels {
            checked.message(message, channel);
        }
    }
    checked.identities();
}

struct Checked<'a> {
    terms: &'a Terms,
    index: &'a Index,
    verdict: &'a mut Verdict,
}

impl Checked<'_> {
    fn message(&mut self, message: &Message, channel: u16) {
        let deliveries = message.deliveries(channel);
        self.verdict.figures.delivered += deliveries.len() as u64;
        self.loss(message, channel);
        let Some(first) = deliveries.first() else {
            return;
        };
        if message.outcome == Outcome::Refused {
            let text = format!("{} was refused, and delivered on c{channel}", message.key);
            self.violated(Invariant::Phantom, message, first.at, text);
        }
        self.first(message, channel, first);
        for pair in deliveries.windows(2) {
            self.again(message, channel, &pair[0], &pair[1]);
        }
    }

    fn loss(&mut self, message: &Message, channel: u16) {
        if message.outcome != Outcome::Accepted || message.is_finished(channel) {
            return;
        }
        if self.may_be_lost(message) {
            self.verdict.figures.lost_as_allowed += 1;
            return;
        }
        self.verdict.figures.lost += 1;
        let text = format!(
            "{} was acknowledged at {}, delivered {} times on c{channel}, and never finished",
            message.key,
            Seconds(message.answered_at),
            message.deliveries(channel).len()
        );
        self.violated(Invariant::Loss, message, message.answered_at, text);
    }

    fn may_be_lost(&self, message: &Message) -> bool {
        let after = |at: &u64| *at >= message.published_at;
        let mut stops = self.index.stops.iter().filter(|(at, _)| after(at));
        stops.any(
            |(at, stop)| match allowed_loss(self.terms.durability, *stop) {
                Loss::Nothing => false,
                Loss::SyncWindow => self.window_start(*at) <= message.answered_at,
                Loss::Anything => true,
            },
        )
    }

    /// Since when what happened may not be on stable storage at `at`: where something was wrong then, since the same time
    /// before that.
    fn window_start(&self, at: u64) -> u64 {
        let window = self.terms.sync_window;
        let before = |at: u64| at.saturating_sub(window);
        let mut start = before(at);
        while let Some((began, _)) =
            self.index.faults.iter().find(|(began, ended)| {
                before(*began) < start && ended.saturating_add(window) >= start
            })
        {
            start = before(*began);
        }
        start
    }

    fn first(&mut self, message: &Message, channel: u16, first: &Delivery) {
        let due = message.published_at + message.delay_ms * MILLISECOND;
        if message.delay_ms > 0 && first.at + ROUNDING < due {
            let text = format!(
                "{} came on c{channel} {} before it was due",
                message.key,
                Seconds(due - first.at)
            );
            self.violated(Invariant::Early, message, first.at, text);
        }
        if first.attempts != 1
            && !self.may_be_unseen(message, channel, message.published_at, first.at)
        {
            let text = format!(
                "{} came first on c{channel} with attempts {}",
                message.key, first.attempts
            );
            self.violated(Invariant::Attempts, message, first.at, text);
        }
    }

    /// Whether a delivery of this message between these times may never have reached a consumer.
    fn may_be_unseen(&self, message: &Message, channel: u16, from: u64, to: u64) -> bool {
        let here = self.index.connections.values().filter(|connection| {
            connection.topic == message.topic && connection.channel == channel
        });
        let seen_by = self.seen_by(to);
        let ended = |at: Option<u64>| at.is_some_and(|at| at >= from && at <= seen_by);
        self.index.stops.iter().any(|(at, _)| ended(Some(*at)))
            || here
                .into_iter()
                .any(|it| ended(it.ended_at) || ended(it.frozen_at))
    }

    fn again(&mut self, message: &Message, channel: u16, before: &Delivery, now: &Delivery) {
        let stale = [before, now]
            .iter()
            .any(|delivery| self.index.connections[&delivery.connection].is_stale(delivery.at));
        if stale {
            self.verdict.figures.duplicates_of_freezes += 1;
            return;
        }
        self.cause(message, channel, before, now);
        self.attempts(message, channel, before, now);
        self.requeue(message, channel, before, now);
    }

    fn stopped_between(&self, from: u64, to: u64) -> impl Iterator<Item = &(u64, Stop)> {
        let between = move |(at, _): &&(u64, Stop)| *at >= from && *at <= to;
        self.index.stops.iter().filter(between)
    }

    /// When at the latest a consumer sees the end of a connection that nsqd has ended by this time: what is wrong may hide it.
    fn seen_by(&self, at: u64) -> u64 {
        let faults = self.index.faults.iter();
        let active = faults.filter(|(began, ended)| *began <= at && at <= *ended);
        let until = active.map(|(_, ended)| *ended).max().unwrap_or(at);
        until.saturating_add(LEEWAY)
    }

    /// Whether the connection that held a message was gone when it came again.
    fn holder_ended(&self, before: &Delivery, now: &Delivery) -> bool {
        let ended_at = self.index.connections[&before.connection].ended_at;
        before.connection != now.connection && ended_at.is_some_and(|at| at <= self.seen_by(now.at))
    }

    fn cause(&mut self, message: &Message, channel: u16, before: &Delivery, now: &Delivery) {
        let key = message.key;
        let stopped = self.stopped_between(before.at, now.at).next().is_some();
        let timed_out = now.at - before.at + LEEWAY >= self.terms.msg_timeout;
        let released = stopped || timed_out || self.holder_ended(before, now);
        let (excused, invariant, why) = match before.then {
            Then::Requeued { .. } => (true, Invariant::Duplicate, ""),
            Then::Nothing => (
                released,
                Invariant::Duplicate,
                "though its consumer still held it",
            ),
            Then::Finished {
                confirmed: false, ..
            } => (released, Invariant::Duplicate, "after it was finished"),
            Then::Finished {
                at,
                confirmed: true,
            } => {
                let mut stops = self.stopped_between(at, now.at);
                let forgotten = |(stop_at, stop): &(u64, Stop)| {
                    *stop != Stop::Clean && self.window_start(*stop_at) <= at
                };
                (
                    stops.any(forgotten),
                    Invariant::Resurrection,
                    "though it was finished for certain",
                )
            }
        };
        if !excused {
            let text = format!("{key} came again on c{channel}, {why}");
            self.violated(invariant, message, now.at, text);
        }
        let disconnected = self.holder_ended(before, now);
        let figures = &mut self.verdict.figures;
        *match before.then {
            _ if stopped => &mut figures.duplicates_of_restarts,
            Then::Requeued { .. } => &mut figures.duplicates_of_requeues,
            _ if disconnected => &mut figures.duplicates_of_disconnects,
            _ => &mut figures.duplicates_of_timeouts,
        } += 1;
    }

    fn attempts(&mut self, message: &Message, channel: u16, before: &Delivery, now: &Delivery) {
        // What was read after nsqd had ended was sent before.
        let sent_at = before.at.saturating_sub(LEEWAY);
        let crashed = self
            .stopped_between(sent_at, now.at)
            .any(|(_, stop)| *stop != Stop::Clean);
        let unseen = self.may_be_unseen(message, channel, sent_at, now.at);
        let right = match now.attempts.checked_sub(before.attempts) {
            None => crashed || self.is_overtaken(before, now),
            Some(0) => crashed,
            Some(1) => true,
            Some(_) => unseen,
        };
        if !right {
            let text = format!(
                "{} came on c{channel} with attempts {}, then {}",
                message.key, before.attempts, now.attempts
            );
            self.violated(Invariant::Attempts, message, now.at, text);
        }
    }

    /// Whether what was sent first may have been read last, by a consumer whose connection nsqd was about to end.
    fn is_overtaken(&self, before: &Delivery, now: &Delivery) -> bool {
        let ended_at = self.index.connections[&now.connection].ended_at;
        before.connection != now.connection && ended_at.is_some_and(|at| at <= now.at + LEEWAY)
    }

    fn requeue(&mut self, message: &Message, channel: u16, before: &Delivery, now: &Delivery) {
        let Then::Requeued {
            at,
            delay_ms,
            confirmed,
        } = before.then
        else {
            return;
        };
        let excused = (!confirmed && self.holder_ended(before, now))
            || self
                .stopped_between(before.at, now.at)
                .any(|(_, stop)| *stop != Stop::Clean);
        if now.at + ROUNDING < at + delay_ms * MILLISECOND && !excused {
            let text = format!("{} came on c{channel} before its REQ was due", message.key);
            self.violated(Invariant::Early, message, now.at, text);
        }
    }

    /// Ids are of one topic: all its channels give a message the same.
    fn identities(&mut self) {
        let mut owners = HashMap::new();
        for message in self.index.messages() {
            let mut deliveries = message.deliveries.values().flatten();
            let Some(first) = deliveries.next() else {
                continue;
            };
            if let Some(other) = deliveries.find(|delivery| delivery.id != first.id) {
                let text = format!(
                    "{} has the ids {:x} and {:x}",
                    message.key, first.id, other.id
                );
                self.violated(Invariant::Identity, message, other.at, text);
            }
            if let Some(owner) = owners.insert(first.id, message.key) {
                let text = format!("{owner} and {} share the id {:x}", message.key, first.id);
                self.violated(Invariant::Identity, message, first.at, text);
            }
        }
    }

    fn violated(&mut self, invariant: Invariant, message: &Message, at: u64, text: String) {
        self.verdict.add(invariant, Some(message.key), at, text);
    }
}
