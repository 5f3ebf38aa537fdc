//! The HTTP API: the table of routes. Sizes, deadlines and the form of answers are `client::daemon::http`'s.
//!
//! | request | answer | in |
//! | --- | --- | --- |
//! | GET `/ping`, `/info` | is it well; what is it | `info.rs` |
//! | GET `/stats`, `/metrics` | what it did, for people, tools and Prometheus | `stats.rs` |
//! | POST `/pub`, `/mpub` | takes one message, or many | `publish.rs` |
//! | POST `/topic/create`, `delete`, `empty`, `pause`, `unpause` | done | `topics.rs` |
//! | POST `/channel/create`, `delete`, `empty`, `pause`, `unpause` | done | `channels.rs` |
//! | GET, PUT `/config/<option>` | the value of a setting | `config.rs` |
//! | GET `/debug/vars`, POST `/debug/freememory` | what it does inside | `debug.rs` |
//!
//! Everything is open to whoever reaches the port, as in the reference; only web pages of other sites are refused.

mod channels;
mod config;
mod debug;
mod info;
mod publish;
mod stats;
mod topics;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::daemon::http::{self, Limits, Router};
use client::daemon::listen::Listener;
use hyper::Method;
use tokio::sync::watch;

use crate::node::Node;

/// The ports that are listened on, for `/info`; a unix socket has none.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Of the TCP protocol.
    pub tcp: Option<u16>,
    /// Of this API.
    pub http: Option<u16>,
}

/// What the handlers work on.
#[derive(Debug)]
struct Api {
    node: Arc<Node>,
    ports: Ports,
}

/// Answers requests until `stopping` says so; those under way then have a few seconds to end.
pub async fn serve(
    node: Arc<Node>,
    listener: Listener,
    ports: Ports,
    mut stopping: watch::Receiver<bool>,
) {
    let shutdown = async move {
        // An error means that nobody is left to say so: that is the end too.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let api = Arc::new(Api { node, ports });
    http::serve(listener, routes(), api, Limits::default(), shutdown).await;
}

fn routes() -> Router<Api> {
    Router::new()
        .get("/ping", info::ping)
        .get("/info", info::info)
        .get("/stats", stats::stats)
        .get("/metrics", stats::metrics)
        .post("/pub", publish::publish)
        .quiet("/pub")
        .post("/mpub", publish::publish_many)
        .quiet("/mpub")
        .post("/topic/create", topics::create)
        .post("/topic/delete", topics::delete)
        .post("/topic/empty", topics::empty)
        .post("/topic/pause", topics::pause)
        .post("/topic/unpause", topics::unpause)
        .post("/channel/create", channels::create)
        .post("/channel/delete", channels::delete)
        .post("/channel/empty", channels::empty)
        .post("/channel/pause", channels::pause)
        .post("/channel/unpause", channels::unpause)
        .get("/config/*", config::read)
        .route(Method::PUT, "/config/*", config::write)
        .get("/debug/vars", debug::vars)
        .post("/debug/freememory", debug::free_memory)
        .route(Method::PUT, "/debug/setblockrate", debug::set_block_rate)
        .get("/debug/pprof", debug::profile)
        .get("/debug/pprof/*", debug::profile)
}
