//! Random operations on a channel, against a model: each message is in exactly one place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;

use super::*;

const STEPS: usize = 300;

#[derive(Debug, Clone, Copy)]
struct Held {
    id: u64,
    claimed_at: Instant,
    deadline: Instant,
}

#[derive(Debug)]
struct Consumer {
    id: ConsumerId,
    ready_count: usize,
    /// By deadline, then in the order of coming.
    held: Vec<Held>,
}

struct Model {
    bench: Bench,
    rng: Rng,
    consumers: Vec<Consumer>,
    /// New messages.
    waiting: VecDeque<u64>,
    /// What consumers left.
    returned: VecDeque<u64>,
    /// What came back together, and how many new messages go before it.
    requeued: VecDeque<(BTreeSet<u64>, usize)>,
    deferred: Vec<(Instant, u64)>,
    attempts: BTreeMap<u64, u16>,
    paused: bool,
    requeue_count: u64,
    timeout_count: u64,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mem_queue_size = *rng.choice(&[0, 5, 1000]).unwrap();
        Self {
            bench: Bench::with(mem_queue_size, Shared::for_tests()),
            rng,
            consumers: Vec::new(),
            waiting: VecDeque::new(),
            returned: VecDeque::new(),
            requeued: VecDeque::new(),
            deferred: Vec::new(),
            attempts: BTreeMap::new(),
            paused: false,
            requeue_count: 0,
            timeout_count: 0,
        }
    }

    fn now(&self) -> Instant {
        self.bench.shared().clock.now()
    }

    fn step(&mut self) {
        match self.rng.u8(..100) {
            0..20 => {
                let count = self.rng.u64(1..20);
                self.waiting
                    .extend(self.bench.next_id..self.bench.next_id + count);
                self.bench.publish(count);
            }
            20..25 => {
                let delay = Duration::from_secs(self.rng.u64(1..200));
                let id = self.bench.publish_deferred(delay);
                self.deferred.push((self.now() + delay, id));
            }
            25..50 => self.claim(),
            50..65 => self.finish(),
            65..73 => self.requeue(),
            73..78 => self.touch(),
            78..84 => self.pass(),
            84..88 => self.add_consumer(),
            88..91 => self.remove_consumer(),
            91..93 => {
                self.paused = !self.paused;
                self.bench.channel.set_paused(self.paused);
            }
            93..95 => self.bench.log.spill_due().unwrap(),
            95..99 => {
                self.bench.channel.move_stragglers();
            }
            _ => self.empty(),
        }
        self.check();
    }

    fn check(&self) {
        let requeued = self.requeued.iter().map(|(ids, _)| ids.len());
        let depth = self.waiting.len() + self.returned.len() + requeued.sum::<usize>();
        let held = self.consumers.iter().map(|consumer| consumer.held.len());
        let snapshot = self.bench.channel.snapshot();
        assert_eq!(snapshot.depth.messages, depth as u64);
        assert_eq!(snapshot.in_flight_count, held.sum::<usize>() as u64);
        assert_eq!(snapshot.deferred_count, self.deferred.len() as u64);
        assert_eq!(snapshot.requeue_count, self.requeue_count);
        assert_eq!(snapshot.timeout_count, self.timeout_count);
        for consumer in &self.consumers {
            let snapshot = self.bench.channel.consumer_snapshot(consumer.id);
            assert_eq!(snapshot.in_flight_count, consumer.held.len() as u64);
        }
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.consumers.len();
        (count > 0).then(|| self.rng.usize(..count))
    }

    /// A consumer and a message that it holds.
    fn pick_held(&mut self) -> Option<(usize, usize)> {
        let at = self.pick()?;
        let count = self.consumers[at].held.len();
        (count > 0).then(|| (at, self.rng.usize(..count)))
    }

    fn claim(&mut self) {
        let Some(at) = self.pick() else { return };
        let now = self.now();
        let claimed = self.bench.claim(self.consumers[at].id);
        for (id, attempts) in claimed {
            assert!(!self.paused);
            self.take_next(id);
            let counted = self.attempts.entry(id).or_default();
            *counted += 1;
            assert_eq!(attempts, *counted, "attempts of {id}");
            self.consumers[at].hold(Held {
                id,
                claimed_at: now,
                deadline: now + TIMEOUT,
            });
        }
        let Consumer {
            held, ready_count, ..
        } = &self.consumers[at];
        let all = self.waiting.is_empty() && self.returned.is_empty() && self.requeued.is_empty();
        assert!(self.paused || all || held.len() >= *ready_count);
    }

    /// Takes out the message whose turn it is, which must be `id`.
    fn take_next(&mut self, id: u64) {
        if let Some(next) = self.returned.pop_front() {
            assert_eq!(id, next);
            return;
        }
        if let Some((group, before)) = self.requeued.front_mut()
            && *before == 0
        {
            assert!(group.remove(&id), "{id} before what was requeued");
            if group.is_empty() {
                self.requeued.pop_front();
            }
            return;
        }
        assert_eq!(Some(id), self.waiting.pop_front());
        for (_, before) in &mut self.requeued {
            *before -= 1;
        }
    }

    fn come_back(&mut self, ids: impl IntoIterator<Item = u64>) {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        if !ids.is_empty() {
            self.requeued.push_back((ids, self.waiting.len()));
        }
    }

    fn finish(&mut self) {
        let Some((at, index)) = self.pick_held() else {
            return;
        };
        let Held { id, .. } = self.consumers[at].held[index];
        let other = self.pick().expect("there is one");
        if other != at {
            let refused = self.bench.finish(self.consumers[other].id, id);
            assert_eq!(refused, Err(NotHeld::NotOwned));
        }
        self.consumers[at].held.remove(index);
        let consumer = self.consumers[at].id;
        assert_eq!(self.bench.finish(consumer, id), Ok(()));
        assert_eq!(self.bench.finish(consumer, id), Err(NotHeld::NotInFlight));
    }

    fn requeue(&mut self) {
        let Some((at, index)) = self.pick_held() else {
            return;
        };
        let Held { id, .. } = self.consumers[at].held.remove(index);
        let delay = Duration::from_secs(self.rng.u64(..3) * 40);
        self.bench
            .requeue(self.consumers[at].id, id, delay)
            .unwrap();
        self.requeue_count += 1;
        if delay.is_zero() {
            self.come_back([id]);
        } else {
            self.deferred.push((self.now() + delay, id));
        }
    }

    fn touch(&mut self) {
        let Some((at, index)) = self.pick_held() else {
            return;
        };
        let now = self.now();
        let consumer = &mut self.consumers[at];
        let held = consumer.held.remove(index);
        let id = MessageId::from_u64(held.id);
        self.bench.channel.touch(consumer.id, id).unwrap();
        consumer.hold(Held {
            deadline: (now + TIMEOUT).min(held.claimed_at + TIMEOUT_MAX),
            ..held
        });
    }

    fn pass(&mut self) {
        self.bench.pass(Duration::from_secs(self.rng.u64(..50)));
        let now = self.now();
        let mut back = Vec::new();
        for consumer in &mut self.consumers {
            let expired = consumer.held.extract_if(.., |held| held.deadline <= now);
            back.extend(expired.map(|held| held.id));
        }
        self.timeout_count += back.len() as u64;
        let due = self.deferred.extract_if(.., |(due, _)| *due <= now);
        back.extend(due.map(|(_, id)| id));
        self.come_back(back);
    }

    fn add_consumer(&mut self) {
        let ready_count = self.rng.usize(..20);
        self.consumers.push(Consumer {
            id: self.bench.consumer(ready_count as u64),
            ready_count,
            held: Vec::new(),
        });
    }

    fn remove_consumer(&mut self) {
        let Some(at) = self.pick() else { return };
        let gone = self.consumers.swap_remove(at);
        self.bench.channel.remove_consumer(gone.id);
        for held in gone.held.into_iter().rev() {
            self.returned.push_front(held.id);
        }
    }

    fn empty(&mut self) {
        self.bench.channel.empty();
        self.waiting.clear();
        self.returned.clear();
        self.requeued.clear();
        self.deferred.clear();
        for consumer in &mut self.consumers {
            consumer.held.clear();
        }
    }
}

impl Consumer {
    fn hold(&mut self, held: Held) {
        let at = self
            .held
            .partition_point(|other| other.deadline <= held.deadline);
        self.held.insert(at, held);
    }
}

fn run(seed: u64) {
    let mut model = Model::new(seed);
    (0..STEPS).for_each(|_| model.step());
}

#[test]
fn each_message_is_in_exactly_one_place() {
    let first = fastrand::u64(..u64::MAX / 2);
    for seed in first..first + 60 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "run({seed}) repeats it");
    }
}
