//! What must hold of connections and channels as time goes on: ready counts, pauses, order, and empty queues at the end.

use std::collections::HashMap;

use super::Terms;
use super::index::{Index, Then};
use super::verdict::{Invariant, Verdict};
use crate::torture::event::{Event, Key, Stop, What};

/// How long before nsqd has ended its connections may end.
const STOPPING: u64 = 2_000_000_000;

pub(super) fn check(terms: &Terms, index: &Index, events: &[Event], verdict: &mut Verdict) {
    let mut flow = Flow {
        terms,
        index,
        held: HashMap::new(),
        paused: HashMap::new(),
        latest: HashMap::new(),
    };
    for event in events {
        flow.take(event, verdict);
    }
    verdict.figures.duplicates_of_restarts_max = index
        .stops
        .iter()
        .map(|(at, stop)| repeatable(terms, index, *at, *stop))
        .sum();
}

/// How many deliveries a stop may make come again: of what was held then, and of what was finished shortly before a crash.
fn repeatable(terms: &Terms, index: &Index, stop_at: u64, stop: Stop) -> u64 {
    let since = match stop {
        Stop::Clean => stop_at,
        Stop::Killed | Stop::PowerCut => stop_at.saturating_sub(terms.sync_window),
    };
    let deliveries = index
        .messages()
        .flat_map(|message| message.deliveries.values().flatten());
    let repeatable = deliveries.filter(|delivery| {
        let ended_at = index.connections[&delivery.connection].ended_at;
        let is_held = ended_at.is_none_or(|at| at + STOPPING >= stop_at);
        delivery.at <= stop_at
            && match delivery.then {
                Then::Nothing => is_held,
                Then::Finished { at, confirmed } => {
                    (stop != Stop::Clean && at >= since) || (is_held && !confirmed)
                }
                Then::Requeued { .. } => true,
            }
    });
    repeatable.count() as u64
}

struct Flow<'a> {
    terms: &'a Terms,
    index: &'a Index,
    /// By connection, what it holds since when.
    held: HashMap<u32, HashMap<Key, u64>>,
    /// By topic and channel, since when it is paused.
    paused: HashMap<(u16, u16), u64>,
    /// By producer and channel, the newest message that came.
    latest: HashMap<(u16, u16), u64>,
}

impl Flow<'_> {
    fn take(&mut self, event: &Event, verdict: &mut Verdict) {
        match event.what {
            What::Delivered {
                connection,
                message,
                attempts,
                ..
            } => {
                self.deliver(event.at, connection, message, verdict);
                if attempts == 1 {
                    self.order(event.at, connection, message, verdict);
                }
            }
            What::Finished {
                connection,
                message,
            }
            | What::Requeued {
                connection,
                message,
                ..
            } => {
                self.held.entry(connection).or_default().remove(&message);
            }
            What::Paused { topic, channel } => {
                self.paused.insert((topic, channel), event.at);
            }
            What::Resuming { topic, channel } => {
                self.paused.remove(&(topic, channel));
            }
            What::Counted {
                topic,
                channel,
                depth,
                in_flight,
                deferred,
            } => {
                let counted = depth + in_flight + deferred;
                if counted > 0 {
                    let text = format!(
                        "t{topic}:c{channel} counts depth {depth}, in flight {in_flight}, deferred {deferred} at the end"
                    );
                    verdict.add(Invariant::Accounting, None, event.at, text);
                }
            }
            _ => {}
        }
    }

    fn deliver(&mut self, at: u64, connection: u32, message: Key, verdict: &mut Verdict) {
        let Some(it) = self.index.connections.get(&connection) else {
            return;
        };
        if it.is_stale(at) {
            return;
        }
        let held = self.held.entry(connection).or_default();
        // What has timed out by nsqd's clock is in flight no more, and its consumer can't know the moment.
        held.retain(|_, since| at - *since < self.terms.msg_timeout / 2);
        held.insert(message, at);
        if held.len() > it.ready as usize {
            let text = format!(
                "connection {connection} asked for {} and holds {} at {message}",
                it.ready,
                held.len()
            );
            verdict.add(Invariant::Ready, Some(message), at, text);
        }
        let place = (it.topic, it.channel);
        self.pause(at, place, message, verdict);
    }

    fn pause(&self, at: u64, place: (u16, u16), message: Key, verdict: &mut Verdict) {
        let published_at = self
            .index
            .message(message)
            .map(|message| message.published_at);
        let since = self.paused.get(&place).copied();
        if let (Some(published_at), Some(since)) = (published_at, since)
            && published_at > since
        {
            let text = format!(
                "{message} came on t{}:c{}, which is paused",
                place.0, place.1
            );
            verdict.add(Invariant::Pause, Some(message), at, text);
        }
    }

    fn order(&mut self, at: u64, connection: u32, message: Key, verdict: &mut Verdict) {
        let (true, Some(it)) = (self.terms.ordered, self.index.connections.get(&connection)) else {
            return;
        };
        let channel = it.channel;
        let latest = self.latest.insert((message.producer, channel), message.seq);
        if latest.is_some_and(|latest| latest > message.seq) {
            let text = format!("{message} came on c{channel} after a newer one");
            verdict.add(Invariant::Order, Some(message), at, text);
        }
    }
}
