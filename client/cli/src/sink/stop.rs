//! From the first signal to the end.
//!
//! | signal (INT or TERM) | effect |
//! | --- | --- |
//! | first | nothing further is taken, what was taken is worked off |
//! | second | that has to be done within a second |
//! | third | the process ends, with status 130 or 143 |

use std::time::Duration;

use client::consumer::{ConsumerReport, Control};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::Error;

/// How long messages may take that are worked on when the end begins.
const PATIENCE: Duration = Duration::from_secs(30);
const LITTLE_PATIENCE: Duration = Duration::from_secs(1);

/// Where the process is on its way to the end. Clones see the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    /// How often it was asked to stop.
    asked_tx: watch::Sender<u32>,
    asked_rx: watch::Receiver<u32>,
}

impl Stop {
    /// Nobody has asked yet, and no signal does.
    pub(crate) fn new() -> Stop {
        let (asked_tx, asked_rx) = watch::channel(0);
        Stop { asked_tx, asked_rx }
    }

    /// Listens for signals from now on.
    ///
    /// # Errors
    /// The system refused to install a handler.
    pub(crate) fn on_signals() -> Result<Stop, Error> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
        let stop = Stop::new();
        let asked_tx = stop.asked_tx.clone();
        tokio::spawn(async move {
            loop {
                let status = tokio::select! {
                    _ = interrupt.recv() => 130,
                    _ = terminate.recv() => 143,
                };
                asked_tx.send_modify(|asked| *asked += 1);
                if *asked_tx.borrow() >= 3 {
                    std::process::exit(status);
                }
            }
        });
        Ok(stop)
    }

    /// Asks everybody to stop.
    pub(crate) fn ask(&self) {
        self.asked_tx.send_modify(|asked| *asked = (*asked).max(1));
    }

    /// Waits until somebody has asked. Cancel safe.
    pub(crate) async fn asked(&mut self) {
        self.asked_times(1).await;
    }

    /// Waits until somebody has asked twice. Cancel safe.
    pub(crate) async fn hurried(&mut self) {
        self.asked_times(2).await;
    }

    /// Ends a consumer: what it has handed out may be answered for as long as there is patience.
    pub(crate) async fn drain(&mut self, control: &Control) -> ConsumerReport {
        tokio::select! {
            report = control.drain(PATIENCE) => report,
            () = self.hurried() => control.drain(LITTLE_PATIENCE).await,
        }
    }

    async fn asked_times(&mut self, count: u32) {
        let asked = self.asked_rx.wait_for(|asked| *asked >= count).await;
        asked.expect("this value holds a sender itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_is_heard_by_all() {
        let stop = Stop::new();
        let mut other = stop.clone();
        let waited = tokio::time::timeout(Duration::from_millis(10), other.asked()).await;
        waited.unwrap_err();
        stop.ask();
        other.asked().await;
        stop.clone().asked().await;
    }
}
