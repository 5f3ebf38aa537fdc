//! The settings of a producer.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::error::BuildError;
use super::hub::Hub;
use super::node::NodeTask;
use super::policy::{RetryPolicy, Routing, WhenFull};
use super::session::Patience;
use super::{Producer, Shared};
use crate::connection::{Address, AddressError, ConnectOptions};
use crate::reconnect::Reconnect;
use crate::wire::Limits;

/// The longest heartbeat interval that an nsqd gives unasked (`-max-heartbeat-interval`).
const HEARTBEAT_INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Settings of a producer, see [`Producer::builder`].
#[derive(Clone, Debug)]
#[must_use = "there is no producer until it is built"]
pub struct ProducerBuilder {
    nodes: Vec<String>,
    options: ConnectOptions,
    routing: Routing,
    retry: RetryPolicy,
    reconnect: Reconnect,
    limits: Limits,
    publish_timeout: Duration,
    reply_timeout: Duration,
    max_pending: (usize, usize),
    when_full: WhenFull,
}

impl Default for ProducerBuilder {
    fn default() -> ProducerBuilder {
        ProducerBuilder {
            nodes: Vec::new(),
            options: ConnectOptions::default(),
            routing: Routing::default(),
            retry: RetryPolicy::default(),
            reconnect: Reconnect::default(),
            limits: Limits::default(),
            publish_timeout: Duration::from_secs(10),
            reply_timeout: Duration::from_secs(10),
            max_pending: (1024, 64 * 1024 * 1024),
            when_full: WhenFull::default(),
        }
    }
}

impl ProducerBuilder {
    /// Adds an nsqd: `host:port`, or the path of a unix socket. To be called for each; one named
    /// twice counts once.
    pub fn nsqd(mut self, address: impl Into<String>) -> ProducerBuilder {
        self.nodes.push(address.into());
        self
    }

    /// How to connect: identity, secret and so on.
    pub fn options(mut self, options: ConnectOptions) -> ProducerBuilder {
        self.options = options;
        self
    }

    /// Which nsqd gets what. Default [`Routing::LeastPending`].
    pub fn routing(mut self, routing: Routing) -> ProducerBuilder {
        self.routing = routing;
        self
    }

    /// How often a publish is tried. Default three times, never with an unknown outcome.
    pub fn retry(mut self, retry: RetryPolicy) -> ProducerBuilder {
        self.retry = retry;
        self
    }

    /// How long to wait before an nsqd is tried again.
    pub fn reconnect(mut self, reconnect: Reconnect) -> ProducerBuilder {
        self.reconnect = reconnect;
        self
    }

    /// What the nsqds allow, if they were started with other limits than the defaults. A publish
    /// beyond is [`Invalid`](super::Invalid) here and never sent; nsqd would close the connection.
    pub fn limits(mut self, limits: Limits) -> ProducerBuilder {
        self.limits = limits;
        self
    }

    /// How long a publish may take in all, see [`Publish::timeout`](super::Publish::timeout).
    /// Default 10 s.
    pub fn publish_timeout(mut self, timeout: Duration) -> ProducerBuilder {
        self.publish_timeout = timeout;
        self
    }

    /// How long an nsqd may take to answer before its connection is given up and others get what is
    /// published. Default 10 s.
    pub fn reply_timeout(mut self, timeout: Duration) -> ProducerBuilder {
        self.reply_timeout = timeout;
        self
    }

    /// How many publishes, and bytes of messages in them, may wait or be unanswered. Default 1024
    /// and 64 MiB. A publish of more bytes than that waits until nothing else is pending.
    pub fn max_pending(mut self, publishes: usize, bytes: usize) -> ProducerBuilder {
        self.max_pending = (publishes, bytes);
        self
    }

    /// What a publish does beyond [`ProducerBuilder::max_pending`]. Default it waits.
    pub fn when_full(mut self, when_full: WhenFull) -> ProducerBuilder {
        self.when_full = when_full;
        self
    }

    /// Starts the producer. It connects in the background, at once and again whenever a connection
    /// is lost; publishes wait for that.
    ///
    /// # Errors
    /// The settings cannot be, or there is no tokio runtime.
    pub fn build(self) -> Result<Producer, BuildError> {
        let nodes = addresses(&self.nodes)?;
        let (publishes, bytes) = self.max_pending;
        if publishes == 0 || bytes == 0 {
            return Err(BuildError::NoRoom { publishes, bytes });
        }
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let hub = Arc::new(Hub::new(nodes.clone(), self.routing, publishes, bytes));
        let patience = Patience {
            answer: self.reply_timeout,
            silence: silence(self.options.identify.heartbeat_interval),
        };
        let options = Arc::new(self.options);
        for (index, address) in nodes.iter().enumerate() {
            let task = NodeTask {
                hub: Arc::clone(&hub),
                index,
                address: Arc::clone(address),
                options: Arc::clone(&options),
                reconnect: self.reconnect,
                patience,
            };
            runtime.spawn(task.run());
        }
        let watched = Arc::clone(&hub);
        runtime.spawn(async move { watched.watch_deadlines().await });
        Ok(Producer::new(Shared {
            hub,
            nodes,
            limits: self.limits,
            publish_timeout: self.publish_timeout,
            retry: self.retry,
            when_full: self.when_full,
        }))
    }
}

fn addresses(texts: &[String]) -> Result<Vec<Arc<Address>>, BuildError> {
    let mut addresses: Vec<Arc<Address>> = Vec::new();
    for text in texts {
        let address = text.parse().map_err(|error: AddressError| error)?;
        if !addresses.iter().any(|known| **known == address) {
            addresses.push(Arc::new(address));
        }
    }
    if addresses.is_empty() {
        return Err(BuildError::NoNodes);
    }
    Ok(addresses)
}

/// How long an nsqd with this heartbeat interval (ms, as in IDENTIFY) says nothing at most: two
/// intervals.
fn silence(heartbeat_interval: Option<i64>) -> Option<Duration> {
    match heartbeat_interval.unwrap_or(0) {
        0 => Some(2 * HEARTBEAT_INTERVAL_MAX),
        interval => u64::try_from(interval)
            .ok()
            .map(|ms| 2 * Duration::from_millis(ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn settings_that_cannot_be_are_named() {
        let check = |builder: ProducerBuilder, text: &str| {
            assert_eq!(builder.build().unwrap_err().to_string(), text);
        };
        let builder = Producer::builder;
        check(
            builder(),
            "a producer needs the address of at least one nsqd",
        );
        check(
            builder().nsqd("here"),
            "\"here\" is no address; allowed are host:port, [IPv6]:port and the path of a unix \
             socket with a '/'",
        );
        check(
            builder().nsqd("a:1").max_pending(0, 1),
            "max_pending is 0 publishes and 1 bytes; both must be above 0",
        );
    }

    #[test]
    fn without_a_runtime_there_is_no_producer() {
        let built = Producer::builder().nsqd("a:1").build();
        assert!(matches!(built, Err(BuildError::NoRuntime)));
    }

    #[test]
    fn an_nsqd_named_twice_counts_once() {
        let texts = ["a:1", "b:1", "a:1"].map(str::to_owned);
        assert_eq!(addresses(&texts).unwrap().len(), 2);
    }

    #[test]
    fn silence_is_two_heartbeats() {
        assert_eq!(silence(Some(1000)), Some(Duration::from_secs(2)));
        assert_eq!(silence(None), Some(Duration::from_mins(2)));
        assert_eq!(silence(Some(-1)), None);
    }
}
