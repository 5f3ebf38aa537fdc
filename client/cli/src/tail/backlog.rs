//! Whether a topic would hand what waits in it to a channel that goes with its consumer: the first channel of a topic gets
//! its backlog.

use std::time::Duration;

use client::connection::Address;
use client::http::{Client, Limits, Producer, StatsQuery};
use client::wire::TopicName;

use crate::link::Sources;

/// How long a daemon may take to answer. This is asked before anything is printed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What waits in a topic for its first channel, the worse the greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backlog {
    /// Nothing: the topic is empty or new, or a channel has got it already.
    None,
    /// It cannot be known, and why.
    Unknown(String),
    /// Messages.
    Waiting,
}

/// Looks for a backlog of `topic` on all nsqds of `sources`. Those that were named are asked at `nsqd_http_addresses`, or
/// without any at the port behind that for TCP, as nsqd has it by default.
pub(crate) async fn backlog(
    sources: &Sources,
    nsqd_http_addresses: &[String],
    topic: &TopicName,
) -> Backlog {
    let client = Client::new(Limits {
        timeout: TIMEOUT,
        connect_timeout: TIMEOUT,
        ..Limits::default()
    });
    let mut worst = Backlog::None;
    for address in nsqd_http_addresses {
        worst = worst.max(of_nsqd(&client, address, topic).await);
    }
    for address in &sources.lookupd_http_address {
        worst = worst.max(of_lookupd(&client, address, topic).await);
    }
    if nsqd_http_addresses.is_empty() {
        for address in &sources.nsqds() {
            worst = worst.max(of_neighbour(&client, address, topic).await);
        }
    }
    worst
}

async fn of_lookupd(client: &Client, address: &str, topic: &TopicName) -> Backlog {
    let lookup = match client.lookupd(address).lookup(topic).await {
        Ok(lookup) => lookup.unwrap_or_default(),
        Err(error) => return Backlog::Unknown(format!("{}: {}", error.address, error.fault)),
    };
    let mut worst = Backlog::None;
    for address in lookup.producers.iter().map(Producer::http_address) {
        let backlog = match of_nsqd(client, &address, topic).await {
            // It is known at least that nobody has got anything.
            Backlog::Unknown(_) if lookup.channels.is_empty() => Backlog::Waiting,
            backlog => backlog,
        };
        worst = worst.max(backlog);
    }
    worst
}

/// Of an nsqd whose HTTP API has to be found.
async fn of_neighbour(client: &Client, address: &Address, topic: &TopicName) -> Backlog {
    let unknown = |why: &str| Backlog::Unknown(format!("{address}: {why}"));
    let parts = match address {
        Address::Tcp(address) => address.rsplit_once(':'),
        Address::Unix(_) => None,
    };
    let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts else {
        return unknown("the address of its HTTP API is unknown");
    };
    let http = format!("{host}:{}", port.saturating_add(1));
    match client.nsqd(&http).info().await {
        Ok(info) if info.tcp_port == port => of_nsqd(client, &http, topic).await,
        _ => unknown(&format!("its HTTP API is not at {http}")),
    }
}

async fn of_nsqd(client: &Client, address: &str, topic: &TopicName) -> Backlog {
    let wanted = StatsQuery {
        topic: Some(topic),
        ..StatsQuery::default()
    };
    let stats = match client.nsqd(address).stats(&wanted).await {
        Ok(stats) => stats,
        Err(error) => return Backlog::Unknown(format!("{}: {}", error.address, error.fault)),
    };
    let mut topics = stats.topics.iter();
    let waits = topics.any(|found| {
        found.topic_name == topic.as_str() && found.channels.is_empty() && found.depth > 0
    });
    if waits {
        Backlog::Waiting
    } else {
        Backlog::None
    }
}
