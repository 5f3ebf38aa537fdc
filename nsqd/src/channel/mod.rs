//! A channel: a cursor on its topic's log, and the state of the messages that it has handed out.
//!
//! One short lock guards the state; the log's lock is taken inside it, never the other way round. Consumers are rung
//! after both are gone.

mod claim;
mod deferred;
mod holds;
mod in_flight;
mod locality;
mod peek;
mod persist;
mod returned;
mod state;
#[cfg(test)]
mod tests;
mod turns;

pub mod checkpoint;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use client::wire::{ChannelName, MessageId};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use claim::Claimed;
pub use locality::{Locality, PerLocality};
pub use peek::{Seen, Which};
pub use returned::Run;
pub use state::{ConsumerCounters, ConsumerId, Entry, NotHeld};

use crate::clock::{Clock, Random};
use crate::latency;
use crate::log::{Buffer, Depth, Log, ReaderId, Segment, Waiter};
use crate::sabotage::{Fault, strikes};
use crate::timers::Timers;
use state::State;

/// Loaded segments kept for a cursor on disk: the one being read and the next.
const LOADED_MAX: usize = 2;

/// What all channels of a process share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Time for deadlines.
    pub clock: Arc<dyn Clock>,
    /// Chance for sampling.
    pub random: Arc<dyn Random>,
    /// Who wakes channels at their deadlines.
    pub timers: Arc<Timers>,
    /// A message may be held this long, however often it is touched (`--max-msg-timeout`).
    pub max_msg_timeout: Duration,
    /// Consumers that a channel may have; 0: any number (`--max-channel-consumers`).
    pub consumers_max: usize,
    /// How latencies are measured, if they are.
    pub latency: Option<Arc<latency::Settings>>,
}

/// A channel of a topic.
#[derive(Debug)]
pub struct Channel {
    name: ChannelName,
    log: Arc<Log>,
    reader: ReaderId,
    /// The log's visible end when the channel began to count.
    counted_from: u64,
    shared: Shared,
    inner: Mutex<Inner>,
    this: Weak<Self>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    /// Registered with the log to be rung.
    listening: bool,
    /// When the timer will wake this channel.
    armed: Option<Instant>,
    loaded: VecDeque<Arc<Buffer>>,
    loading: bool,
    /// From publish to finish, if it is measured.
    latencies: Option<latency::Window>,
}

/// A consumer could not be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The channel is being deleted.
    #[error("exiting")]
    Exiting,
    /// It has as many consumers as are allowed.
    #[error("exceeds limit of {0}")]
    TooMany(usize),
}

/// What `/stats` tells of a channel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    /// Messages waiting, and those of them on disk.
    pub depth: Depth,
    /// Messages held by consumers.
    pub in_flight_count: u64,
    /// Messages that are not due yet.
    pub deferred_count: u64,
    /// Messages received from the topic.
    pub message_count: u64,
    /// Messages given back by consumers.
    pub requeue_count: u64,
    /// Messages not finished in time.
    pub timeout_count: u64,
    /// Messages handed to consumers, by how near those are; handed out again counts again, and so does what sampling
    /// took out.
    pub handed_out: PerLocality<u64>,
    /// Consumers.
    pub client_count: usize,
    /// Whether delivery stands still.
    pub paused: bool,
}

/// What `/stats` tells of a consumer.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConsumerSnapshot {
    /// Messages it takes at most.
    pub ready_count: u64,
    /// Messages it holds.
    pub in_flight_count: u64,
    /// What it did.
    pub counters: ConsumerCounters,
    /// How near it is; `None` for what consumes nothing.
    pub locality: Option<Locality>,
}

/// Where a channel begins to read.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// As a new channel does: at the oldest message that nobody had a claim to, or at the end.
    New,
    /// Where it was when its progress was last written.
    At((u64, u32)),
}

impl Channel {
    /// A channel of the topic with this log.
    pub fn new(name: ChannelName, log: &Arc<Log>, start: Start, shared: &Shared) -> Arc<Self> {
        let ephemeral = name.is_ephemeral();
        let (reader, counted_from) = match start {
            Start::New => {
                let reader = log.add_reader(ephemeral);
                (reader, log.cursor(reader))
            }
            Start::At(position) => (log.restore_reader(ephemeral, position), log.visible_end()),
        };
        Arc::new_cyclic(|this| Self {
            name,
            log: Arc::clone(log),
            reader,
            counted_from,
            shared: shared.clone(),
            inner: Mutex::new(Inner {
                latencies: (shared.latency.as_ref())
                    .map(|settings| latency::Window::new(settings.window, shared.clock.now())),
                ..Inner::default()
            }),
            this: Weak::clone(this),
        })
    }

    /// Its name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Adds a consumer, which is rung through `bell`. It is sent nothing before it has a ready count.
    pub fn add_consumer(
        &self,
        msg_timeout: Duration,
        locality: Locality,
        bell: Arc<Notify>,
    ) -> Result<ConsumerId, SubscribeError> {
        let mut inner = self.inner.lock();
        let max = self.shared.consumers_max;
        if inner.state.exiting {
            return Err(SubscribeError::Exiting);
        }
        if max > 0 && inner.state.consumers.len() >= max {
            return Err(SubscribeError::TooMany(max));
        }
        Ok(inner.state.add_consumer(msg_timeout, locality, bell))
    }

