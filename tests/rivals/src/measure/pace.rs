//! Ticks of an open loop: they come at their times whatever the server does.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// Between two ticks.
const INTERVAL: Duration = Duration::from_millis(1);
/// Ticks that may wait. When they are as many, the later ones come late; they name the times that they should have come at.
const WAITING_MAX: usize = 4096;

/// The times at which something is due, each when it has come. A thread of its own sends them, as the runtime's timers are
/// up to a millisecond late; it ends when the receiver is dropped.
pub(crate) fn ticks(start: Instant) -> mpsc::Receiver<Instant> {
    let (ticks_tx, ticks_rx) = mpsc::channel(WAITING_MAX);
    thread::spawn(move || {
        let mut next = start + INTERVAL;
        while ticks_tx.blocking_send(next).is_ok() {
            next += INTERVAL;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    ticks_rx
}
