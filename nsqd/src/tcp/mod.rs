//! The TCP protocol: accepting connections, one task for each.

mod authorization;
mod commands;
mod connection;
mod registry;
mod replies;
mod session;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use client::daemon::listen::{Listener, Refusals, Stream, no_room};
use client::wire::{ErrorCode, ErrorReply, MAGIC_V2, check_magic, put_error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, debug, info_span};

pub use registry::{Connected, Registry, Stage};

use crate::node::Node;
use connection::Connection;
use session::Session;

/// How long a connection may take to say which protocol it speaks.
const MAGIC_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closing connection may take to accept what it is still told, and to stop sending.
const LINGER: Duration = Duration::from_millis(250);
/// How long a session may take to end what it is doing when the daemon stops.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Accepts connections until `stopping` says so, and returns when the last one has ended.
pub async fn serve(node: Arc<Node>, mut listener: Listener, stopping: watch::Receiver<bool>) {
    let mut sessions = JoinSet::new();
    let mut refusals = Refusals::default();
    let stopped = stopped(stopping.clone());
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            stream = listener.accept() => {
                // The ended ones first: there may be room again.
                while sessions.try_join_next().is_some() {}
                if let Some(reason) = no_room(&stream, sessions.len(), node.options().max_connections) {
                    refuse(&node, &mut refusals, stream, &reason);
                    continue;
                }
                let span = info_span!("session", peer = %stream.peer());
                sessions.spawn(run(Arc::clone(&node), stream, stopping.clone()).instrument(span));
            }
            _ = sessions.join_next(), if !sessions.is_empty() => {}
            () = &mut stopped => break,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// Says why, as an error that clients know: those of the reference take it for the answer to IDENTIFY, and try again later.
fn refuse(node: &Node, refusals: &mut Refusals, stream: Stream, reason: &str) {
    let mut frame = Vec::new();
    put_error(&mut frame, &ErrorReply::new(ErrorCode::Invalid, reason));
    refusals.refuse(stream, frame, reason);
    node.connections().count_refused();
}

async fn run(node: Arc<Node>, mut stream: Stream, stopping: watch::Receiver<bool>) {
    let peer = stream.peer();
    debug!("connected");
    let greeted = tokio::select! {
        greeted = greet(&mut stream) => greeted,
        () = stopped(stopping.clone()) => Err("the daemon stops"),
    };
    if let Err(reason) = greeted {
        return debug!(reason, "no session");
    }
    let remote_ip = stream.peer_ip().map(|ip| ip.to_string());
    let session = Session::new(
        node,
        Connection::new(stream.into_transport()),
        peer,
        remote_ip,
    );
    let overdue = async {
        stopped(stopping.clone()).await;
        sleep(STOP_GRACE).await;
    };
    tokio::select! {
        reason = session.run(stopped(stopping.clone())) => debug!(%reason, "session ended"),
        () = overdue => debug!("session cut off"),
    }
}

/// Waits for the client to say which protocol it speaks.
async fn greet(stream: &mut Stream) -> Result<(), &'static str> {
    let mut magic = [0; MAGIC_V2.len()];
    match timeout(MAGIC_TIMEOUT, stream.read_exact(&mut magic)).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return Err("closed before its protocol was known"),
        Err(_) => return Err("protocol not told in time"),
    }
    let Err(reply) = check_magic(magic) else {
        return Ok(());
    };
    let mut frame = Vec::new();
    put_error(&mut frame, &reply);
    // The peer may be gone already; there is nobody else to tell.
    let _ = timeout(LINGER, stream.write_all(&frame)).await;
    Err("another protocol")
}

/// Waits until the daemon is asked to stop.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // Without a sender the daemon is past stopping.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// There may be very many, most of which do nothing: what is rare or large in a session belongs into a box.
    #[test]
    fn a_connection_that_does_nothing_is_small() {
        let bytes = future_bytes(run);
        assert!(
            bytes <= 4096,
            "{bytes} bytes, {} of them the session",
            size_of::<Session>()
        );
    }
}