    /// Removes a consumer, and gives its messages to others at once. Returns whether it was the last one.
    pub fn remove_consumer(&self, consumer: ConsumerId) -> bool {
        let mut inner = self.inner.lock();
        inner.state.remove_consumer(consumer);
        let last = inner.state.consumers.is_empty();
        if last {
            inner.loaded.clear();
        }
        drop(inner);
        self.ring_for(u64::MAX);
        last
    }

    /// Sets how many messages a consumer takes at a time; 0 stops delivery.
    pub fn set_ready(&self, consumer: ConsumerId, count: u64) {
        let mut inner = self.inner.lock();
        let consumer = inner.state.consumer_mut(consumer);
        consumer.ready_count = count;
        let stopped = consumer.credit() == 0;
        drop(inner);
        if stopped {
            // It may have been rung for messages that it won't take now.
            self.ring_for(1);
        }
    }

    /// A consumer is done with messages; `failed` is told of each that it does not hold.
    pub fn finish(
        &self,
        consumer: ConsumerId,
        ids: &[MessageId],
        mut failed: impl FnMut(MessageId, NotHeld),
    ) {
        let mut inner = self.inner.lock();
        let Inner {
            state, latencies, ..
        } = &mut *inner;
        let mut measure = latencies.as_mut().map(|latencies| {
            let (now, wall_ns) = (self.shared.clock.now(), self.shared.clock.wall_ns());
            move |published_ns: i64| latencies.add(now, wall_ns.saturating_sub(published_ns))
        });
        for &id in ids {
            if strikes(Fault::DoubleDeliver, 1000) {
                // Fails as the FIN would.
                let _ = state.requeue(consumer, id, None, self.log.visible_end());
                continue;
            }
            match (state.finish(consumer, id), &mut measure) {
                (Err(reason), _) => failed(id, reason),
                (Ok(published_ns), Some(measure)) => measure(published_ns),
                (Ok(_), None) => {}
            }
        }
        self.log.note_activity();
        if inner.state.holds.is_empty() {
            self.log.release_if_drained();
        }
    }

    /// A consumer gives a message back, to be delivered after `delay`; at the tail if that is zero.
    pub fn requeue(
        &self,
        consumer: ConsumerId,
        id: MessageId,
        delay: Duration,
    ) -> Result<(), NotHeld> {
        let mut inner = self.inner.lock();
        let due = (!delay.is_zero()).then(|| self.shared.clock.now() + delay);
        inner
            .state
            .requeue(consumer, id, due, self.log.visible_end())?;
        self.log.note_activity();
        if let Some(due) = due {
            self.arm(&mut inner, due);
        }
        drop(inner);
        if due.is_none() {
            self.ring_for(1);
        }
        Ok(())
    }

    /// A consumer needs more time for a message.
    pub fn touch(&self, consumer: ConsumerId, id: MessageId) -> Result<(), NotHeld> {
        let (now, max) = (self.shared.clock.now(), self.shared.max_msg_timeout);
        self.inner.lock().state.touch(consumer, id, now, max)
    }

    /// Adds a published message that must not be delivered before `due`.
    pub fn defer(&self, segment: &Arc<Segment>, index: u32, due: Instant) {
        let mut inner = self.inner.lock();
        let entry = Entry {
            segment: segment.number(),
            index,
            attempts: 0,
        };
        inner.state.defer(segment, entry, due);
        inner.state.deferred_published += 1;
        self.arm(&mut inner, due);
    }

    /// Takes back what has timed out, and makes available what is due; the timer calls it.
    pub fn advance(&self) {
        let mut inner = self.inner.lock();
        let mut released = Vec::new();
        let available = inner.state.advance(
            self.shared.clock.now(),
            self.log.visible_end(),
            &mut released,
        );
        inner.armed = None;
        self.arm_next(&mut inner);
        drop(inner);
        for bell in released {
            bell.notify_one();
        }
        self.ring_for(available);
    }

    /// Sees to it that the timer wakes this channel at `at`, or before.
    fn arm(&self, inner: &mut Inner, at: Instant) {
        if inner.armed.is_none_or(|armed| at < armed) {
            inner.armed = Some(at);
            self.shared.timers.wake_at(at, Weak::clone(&self.this));
        }
    }

    /// The same for whatever comes next; looks at every consumer.
    fn arm_next(&self, inner: &mut Inner) {
        if let Some(next) = inner.state.next_wake() {
            self.arm(inner, next);
        }
    }

    /// Stops delivery, or lets it go on.
    pub fn set_paused(&self, paused: bool) {
        self.inner.lock().state.paused = paused;
        if !paused {
            self.ring_for(u64::MAX);
        }
    }

