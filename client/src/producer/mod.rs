//! Publishing: one producer for any number of nsqds, which connects, reconnects, fails over and tells
//! of each publish whether it is stored.
//!
//! ```no_run
//! use std::time::Duration;
//! use client::producer::Producer;
//! use client::wire::TopicName;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder().nsqd("10.0.0.1:4150").nsqd("10.0.0.2:4150").build()?;
//! let orders = TopicName::parse("orders")?;
//!
//! producer.publish(&orders, "one coffee").await?;
//! producer.publish(&orders, "a cake, later").delay(Duration::from_secs(30)).await?;
//! producer.publish_many(&orders, ["tea", "milk"]).await?;
//!
//! let mut tickets = Vec::new();
//! for number in 0..1000 {
//!     tickets.push(producer.publish(&orders, format!("order {number}")).enqueue().await?);
//! }
//! for ticket in tickets {
//!     ticket.await?;
//! }
//! let report = producer.shutdown(Duration::from_secs(5)).await;
//! assert_eq!(report.unknown, 0);
//! # Ok(())
//! # }
//! ```
//!
//! **What `Ok` means.** An nsqd confirmed it. Nothing else reports success. Every error says through
//! [`PublishError::maybe_stored`] whether the message may be there in spite of it.
//!
//! **What is sent again by itself.** Always what certainly was not carried out: publishes behind one
//! that was refused, and those of a lost connection whose bytes had not all left. As the
//! [`RetryPolicy`] says: what an nsqd failed to store, and what is unknown.
//!
//! **Cancellation.** A [`Publish`] dropped before it is queued was never there; dropped later it goes
//! on, and its outcome is lost. [`Ticket`], [`Tickets`], [`Producer::flush`], [`Producer::ready`] and
//! [`Batcher::flush`] may be dropped at any time. [`Producer::shutdown`] dropped goes on in the
//! background until the deadlines of the publishes themselves; called on another clone it waits again.
//!
//! **The end.** Dropping the last [`Producer`] and [`Batcher`] lets what is queued be finished in the
//! background, as long as the runtime lives; [`Producer::shutdown`] waits for it and tells.
//!
//! ```text
//! Publish ─ enqueue ─▶ Hub (one short lock: State) ─ take ─▶ Session ─▶ socket
//!    Ticket ◀──────────── settle ◀───── Pipeline ◀─ answers ────┘
//! ```

mod batcher;
mod builder;
#[cfg(feature = "http")]
mod discovery;
mod error;
mod events;
mod generations;
mod hub;
mod job;
mod node;
mod parts;
mod pipeline;
mod policy;
mod publish;
mod publish_many;
mod session;
mod sink;
mod spare;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::{Address, ConnectError, ConnectionError};
use crate::typed::{Encode, TypedTopic};
use crate::wire::{Limits, TopicName};

pub use batcher::{BatchConfig, Batcher};
pub use builder::ProducerBuilder;
pub use error::{BuildError, Invalid, PublishError};
pub use events::Event;
pub use parts::{Part, PublishManyError, Tickets};
pub use policy::{RetryPolicy, Routing, WhenFull};
pub use publish::Publish;
pub use publish_many::PublishMany;
pub use sink::TopicSink;
pub use stats::{NodeStatus, ProducerReport, ProducerStats};
pub use ticket::{Receipt, Ticket};

use hub::Hub;

/// Publishes to one or more nsqds. A clone is the same producer.
#[derive(Clone, Debug)]
pub struct Producer {
    shared: Arc<Shared>,
}

/// What all clones of a producer share. The last one gone closes it.
#[derive(Debug)]
struct Shared {
    hub: Arc<Hub>,
    nodes: Vec<Arc<Address>>,
    limits: Limits,
    publish_timeout: Duration,
    retry: RetryPolicy,
    when_full: WhenFull,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl Producer {
    /// A producer to be set up: at least one [`ProducerBuilder::nsqd`], then
    /// [`ProducerBuilder::build`].
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder::default()
    }

    /// A producer for one nsqd, all else by default, once it is connected.
    ///
    /// # Errors
    /// As [`ProducerBuilder::build`]; [`BuildError::Connect`] when there is no connection within
    /// 10 s.
    pub async fn connect(nsqd: &str) -> Result<Producer, BuildError> {
        let producer = Producer::builder().nsqd(nsqd).build()?;
        let ready = producer.ready(Duration::from_secs(10)).await;
        ready.map_err(BuildError::Connect)?;
        Ok(producer)
    }

    fn new(shared: Shared) -> Producer {
        Producer {
            shared: Arc::new(shared),
        }
    }

    /// A message for this topic. Await it to know that it is stored.
    pub fn publish(&self, topic: &TopicName, body: impl Into<Bytes>) -> Publish<'_> {
        Publish::new(self, topic, Ok(body.into()))
    }

    /// Messages for this topic, in as few commands as possible.
    pub fn publish_many<I>(&self, topic: &TopicName, bodies: I) -> PublishMany<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        PublishMany::new(&self.shared, topic, bodies.into_iter())
    }

    /// A value for this topic, written by the topic's codec. What cannot be written is
    /// [`Invalid::Encode`].
    pub fn publish_value<T: ?Sized, C: Encode<T>>(
        &self,
        topic: &TypedTopic<T, C>,
        value: &T,
    ) -> Publish<'_> {
        let encoded = topic.codec().encode(value);
        let body = encoded.map_err(|error| Invalid::Encode(error.to_string()));
        Publish::new(self, topic.name(), body)
    }

    /// Merges the messages of many callers for this topic into MPUBs.
    pub fn batcher(&self, topic: &TopicName, config: BatchConfig) -> Batcher {
        Batcher::new(self.clone(), topic, config)
    }

    /// Waits until an nsqd is connected.
    ///
    /// # Errors
    /// Why the last attempt failed, when all nsqds refuse this client or the time is over.
    pub async fn ready(&self, within: Duration) -> Result<(), Arc<ConnectError>> {
        let hub = &self.shared.hub;
        match timeout(within, hub.until(state::State::readiness)).await {
            Ok(ready) => ready,
            Err(_) => Err(hub.state().last_error().unwrap_or_else(|| {
                Arc::new(ConnectError {
                    address: (*self.shared.nodes[0]).clone(),
                    cause: ConnectionError::TimedOut(within),
                })
            })),
        }
    }

    /// Waits until all publishes queued before are settled, whatever their outcome. What waits in a
    /// [`Batcher`] is not queued yet, see [`Batcher::flush`].
    pub async fn flush(&self) {
        let hub = &self.shared.hub;
        let ended = hub.state().generations.turn();
        hub.until(|state| state.generations.is_over(ended).then_some(()))
            .await;
    }

    /// Takes no further publishes, of any clone, and waits until what is pending is settled, for at
    /// most `deadline`. What is left then fails: unknown if it was sent, closed if not.
    pub async fn shutdown(self, deadline: Duration) -> ProducerReport {
        let hub = &self.shared.hub;
        hub.close();
        let deadline = Instant::now() + deadline;
        if timeout_at(deadline, hub.over()).await.is_err() {
            hub.abort();
            hub.until(|state| (state.stats.pending == 0).then_some(()))
                .await;
        }
        hub.state().stats.into()
    }

    /// How it stands with each nsqd, in the order given.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.shared.hub.state().statuses()
    }

    /// What was done so far.
    pub fn stats(&self) -> ProducerStats {
        self.shared.hub.state().stats
    }

    /// What happens from now on. A watcher that falls 256 events behind loses the oldest and is told
    /// how many.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.hub.events()
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }
}
