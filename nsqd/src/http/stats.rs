//! `/stats` and `/metrics`. A daemon with thousands of connections has a lot to tell, so it is put together away from
//! the threads that serve them.

use std::sync::Arc;

use client::daemon::http::{HttpError, Query, Request, Response};
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::Api;
use crate::stats::{self, Selection};

/// GET `/stats[?format=json][&topic=…][&channel=…][&include_clients=false][&include_mem=false]`.
pub(super) async fn stats(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    let selection = selection(&query);
    let as_json = query.get("format") == Some("json");
    aside(move || {
        let stats = stats::collect(&api.node, &selection);
        if as_json {
            Response::json(&stats)
        } else {
            Response::text(stats::text(&stats, &api.node))
        }
    })
    .await
}

/// GET `/metrics`.
pub(super) async fn metrics(api: Arc<Api>, _: Request) -> Result<Response, HttpError> {
    aside(move || {
        let content_type = HeaderValue::from_static(stats::METRICS_CONTENT_TYPE);
        Response::text(stats::metrics(&api.node)).with_header(CONTENT_TYPE, content_type)
    })
    .await
}

fn selection(query: &Query) -> Selection {
    let filter = |name| {
        query
            .get(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let is_on = |name| !matches!(query.get(name), Some("false" | "0"));
    Selection {
        topic: filter("topic"),
        channel: filter("channel"),
        clients: is_on("include_clients"),
        memory: is_on("include_mem"),
    }
}

async fn aside(work: impl FnOnce() -> Response + Send + 'static) -> Result<Response, HttpError> {
    let answer = tokio::task::spawn_blocking(work).await;
    // It has panicked, which is logged, or the runtime ends.
    answer.map_err(|_| HttpError::INTERNAL)
}
