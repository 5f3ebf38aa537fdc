//! What is registered. Each answer is copied under the lock, and encoded without it.

use std::sync::Arc;

use client::daemon::http::{HttpError, Request, Response};
use client::wire::{ChannelName, TopicName};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::topic;
use crate::directory::Directory;
use crate::registry::{Entry, Node};

/// GET `/topics`.
pub(super) async fn topics(directory: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    #[derive(serde::Serialize)]
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
    #[derive(serde::Serialize)]
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
    #[derive(serde::Serialize)]
    struct Nodes {
        producers: Vec<Node>,
    }
    aside(move || {
        let producers = directory.with(|registry, now| registry.nodes(now));
        Response::json(&Nodes { producers })
    })
    .await
}

/// GET `/debug`: every registration that somebody has, `category:key:subkey` to its nsqds, keys sorted.
pub(super) async fn debug(directory: Arc<Directory>, _: Request) -> Result<Response, HttpError> {
    aside(move || Response::json(&Everything(&directory))).await
}

/// All registrations. They are too many to be copied at once: each topic is copied when its turn has come, so that the
/// answer is a picture of each topic, and nobody waits for all of it.
struct Everything<'a>(&'a Directory);

impl Serialize for Everything<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let directory = self.0;
        let topics = directory.with(|registry, _| registry.topics());
        let mut everything = serializer.serialize_map(None)?;
        for topic in &topics {
            let channels = directory.with(|registry, _| registry.channel_entries(topic.as_str()));
            for (channel, entries) in channels {
                put(
                    &mut everything,
                    &format!("channel:{topic}:{channel}"),
                    &entries,
                )?;
            }
        }
        let peers = directory.with(|registry, _| registry.peers());
        put(&mut everything, "client::", &peers)?;
        for topic in &topics {
            let entries = directory.with(|registry, _| registry.topic_entries(topic.as_str()));
            put(&mut everything, &format!("topic:{topic}:"), &entries)?;
        }
        everything.end()
    }
}

/// Adds a key, unless nobody is registered with it.
fn put<M: SerializeMap>(map: &mut M, key: &str, entries: &[Entry]) -> Result<(), M::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    map.serialize_entry(key, entries)
}

/// Makes a long answer on a thread where it keeps no connection waiting.
async fn aside(answer: impl FnOnce() -> Response + Send + 'static) -> Result<Response, HttpError> {
    let answered = tokio::task::spawn_blocking(answer).await;
    answered.map_err(|_| HttpError::INTERNAL)
}
