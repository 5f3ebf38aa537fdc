//! Where the callers and the tasks of a producer meet: one short lock around [`State`], room for what
//! is pending, and bells.
//!
//! The lock is never held across an `.await`, nor while a caller is told its outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, TryAcquireError, broadcast};
use tokio::time::{Instant, timeout_at};

use super::error::PublishError;
use super::events::{EVENTS_KEPT, Event};
use super::job::{Job, Payload, Room};
use super::policy::{Routing, WhenFull};
use super::spare::Spare;
use super::state::{Moved, Phase, Placed, Refused, Settled, State};
use crate::connection::{Address, ConnectError};

/// See the module.
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    publishes: Semaphore,
    bytes: Semaphore,
    /// What one publish may take of `bytes` at most.
    bytes_max: u32,
    /// Rung for the task of a node: something is in its queue, or all is over.
    bells: Vec<Notify>,
    /// Rung for the task that watches deadlines.
    deadlines: Notify,
    /// Rung for all who wait until something holds.
    changed: Notify,
    events: broadcast::Sender<Event>,
    pub(super) spare: Spare,
}

impl Hub {
    /// For these nodes, with room for so many publishes and bytes.
    pub(super) fn new(
        addresses: Vec<Arc<Address>>,
        routing: Routing,
        publishes: usize,
        bytes: usize,
    ) -> Hub {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Hub {
            bells: addresses.iter().map(|_| Notify::new()).collect(),
            state: Mutex::new(State::new(addresses, routing)),
            publishes: Semaphore::new(publishes.min(Semaphore::MAX_PERMITS)),
            bytes: Semaphore::new(bytes),
            bytes_max: u32::try_from(bytes).unwrap_or(u32::MAX),
            deadlines: Notify::new(),
            changed: Notify::new(),
            events: broadcast::channel(EVENTS_KEPT).0,
            spare: Spare::default(),
        }
    }

    /// The lock. Nobody panics holding it, and what it guards is whole between two calls.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a publish of so many bytes, which [`Hub::settle`] gives back. Dropped while it
    /// waits, it has taken nothing.
    pub(super) async fn admit(
        &self,
        bytes: usize,
        deadline: Instant,
        when_full: WhenFull,
    ) -> Result<Room, PublishError> {
        match self.try_admit(bytes) {
            Err(PublishError::Full) if when_full == WhenFull::Wait => {}
            decided => return decided,
        }
        let room = self.room(bytes);
        let waiting = async {
            let publish = self.publishes.acquire().await?;
            let bytes = self.bytes.acquire_many(room.bytes).await?;
            publish.forget();
            bytes.forget();
            Ok(room)
        };
        match timeout_at(deadline, waiting).await {
            Ok(admitted) => admitted.map_err(|_: tokio::sync::AcquireError| PublishError::Closed),
            Err(_) => Err(PublishError::Timeout {
                maybe_stored: false,
            }),
        }
    }

    /// As [`Hub::admit`], but never waits.
    pub(super) fn try_admit(&self, bytes: usize) -> Result<Room, PublishError> {
        let refused = |error| match error {
            TryAcquireError::NoPermits => PublishError::Full,
            TryAcquireError::Closed => PublishError::Closed,
        };
        let room = self.room(bytes);
        let publish = self.publishes.try_acquire().map_err(refused)?;
        let bytes = self.bytes.try_acquire_many(room.bytes).map_err(refused)?;
        publish.forget();
        bytes.forget();
        Ok(room)
    }

    /// Gives room back that was taken for nothing.
    pub(super) fn release(&self, room: Room) {
        self.publishes.add_permits(room.count as usize);
        self.bytes.add_permits(room.bytes as usize);
    }

    /// Takes in a publish for which there is room. `at_once`: only if a node is connected for it.
    ///
    /// # Errors
    /// As [`State::accept`]; the caller that waits for the publish is told nothing then.
    pub(super) fn push(&self, job: Job, at_once: bool) -> Result<(), Refused> {
        let mut state = self.state();
        let watched = state.earliest();
        let placed = state.accept(job, at_once);
        let is_sooner = state.earliest() != watched;
        drop(state);
        match placed {
            Ok(placed) => {
                if let Placed::First(index) = placed {
                    self.bells[index].notify_one();
                }
                if is_sooner {
                    self.deadlines.notify_one();
                }
                Ok(())
            }
            Err(refused) => {
                self.release(refused.0.room);
                Err(refused)
            }
        }
    }

