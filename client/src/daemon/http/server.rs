//! The accept loop, its limits, and its end.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tracing::{info, warn};

use super::{
    Router,
    connection::{self, Service},
};
use crate::daemon::listen::{Listener, no_room};

/// What a peer may take of the server. The defaults suit a daemon; tests use shorter times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time for a request head, from its first byte (from the connection's start for the first). Default 10 s.
    pub header_timeout: Duration,
    /// Longest time for a body. Default 30 s.
    pub body_timeout: Duration,
    /// Longest time for the client to take 64 KiB of a response, or what is left of it. Default 30 s.
    pub write_timeout: Duration,
    /// Longest time between requests, and between parts of a response that is a stream. Default 75 s. With zero there is
    /// one request per connection.
    pub idle_timeout: Duration,
    /// Longest time that requests under way are waited for at the end. Default 3 s.
    pub grace: Duration,
    /// Most bytes in a request head. Default 16 KiB.
    pub header_bytes: usize,
    /// Most headers of a request. Default 64.
    pub headers: usize,
    /// Most bytes in path and query. Default 8 KiB.
    pub uri_bytes: usize,
    /// Most connections at a time. Default 4096.
    pub connections: usize,
    /// How many more are served, each for one request of 2 s: so that somebody can still ask how the daemon is. Others wait
    /// to be accepted. Default 64.
    pub reserve: usize,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(30),
        write_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(75),
        grace: Duration::from_secs(3),
        header_bytes: 16 << 10,
        headers: 64,
        uri_bytes: 8 << 10,
        connections: 4096,
        reserve: 64,
    };

    /// Those of a connection in the reserve.
    fn in_brief(self) -> Self {
        Self {
            header_timeout: BRIEF.min(self.header_timeout),
            body_timeout: BRIEF.min(self.body_timeout),
            write_timeout: BRIEF.min(self.write_timeout),
            idle_timeout: Duration::ZERO,
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const BRIEF: Duration = Duration::from_secs(2);

/// Answers requests until `shutdown` resolves; then stops listening, closes idle connections, waits up to
/// [`Limits::grace`] for requests under way, and drops the rest.
pub async fn serve<S: Send + Sync + 'static>(
    mut listener: Listener,
    router: Router<S>,
    state: Arc<S>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let address = listener.local_address();
    let tls = listener.tls().cloned();
    let scheme = if tls.is_some() { "HTTPS" } else { "HTTP" };
    info!("{scheme}: listening on {address}");
    let service = Arc::new(Service { router, state, tls });
    let (closing_tx, closing_rx) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            stream = listener.accept(), if connections.len() < limits.connections + limits.reserve => {
                let is_full = no_room(&stream, connections.len(), limits.connections).is_some();
                let limits = if is_full { limits.in_brief() } else { limits };
                let service = Arc::clone(&service);
                connections.spawn(connection::run(service, stream, limits, closing_rx.clone()));
            }
        }
    }

    info!("{scheme}: closing {address}");
    drop(listener);
    closing_tx.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, drained).await.is_err() {
        warn!(
            connections = connections.len(),
            "requests still under way are cut off"
        );
    }
}
