//! The clients of a run: producers and consumers, each a thread with a connection of its own, writing down all they do. Where nothing
//! depends on an order, one of each is of the client library.

mod consumer;
mod drain;
mod library;
mod producer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use drain::drain;

use super::checker::Invariant;
use super::event::What;
use super::history::History;
use super::plan::Plan;

/// How long a client may wait for an answer, whatever is done to nsqd meanwhile.
const ANSWER_MAX: Duration = Duration::from_secs(40);
/// How long a client waits before it connects again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

const LOADING: u8 = 0;
const DRAINING: u8 = 1;
const DONE: u8 = 2;

/// What all clients of a run share.
#[derive(Debug)]
pub struct Shared {
    /// Of the run.
    pub plan: Plan,
    /// What happens.
    pub history: History,
    /// Where nsqd is, through the proxy.
    pub address: SocketAddr,
    phase: AtomicU8,
    acknowledged: AtomicU64,
    finished: AtomicU64,
    declined: AtomicU64,
    connections: AtomicU32,
}

impl Shared {
    /// For a run that begins.
    pub fn new(plan: Plan, history: History, address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            plan,
            history,
            address,
            phase: AtomicU8::new(LOADING),
            acknowledged: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            declined: AtomicU64::new(0),
            connections: AtomicU32::new(0),
        })
    }

    /// How many messages were answered with OK.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// How many FINs were sent.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// How many publishes were answered with an error that blames nsqd.
    pub fn declined(&self) -> u64 {
        self.declined.load(Ordering::Relaxed)
    }

    /// Writes down that something went wrong.
    pub fn complain(&self, invariant: Invariant, text: impl Into<String>) {
        let text = text.into();
        self.history.record(What::Complaint { invariant, text });
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }
}

/// The running clients.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    producers: Vec<JoinHandle<()>>,
    consumers: Vec<JoinHandle<()>>,
    /// By consumer: whether it stands still.
    frozen: Vec<Arc<AtomicBool>>,
}

impl Load {
    /// Starts the producers and consumers of the plan; topics and channels must be there.
    pub fn start(shared: &Arc<Shared>) -> Self {
        let mut load = Self {
            shared: Arc::clone(shared),
            producers: Vec::new(),
            consumers: Vec::new(),
            frozen: Vec::new(),
        };
        let plan = &shared.plan;
        for topic in 0..plan.topics {
            for channel in 0..plan.channels {
                for _ in 0..plan.consumers {
                    load.add_consumer(topic, channel);
                }
            }
        }
        for producer in 0..plan.producers {
            let shared = Arc::clone(shared);
            let work = move || producer::run(&shared, producer);
            load.producers.push(thread::spawn(work));
        }
        if !plan.is_quiet() {
            load.add_library();
        }
        load
    }

    fn add_library(&mut self) {
        let shared = Arc::clone(&self.shared);
        let work = move || library::produce(&shared, shared.plan.producers);
        self.producers.push(thread::spawn(work));
        let (shared, frozen) = (Arc::clone(&self.shared), Arc::new(AtomicBool::new(false)));
        self.frozen.push(Arc::clone(&frozen));
        let work = move || library::consume(&shared, &frozen);
        self.consumers.push(thread::spawn(work));
    }

    fn add_consumer(&mut self, topic: u16, channel: u16) {
        let shared = Arc::clone(&self.shared);
        let frozen = Arc::new(AtomicBool::new(false));
        self.frozen.push(Arc::clone(&frozen));
        let seed = shared.plan.seed ^ (self.consumers.len() as u64 + 1).rotate_left(32);
        let place = consumer::Place { topic, channel };
        let work = move || consumer::run(&shared, place, &frozen, seed);
        self.consumers.push(thread::spawn(work));
    }

    /// Makes a consumer stand still, or go on; the number may be any.
    pub fn freeze(&self, consumer: usize, still: bool) {
        self.frozen[consumer % self.frozen.len()].store(still, Ordering::Release);
    }

    /// Makes all consumers stand still, or go on.
    pub fn freeze_all(&self, still: bool) {
        (0..self.frozen.len()).for_each(|consumer| self.freeze(consumer, still));
    }

    /// Ends the producers; consumers finish all they get from now on.
    pub fn drain(&mut self) {
        self.freeze_all(false);
        self.shared.phase.store(DRAINING, Ordering::Release);
        join(&self.shared, self.producers.drain(..));
    }

    /// Ends the consumers.
    pub fn end(&mut self) {
        self.shared.phase.store(DONE, Ordering::Release);
        join(&self.shared, self.consumers.drain(..));
    }
}

fn join(shared: &Shared, clients: impl Iterator<Item = JoinHandle<()>>) {
    for client in clients {
        if client.join().is_err() {
            shared.complain(
                Invariant::Conduct,
                "a client was told something that it can't read",
            );
        }
    }
}
