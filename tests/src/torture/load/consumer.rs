//! A consumer: finishes most of what it gets, and requeues, touches, holds or forgets the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{DONE, LOADING, RECONNECT_PAUSE, Shared};
use crate::torture::body;
use crate::torture::event::{Key, What};
use crate::wire::{Frame, Message, Peer, with_body};

/// How often it looks whether something else is to be done.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// How often it makes sure that its FINs have arrived.
const BARRIER_INTERVAL: Duration = Duration::from_millis(100);
/// No message has this id, so that a FIN for it is answered: with an error, when all before it were handled.
const NO_ID: u64 = 0;
/// So that nsqd notices soon who has gone silent.
pub(super) const HEARTBEAT_MS: u32 = 1_000;
const HOLD_MS_MAX: u64 = 200;
const REQUEUE_MS_MAX: u64 = 500;

/// What a consumer subscribes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) topic: u16,
    pub(super) channel: u16,
}

/// Consumes until the run ends, connecting anew when it must.
pub(super) fn run(shared: &Shared, place: Place, frozen: &AtomicBool, seed: u64) {
    let mut random = Rng::with_seed(seed);
    while shared.phase() < DONE {
        match Consumer::connect(shared, place, &mut random) {
            Some(mut consumer) => consumer.consume(frozen),
            None => thread::sleep(RECONNECT_PAUSE),
        }
    }
}

struct Consumer<'a> {
    shared: &'a Shared,
    connection: u32,
    peer: Peer,
    random: Rng,
    /// What it will finish later, and when.
    held: Vec<(Instant, Key, String)>,
    barrier_at: Instant,
    is_waiting: bool,
}

impl<'a> Consumer<'a> {
    fn connect(shared: &'a Shared, place: Place, random: &mut Rng) -> Option<Self> {
        let Place { topic, channel } = place;
        let mut peer = Peer::try_connect(shared.address).ok()?;
        peer.send(with_body(
            "IDENTIFY",
            format!("{{\"heartbeat_interval\":{HEARTBEAT_MS}}}"),
        ));
        peer.send(format!("SUB t{topic} c{channel}\n"));
        for _ in ["IDENTIFY", "SUB"] {
            let answer = peer.frame_within(super::ANSWER_MAX).ok()?;
            (answer == Frame::Response("OK".to_owned())).then_some(())?;
        }
        let connection = shared.connections.fetch_add(1, Ordering::Relaxed);
        let ready = shared.plan.ready;
        shared.history.record(What::Connected {
            connection,
            topic,
            channel,
            ready,
        });
        peer.ready(u64::from(ready));
        Some(Self {
            shared,
            connection,
            peer,
            random: random.fork(),
            held: Vec::new(),
            barrier_at: Instant::now() + BARRIER_INTERVAL,
            is_waiting: false,
        })
    }

    fn consume(&mut self, frozen: &AtomicBool) {
        let connection = self.connection;
        while self.shared.phase() < DONE {
            if frozen.load(Ordering::Acquire) {
                self.shared.history.record(What::Frozen { connection });
                while frozen.load(Ordering::Acquire) {
                    thread::sleep(TICK);
                }
                if self.random.bool() {
                    break;
                }
            }
            match self.peer.frame_within(TICK) {
                Ok(frame) => self.take(frame),
                Err(crate::wire::End::Silent) => {}
                Err(crate::wire::End::Closed) => break,
            }
            self.finish_held();
            self.ask();
        }
        self.shared
            .history
            .record(What::Disconnected { connection });
    }

    fn take(&mut self, frame: Frame) {
        let connection = self.connection;
        match frame {
            Frame::Message(message) => self.receive(&message),
            Frame::Response(_) => self.peer.send("NOP\n"),
            Frame::Error(text) => {
                let id = text.split_whitespace().find_map(parse_id);
                match id {
                    Some(NO_ID) => {
                        self.is_waiting = false;
                        self.shared.history.record(What::Passed { connection });
                    }
                    Some(id) => self.shared.history.record(What::Failed { connection, id }),
                    None => {}
                }
            }
        }
    }

    fn receive(&mut self, message: &Message) {
        let connection = self.connection;
        let key = match body::decode(self.shared.plan.seed, &message.body) {
            Ok(key) => key,
            Err(text) => {
                self.shared
                    .history
                    .record(What::Garbled { connection, text });
                self.peer.finish(message);
                return;
            }
        };
        let id = parse_id(&message.id).unwrap_or(NO_ID);
        let attempts = message.attempts;
        self.shared.history.record(What::Delivered {
            connection,
            message: key,
            id,
            attempts,
        });
        if self.shared.phase() != LOADING {
            self.finish(key, &message.id);
            return;
        }
        let requeued = self.shared.plan.requeued_percent;
        let forgotten = requeued + self.shared.plan.forgotten_percent;
        match self.random.u8(0..100) {
            dice if dice < requeued => self.requeue(key, message),
            dice if dice < forgotten => {}
            dice if dice >= 97 => {
                self.peer.touch(message);
                self.hold(key, message);
            }
            dice if dice >= 90 => self.hold(key, message),
            _ => self.finish(key, &message.id),
        }
    }

    fn requeue(&mut self, key: Key, message: &Message) {
        let delay_ms = self.random.u64(0..=REQUEUE_MS_MAX);
        let connection = self.connection;
        self.shared.history.record(What::Requeued {
            connection,
            message: key,
            delay_ms,
        });
        self.peer.requeue(message, delay_ms);
    }

    fn hold(&mut self, key: Key, message: &Message) {
        let hold = Duration::from_millis(self.random.u64(0..=HOLD_MS_MAX));
        self.held
            .push((Instant::now() + hold, key, message.id.clone()));
    }

    fn finish_held(&mut self) {
        let now = Instant::now();
        let (due, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.held = held;
        let due: Vec<_> = due;
        for (_, key, id) in due {
            self.finish(key, &id);
        }
    }

    fn finish(&mut self, key: Key, id: &str) {
        let connection = self.connection;
        self.shared.history.record(What::Finished {
            connection,
            message: key,
        });
        self.shared.finished.fetch_add(1, Ordering::Relaxed);
        self.peer.send(format!("FIN {id}\n"));
    }

    /// Asks for an answer, which proves that what was sent before has arrived.
    fn ask(&mut self) {
        let now = Instant::now();
        if self.is_waiting || now < self.barrier_at {
            return;
        }
        self.barrier_at = now + BARRIER_INTERVAL;
        self.is_waiting = true;
        let connection = self.connection;
        self.shared.history.record(What::Barrier { connection });
        self.peer.send(format!("FIN {NO_ID:016x}\n"));
    }
}

fn parse_id(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?
}
