//! What is registered. Each answer is a copy made under the lock, and encoded after it.

use std::sync::Arc;

use client::daemon::http::{HttpError, Request, Response};
use client::wire::{ChannelName, TopicName};
use serde::Serialize;

use super::topic;
use crate::directory::Directory;
use crate::registry::Node;

/// GET `/topics`.
pub(super) async fn topics(directory: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    #[derive(Serialize)]
    struct Topics {
        topics: Vec<TopicName>,
    }
    let topics = directory.with(|registry, _| registry.topics());
    Ok(Response::json(&Topics { topics }))
}

/// GET `/channels?topic=…`: none of a topic that is not known.
pub(super) async fn channels(
    directory: Arc<Directory>,
    request: Request,
) -> Result<Response, HttpError> {
    #[derive(Serialize)]
    struct Channels {
        channels: Vec<ChannelName>,
    }
    let query = request.query()?;
    let topic = topic(&query)?;
    let channels = directory.with(|registry, _| registry.channels(topic));
    Ok(Response::json(&Channels { channels }))
}

/// GET `/lookup?topic=…`: who has it, for consumers.
pub(super) async fn lookup(
    directory: Arc<Directory>,
    request: Request,
) -> Result<Response, HttpError> {
    let query = request.query()?;
    let topic = topic(&query)?;
    let found = directory.with(|registry, now| registry.lookup(topic, now));
    let found = found.ok_or(HttpError::not_found("TOPIC_NOT_FOUND"))?;
    Ok(Response::json(&found))
}

/// GET `/nodes`: every nsqd with its topics.
pub(super) async fn nodes(directory: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    #[derive(Serialize)]
    struct Nodes {
        producers: Vec<Node>,
    }
    aside(move || {
        let producers = directory.with(|registry, now| registry.nodes(now));
        Response::json(&Nodes { producers })
    })
    .await
}

/// GET `/debug`: everything.
pub(super) async fn debug(directory: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    aside(move || Response::json(&directory.with(|registry, _| registry.debug()))).await
}

/// Makes a long answer on a thread where it keeps no connection waiting.
async fn aside(answer: impl FnOnce() -> Response + Send + 'static) -> Result<Response, HttpError> {
    let answered = tokio::task::spawn_blocking(answer).await;
    answered.map_err(|_| HttpError::INTERNAL)
}
