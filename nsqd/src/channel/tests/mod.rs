//! A channel over a log, with a clock that stands still.

mod delivery;
mod model;

use client::wire::{ATTEMPTS_AT, BODY_AT};

use super::*;
use crate::clock::manual::{Dice, StoppedClock};
use crate::log::sim_disk::SimDisk;
use crate::log::{Care, Directory, Memory, Settings, Stamp, frame_id};

const TIMEOUT: Duration = Duration::from_mins(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(150);

struct Bench {
    clock: Arc<StoppedClock>,
    log: Arc<Log>,
    channel: Arc<Channel>,
    next_id: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(1000, Shared::for_tests())
    }

    fn with(mem_queue_size: u64, (shared, clock): (Shared, Arc<StoppedClock>)) -> Self {
        let memory = Memory::new(1 << 20, 1 << 10);
        let disk = Arc::new(SimDisk::new("/topics"));
        let path = "/topics/t-orders".into();
        let directory = Directory::new(disk, path, false, Care::new(&Arc::default()));
        let settings = Settings {
            mem_queue_size,
            ephemeral: false,
        };
        let random: Arc<dyn Random> = Arc::new(Dice::new(1));
        let log = Arc::new(Log::new(settings, &memory, directory, &random));
        let name = "archive".parse().unwrap();
        let channel = Channel::new(name, &log, Start::New, &shared);
        Self {
            clock,
            log,
            channel,
            next_id: 0,
        }
    }

    /// A consumer that takes this many messages at a time.
    fn consumer(&self, ready_count: u64) -> ConsumerId {
        let consumer = self
            .channel
            .add_consumer(TIMEOUT, Locality::default(), Arc::default())
            .unwrap();
        self.channel.set_ready(consumer, ready_count);
        consumer
    }

    fn publish(&mut self, count: u64) {
        let stamp = Stamp {
            timestamp_ns: 0,
            first_id: self.next_id,
        };
        let bodies = (0..count).map(|_| &b"some body of a message"[..]);
        let mut woken = Vec::new();
        self.log.append(stamp, bodies, &mut woken).unwrap();
        self.next_id += count;
        for waiter in woken {
            waiter.ring(count);
        }
    }

    fn publish_deferred(&mut self, delay: Duration) -> u64 {
        let stamp = Stamp {
            timestamp_ns: 0,
            first_id: self.next_id,
        };
        let due = self.shared().clock.now() + delay;
        let (segment, index, _) = self.log.append_deferred(stamp, b"later", 1).unwrap();
        self.channel.defer(&segment, index, due);
        self.next_id += 1;
        self.next_id - 1
    }

    fn shared(&self) -> &Shared {
        &self.channel.shared
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.channel.advance();
    }

    /// Claims once, loading what is on disk; tells ids and attempts.
    fn claim_once(&self, consumer: ConsumerId, sample_rate: u8) -> (Claimed, Vec<(u64, u16)>) {
        let mut out = Vec::new();
        let outcome = loop {
            match self.channel.claim(consumer, sample_rate, 1 << 16, &mut out) {
                Claimed::OnDisk(segment) => self.channel.load_now(&segment).unwrap(),
                other => break other,
            }
        };
        (outcome, messages(&out))
    }

    /// Claims all that the consumer can have now.
    fn claim(&self, consumer: ConsumerId) -> Vec<(u64, u16)> {
        let mut all = Vec::new();
        loop {
            let (outcome, claimed) = self.claim_once(consumer, 0);
            all.extend(claimed);
            if !matches!(outcome, Claimed::Some) {
                return all;
            }
        }
    }

    fn claim_ids(&self, consumer: ConsumerId) -> Vec<u64> {
        self.claim(consumer).into_iter().map(|(id, _)| id).collect()
    }

    fn finish(&self, consumer: ConsumerId, id: u64) -> Result<(), NotHeld> {
        let mut outcome = Ok(());
        self.channel
            .finish(consumer, &[MessageId::from_u64(id)], |_, reason| {
                outcome = Err(reason);
            });
        outcome
    }

    fn requeue(&self, consumer: ConsumerId, id: u64, delay: Duration) -> Result<(), NotHeld> {
        self.channel
            .requeue(consumer, MessageId::from_u64(id), delay)
    }
}

impl Shared {
    fn for_tests() -> (Self, Arc<StoppedClock>) {
        let clock = Arc::new(StoppedClock::new());
        let shared = Self {
            clock: Arc::<StoppedClock>::clone(&clock),
            random: Arc::new(Dice::new(2)),
            timers: Arc::default(),
            max_msg_timeout: TIMEOUT_MAX,
            consumers_max: 0,
            latency: None,
        };
        (shared, clock)
    }
}

/// Ids and attempts of frames.
fn messages(mut frames: &[u8]) -> Vec<(u64, u16)> {
    let mut found = Vec::new();
    while let Some(size) = frames.first_chunk() {
        let (frame, rest) = frames.split_at(u32::from_be_bytes(*size) as usize + 4);
        assert!(frame.len() >= BODY_AT);
        let attempts = [frame[ATTEMPTS_AT], frame[ATTEMPTS_AT + 1]];
        let id = frame_id(frame).to_u64().unwrap();
        found.push((id, u16::from_be_bytes(attempts)));
        frames = rest;
    }
    found
}
