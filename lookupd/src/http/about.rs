//! Whether the daemon is well, what it is, what it did, and how much it says.

use std::sync::Arc;

use client::daemon::flags::COMPATIBLE_VERSION;
use client::daemon::http::{HttpError, Request, Response};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tracing::info;

use crate::directory::Directory;
use crate::metrics;

/// GET `/ping`.
pub(super) async fn ping(_: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    Ok(Response::plain("OK"))
}

/// GET `/info`.
pub(super) async fn info(_: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    #[derive(Serialize)]
    struct Info {
        version: &'static str,
    }
    Ok(Response::json(&Info {
        version: COMPATIBLE_VERSION,
    }))
}

/// GET `/metrics`.
pub(super) async fn metrics(directory: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    let counts = directory.with(|registry, now| registry.counts(now));
    let text = directory.metrics.encode(counts);
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    Ok(Response::plain(&text).with_header(CONTENT_TYPE, content_type))
}

/// GET `/config/log_level`: 1 for debug to 5 for fatal.
pub(super) async fn log_level(
    directory: Arc<Directory>,
    _: Request,
) -> Result<Response, HttpError> {
    Ok(Response::json(&directory.log.level().number()))
}

/// PUT `/config/log_level`: the body is the name of a level.
pub(super) async fn set_log_level(
    directory: Arc<Directory>,
    mut request: Request,
) -> Result<Response, HttpError> {
    let body = request.body(LEVEL_BYTES_MAX).await;
    let body = body.map_err(|error| error.answer("INVALID_VALUE"))?;
    let level = str::from_utf8(&body)
        .ok()
        .and_then(|text| text.parse().ok());
    let level = level.ok_or(HttpError::bad_request("INVALID_VALUE"))?;
    directory.log.set_level(level);
    info!(%level, "log level changed");
    log_level(directory, request).await
}

/// The longest name of a level has five.
const LEVEL_BYTES_MAX: usize = 16;
