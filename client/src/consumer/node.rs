//! The task of one nsqd: connects, subscribes, serves, and connects again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::error::{ConsumerError, is_permanent};
use super::events::Event;
use super::link::Link;
use super::session::Session;
use super::shared::Shared;
use crate::connection::{Address, ConnectError, Connection, ConnectionError};

/// How an nsqd is done with.
#[derive(Debug)]
pub(super) enum NodeEnd {
    /// As was asked for.
    Stopped,
    /// It broke, and no nsqlookupd lists it any more.
    Unlisted,
    /// It refused for good.
    Refused(ConsumerError),
}

/// Whether an nsqd is there.
#[derive(Clone, Debug)]
pub(super) enum Contact {
    /// It is subscribed to.
    Made,
    /// It is not; why, once it was tried.
    None(Option<Arc<ConnectionError>>),
}

/// One nsqd.
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: watch::Receiver<Option<Instant>>,
    /// Whether to connect again after a loss.
    pub(super) wanted: watch::Receiver<bool>,
    /// Whether it is there.
    pub(super) contact: watch::Sender<Contact>,
    /// Rung when that changes.
    pub(super) moved: Arc<Notify>,
    /// Told of each loss: maybe an nsqlookupd knows a replacement.
    pub(super) lost: watch::Sender<()>,
}

/// A connection that held for so long starts the delays anew.
const HEALTHY: Duration = Duration::from_secs(30);

impl Node {
    /// Runs until nothing more is to be had from this nsqd.
    pub(super) async fn run(mut self) -> NodeEnd {
        let mut failures = 0;
        loop {
            let connection = tokio::select! {
                connection = self.connect() => connection,
                () = stopped(self.stop.clone()) => return NodeEnd::Stopped,
            };
            let started = Instant::now();
            let error = match connection {
                Ok(connection) => self.serve(connection).await.err(),
                Err(error) if is_permanent(&error.cause, failures + 1) => {
                    tracing::warn!(nsqd = %self.address, error = %error.cause, "refused for good");
                    return NodeEnd::Refused(ConsumerError::refused(error));
                }
                Err(error) => Some(error),
            };
            let cause = error.map(|error| Arc::new(error.cause));
            self.set_contact(Contact::None(cause.clone()));
            let Some(cause) = cause.filter(|_| self.stop.borrow().is_none()) else {
                return NodeEnd::Stopped;
            };
            failures = if started.elapsed() < HEALTHY {
                failures + 1
            } else {
                1
            };
            if !self.pause(failures, &cause).await {
                return NodeEnd::Unlisted;
            }
        }
    }

    /// Waits before the next attempt; false if there is none.
    async fn pause(&mut self, failures: u32, cause: &ConnectionError) -> bool {
        let wanted = *self.wanted.borrow();
        let delay = wanted.then(|| self.shared.reconnect.delay(failures));
        self.tell_disconnected(cause, delay);
        self.lost.send_replace(());
        let Some(delay) = delay else { return false };
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = self.stop.changed() => {}
        }
        true
    }

    fn tell_disconnected(&self, cause: &ConnectionError, reconnecting_in: Option<Duration>) {
        let reason = cause.to_string();
        tracing::info!(nsqd = %self.address, error = reason, ?reconnecting_in, "not connected");
        self.shared.tell(Event::Disconnected {
            address: self.address.clone(),
            reason,
            reconnecting_in,
        });
    }

    /// Connects and subscribes.
    async fn connect(&self) -> Result<Connection, ConnectError> {
        let shared = &self.shared;
        let mut connection = Connection::connect(&self.address, &shared.connect).await?;
        let patience = shared.connect.timeout;
        let names = (shared.topic.as_name(), shared.channel.as_name());
        let subscribed = timeout(patience, connection.subscribe(names.0, names.1)).await;
        subscribed
            .unwrap_or(Err(ConnectionError::TimedOut(patience)))
            .map_err(|cause| self.error(cause))?;
        Ok(connection)
    }

    /// Consumes over a connection until it is over.
    async fn serve(&self, connection: Connection) -> Result<(), ConnectError> {
        static SESSIONS: AtomicU64 = AtomicU64::new(0);
        let shared = &self.shared;
        let settled = connection.settled();
        let ceiling = u32::try_from(settled.max_rdy_count).unwrap_or(u32::MAX);
        let session = Arc::new(Session::new(
            SESSIONS.fetch_add(1, Ordering::Relaxed),
            self.address.clone(),
            settled,
            shared.clone(),
        ));
        let halves = connection.split();
        let mut link = Link::new(
            session.clone(),
            halves,
            self.stop.clone(),
            heartbeat(shared),
        );
        tracing::info!(nsqd = %self.address, topic = %shared.topic, "subscribed");
        shared.connected(session, ceiling);
        self.set_contact(Contact::Made);
        let served = link.run().await;
        if served.is_ok() {
            shared.counters.abandoned.add(link.in_flight().into());
        }
        link.end();
        served.map_err(|cause| self.error(cause))
    }

    fn set_contact(&self, contact: Contact) {
        self.contact.send_replace(contact);
        self.moved.notify_one();
    }

    fn error(&self, cause: ConnectionError) -> ConnectError {
        let address = self.address.clone();
        ConnectError { address, cause }
    }
}

/// How often nsqd shows that it is alive.
fn heartbeat(shared: &Shared) -> Duration {
    let asked = shared.connect.identify.heartbeat_interval;
    let asked = asked.and_then(|millis| u64::try_from(millis).ok());
    Duration::from_millis(asked.filter(|millis| *millis > 0).unwrap_or(HEARTBEAT_MS))
}

/// What the builder asks for unless the options say otherwise, in milliseconds.
pub(super) const HEARTBEAT_MS: u64 = 30_000;

async fn stopped(mut stop: watch::Receiver<Option<Instant>>) {
    // A consumer that is gone is a stop as well.
    let _ = stop.wait_for(Option::is_some).await;
}
