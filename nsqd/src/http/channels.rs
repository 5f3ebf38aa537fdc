//! Creating, deleting, emptying and pausing channels of a topic that exists.

use std::sync::Arc;

use client::daemon::http::{HttpError, Request, Response};
use client::wire::{ChannelName, NameRef};
use tracing::info;

use super::Api;
use crate::channel::Channel;
use crate::topic::{CreateError, Topic};

/// POST `/channel/create?topic=…&channel=…`; one that exists is fine.
pub(super) async fn create(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let (topic, name) = arguments(&api, &request)?;
    match api.node.create_channel(&topic, &name).await {
        Ok(_) => Ok(Response::empty()),
        Err(CreateError::Exiting) => Err(NO_TOPIC),
        Err(CreateError::TooMany(error)) => Err(error.into()),
    }
}

/// POST `/channel/delete?topic=…&channel=…`: with its messages; its consumers are disconnected.
pub(super) async fn delete(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let (topic, name) = arguments(&api, &request)?;
    if api.node.delete_channel(&topic, name.as_str()).await {
        Ok(Response::empty())
    } else {
        Err(NO_CHANNEL)
    }
}

/// POST `/channel/empty?topic=…&channel=…`: drops what waits, is in flight or deferred.
pub(super) async fn empty(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let (topic, channel) = channel(&api, &request)?;
    channel.empty();
    info!(topic = %topic.name(), channel = %channel.name(), "channel emptied");
    Ok(Response::empty())
}

/// POST `/channel/pause?topic=…&channel=…`.
pub(super) async fn pause(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    set_paused(&api, &request, true).await
}

/// POST `/channel/unpause?topic=…&channel=…`.
pub(super) async fn unpause(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    set_paused(&api, &request, false).await
}

async fn set_paused(api: &Api, request: &Request, paused: bool) -> Result<Response, HttpError> {
    let (topic, channel) = channel(api, request)?;
    channel.set_paused(paused);
    info!(topic = %topic.name(), channel = %channel.name(), paused, "channel paused or unpaused");
    if !topic.name().is_ephemeral() && !channel.name().is_ephemeral() {
        api.node.persist_change().await;
    }
    Ok(Response::empty())
}

/// The channel that the arguments name.
pub(super) fn channel(
    api: &Api,
    request: &Request,
) -> Result<(Arc<Topic>, Arc<Channel>), HttpError> {
    let (topic, name) = arguments(api, request)?;
    let channel = topic.channel(name.as_str()).ok_or(NO_CHANNEL)?;
    Ok((topic, channel))
}

/// The topic that the arguments name, and what they call the channel.
fn arguments(api: &Api, request: &Request) -> Result<(Arc<Topic>, ChannelName), HttpError> {
    let query = request.query()?;
    let topic = query
        .get("topic")
        .ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))?;
    let topic = NameRef::parse(topic.as_bytes())
        .map_err(|_| HttpError::bad_request("INVALID_ARG_TOPIC"))?;
    let channel = query
        .get("channel")
        .ok_or(HttpError::bad_request("MISSING_ARG_CHANNEL"))?;
    let channel =
        ChannelName::parse(channel).map_err(|_| HttpError::bad_request("INVALID_ARG_CHANNEL"))?;
    let topic = api.node.topic(topic.as_str()).ok_or(NO_TOPIC)?;
    Ok((topic, channel))
}

const NO_TOPIC: HttpError = HttpError::not_found("TOPIC_NOT_FOUND");
const NO_CHANNEL: HttpError = HttpError::not_found("CHANNEL_NOT_FOUND");
