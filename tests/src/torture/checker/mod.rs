//! The checker: from a history and what was promised to a verdict. Pure, so that bad histories made by hand try it.
//!
//! [`index`] puts the history in order by message, channel and connection; each of the other modules holds some invariants over it.

mod flow;
mod index;
mod messages;
mod publishing;
#[cfg(test)]
mod tests;
mod verdict;

use super::event::{Event, What};
use super::promises::Durability;
use index::Index;
pub use verdict::{Figures, Invariant, Verdict, Violation};

/// What the checker must know of a run besides its history. Times are nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// When publishes are answered.
    pub durability: Durability,
    /// Channels of each topic; they exist before the first message.
    pub channels: u16,
    /// Time in flight before a message goes to another consumer.
    pub msg_timeout: u64,
    /// How old the progress on disk may be, and the unsynced messages of [`Durability::Disk`]: what nsqd promises, and
    /// leeway for a busy machine.
    pub sync_window: u64,
    /// A batch of so many messages reaches the kernel by one write that a signal does not cut.
    pub small_batch: u32,
    /// Each topic has one producer and each channel one consumer, and nothing is deferred, requeued or hurt.
    pub ordered: bool,
}

/// Judges a history that has come to its end: producers have stopped, and consumers have finished all they could get.
pub fn check(terms: &Terms, events: &[Event]) -> Verdict {
    let index = Index::new(events);
    let mut verdict = Verdict::default();
    for event in events {
        match &event.what {
            What::Complaint { invariant, text } => {
                verdict.add(*invariant, None, event.at, text.clone());
            }
            What::Garbled { text, .. } => {
                verdict.add(Invariant::Corruption, None, event.at, text.clone());
            }
            _ => {}
        }
    }
    messages::check(terms, &index, &mut verdict);
    publishing::check(terms, &index, &mut verdict);
    flow::check(terms, &index, events, &mut verdict);
    verdict.finish();
    verdict
}

/// What a history tells of one message, with what happened to everybody meanwhile.
pub fn trail(events: &[Event], message: super::event::Key) -> Vec<&Event> {
    let own = |event: &&Event| event.what.concerns(message);
    let Some(first) = events.iter().find(own) else {
        return Vec::new();
    };
    let since = events.iter().filter(|event| event.at >= first.at);
    since
        .filter(|event| event.what.concerns(message) || event.what.is_general())
        .collect()
}
