//! The HTTP API: the table of routes. Sizes, deadlines and the form of answers are `client::daemon::http`'s.
//!
//! | request | answer | in |
//! | --- | --- | --- |
//! | GET `/ping`, `/info` | is it well; what is it | `info.rs` |
//! | GET `/stats`, `/metrics` | what it did, for people, tools and Prometheus | `stats.rs` |
//! | POST `/pub`, `/mpub` | takes one message, or many | `publish.rs` |
//! | POST `/topic/create`, `delete`, `empty`, `pause`, `unpause` | done | `topics.rs` |
//! | POST `/channel/create`, `delete`, `empty`, `pause`, `unpause` | done | `channels.rs` |
//! | GET `/channel/peek` | what waits in a channel, with `--enable-peek` | `peek.rs` |
//! | GET, PUT `/config/<option>` | the value of a setting | `config.rs` |
//! | GET `/debug/vars`, POST `/debug/freememory` | what it does inside | `debug.rs` |
//!
//! Everything is open to whoever reaches the port, as in the reference; only web pages of other sites are refused. With
//! `--tls-required` the port without TLS answers nothing but 403.

mod channels;
mod config;
mod debug;
mod info;
mod peek;
mod publish;
mod stats;
mod topics;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::daemon::http::{self, Limits, Response, Router};
use client::daemon::listen::Listener;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::sync::watch;

pub use publish::Lines;

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
    /// Held by who looks at messages.
    peeking: Arc<tokio::sync::Mutex<()>>,
}

/// Answers requests until `stopping` says so; those under way then have a few seconds to end.
pub async fn serve(
    node: Arc<Node>,
    listener: Listener,
    ports: Ports,
    stopping: watch::Receiver<bool>,
) {
    let routes = if node.options().enable_peek() {
        routes().get("/channel/peek", peek::peek)
    } else {
        routes()
    };
    let api = Arc::new(Api {
        node,
        ports,
        peeking: Arc::default(),
    });
    let stopped = stopped(stopping);
    http::serve(listener, routes, api, Limits::default(), stopped).await;
}

/// Refuses every request until `stopping` says so, and tells where TLS is done: port 0 is nowhere.
pub async fn serve_refusals(listener: Listener, https_port: u16, stopping: watch::Receiver<bool>) {
    // With these spaces, as the reference has it.
    let body = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {https_port}}}"#);
    let refusal = move || {
        Response::text(body.clone())
            .with_status(StatusCode::FORBIDDEN)
            .with_header(CONTENT_TYPE, JSON)
    };
    let (router, stopped) = (Router::closed(refusal), stopped(stopping));
    http::serve(listener, router, Arc::new(()), Limits::default(), stopped).await;
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that nobody is left to say so: that is the end too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
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

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
