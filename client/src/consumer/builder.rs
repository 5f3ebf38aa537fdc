//! What a consumer is made of.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::timeout;

use super::Consumer;
use super::answer::{OnDrop, Requeue, RequeueDelay};
use super::backoff::Backoff;
use super::buffer::Buffer;
#[cfg(feature = "http")]
use super::discovery::{Filter, Lookupd, Polling};
use super::error::ConsumerError;
use super::events::EVENTS_KEPT;
use super::exhausted::Exhausted;
use super::flow::Flow;
use super::node::HEARTBEAT_MS;
use super::ready::Rules;
use super::shared::{Shared, Steering};
use super::stats::Counters;
use super::supervisor::{Census, Supervisor};
use crate::connection::{Address, ConnectOptions};
#[cfg(feature = "http")]
use crate::http::{Client, Limits, Producer};
use crate::reconnect::Reconnect;
use crate::wire::{ChannelName, TopicName};

/// What [`ConsumerBuilder::start`] waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectPolicy {
    /// Nothing: connections come about in the background.
    #[default]
    Lazy,
    /// One connection, for at most so long.
    RequireAny(Duration),
    /// A connection to every nsqd that was named or found, for at most so long.
    RequireAll(Duration),
}

/// Settings of a consumer; see [`Consumer::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct ConsumerBuilder {
    topic: TopicName,
    channel: ChannelName,
    nsqds: Vec<String>,
    #[cfg(feature = "http")]
    lookupds: Vec<String>,
    #[cfg(feature = "http")]
    polling: Polling,
    connect: ConnectOptions,
    policy: ConnectPolicy,
    reconnect: Reconnect,
    max_in_flight: u32,
    rules: Rules,
    backoff: Backoff,
    requeue_delay: RequeueDelay,
    attempts_max: Option<NonZeroU16>,
    exhausted: Exhausted,
    on_drop: OnDrop,
}

impl ConsumerBuilder {
    pub(super) fn new(topic: TopicName, channel: ChannelName) -> ConsumerBuilder {
        ConsumerBuilder {
            topic,
            channel,
            nsqds: Vec::new(),
            #[cfg(feature = "http")]
            lookupds: Vec::new(),
            #[cfg(feature = "http")]
            polling: Polling {
                interval: Duration::from_mins(1),
                jitter: 0.3,
                client: Client::new(Limits::default()),
                filter: Arc::new(|producers| producers),
            },
            connect: ConnectOptions::default(),
            policy: ConnectPolicy::Lazy,
            reconnect: Reconnect::default(),
            max_in_flight: 32,
            rules: Rules::default(),
            backoff: Backoff::default(),
            requeue_delay: RequeueDelay {
                unit: Duration::from_secs(90),
                longest: Duration::from_mins(15),
            },
            attempts_max: None,
            exhausted: Exhausted::Requeue(Requeue::AUTO),
            on_drop: OnDrop::default(),
        }
    }

    /// Consumes from this nsqd, `host:port` or the path of a unix socket. May be called again for
    /// others.
    pub fn nsqd(mut self, address: impl Into<String>) -> ConsumerBuilder {
        self.nsqds.push(address.into());
        self
    }

    /// Consumes from all nsqds that have the topic, as this nsqlookupd tells: `host:port` of its
    /// HTTP API. May be called again for others; all are asked, and what any of them lists is
    /// consumed from.
    #[cfg(feature = "http")]
    pub fn lookupd(mut self, address: impl Into<String>) -> ConsumerBuilder {
        self.lookupds.push(address.into());
        self
    }

    /// How often nsqlookupds are asked; each question is moved by up to ±15 % by chance, and
    /// comes at once after a connection is lost. Default 1 min (`lookupd_poll_interval`).
    #[cfg(feature = "http")]
    pub fn lookupd_interval(mut self, interval: Duration) -> ConsumerBuilder {
        self.polling.interval = interval;
        self
    }

    /// Who asks nsqlookupds, and for how long. Default a [`Client`] within [`Limits::default`].
    #[cfg(feature = "http")]
    pub fn lookupd_client(mut self, client: Client) -> ConsumerBuilder {
        self.polling.client = client;
        self
    }

