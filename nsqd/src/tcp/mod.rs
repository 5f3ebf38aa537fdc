//! The TCP protocol: accepting connections, one task for each.

mod commands;
mod connection;
mod registry;
mod session;

use std::sync::Arc;
use std::time::Duration;

use client::daemon::listen::{Listener, Stream};
use client::wire::{MAGIC_V2, check_magic, put_error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{Instrument, debug, info_span};

pub use registry::{Connected, Registry, Stage};

use crate::node::Node;
use connection::Connection;
use session::Session;

/// How long a connection may take to say which protocol it speaks.
const MAGIC_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closing connection may take to accept what it is still told, and to stop sending.
const LINGER: Duration = Duration::from_millis(250);

/// Accepts connections until `stopping` says so, and returns when the last one has ended.
pub async fn serve(node: Arc<Node>, mut listener: Listener, mut stopping: watch::Receiver<bool>) {
    let mut sessions = JoinSet::new();
    let for_sessions = stopping.clone();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                let span = info_span!("session", peer = %stream.peer());
                sessions.spawn(run(Arc::clone(&node), stream, for_sessions.clone()).instrument(span));
            }
            _ = sessions.join_next(), if !sessions.is_empty() => {}
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

async fn run(node: Arc<Node>, mut stream: Stream, mut stopping: watch::Receiver<bool>) {
    let peer = stream.peer();
    debug!("connected");
    let served = async {
        let mut magic = [0; MAGIC_V2.len()];
        match timeout(MAGIC_TIMEOUT, stream.read_exact(&mut magic)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return,
            Err(_) => return debug!("no protocol magic in time"),
        }
        if let Err(reply) = check_magic(magic) {
            debug!(magic = %magic.escape_ascii(), "bad protocol magic");
            let mut frame = Vec::new();
            put_error(&mut frame, &reply);
            // The peer may be gone already; there is nobody else to tell.
            let _ = timeout(LINGER, stream.write_all(&frame)).await;
            return;
        }
        let ip = stream
            .peer_ip()
            .map_or_else(|| peer.clone(), |ip| ip.to_string());
        let reason = Session::new(node, Connection::new(stream), peer, ip)
            .run()
            .await;
        debug!(%reason, "session ended");
    };
    tokio::select! {
        () = served => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}
