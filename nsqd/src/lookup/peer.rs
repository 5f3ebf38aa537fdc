//! One nsqlookupd and the task that keeps it informed, whatever happens to it or to the others.
//!
//! The task holds no list of events. It knows what it has announced on this connection, is rung when topics or channels
//! come or go, looks at what there is now, and sends the difference: however long the peer is away or slow, what waits
//! for it is one ring. On a new connection nothing is announced yet, so everything is sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use client::wire::lookup::{LookupdInfo, PeerInfo};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::{info, warn};

use super::connection::{Connection, PeerError};
use super::registrations::Registrations;
use crate::node::Node;

const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How often everything is told again, so that what somebody deleted at the nsqlookupd by mistake comes back.
const REFRESH_INTERVAL: Duration = Duration::from_mins(1);
/// How long changes are gathered: a new topic and its first channel go together.
const GATHER: Duration = Duration::from_millis(5);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Short, so that a peer that is back knows everything again within 2 s.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// An nsqlookupd that is kept informed until this is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    status: watch::Receiver<Status>,
    task: JoinHandle<()>,
}

/// What is known of an nsqlookupd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// It was not reached yet; the first attempt is under way.
    Unknown,
    /// It knows everything; its HTTP API is at this `host:port`, if it told.
    Informed(Option<String>),
    /// It can't be reached, or refuses what it is told.
    Lost,
}

impl Peer {
    /// Starts to keep the nsqlookupd at `address` informed about `node`, which is reached as `about` tells.
    pub(super) fn start(address: String, node: Arc<Node>, about: PeerInfo) -> Self {
        let (status_tx, status) = watch::channel(Status::Unknown);
        let informer = Informer {
            changes: node.lookup().changes(),
            address,
            node,
            about,
            status: status_tx,
        };
        Self {
            status,
            task: tokio::spawn(informer.run()),
        }
    }

    /// What is known of it, from now on.
    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task.
struct Informer {
    address: String,
    node: Arc<Node>,
    about: PeerInfo,
    changes: watch::Receiver<()>,
    status: watch::Sender<Status>,
}

impl Informer {
    async fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let started = Instant::now();
            let Err(error) = self.converse().await;
            self.lost(&error);
            if started.elapsed() > 2 * BACKOFF_MAX {
                backoff = BACKOFF_MIN;
            }
            sleep(backoff.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// One connection, from its start to its end.
    async fn converse(&mut self) -> Result<Infallible, PeerError> {
        let (mut connection, info) = Connection::open(&self.address, &self.about).await?;
        let mut announced = Registrations::default();
        self.announce(&mut connection, &mut announced).await?;
        self.informed(&info);
        let now = Instant::now();
        let mut ping = interval_at(now + PING_INTERVAL, PING_INTERVAL);
        // Many nsqds connect at the same moment, when an nsqlookupd comes back; later they take turns.
        let first_refresh = now + REFRESH_INTERVAL.mul_f64(0.5 + fastrand::f64() / 2.0);
        let mut refresh = interval_at(first_refresh, REFRESH_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.changes.changed() => {
                    sleep(GATHER).await;
                    self.announce(&mut connection, &mut announced).await?;
                }
                _ = refresh.tick() => {
                    self.announce(&mut connection, &mut announced).await?;
                    connection.send(&announced.all_steps()).await?;
                }
                _ = ping.tick() => connection.ping().await?,
                error = connection.end() => return Err(error),
            }
        }
    }

    /// Brings the peer from what was announced to what there is now.
    async fn announce(
        &mut self,
        connection: &mut Connection,
        announced: &mut Registrations,
    ) -> Result<(), PeerError> {
        // Before looking, so that no change after the look is taken for seen.
        self.changes.mark_unchanged();
        let wanted = Registrations::of(&self.node.topics());
        connection.send(&announced.steps_to(&wanted)).await?;
        *announced = wanted;
        Ok(())
    }

    fn informed(&self, info: &LookupdInfo) {
        let http_address = http_address(info);
        info!(peer = %self.address, version = %info.version, "nsqlookupd informed");
        if http_address.is_none() {
            warn!(peer = %self.address, "nsqlookupd tells no address for HTTP; it is not asked for channels of new topics");
        }
        self.status.send_replace(Status::Informed(http_address));
    }

    /// Notes, once, that the peer is lost.
    fn lost(&self, error: &PeerError) {
        if self.status.send_replace(Status::Lost) != Status::Lost {
            warn!(peer = %self.address, %error, "nsqlookupd lost; it is tried again until it is back");
        }
    }
}

/// Where its HTTP API is, if it told an address to be reached by.
fn http_address(info: &LookupdInfo) -> Option<String> {
    let host = &info.broadcast_address;
    let port = u16::try_from(info.http_port)
        .ok()
        .filter(|port| *port > 0)?;
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    match host.as_str() {
        "" => None,
        _ if is_bare_ipv6 => Some(format!("[{host}]:{port}")),
        _ => Some(format!("{host}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_http_address_needs_a_host_and_a_port() {
        let check = |host: &str, http_port, expected: Option<&str>| {
            let info = LookupdInfo {
                broadcast_address: host.to_owned(),
                http_port,
                ..LookupdInfo::default()
            };
            assert_eq!(
                http_address(&info).as_deref(),
                expected,
                "{host} {http_port}"
            );
        };
        check("lookup.example", 4161, Some("lookup.example:4161"));
        check("10.0.0.1", 4161, Some("10.0.0.1:4161"));
        check("::1", 4161, Some("[::1]:4161"));
        check("[::1]", 4161, Some("[::1]:4161"));
        check("", 4161, None);
        check("lookup.example", 0, None);
        check("lookup.example", -1, None);
        check("lookup.example", 65536, None);
    }
}
