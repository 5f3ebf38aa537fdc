//! The HTTP API: the table of routes. Sizes, deadlines and the form of answers are `client::daemon::http`'s.
//!
//! | request | answer | in |
//! | --- | --- | --- |
//! | GET `/ping`, `/info`, `/metrics` | is it well, what is it, what it did | `about.rs` |
//! | GET, PUT `/config/log_level` | the lowest level logged | `about.rs` |
//! | GET `/topics`, `/channels`, `/lookup`, `/nodes`, `/debug` | what is registered | `questions.rs` |
//! | POST `/topic/create`, `delete`, `tombstone` | done | `changes.rs` |
//! | POST `/channel/create`, `delete` | done | `changes.rs` |
//!
//! Everything is open to whoever reaches the port, as in the reference; only web pages of other sites are refused.

mod about;
mod changes;
mod questions;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::daemon::http::{self, HttpError, Limits, Query, Router};
use client::daemon::listen::Listener;
use hyper::Method;
use tokio::sync::watch;

use crate::directory::Directory;

/// Answers requests until `stopping` says so; those under way then have a few seconds to end.
pub(crate) async fn serve(
    directory: Arc<Directory>,
    listener: Listener,
    mut stopping: watch::Receiver<bool>,
) {
    let shutdown = async move {
        // An error means that nobody is left to say so: that is the end too.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    http::serve(listener, routes(), directory, Limits::default(), shutdown).await;
}

fn routes() -> Router<Directory> {
    Router::new()
        .get("/ping", about::ping)
        .get("/info", about::info)
        .get("/metrics", about::metrics)
        .get("/config/log_level", about::log_level)
        .route(Method::PUT, "/config/log_level", about::set_log_level)
        .get("/topics", questions::topics)
        .get("/channels", questions::channels)
        .get("/lookup", questions::lookup)
        .get("/nodes", questions::nodes)
        .get("/debug", questions::debug)
        .post("/topic/create", changes::create_topic)
        .post("/topic/delete", changes::delete_topic)
        .post("/topic/tombstone", changes::tombstone)
        .post("/channel/create", changes::create_channel)
        .post("/channel/delete", changes::delete_channel)
}

/// The argument `topic`, which may be any text.
fn topic(query: &Query) -> Result<&str, HttpError> {
    query
        .get("topic")
        .ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))
}
