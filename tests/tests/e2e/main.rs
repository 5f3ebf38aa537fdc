//! What a user of nsqd sees, tried on the real program: one module per behaviour.
#![expect(
    clippy::unwrap_used,
    reason = "everything here is a test or serves one"
)]

mod auth;
mod auth_tls;
mod bounds;
mod churn;
mod completeness;
mod compression;
mod config;
mod crash;
mod deferred;
mod delivery;
mod descriptors;
mod discovery;
mod durability;
mod ephemeral;
mod faults;
mod http;
mod http_errors;
mod identify;
mod import;
mod latency;
mod limits;
mod names;
mod overload;
mod pause;
mod peek;
mod protocol_errors;
mod publish;
mod restart;
mod slow_peers;
mod start;
mod stats;
mod statsd;
mod stop;
mod timeouts;
mod tls;
mod topology;
