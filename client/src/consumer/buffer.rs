//! Messages that wait for the application. Short lock: never held across `.await` or foreign code.
//!
//! Ready counts bound it: no nsqd sends more than it was asked for. An nsqd hands a message out
//! again when it times out, so what times out in here is taken out before more is put in.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::lock;
use super::message::Message;
use super::ready::LinkId;

/// The messages, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    state: Mutex<State>,
    /// How many messages wait, for who need not know to the moment.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    closed: bool,
    /// One place for each waiter; a waiter that waits anew replaces its waker.
    waiters: Vec<Option<Waker>>,
}

impl Buffer {
    /// Takes the messages out of `batch`, all or none: a closed buffer leaves them there. Returns
    /// those that timed out in here.
    pub(super) fn append(&self, batch: &mut Vec<Message>, now: Instant) -> Vec<Message> {
        let mut state = lock(&self.state);
        if state.closed {
            return Vec::new();
        }
        let expired = state.take_expired(now);
        let wakers = state.wakers(batch.len());
        state.messages.extend(batch.drain(..));
        self.count.store(state.messages.len(), Ordering::Relaxed);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        expired
    }

    /// The oldest message; `None` once the buffer is closed. `waiter` is woken when it is worth
    /// asking again; it must be one task at a time.
    pub(super) fn poll_next(&self, waiter: usize, cx: &Context<'_>) -> Poll<Option<Message>> {
        let mut state = lock(&self.state);
        if let Some(message) = state.messages.pop_front() {
            self.count.store(state.messages.len(), Ordering::Relaxed);
            return Poll::Ready(Some(message));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        if state.waiters.len() <= waiter {
            state.waiters.resize_with(waiter + 1, || None);
        }
        match &mut state.waiters[waiter] {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes out what came over this connection.
    pub(super) fn take_of(&self, link: LinkId) -> Vec<Message> {
        let mut state = lock(&self.state);
        let all = std::mem::take(&mut state.messages);
        let (taken, kept) = all.into_iter().partition(|message| message.link() == link);
        state.messages = kept;
        self.count.store(state.messages.len(), Ordering::Relaxed);
        Vec::from_iter(taken as VecDeque<Message>)
    }

    /// Nothing comes in any more, and nothing goes out to the application. What is in here waits
    /// for [`Buffer::take_of`].
    pub(super) fn close(&self) -> Vec<Message> {
        let mut state = lock(&self.state);
        state.closed = true;
        let wakers = state.wakers(usize::MAX);
        let messages = std::mem::take(&mut state.messages);
        self.count.store(0, Ordering::Relaxed);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        messages.into()
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    /// Messages wait in the order of their coming, which is nearly that of their deadlines.
    fn take_expired(&mut self, now: Instant) -> Vec<Message> {
        let expired = |message: &Message| message.deadline() <= now;
        let count = self.messages.iter().take_while(|m| expired(m)).count();
        self.messages.drain(..count).collect()
    }

    /// Whoever is to look again for up to `count` messages.
    fn wakers(&mut self, count: usize) -> Vec<Waker> {
        let waiting = self.waiters.iter_mut().filter_map(Option::take);
        waiting.take(count).collect()
    }
}