    /// Chooses among the nsqds that an nsqlookupd lists: those of one's own zone, for example.
    #[cfg(feature = "http")]
    pub fn discovery_filter(
        mut self,
        filter: impl Fn(Vec<Producer>) -> Vec<Producer> + Send + Sync + 'static,
    ) -> ConsumerBuilder {
        let filter: Filter = Arc::new(filter);
        self.polling.filter = filter;
        self
    }

    /// How to connect: timeout, TLS, compression, secret, and what IDENTIFY says. A heartbeat
    /// every 30 s is asked for unless it says otherwise.
    pub fn options(mut self, options: ConnectOptions) -> ConsumerBuilder {
        self.connect = options;
        self
    }

    /// What [`ConsumerBuilder::start`] waits for. Default nothing.
    pub fn connect_policy(mut self, policy: ConnectPolicy) -> ConsumerBuilder {
        self.policy = policy;
        self
    }

    /// The delays before an nsqd that was lost, or never reached, is tried again.
    pub fn reconnect(mut self, reconnect: Reconnect) -> ConsumerBuilder {
        self.reconnect = reconnect;
        self
    }

    /// Most messages that this consumer holds at a time, of all nsqds together; 0 is a pause.
    /// Default 32. It should be what the application works on at once, and for speed as much as
    /// it does within a round trip.
    pub fn max_in_flight(mut self, count: u32) -> ConsumerBuilder {
        self.max_in_flight = count;
        self
    }

    /// With fewer messages in flight than connections, one that brings no message for so long
    /// gives its turn to another. Default 10 s (`low_rdy_idle_timeout`).
    pub fn idle_timeout(mut self, timeout: Duration) -> ConsumerBuilder {
        self.rules.idle_timeout = timeout;
        self
    }

    /// Likewise one that brings messages, so that none is left out. Default 30 s
    /// (`low_rdy_timeout`).
    pub fn turn_timeout(mut self, timeout: Duration) -> ConsumerBuilder {
        self.rules.turn_timeout = timeout;
        self
    }

    /// How long nsqd waits for an answer before it hands a message out again, between 1 s and its
    /// `-max-msg-timeout`. Default as the nsqd has it.
    pub fn msg_timeout(mut self, timeout: Duration) -> ConsumerBuilder {
        self.connect.identify.msg_timeout = i64::try_from(timeout.as_millis()).ok();
        self
    }

    /// The percentage of messages to take, 1 to 99. nsqd **throws the others away**: it does not
    /// keep them for other consumers of the channel, so use a channel of one's own.
    pub fn sample_rate(mut self, percent: u8) -> ConsumerBuilder {
        self.connect.identify.sample_rate = Some(percent.into());
        self
    }

    /// What happens when messages fail. Default [`Backoff::exponential`].
    pub fn backoff(mut self, backoff: Backoff) -> ConsumerBuilder {
        self.backoff = backoff;
        self
    }

    /// The delay of [`Requeue::AUTO`]: `unit` × attempts, at most `longest`. Default 90 s and
    /// 15 min (`default_requeue_delay`, `max_requeue_delay`).
    pub fn requeue_delay(mut self, unit: Duration, longest: Duration) -> ConsumerBuilder {
        self.requeue_delay = RequeueDelay { unit, longest };
        self
    }

    /// How often a message is handed to the application, and what becomes of it then. Default no
    /// limit: unlike with the reference, which silently finishes a message after 5 attempts,
    /// nothing is given up unless this says so.
    pub fn max_attempts(mut self, count: NonZeroU16, then: Exhausted) -> ConsumerBuilder {
        self.attempts_max = Some(count);
        self.exhausted = then;
        self
    }

    /// What becomes of a message that is dropped without an answer. Default as if it failed.
    pub fn on_drop(mut self, on_drop: OnDrop) -> ConsumerBuilder {
        self.on_drop = on_drop;
        self
    }

    /// Backs off and spreads ready counts as the Go client does: [`Backoff::go_compat`], and
    /// counts are raised at once, so that messages in flight exceed the maximum for a moment while
    /// shares move between connections.
    pub fn go_compat(mut self) -> ConsumerBuilder {
        self.backoff = Backoff::go_compat();
        self.rules.eager = true;
        self
    }

