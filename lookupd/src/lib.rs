//! nsqlookupd: knows which nsqd has which topic, as long as the nsqd says so.
//!
//! The way of a registration: a `session` reads it from an nsqd's connection and notes it in the [`registry`];
//! a consumer's `GET /lookup` finds it there, through `http`. The README's section *Inside* has the map.

mod clock;
mod directory;
pub mod error;
mod http;
mod metrics;
pub mod options;
pub mod registry;
mod session;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use client::daemon::flags::COMPATIBLE_VERSION;
use client::daemon::listen::Listener;
use client::daemon::log::LogHandle;
use client::wire::lookup::LookupdInfo;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

pub use clock::Timestamp;
use directory::Directory;
pub use error::{OptionsError, StartError};
pub use options::{Flags, Options};

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    tcp_address: String,
    http_address: String,
    stopping: watch::Sender<bool>,
    /// The two servers, which end when `stopping` says so.
    servers: [JoinHandle<()>; 2],
}

impl Daemon {
    /// Starts: both ports are opened, and then connections are accepted.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on.
    pub async fn start(options: Options, log: LogHandle) -> Result<Self, StartError> {
        info!("{}", options::DAEMON.version());
        let tcp = Listener::bind(&options.tcp_address).await?;
        let http = Listener::bind(&options.http_address).await?;
        let (tcp_address, http_address) = (tcp.local_address(), http.local_address());
        let about = LookupdInfo {
            broadcast_address: options.broadcast_address,
            hostname: options.hostname,
            http_port: port(&http),
            tcp_port: port(&tcp),
            version: COMPATIBLE_VERSION.to_owned(),
        };
        let directory = Arc::new(Directory::new(options.rules, &about, log));

        let connections_max = options.max_connections;
        let (stopping, stopped) = watch::channel(false);
        let servers = [
            tokio::spawn(session::serve(
                Arc::clone(&directory),
                tcp,
                connections_max,
                stopped.clone(),
            )),
            tokio::spawn(http::serve(directory, http, stopped)),
        ];
        Ok(Self {
            tcp_address,
            http_address,
            stopping,
            servers,
        })
    }

    /// Where it listens for nsqds: `ip:port`, or the path of a unix socket.
    pub fn tcp_address(&self) -> &str {
        &self.tcp_address
    }

    /// Where it listens for HTTP, likewise.
    pub fn http_address(&self) -> &str {
        &self.http_address
    }

    /// Stops: closes every connection of an nsqd at once, and gives HTTP requests under way a few seconds. Nothing is
    /// kept; the nsqds tell everything again when they come back.
    pub async fn stop(self) {
        // There may be no receiver left: then both servers have ended.
        let _ = self.stopping.send(true);
        for server in self.servers {
            // One that has panicked has ended too.
            let _ = server.await;
        }
        info!("bye");
    }
}

/// The port that is really bound; a unix socket has none, which is shown as 0.
fn port(listener: &Listener) -> i64 {
    listener.local_port().map_or(0, i64::from)
}
