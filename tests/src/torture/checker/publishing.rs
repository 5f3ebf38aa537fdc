//! What must hold of publishes: all of a batch or nothing; and the figures of a run.

use super::Terms;
use super::index::{Index, Message};
use super::verdict::{Invariant, Verdict};
use crate::torture::event::{Outcome, Stop};
use crate::torture::promises::Durability;

/// How long after its connection broke a batch may have been on the way still.
const LEEWAY: u64 = 2_000_000_000;

pub(super) fn check(terms: &Terms, index: &Index, verdict: &mut Verdict) {
    for message in index.messages() {
        count(message, verdict);
    }
    for (_, stop) in &index.stops {
        match stop {
            Stop::Clean => verdict.figures.clean_stops += 1,
            Stop::Killed => verdict.figures.kills += 1,
            Stop::PowerCut => verdict.figures.power_cuts += 1,
        }
    }
    for batch in index.producers.iter().flat_map(|sent| batches(sent)) {
        for channel in 0..terms.channels {
            atomicity(terms, index, batch, channel, verdict);
        }
    }
}

fn count(message: &Message, verdict: &mut Verdict) {
    let figures = &mut verdict.figures;
    figures.published += 1;
    match message.outcome {
        Outcome::Accepted => {
            figures.acknowledged += 1;
            let took_ms = (message.answered_at - message.published_at) / 1_000_000;
            figures.longest_publish_ms = figures.longest_publish_ms.max(took_ms);
        }
        Outcome::Refused => figures.refused += 1,
        Outcome::Unknown => figures.unknown += 1,
    }
}

/// The messages of one producer by the command that sent them.
fn batches(sent: &[Message]) -> impl Iterator<Item = &[Message]> {
    sent.chunk_by(|one, other| one.batch == other.batch)
}

/// A batch that was acknowledged is owed as a whole, and one that was refused may not come: other invariants see to that.
fn atomicity(terms: &Terms, index: &Index, batch: &[Message], channel: u16, verdict: &mut Verdict) {
    let first = &batch[0];
    let came = batch
        .iter()
        .filter(|message| !message.deliveries(channel).is_empty())
        .count();
    if first.outcome != Outcome::Unknown || came == 0 || came == batch.len() {
        return;
    }
    let end = first.answered_at.saturating_add(LEEWAY);
    let on_the_way = first.published_at..=end;
    let mut stops = index.stops.iter().filter(|(at, _)| on_the_way.contains(at));
    let is_written = terms.durability != Durability::Memory;
    let is_small = is_written && batch.len() <= terms.small_batch as usize;
    let splits = |at: u64, stop: Stop| match stop {
        Stop::Clean => false,
        // Whole in memory, a batch may have been given to consumers in part when nsqd died, before any of it was on the disk.
        Stop::Killed => !is_small || !came_after(index, batch, channel, at),
        Stop::PowerCut => true,
    };
    if stops.any(|(at, stop)| splits(*at, *stop)) {
        verdict.figures.batches_split_by_crashes += 1;
        return;
    }
    let text = format!(
        "{came} of the {} messages of {} came on c{channel}",
        batch.len(),
        first.key
    );
    verdict.add(
        Invariant::Atomicity,
        Some(first.key),
        first.published_at,
        text,
    );
}

/// Whether a stop left something of a batch that was given to consumers who came after it.
fn came_after(index: &Index, batch: &[Message], channel: u16, stop_at: u64) -> bool {
    let mut deliveries = batch.iter().flat_map(|message| message.deliveries(channel));
    deliveries.any(|delivery| index.connections[&delivery.connection].began_at > stop_at)
}