    /// Starts the consumer on the current tokio runtime, and waits for what
    /// [`ConsumerBuilder::connect_policy`] demands.
    ///
    /// Cancel safe: dropped early, everything it started ends.
    ///
    /// # Errors
    /// An address is none, there is none at all, the nsqds that matter refused, or the policy was
    /// not fulfilled in time.
    pub async fn start(self) -> Result<Consumer, ConsumerError> {
        let policy = self.policy;
        let (consumer, mut census) = self.spawn()?;
        let (patience, all) = match policy {
            ConnectPolicy::Lazy => return Ok(consumer),
            ConnectPolicy::RequireAny(patience) => (patience, false),
            ConnectPolicy::RequireAll(patience) => (patience, true),
        };
        let settled = |census: &Census| {
            let none_missing = census.complete && census.missing.is_empty();
            let some = census.connected > 0;
            let enough = if all { some && none_missing } else { some };
            enough || census.refused.is_some() && (all || none_missing)
        };
        let reached = timeout(patience, census.wait_for(settled)).await.is_ok();
        let census = census.borrow().clone();
        match census.refused {
            Some(refused) if all || census.connected == 0 => Err(refused),
            _ if reached => Ok(consumer),
            _ => Err(not_connected(&census)),
        }
    }

    fn spawn(mut self) -> Result<(Consumer, watch::Receiver<Census>), ConsumerError> {
        let nsqds: Result<Vec<Address>, _> = self.nsqds.iter().map(|text| text.parse()).collect();
        let nsqds = nsqds?;
        if nsqds.is_empty() && !self.has_lookupd() {
            return Err(ConsumerError::NoSource);
        }
        let identify = &mut self.connect.identify;
        let heartbeat = i64::try_from(HEARTBEAT_MS).expect("30000 fits");
        identify.heartbeat_interval.get_or_insert(heartbeat);

        let requests = mpsc::channel(REQUESTS_MAX);
        let requests_tx = requests.0.clone();
        let census = watch::Sender::default();
        let census_rx = census.subscribe();
        let shared = Arc::new(Shared {
            topic: self.topic.clone(),
            channel: self.channel.clone(),
            connect: self.connect.clone(),
            reconnect: self.reconnect,
            requeue_delay: self.requeue_delay,
            attempts_max: self.attempts_max,
            exhausted: self.exhausted.clone(),
            on_drop: self.on_drop,
            buffer: Buffer::default(),
            counters: Counters::default(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            steering: Mutex::new(Steering {
                flow: Flow::new(self.max_in_flight, self.backoff.clone(), self.rules),
                sessions: HashMap::new(),
            }),
            flow_timer: Notify::new(),
            stop: watch::Sender::new(None),
            end: watch::Sender::new(None),
        });
        let mut supervisor = Supervisor::new(shared.clone(), requests, census);
        for address in nsqds {
            supervisor.consume_from(address);
        }
        self.ask_lookupds(&mut supervisor);
        tokio::spawn(supervisor.run());
        Ok((Consumer::new(shared, requests_tx), census_rx))
    }

    #[cfg(feature = "http")]
    fn has_lookupd(&self) -> bool {
        !self.lookupds.is_empty()
    }

    #[cfg(not(feature = "http"))]
    fn has_lookupd(&self) -> bool {
        false
    }

    #[cfg(feature = "http")]
    fn ask_lookupds(self, supervisor: &mut Supervisor) {
        for address in self.lookupds {
            let polling = self.polling.clone();
            supervisor.ask(Lookupd { address, polling });
        }
    }

    #[cfg(not(feature = "http"))]
    fn ask_lookupds(self, _: &mut Supervisor) {}
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("topic", &self.topic)
            .field("channel", &self.channel)
            .field("nsqds", &self.nsqds)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// How many requests wait for the supervisor.
const REQUESTS_MAX: usize = 64;

fn not_connected(census: &Census) -> ConsumerError {
    let addresses = census
        .missing
        .iter()
        .map(|(address, _)| address.to_string());
    let missing = addresses.collect::<Vec<_>>().join(", ");
    ConsumerError::NotConnected {
        missing: if missing.is_empty() {
            "any nsqd; none is known to have the topic".to_owned()
        } else {
            missing
        },
        cause: census.missing.iter().find_map(|(_, cause)| cause.clone()),
    }
}