    /// Moves about `bytes` bytes of the node's queue to `taken`; false once all is over.
    pub(super) fn take(&self, index: usize, bytes: usize, taken: &mut Vec<Job>) -> bool {
        let mut state = self.state();
        if state.is_over() {
            return false;
        }
        state.take(index, bytes, taken);
        true
    }

    /// Waits until the node's queue may hold something, or all may be over.
    pub(super) async fn rung(&self, index: usize) {
        self.bells[index].notified().await;
    }

    /// Waits until all is over.
    pub(super) async fn over(&self) {
        self.until(|state| state.is_over().then_some(())).await;
    }

    /// Waits until `check` finds something. May be dropped at any time.
    pub(super) async fn until<T>(&self, mut check: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            // Listening begins before the look, so no change falls between them.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let found = check(&self.state());
            if let Some(found) = found {
                return found;
            }
            changed.await;
        }
    }

    /// Ends publishes, oldest first; `index` is the node which had taken them, if any. First
    /// everything is counted, then the callers are told, so that who was told finds it counted. The
    /// oldest is told last: a task that awaits its tickets in order is woken once, to find them all.
    pub(super) fn settle(&self, index: Option<usize>, settled: &mut Vec<Settled>) {
        if settled.is_empty() {
            return;
        }
        let mut state = self.state();
        state.account(index, settled);
        let is_over = state.is_over();
        drop(state);
        self.changed.notify_waiters();
        if is_over {
            self.ring_all();
        }
        let room = settled.iter().fold(Room::default(), |sum, (job, _)| Room {
            count: sum.count.saturating_add(job.room.count),
            bytes: sum.bytes.saturating_add(job.room.bytes),
        });
        for (job, outcome) in settled.drain(..).rev() {
            if let Payload::Many(batch) = job.settle(outcome) {
                self.spare.keep(batch);
            }
        }
        self.release(room);
    }

    /// A node is connected, in this zone.
    pub(super) fn connected(&self, index: usize, zone: &str) {
        let woken = self.state().connected(index, zone);
        self.ring(&woken);
        self.changed.notify_waiters();
    }

    /// A node could not be reached.
    pub(super) fn unreachable(&self, index: usize, error: &Arc<ConnectError>) {
        let Moved { woken, mut ended } = self.state().unreachable(index, error);
        self.ring(&woken);
        self.changed.notify_waiters();
        self.settle(None, &mut ended);
    }

    /// A connection was lost; `back` is to be sent again, oldest first.
    pub(super) fn lost(&self, index: usize, back: Vec<Job>) {
        let woken = self.state().lost(index, back);
        self.ring(&woken);
        self.deadlines.notify_one();
    }

    /// The node was connected until it refused a publish; `back` is to be sent to it again.
    pub(super) fn put_back(&self, index: usize, back: Vec<Job>) {
        self.state().put_back(index, back);
        self.deadlines.notify_one();
    }

    /// Nothing is taken in any more; what is pending is finished.
    pub(super) fn close(&self) {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return;
        }
        state.phase = Phase::Closing;
        drop(state);
        self.publishes.close();
        self.bytes.close();
        self.tell(Event::Closing);
        self.ring_all();
    }

    /// Nothing is finished any more.
    pub(super) fn abort(&self) {
        let mut left = self.state().abort();
        self.settle(None, &mut left);
        self.ring_all();
    }

    /// Ends what waits for a connection and is late, again and again until all is over.
    pub(super) async fn watch_deadlines(&self) {
        loop {
            let mut late = self.state().expire(Instant::now());
            self.settle(None, &mut late);
            let (is_over, earliest) = {
                let state = self.state();
                (state.is_over(), state.earliest())
            };
            if is_over {
                return;
            }
            let rung = self.deadlines.notified();
            match earliest {
                // Either way it looks again.
                Some(earliest) => drop(timeout_at(earliest, rung).await),
                None => rung.await,
            }
        }
    }

    /// Tells who watches.
    pub(super) fn tell(&self, event: Event) {
        // An error is that nobody watches.
        let _ = self.events.send(event);
    }

    /// Watches from now on.
    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn room(&self, bytes: usize) -> Room {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Room {
            count: 1,
            bytes: bytes.min(self.bytes_max),
        }
    }

    fn ring(&self, indexes: &[usize]) {
        for index in indexes {
            self.bells[*index].notify_one();
        }
        if !indexes.is_empty() {
            self.deadlines.notify_one();
        }
    }

    fn ring_all(&self) {
        for bell in &self.bells {
            bell.notify_one();
        }
        self.deadlines.notify_one();
        self.changed.notify_waiters();
    }
}
