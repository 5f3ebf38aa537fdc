//! A producer: one publish after the other, of all kinds, and some that must be refused.

use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::{ANSWER_MAX, LOADING, RECONNECT_PAUSE, Shared};
use crate::torture::body::{self, BYTES_MIN};
use crate::torture::checker::Invariant;
use crate::torture::event::{Batch, Outcome, What};
use crate::wire::{End, Frame, Peer, batch, with_body};

/// How long it waits after an error that blames nsqd.
const DECLINED_PAUSE: Duration = Duration::from_millis(20);
const DELAY_MS_MAX: u64 = 1_500;
const BATCH_MAX: u32 = 20;

/// Publishes until the load ends.
pub(super) fn run(shared: &Shared, number: u16) {
    let plan = &shared.plan;
    let mut producer = Producer {
        shared,
        number,
        topic: number % plan.topics,
        next: 0,
        random: Rng::with_seed(plan.seed ^ u64::from(number)),
        peer: None,
    };
    while shared.phase() == LOADING {
        producer.publish();
        let pause = producer.random.u64(0..=plan.pause_us_max);
        thread::sleep(Duration::from_micros(pause));
    }
}

struct Producer<'a> {
    shared: &'a Shared,
    number: u16,
    topic: u16,
    next: u64,
    random: Rng,
    peer: Option<Peer>,
}

/// A publish of each kind that there is.
enum Kind {
    One,
    Deferred {
        delay_ms: u64,
    },
    Many,
    /// An MPUB with one message too few bytes: refused as a whole.
    Wrong,
}

impl Producer<'_> {
    fn publish(&mut self) {
        if self.peer.is_none() {
            self.peer = Peer::try_connect(self.shared.address).ok();
        }
        let kind = self.kind();
        let (count, delay_ms) = match kind {
            Kind::One => (1, 0),
            Kind::Deferred { delay_ms } => (1, delay_ms),
            Kind::Many | Kind::Wrong => (self.random.u32(2..=BATCH_MAX), 0),
        };
        let sent = Batch {
            producer: self.number,
            first: self.next,
            count,
        };
        let command = self.command(&kind, sent);
        let Some(peer) = &mut self.peer else {
            thread::sleep(RECONNECT_PAUSE);
            return;
        };
        self.next += u64::from(count);
        let topic = self.topic;
        self.shared.history.record(What::Published {
            topic,
            batch: sent,
            delay_ms,
        });
        peer.send(command);
        let outcome = self.answer();
        self.shared.history.record(What::Answered {
            batch: sent,
            outcome,
        });
        if outcome == Outcome::Accepted {
            let counter = &self.shared.acknowledged;
            counter.fetch_add(u64::from(count), std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn kind(&mut self) -> Kind {
        let deferred = self.shared.plan.deferred_percent;
        match self.random.u8(0..100) {
            dice if dice < deferred => Kind::Deferred {
                delay_ms: self.random.u64(1..=DELAY_MS_MAX),
            },
            dice if dice >= 98 => Kind::Wrong,
            dice if dice >= 75 => Kind::Many,
            _ => Kind::One,
        }
    }

    fn command(&mut self, kind: &Kind, sent: Batch) -> Vec<u8> {
        let run = self.shared.plan.seed;
        let bytes_max = self.shared.plan.body_bytes_max;
        let bytes = self.random.usize(BYTES_MIN..=bytes_max);
        let mut bodies: Vec<_> = sent
            .keys()
            .map(|key| body::encode(run, key, bytes))
            .collect();
        let topic = self.topic;
        match kind {
            Kind::One => with_body(&format!("PUB t{topic}"), &bodies[0]),
            Kind::Deferred { delay_ms } => {
                with_body(&format!("DPUB t{topic} {delay_ms}"), &bodies[0])
            }
            Kind::Many => with_body(&format!("MPUB t{topic}"), batch(&bodies)),
            Kind::Wrong => {
                bodies.push(Vec::new());
                with_body(&format!("MPUB t{topic}"), batch(&bodies))
            }
        }
    }

    fn answer(&mut self) -> Outcome {
        let Some(peer) = &mut self.peer else {
            return Outcome::Unknown;
        };
        loop {
            match peer.frame_within(ANSWER_MAX) {
                Ok(Frame::Response(text)) if text == "_heartbeat_" => peer.send("NOP\n"),
                Ok(Frame::Response(text)) if text == "OK" => return Outcome::Accepted,
                Ok(Frame::Error(text))
                    if text.starts_with("E_BAD") || text.starts_with("E_INVALID") =>
                {
                    // nsqd ends the connection.
                    self.peer = None;
                    return Outcome::Refused;
                }
                Ok(Frame::Error(_)) => {
                    self.shared
                        .declined
                        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    thread::sleep(DECLINED_PAUSE);
                    return Outcome::Unknown;
                }
                Ok(other) => {
                    let text = format!("a publish was answered with {other:?}");
                    self.shared.complain(Invariant::Conduct, text);
                    self.peer = None;
                    return Outcome::Unknown;
                }
                Err(end) => {
                    if end == End::Silent {
                        let text =
                            format!("a publish has no answer after {} s", ANSWER_MAX.as_secs());
                        self.shared.complain(Invariant::Liveness, text);
                    }
                    self.peer = None;
                    return Outcome::Unknown;
                }
            }
        }
    }
}
