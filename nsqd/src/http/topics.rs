//! Creating, deleting, emptying and pausing topics.

use std::sync::Arc;

use client::daemon::http::{HttpError, Request, Response};
use client::wire::TopicName;
use hyper::StatusCode;
use tracing::{error, info};

use super::Api;
use super::publish::topic_name;
use crate::topic::{Durability, Topic};

/// POST `/topic/create?topic=…[&durability=…]`; one that exists is fine, and gets the level of durability that is given.
pub(super) async fn create(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    let name = topic_name(&query)?;
    let own = query.get("durability");
    let own = own.map(|given| own_level(given, &name)).transpose()?;
    let topic = api.node.topic_or_create(&name)?;
    if let Some(own) = own {
        let set = api.node.set_durability(&topic, own).await;
        return set.map(|()| Response::empty()).map_err(|cause| {
            error!(topic = %name, %cause, "topic is not as durable yet as it is to be");
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_DURABLE")
        });
    }
    if let Err(cause) = api.node.persist().await {
        // The topic is there all the same, and is written with the next change.
        error!(%cause, "failed to persist metadata");
    }
    Ok(Response::empty())
}

/// POST `/topic/delete?topic=…`: with its channels and messages.
pub(super) async fn delete(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    if api.node.delete_topic(&any_name(&request)?).await {
        Ok(Response::empty())
    } else {
        Err(NOT_FOUND)
    }
}

/// POST `/topic/empty?topic=…`: drops what no channel has been shown.
pub(super) async fn empty(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let name = topic_name(&request.query()?)?;
    let topic = api.node.topic(name.as_str()).ok_or(NOT_FOUND)?;
    topic.empty();
    info!(topic = %name, "topic emptied");
    Ok(Response::empty())
}

/// POST `/topic/pause?topic=…`.
pub(super) async fn pause(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    set_paused(&api, &request, true).await
}

/// POST `/topic/unpause?topic=…`.
pub(super) async fn unpause(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    set_paused(&api, &request, false).await
}

async fn set_paused(api: &Api, request: &Request, paused: bool) -> Result<Response, HttpError> {
    let topic: Arc<Topic> = api.node.topic(&any_name(request)?).ok_or(NOT_FOUND)?;
    topic.set_paused(paused);
    info!(topic = %topic.name(), paused, "topic paused or unpaused");
    if !topic.name().is_ephemeral() {
        api.node.persist_change().await;
    }
    Ok(Response::empty())
}

/// What the argument `durability` says: a level, or `default`. An ephemeral topic has no other than memory.
fn own_level(given: &str, topic: &TopicName) -> Result<Option<Durability>, HttpError> {
    let own = match given {
        "default" => None,
        level => Some(level.parse().map_err(|_| INVALID_DURABILITY)?),
    };
    if topic.is_ephemeral() && own.is_some_and(Durability::is_durable) {
        return Err(INVALID_DURABILITY);
    }
    Ok(own)
}

/// The argument `topic`, valid or not: no topic has a name that is not valid.
fn any_name(request: &Request) -> Result<String, HttpError> {
    let query = request.query()?;
    let name = query.get("topic");
    name.map(str::to_owned)
        .ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))
}

const INVALID_DURABILITY: HttpError = HttpError::bad_request("INVALID_ARG_DURABILITY");
const NOT_FOUND: HttpError = HttpError::not_found("TOPIC_NOT_FOUND");
