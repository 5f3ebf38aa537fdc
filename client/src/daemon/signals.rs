//! When a daemon is asked to stop.
//!
//! | signal | effect |
//! | --- | --- |
//! | SIGTERM, SIGINT | the first one asks for a clean stop, the next one ends the process at once with status 1 |
//! | SIGHUP | logged and ignored: log rotation sends it out of habit, and dying of it would lose messages |
//! | SIGPIPE | ignored, as Rust does: a write to a closed socket is an error, not a death |

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing::{info, warn};

/// Starts to listen for signals, and returns a future that resolves at the first request to stop.
///
/// Signals are heard from the call on, not only once the future is polled. Dropping the future
/// changes nothing: the first request is then logged only, the second still ends the process.
///
/// # Errors
///
/// The system refused to install a handler.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn shutdown() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (asked_tx, asked_rx) = oneshot::channel();

    tokio::spawn(async move {
        let mut asked_tx = Some(asked_tx);
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = hangup.recv() => {
                    info!("SIGHUP ignored: there is nothing to reload or to reopen");
                    continue;
                }
            };
            let Some(asked_tx) = asked_tx.take() else {
                warn!(signal = name, "second request to stop: ending at once");
                std::process::exit(1);
            };
            info!(signal = name, "stopping");
            // Nobody waiting means that the daemon is past the point of stopping already.
            let _ = asked_tx.send(());
        }
    });

    Ok(async move {
        // The sender lives as long as the runtime; its end is a request to stop as well.
        let _ = asked_rx.await;
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn send(name: &str) {
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    // One test: signals reach the whole process, so two of them would disturb each other.
    #[tokio::test]
    async fn hangup_is_ignored_and_terminate_asks_to_stop() {
        let mut asked = Box::pin(shutdown().unwrap());

        send("HUP");
        let waited = tokio::time::timeout(Duration::from_millis(50), &mut asked).await;
        assert!(waited.is_err(), "SIGHUP asked to stop");

        send("TERM");
        tokio::time::timeout(Duration::from_secs(5), asked)
            .await
            .expect("SIGTERM was not heard");
    }
}
