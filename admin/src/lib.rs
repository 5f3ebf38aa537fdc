//! nsqadmin: what operators see of a cluster, and what they do to it.
//!
//! The way of a request: `http` finds out what is asked for and whether it may be; the `cluster` module asks every
//! nsqlookupd and nsqd concerned, all at once, and merges what they answer. Between two requests nothing of the cluster is
//! kept, but the counts that rates are made of. The README's section *Inside* has the map.

mod access;
mod cidr;
mod cluster;
pub mod error;
mod http;
mod notify;
pub mod options;
mod rates;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use client::daemon::listen::Listener;
use client::daemon::log::LogHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use access::Access;
pub use cidr::Cidr;
use cluster::Cluster;
pub use error::{OptionsError, StartError};
use http::Admin;
use notify::Notifier;
pub use options::{Flags, Options, Sources};
use rates::Rates;

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    http_address: String,
    stopping: watch::Sender<bool>,
    /// Ends when `stopping` says so.
    server: JoinHandle<()>,
    /// Ends when the server has, and what it was given is sent.
    notifier: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts: the port is opened, and then requests are answered. The cluster is first asked when somebody asks.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub async fn start(options: Options, log: LogHandle) -> Result<Self, StartError> {
        info!("{}", options::DAEMON.version());
        if !options.admin_users.is_empty() && options.trusted_proxies.is_empty() {
            warn!(
                "--admin-user without --trusted-proxy: nobody is believed to be one, so all is read-only"
            );
        }
        let listener = Listener::bind(&options.http_address).await?;
        let http_address = listener.local_address();
        let (notifier, notifier_task) = match options.notification_http_endpoint.clone() {
            Some(endpoint) => {
                let (notifier, task) = Notifier::start(endpoint, &options);
                (Some(notifier), Some(task))
            }
            None => (None, None),
        };
        let admin = Arc::new(Admin {
            base_path: options.base_path.clone(),
            access: Access::new(&options),
            cluster: Cluster::new(&options),
            notifier,
            rates: Rates::default(),
            log,
        });
        let (stopping, stopped) = watch::channel(false);
        Ok(Self {
            http_address,
            stopping,
            server: tokio::spawn(http::serve(admin, listener, stopped)),
            notifier: notifier_task,
        })
    }

    /// Where it listens: `ip:port`, or the path of a unix socket.
    pub fn http_address(&self) -> &str {
        &self.http_address
    }

    /// Stops: closes idle connections, gives requests under way a few seconds, then notifications not sent yet
    /// as many.
    pub async fn stop(self) {
        // There may be no receiver left: then the server has ended.
        let _ = self.stopping.send(true);
        // One that has panicked has ended too.
        let _ = self.server.await;
        if let Some(notifier) = self.notifier
            && timeout(NOTIFIER_GRACE, notifier).await.is_err()
        {
            warn!("notifications not sent yet are lost");
        }
        info!("bye");
    }
}

/// As long as requests under way are given, and for the same reason.
const NOTIFIER_GRACE: Duration = Duration::from_secs(3);
