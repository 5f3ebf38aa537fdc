//! What operators change. No nsqd is told: one that still has a deleted topic is found again when it next registers it.

use std::sync::Arc;

use client::daemon::http::{HttpError, Query, Request, Response};
use client::wire::NameRef;
use hyper::StatusCode;
use tracing::{info, warn};

use super::topic;
use crate::directory::Directory;
use crate::registry::LimitError;

/// POST `/topic/create?topic=…`; one that exists is fine.
pub(super) async fn create_topic(
    directory: Arc<Directory>,
    request: Request,
) -> Result<Response, HttpError> {
    let query = request.query()?;
    let topic = valid_topic(&query)?;
    info!("DB: adding topic({topic})");
    let created = directory.with(|registry, _| registry.create_topic(topic));
    created
        .map(|_| Response::empty())
        .map_err(|error| full(&error))
}

/// POST `/topic/delete?topic=…`, with its channels; one that does not exist is fine.
pub(super) async fn delete_topic(
    directory: Arc<Directory>,
    request: Request,
) -> Result<Response, HttpError> {
    let query = request.query()?;
    let topic = topic(&query)?;
    info!("DB: removing topic({topic})");
    directory.with(|registry, _| registry.delete_topic(topic));
    Ok(Response::empty())
}

/// POST `/topic/tombstone?topic=…&node=…`; a node that does not have the topic is fine.
pub(super) async fn tombstone(
    directory: Arc<Directory>,
    request: Request,
) -> Result<Response, HttpError> {
    let query = request.query()?;
    let topic = topic(&query)?;
    let node = query
        .get("node")
        .ok_or(HttpError::bad_request("MISSING_ARG_NODE"))?;
    let hidden = directory.with(|registry, now| registry.tombstone(topic, node, now));
    info!(
        hidden,
        "DB: setting tombstone for producer@{node} of topic({topic})"
    );
    Ok(Response::empty())
}

/// POST `/channel/create?topic=…&channel=…`, with its topic; one that exists is fine.
pub(super) async fn create_channel(
    directory: Arc<Directory>,
    request: Request,
) -> Result<Response, HttpError> {
    let query = request.query()?;
    let (topic, channel) = (valid_topic(&query)?, valid_channel(&query)?);
    info!("DB: adding channel({channel}) in topic({topic})");
    let created = directory.with(|registry, _| registry.create_channel(topic, channel));
    created
        .map(|_| Response::empty())
        .map_err(|error| full(&error))
}

/// POST `/channel/delete?topic=…&channel=…`.
pub(super) async fn delete_channel(
    directory: Arc<Directory>,
    request: Request,
) -> Result<Response, HttpError> {
    let query = request.query()?;
    let (topic, channel) = (valid_topic(&query)?, valid_channel(&query)?);
    let (name, of) = (channel.as_str(), topic.as_str());
    if !directory.with(|registry, _| registry.delete_channel(of, name)) {
        return Err(HttpError::not_found("CHANNEL_NOT_FOUND"));
    }
    info!("DB: removing channel({channel}) from topic({topic})");
    Ok(Response::empty())
}

fn valid_topic(query: &Query) -> Result<NameRef<'_>, HttpError> {
    let invalid = HttpError::bad_request("INVALID_ARG_TOPIC");
    NameRef::parse(topic(query)?.as_bytes()).map_err(|_| invalid)
}

fn valid_channel(query: &Query) -> Result<NameRef<'_>, HttpError> {
    let missing = HttpError::bad_request("MISSING_ARG_CHANNEL");
    let invalid = HttpError::bad_request("INVALID_ARG_CHANNEL");
    let channel = query.get("channel").ok_or(missing)?;
    NameRef::parse(channel.as_bytes()).map_err(|_| invalid)
}

/// 503: what is asked is fine, there is just no room for it.
fn full(error: &LimitError) -> HttpError {
    warn!("{error}");
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_NAMES")
}
