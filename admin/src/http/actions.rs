//! What is changed through the API: who may, what exactly, and who is told.

use client::daemon::http::{HttpError, Request, Response};
use client::wire::NameRef;
use hyper::header::{HOST, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use tracing::info;

use super::target::View;
use super::{Admin, api, told};
use crate::cluster::{Change, Verb, unix_seconds};
use crate::notify::Notification;

/// Answers a POST or DELETE below `/api`.
pub(super) async fn act(admin: &Admin, view: View, mut request: Request) -> Response {
    if !admin.access.may_act(request.headers(), request.peer_ip()) {
        return Response::error(StatusCode::FORBIDDEN, "FORBIDDEN");
    }
    let change = match change(view, &mut request).await {
        Ok(change) => change,
        Err(refusal) => return refusal.into(),
    };
    let applied = admin.cluster.apply(&change).await;
    let result = match &applied {
        Ok(((), warnings)) => warnings.message(),
        Err(error) => told(error).1,
    };
    record(admin, &change, &request, &result);
    match applied {
        Ok(((), warnings)) => api::with_message(Nothing {}, &warnings),
        Err(error) => api::refused(&error),
    }
}

/// What the request asks to be done.
async fn change(view: View, request: &mut Request) -> Result<Change, HttpError> {
    let is_delete = *request.method() == Method::DELETE;
    Ok(match (view, is_delete) {
        (View::Topic(topic), true) => Change::Delete {
            topic,
            channel: None,
        },
        (View::Channel(topic, channel), true) => Change::Delete {
            topic,
            channel: Some(channel),
        },
        (View::Node(node), _) => {
            let body: Body = body(request).await?;
            Change::Tombstone {
                topic: valid(body.topic, "INVALID_TOPIC")?,
                node,
            }
        }
        (View::Topic(topic), false) => Change::Do {
            verb: verb(request).await?,
            topic,
            channel: None,
        },
        (View::Channel(topic, channel), false) => Change::Do {
            verb: verb(request).await?,
            topic,
            channel: Some(channel),
        },
        // Views of many things, of which only topics can be posted to.
        (View::Topics | View::Nodes | View::Counter, _) => {
            let body: Body = body(request).await?;
            let topic = valid(body.topic, "INVALID_TOPIC")?;
            let channel = match body.channel {
                none if none.is_empty() => None,
                channel => Some(valid(channel, "INVALID_CHANNEL")?),
            };
            Change::Create { topic, channel }
        }
    })
}

async fn verb(request: &mut Request) -> Result<Verb, HttpError> {
    match body(request).await?.action.as_str() {
        "pause" => Ok(Verb::Pause),
        "unpause" => Ok(Verb::Unpause),
        "empty" => Ok(Verb::Empty),
        _ => Err(HttpError::bad_request("INVALID_ACTION")),
    }
}

fn valid(name: String, code: &'static str) -> Result<String, HttpError> {
    match NameRef::parse(name.as_bytes()) {
        Ok(_) => Ok(name),
        Err(_) => Err(HttpError::bad_request(code)),
    }
}

/// What a body may say. Its `Content-Type` is not looked at: scripts send any.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    topic: String,
    channel: String,
    action: String,
}

async fn body(request: &mut Request) -> Result<Body, HttpError> {
    let bytes = request.body(BODY_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| error.answer("BODY_TOO_LARGE"))?;
    serde_json::from_slice(&bytes).map_err(|_| HttpError::bad_request("INVALID_BODY"))
}

/// Writes down what was done by whom, and has others told of it.
fn record(admin: &Admin, change: &Change, request: &Request, result: &str) {
    let user = admin.access.user(request.headers(), request.peer_ip());
    let user = user.unwrap_or_default();
    let (topic, channel, node) = match change {
        Change::Create { topic, channel }
        | Change::Delete { topic, channel }
        | Change::Do { topic, channel, .. } => (topic, channel.as_deref(), ""),
        Change::Tombstone { topic, node } => (topic, None, node.as_str()),
    };
    let peer = request.peer();
    for &action in actions(change) {
        let channel = channel
            .filter(|_| action != "create_topic")
            .unwrap_or_default();
        info!(
            action,
            topic, channel, node, user, peer, result, "cluster changed"
        );
        let Some(notifier) = &admin.notifier else {
            continue;
        };
        notifier.notify(Notification {
            action,
            topic: topic.clone(),
            channel: channel.to_owned(),
            node: node.to_owned(),
            timestamp: unix_seconds(),
            user: user.to_owned(),
            remote_ip: peer.to_owned(),
            user_agent: header(request.headers(), &USER_AGENT).to_owned(),
            url: url(request),
            via: notifier.via().to_owned(),
            result: result.to_owned(),
        });
    }
}

/// What the reference calls it; the creation of a channel is that of its topic too.
fn actions(change: &Change) -> &'static [&'static str] {
    match change {
        Change::Create { channel: None, .. } => &["create_topic"],
        Change::Create { .. } => &["create_topic", "create_channel"],
        Change::Delete { channel: None, .. } => &["delete_topic"],
        Change::Delete { .. } => &["delete_channel"],
        Change::Do { verb, channel, .. } => match (verb, channel) {
            (Verb::Pause, None) => &["pause_topic"],
            (Verb::Unpause, None) => &["unpause_topic"],
            (Verb::Empty, None) => &["empty_topic"],
            (Verb::Pause, Some(_)) => &["pause_channel"],
            (Verb::Unpause, Some(_)) => &["unpause_channel"],
            (Verb::Empty, Some(_)) => &["empty_channel"],
        },
        Change::Tombstone { .. } => &["tombstone_topic_producer"],
    }
}

/// The URL as the browser had it.
fn url(request: &Request) -> String {
    let is_https = request
        .headers()
        .get("x-scheme")
        .is_some_and(|scheme| scheme == "https");
    let scheme = if is_https { "https" } else { "http" };
    let host = header(request.headers(), &HOST);
    format!("{scheme}://{host}{}", request.uri())
}

fn header<'h>(headers: &'h HeaderMap, name: &hyper::header::HeaderName) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// An answer with nothing but its message.
#[derive(serde::Serialize)]
struct Nothing {}

/// Two names and an action, and a lot of room.
const BODY_BYTES_MAX: usize = 64 << 10;
