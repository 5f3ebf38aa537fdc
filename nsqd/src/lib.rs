//! nsqd: takes messages, keeps them, and fans each topic out to its channels.
//!
//! The way of a message: [`tcp`] or [`http`] decode it, [`topic::Topic::publish`] appends it to the topic's [`log`],
//! and rings the [`channel`]s that wait; a consumer's session claims it from its channel, sends it, and finishes it.
//! The README's section *Inside* has the map.

pub mod allocator;
pub mod auth;
pub mod channel;
pub mod clock;
pub mod data_dir;
pub mod http;
pub mod import;
pub mod latency;
pub mod log;
pub mod lookup;
pub mod message_id;
pub mod metadata;
pub mod node;
pub mod options;
mod sabotage;
pub mod stats;
pub mod statsd;
pub mod tcp;
pub mod timers;
pub mod topic;

use std::io;
use std::sync::Arc;

use client::daemon::listen::{BindError, Listener};
use client::daemon::log::LogHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

pub use node::{Node, OpenError};
use options::TlsRequired;
pub use options::{Flags, Options, OptionsError};

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    node: Arc<Node>,
    tcp_address: String,
    http_address: Option<String>,
    stopping: watch::Sender<bool>,
    /// Those that end when `stopping` says so: the servers, and the storage worker.
    tasks: Vec<JoinHandle<()>>,
    /// Ended when nothing needs it any more.
    timers: JoinHandle<()>,
}

/// Why the daemon can't start, as the reference words it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The node.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A listener.
    #[error("failed to instantiate nsqd - {0}")]
    Bind(#[from] BindError),
    /// The metadata can't be written.
    #[error("failed to persist metadata - {0}")]
    Persist(#[source] io::Error),
}

impl Daemon {
    /// Starts: the data directory is locked and read, the ports are opened, and then connections are accepted.
    pub async fn start(options: Options, log: LogHandle) -> Result<Self, StartError> {
        info!(
            version = client::daemon::flags::COMPATIBLE_VERSION,
            id = options.node_id,
            "nsqd starts"
        );
        let opening = tokio::task::spawn_blocking(move || Node::open(options, log));
        let node = opening.await.expect("opening does not panic")?;
        let tcp = Listener::bind(&node.options().tcp_address).await?;
        let tcp_address = tcp.local_address();
        let tcp_port = tcp.local_port();
        let http = match node.options().http_address.as_str() {
            "" => None,
            address => Some(Listener::bind(address).await?),
        };
        let http_address = http.as_ref().map(Listener::local_address);
        let https = listen_for_https(node.options()).await?;
        let https_port = https.as_ref().and_then(Listener::local_port);
        node.persist().await.map_err(StartError::Persist)?;

        let (stopping, stopped) = watch::channel(false);
        let timers = tokio::spawn(Arc::clone(node.timers()).run());
        let mut tasks = vec![tokio::spawn(Arc::clone(&node).work(stopped.clone()))];
        info!("TCP: listening on {tcp_address}");
        tasks.push(tokio::spawn(tcp::serve(
            Arc::clone(&node),
            tcp,
            stopped.clone(),
        )));
        let ports = http::Ports {
            tcp: tcp_port,
            http: http.as_ref().and_then(Listener::local_port),
        };
        tasks.push(tokio::spawn(lookup::run(
            Arc::clone(&node),
            node.options().about(ports.tcp, ports.http),
            stopped.clone(),
        )));
        if let Some(settings) = node.options().statsd.clone() {
            let prefix = node.options().statsd_prefix(ports.http);
            let pushing = statsd::run(Arc::clone(&node), settings, prefix, stopped.clone());
            tasks.push(tokio::spawn(pushing));
        }
        if let Some(listener) = https {
            let node = Arc::clone(&node);
            let serving = http::serve(node, listener, ports, stopped.clone());
            tasks.push(tokio::spawn(serving));
        }
        let needs_tls = node.options().tls.required == TlsRequired::Yes;
        match http {
            Some(listener) if needs_tls => {
                let port = https_port.unwrap_or(0);
                let refusing = http::serve_refusals(listener, port, stopped);
                tasks.push(tokio::spawn(refusing));
            }
            Some(listener) => {
                let serving = http::serve(Arc::clone(&node), listener, ports, stopped);
                tasks.push(tokio::spawn(serving));
            }
            None => {}
        }
        Ok(Self {
            node,
            tcp_address,
            http_address,
            stopping,
            tasks,
            timers,
        })
    }

    /// Where it listens for the TCP protocol.
    pub fn tcp_address(&self) -> &str {
        &self.tcp_address
    }

    /// Where it listens for HTTP, if it does.
    pub fn http_address(&self) -> Option<&str> {
        self.http_address.as_deref()
    }

    /// The node, for those who look inside.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Stops cleanly: ends every session, then writes all that must come back at the next start.
    ///
    /// # Errors
    /// Something could not be written; what could be was.
    pub async fn stop(self) -> io::Result<()> {
        self.node.begin_stop();
        // There may be no receiver left: then every task has ended.
        let _ = self.stopping.send(true);
        for task in self.tasks {
            // One that has panicked has ended too.
            let _ = task.await;
        }
        self.timers.abort();
        let node = Arc::clone(&self.node);
        let closing = tokio::task::spawn_blocking(move || node.close());
        closing.await.expect("closing does not panic")?;
        self.node.persist().await?;
        info!("NSQ: bye");
        Ok(())
    }
}

/// Listens for HTTPS, if there is a certificate and an address; says which TLS there is.
async fn listen_for_https(options: &Options) -> Result<Option<Listener>, BindError> {
    let Some(config) = &options.tls.config else {
        return Ok(None);
    };
    let (asked, lowest) = (options.tls.min_version, options.tls.min_version.effective());
    info!(%asked, %lowest, "TLS: with certificate; 1.2 is the oldest version there is");
    if options.https_address.is_empty() {
        return Ok(None);
    }
    let listener = Listener::bind(&options.https_address).await?;
    Ok(Some(listener.with_tls(Arc::clone(config))))
}
