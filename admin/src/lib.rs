//! nsqadmin: what operators see of a cluster, and what they do to it.
//!
//! The way of a request: `http` finds out what is asked for and whether it may be; the `cluster` module asks every
//! nsqlookupd and nsqd concerned, all at once, and merges what they answer. Beside that, one task looks at every nsqd again and
//! again (`sample`); from what it sees come the history, the alerts and the live figures. The README's section *Inside* has the
//! map.

mod access;
mod alerts;
mod audit;
mod cidr;
mod cluster;
pub mod error;
mod history;
mod http;
mod live;
mod notify;
pub mod options;
pub mod password;
mod people;
mod sample;
pub mod session;
#[cfg(test)]
mod testing;
mod units;

use std::sync::Arc;
use std::time::Duration;

use client::daemon::listen::Listener;
use client::daemon::log::LogHandle;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{info, warn};

use access::Access;
use alerts::{Alert, Alerts};
use audit::Audit;
pub use cidr::Cidr;
use cluster::upstream::Upstream;
use cluster::{Cluster, unix_seconds};
pub use error::{OptionsError, StartError};
use history::History;
use http::Admin;
use http::tail::Tails;
use live::{Hub, Scene};
use notify::{Notification, Notifier};
pub use options::{Flags, Options, Sources};
use people::People;
use sample::Sample;
use sample::sampler::{self, Sinks};
use session::{Passwords, Sessions};

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    http_address: String,
    stopping: watch::Sender<bool>,
    /// Ends when `stopping` says so.
    server: JoinHandle<()>,
    /// The sampler, the live figures, and who tells of alerts; they end likewise.
    watchers: JoinSet<()>,
    /// Ends when the server has, and what it was given is sent.
    notifier: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts: the port is opened, and from then on requests are answered and the cluster is looked at.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on, or the password file cannot be used.
    pub async fn start(options: Options, log: LogHandle) -> Result<Self, StartError> {
        info!("{}", options::DAEMON.version());
        if !options.admin_users.is_empty() && options.trusted_proxies.is_empty() {
            warn!(
                "--admin-user without --trusted-proxy: nobody is believed to be one, so all is read-only"
            );
        }
        let listener = Listener::bind(&options.http_address).await?;
        let http_address = listener.local_address();
        let passwords = options.password_file.as_deref().map(Passwords::read);
        let sessions = passwords.transpose()?;
        let sessions = sessions.map(|known| Sessions::new(known, options.session_timeout));
        let endpoint = options.notification_http_endpoint.clone();
        let notifier = endpoint.map(|endpoint| Notifier::start(endpoint, &options));
        let (notifier, notifier_task) = notifier.unzip();

        let (stopping, stopped) = watch::channel(false);
        let mut watchers = JoinSet::new();
        let sinks = Sinks {
            history: Arc::new(History::new(
                options.history_series_max,
                options.sample_interval,
            )),
            alerts: Arc::new(Alerts::default()),
        };
        let cluster = Cluster::new(&options);
        let hurried = cluster.asking_through(sampler::upstream(&options));
        let (samples_tx, samples) = watch::channel(Arc::new(Sample::default()));
        let scene = Scene {
            cluster: hurried.clone(),
            alerts: Arc::clone(&sinks.alerts),
            samples,
        };
        let hub = Arc::new(Hub::new(options.live_viewers_max));
        if let Some(notifier) = notifier.clone() {
            let via = options.hostname.clone();
            let changes = sinks.alerts.changes();
            watchers.spawn(tell_alerts(changes, notifier, via, stopped.clone()));
        }
        let admin = Arc::new(Admin {
            base_path: options.base_path.clone(),
            access: Access::new(&options, sessions),
            cluster,
            upstream: Upstream::new(&options),
            audit: Audit::new(options.hostname.clone(), notifier),
            history: Arc::clone(&sinks.history),
            scene: scene.clone(),
            hub: Arc::clone(&hub),
            people: People::default(),
            tails: Tails::new(stopped.clone()),
            graphite: options.graphite.clone(),
            statsd: options.statsd.clone(),
            dev_static_dir: options.dev_static_dir.clone(),
            config: options.config.clone(),
            log,
        });
        let ending = stopped.clone();
        watchers.spawn(async move { hub.run(scene, ending).await });
        watchers.spawn(sampler::run(
            options,
            hurried,
            sinks,
            samples_tx,
            stopped.clone(),
        ));
        Ok(Self {
            http_address,
            stopping,
            server: tokio::spawn(http::serve(admin, listener, stopped)),
            watchers,
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
        self.watchers.join_all().await;
        if let Some(notifier) = self.notifier
            && timeout(NOTIFIER_GRACE, notifier).await.is_err()
        {
            warn!("notifications not sent yet are lost");
        }
        info!("bye");
    }
}

/// Tells the endpoint of alerts that begin and end. More at a time than it keeps up with are not told.
async fn tell_alerts(
    mut changes: broadcast::Receiver<Alert>,
    notifier: Notifier,
    via: String,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let alert = match change {
            Ok(alert) => alert,
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        notifier.notify(Notification {
            action: if alert.is_firing {
                "alert_begins"
            } else {
                "alert_ends"
            },
            topic: alert.topic,
            channel: alert.channel,
            node: alert.node,
            timestamp: unix_seconds(),
            via: via.clone(),
            result: alert.text,
            detail: alert.id,
            ..Notification::default()
        });
    }
}

/// As long as requests under way are given, and for the same reason.
const NOTIFIER_GRACE: Duration = Duration::from_secs(3);
