//! Histories made by hand: good ones pass, and each bad one is caught by the invariant that it breaks.

mod flow;
mod identity;
mod loss;
mod repeats;
mod time;

use super::*;
use crate::torture::event::{Batch, Key, Outcome, Stop};
use crate::torture::nemesis::Fault;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

const TERMS: Terms = Terms {
    durability: Durability::Disk,
    channels: 1,
    msg_timeout: 60 * SECOND,
    sync_window: 2 * SECOND,
    small_batch: 2,
    ordered: false,
};

/// A history in the making. Each event is 10 ms after the one before; the only producer is 0, the first connection 1.
#[derive(Clone)]
struct Story {
    at: u64,
    events: Vec<Event>,
}

fn key(seq: u64) -> Key {
    Key { producer: 0, seq }
}

/// A consumer is there.
fn story() -> Story {
    Story {
        at: 0,
        events: Vec::new(),
    }
    .connect(1)
}

impl Story {
    fn then(mut self, what: What) -> Self {
        self.at += 10 * MILLISECOND;
        self.events.push(Event { at: self.at, what });
        self
    }

    fn wait(mut self, ms: u64) -> Self {
        self.at += ms * MILLISECOND;
        self
    }

    fn connect(self, connection: u32) -> Self {
        self.then(What::Connected {
            connection,
            topic: 0,
            channel: 0,
            ready: 2,
        })
    }

    fn disconnect(self, connection: u32) -> Self {
        self.then(What::Disconnected { connection })
    }

    fn publish(self, first: u64, count: u32, delay_ms: u64, outcome: Outcome) -> Self {
        let batch = Batch {
            producer: 0,
            first,
            count,
        };
        self.then(What::Published {
            topic: 0,
            batch,
            delay_ms,
        })
        .then(What::Answered { batch, outcome })
    }

    /// One that was accepted.
    fn sent(self, seq: u64) -> Self {
        self.publish(seq, 1, 0, Outcome::Accepted)
    }

    fn deliver(self, connection: u32, seq: u64, attempts: u16) -> Self {
        self.deliver_as(connection, seq, attempts, seq + 100)
    }

    fn deliver_as(self, connection: u32, seq: u64, attempts: u16, id: u64) -> Self {
        self.then(What::Delivered {
            connection,
            message: key(seq),
            id,
            attempts,
        })
    }

    fn finish(self, connection: u32, seq: u64) -> Self {
        self.then(What::Finished {
            connection,
            message: key(seq),
        })
    }

    fn requeue(self, connection: u32, seq: u64, delay_ms: u64) -> Self {
        self.then(What::Requeued {
            connection,
            message: key(seq),
            delay_ms,
        })
    }

    fn confirm(self, connection: u32) -> Self {
        self.then(What::Barrier { connection })
            .then(What::Passed { connection })
    }

    /// Delivered for the first time and finished.
    fn done(self, seq: u64) -> Self {
        self.deliver(1, seq, 1).finish(1, seq)
    }

    /// nsqd ends and comes back, and the consumer with it, as connection 2.
    fn restart(self, stop: Stop) -> Self {
        self.then(What::Down { stop })
            .disconnect(1)
            .then(What::Up)
            .connect(2)
    }

    fn verdict(&self, terms: &Terms) -> Verdict {
        check(terms, &self.events)
    }

    #[track_caller]
    fn is_good(&self, terms: &Terms) {
        let verdict = self.verdict(terms);
        assert!(verdict.is_clean(), "{:?}", verdict.violations);
    }

    #[track_caller]
    fn breaks(&self, terms: &Terms, invariant: Invariant) {
        let verdict = self.verdict(terms);
        let broken: Vec<_> = verdict.counts.keys().collect();
        assert_eq!(broken, [&invariant], "{:?}", verdict.violations);
    }

    fn good(&self) {
        self.is_good(&TERMS);
    }

    #[track_caller]
    fn bad(&self, invariant: Invariant) {
        self.breaks(&TERMS, invariant);
    }
}

fn at_level(durability: Durability) -> Terms {
    Terms {
        durability,
        ..TERMS
    }
}

const QUICK: Terms = Terms {
    msg_timeout: SECOND,
    ..TERMS
};
const ORDERED: Terms = Terms {
    ordered: true,
    ..TERMS
};

#[test]
fn the_trail_of_a_message_is_what_concerns_it() {
    let story = story().sent(0).sent(1).done(0).then(What::Up).done(1);
    let trail = trail(&story.events, key(0));
    assert_eq!(
        trail.len(),
        5,
        "published, answered, delivered, finished, up: {trail:?}"
    );
}