    /// Whether delivery stands still.
    pub fn is_paused(&self) -> bool {
        self.inner.lock().state.paused
    }

    /// Drops all messages: those waiting, in flight and deferred.
    pub fn empty(&self) {
        let mut inner = self.inner.lock();
        if inner.state.exiting {
            return;
        }
        inner.state.clear();
        inner.loaded.clear();
        self.log.skip_to_end(self.reader);
        let bells = inner.bells();
        drop(inner);
        ring_all(bells);
    }

    /// Ends the channel: drops all it has, and tells its consumers to go. Called once, by its topic.
    pub fn exit(&self) {
        self.exit_locked(self.inner.lock());
    }

    /// The same, unless it has consumers; returns whether it ended.
    pub fn exit_unless_consumed(&self) -> bool {
        let inner = self.inner.lock();
        let is_unused = inner.state.consumers.is_empty();
        if is_unused {
            self.exit_locked(inner);
        }
        is_unused
    }

    fn exit_locked(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.state.exiting = true;
        inner.state.clear();
        inner.loaded.clear();
        self.log.remove_reader(self.reader);
        let bells = inner.bells();
        drop(inner);
        ring_all(bells);
    }

    /// Ends delivery and leaves everything as it is, to be written to disk.
    pub fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.state.exiting = true;
        let bells = inner.bells();
        drop(inner);
        ring_all(bells);
    }

    /// Brings a segment back to memory and rings who waits for it. One load at a time; others are left to it.
    pub async fn load(self: Arc<Self>, segment: Arc<Segment>) {
        if std::mem::replace(&mut self.inner.lock().loading, true) {
            return;
        }
        let channel = Arc::clone(&self);
        // A failure may pass (no file descriptor): who is rung will ask again, after a pause.
        let outcome = tokio::task::spawn_blocking(move || channel.load_now(&segment)).await;
        if !matches!(outcome, Ok(Ok(()))) {
            tracing::warn!(channel = %self.name, ?outcome, "segment not loaded; trying again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.inner.lock().loading = false;
        self.ring_for(u64::MAX);
    }

    /// Loads a segment, and with it the one that comes after it, if memory allows. Blocks.
    pub fn load_now(&self, segment: &Arc<Segment>) -> io::Result<()> {
        self.keep_loaded(segment.load(self.log.memory())?);
        if let Some(next) = self.log.next_on_disk(segment)
            && !self.log.memory().over_budget()
        {
            self.keep_loaded(next.load(self.log.memory())?);
        }
        Ok(())
    }

    fn keep_loaded(&self, buffer: Arc<Buffer>) {
        let mut inner = self.inner.lock();
        if inner.loaded.len() == LOADED_MAX {
            inner.loaded.pop_front();
        }
        inner.loaded.push_back(buffer);
    }

    /// Rings consumers that wait, at most one for each message there is.
    fn ring_for(&self, messages: u64) {
        for _ in 0..messages {
            let Some(bell) = self.inner.lock().state.next_waiting() else {
                break;
            };
            bell.notify_one();
        }
    }

    /// What `/stats` tells.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        let state = &inner.state;
        if state.exiting {
            return Snapshot {
                paused: state.paused,
                ..Snapshot::default()
            };
        }
        let waiting = Depth {
            messages: state.again_count(),
            on_disk: 0,
        };
        Snapshot {
            depth: self.log.depth(self.reader) + waiting,
            in_flight_count: state.in_flight_count(),
            deferred_count: state.deferred_count(),
            message_count: self.log.visible_end().saturating_sub(self.counted_from)
                + state.deferred_published,
            requeue_count: state.requeue_count,
            timeout_count: state.timeout_count,
            handed_out: state.handed_out,
            client_count: state.consumers.len(),
            paused: state.paused,
        }
    }

    /// The latencies of the last while, if they are measured.
    pub fn latencies(&self) -> Option<latency::Sketch> {
        let now = self.shared.clock.now();
        let mut inner = self.inner.lock();
        inner.latencies.as_mut().map(|window| window.sketch(now))
    }

    /// What `/stats` tells of one consumer.
    pub fn consumer_snapshot(&self, consumer: ConsumerId) -> ConsumerSnapshot {
        let inner = self.inner.lock();
        let consumer = inner.state.consumer(consumer);
        ConsumerSnapshot {
            ready_count: consumer.ready_count,
            in_flight_count: consumer.held.count(),
            counters: consumer.counters,
            locality: Some(consumer.turn.locality()),
        }
    }

    fn this(&self) -> Arc<Self> {
        self.this.upgrade().expect("a method of it is running")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl Waiter for Channel {
    fn ring(&self, messages: u64) {
        self.inner.lock().listening = false;
        self.ring_for(messages);
    }
}

impl Inner {
    fn bells(&self) -> Vec<Arc<Notify>> {
        self.state
            .consumers
            .iter()
            .map(|(_, consumer)| Arc::clone(&consumer.bell))
            .collect()
    }
}

fn ring_all(bells: Vec<Arc<Notify>>) {
    for bell in bells {
        bell.notify_one();
    }
}
