//! Asking the daemons over HTTP (feature `http`): one question, one bounded answer, a deadline for each part.
//!
//! - [`Client`]: the bare question, over connections that are kept and, where an nsqd demands it, over HTTPS;
//! - [`Nsqd`], [`Lookupd`]: what an nsqd and an nsqlookupd can be asked, with answers as values;
//! - [`Action`]: what both can be told to do to a topic or a channel.
//!
//! ```no_run
//! use client::http::{Client, Limits, StatsQuery};
//!
//! # async fn ask() -> Result<(), client::http::RequestError> {
//! let client = Client::new(Limits::default());
//! for node in client.lookupd("127.0.0.1:4161").nodes().await? {
//!     let stats = client.nsqd(&node.http_address()).stats(&StatsQuery::default()).await?;
//!     println!("{}: {} topics", node.broadcast_address, stats.topics.len());
//! }
//! # Ok(())
//! # }
//! ```

mod action;
mod client;
mod error;
mod lookupd;
mod nsqd;
mod query;
mod stats;

pub use action::{Action, Verb};
pub use client::{Client, Limits};
pub use error::{Fault, RequestError};
pub use lookupd::{Lookup, Lookupd, Producer};
pub use nsqd::{Info, Nsqd, StatsQuery};
pub use stats::{ChannelStats, ClientStats, Latency, Percentile, Stats, TopicStats};

use serde::{Deserialize, Deserializer};

/// `null` is the default too: versions differ in what they leave out.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A port; 0 for those that are none, such as the reference's -1 of a unix socket.
fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let port: Option<i64> = Option::deserialize(deserializer)?;
    Ok(port.and_then(|port| port.try_into().ok()).unwrap_or(0))
}

/// `host:port`; an IPv6 address gets the brackets that it needs before a port.
fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests;
