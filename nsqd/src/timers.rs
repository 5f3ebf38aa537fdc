//! One timer for all channels: each asks to be woken at its next deadline, and no channel without one costs anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::channel::Channel;

/// The channels to wake, by time.
#[derive(Debug, Default)]
pub struct Timers {
    queue: Mutex<Queue>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    wakes: BTreeMap<(Instant, u64), Weak<Channel>>,
    /// Tells apart wakes at the same instant.
    next_order: u64,
}

impl Timers {
    /// Asks for `channel` to be woken at `at`. There is no taking back: a wake with nothing to do costs little.
    pub fn wake_at(&self, at: Instant, channel: Weak<Channel>) {
        let mut queue = self.queue.lock();
        let first = queue
            .wakes
            .first_key_value()
            .is_none_or(|(&(next, _), _)| at < next);
        let order = queue.next_order;
        queue.next_order += 1;
        queue.wakes.insert((at, order), channel);
        drop(queue);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Wakes channels at their times, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = self
                .queue
                .lock()
                .wakes
                .first_key_value()
                .map(|(&(at, _), _)| at);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.wake_due(Instant::now()),
                () = self.earlier.notified() => {}
            }
        }
    }

    fn wake_due(&self, now: Instant) {
        while let Some(channel) = self.pop_due(now) {
            if let Some(channel) = channel.upgrade() {
                channel.advance();
            }
        }
    }

    fn pop_due(&self, now: Instant) -> Option<Weak<Channel>> {
        let mut queue = self.queue.lock();
        let entry = queue
            .wakes
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}
