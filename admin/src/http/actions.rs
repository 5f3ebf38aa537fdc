//! What is changed through the API: who may, what exactly, and who is told.

use client::daemon::http::{HttpError, Request, Response};
use client::wire::NameRef;
use hyper::Method;
use serde::Deserialize;

use super::target::View;
use super::{Admin, api, body, deed, told};
use crate::access::Visitor;
use crate::cluster::{Change, Done, Verb};

/// Answers a POST or DELETE below `/api`.
pub(super) async fn act(
    admin: &Admin,
    visitor: &Visitor,
    view: View,
    mut request: Request,
) -> Response {
    let change = match change(view, &mut request).await {
        Ok(change) => change,
        Err(refusal) => return refusal.into(),
    };
    let applied = admin.cluster.apply(&change).await;
    let (nodes, result) = match &applied {
        Ok(Done { nodes, warnings }) => (nodes.clone(), warnings.message()),
        Err(error) => (Vec::new(), told(error).1),
    };
    record(admin, visitor, &change, &request, &nodes, &result);
    match applied {
        Ok(Done { nodes, warnings }) => api::with_message(Nodes { nodes }, &warnings),
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
            let body: Body = body(request, BODY_BYTES_MAX).await?;
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
            let body: Body = body(request, BODY_BYTES_MAX).await?;
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
    let body: Body = body(request, BODY_BYTES_MAX).await?;
    match body.action.as_str() {
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

/// What a body may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    topic: String,
    channel: String,
    action: String,
}

/// Writes down what was done by whom.
fn record(
    admin: &Admin,
    visitor: &Visitor,
    change: &Change,
    request: &Request,
    nodes: &[String],
    result: &str,
) {
    let (topic, channel, node) = match change {
        Change::Create { topic, channel }
        | Change::Delete { topic, channel }
        | Change::Do { topic, channel, .. } => (topic, channel.as_deref(), ""),
        Change::Tombstone { topic, node } => (topic, None, node.as_str()),
    };
    for &action in actions(change) {
        let channel = channel.filter(|_| action != "create_topic");
        let mut deed = deed(visitor, request, action);
        topic.clone_into(&mut deed.topic);
        channel.unwrap_or_default().clone_into(&mut deed.channel);
        node.clone_into(&mut deed.node);
        nodes.clone_into(&mut deed.nodes);
        result.clone_into(&mut deed.result);
        admin.audit.record(deed);
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

/// The nodes on which it was done, or tried.
#[derive(serde::Serialize)]
struct Nodes {
    nodes: Vec<String>,
}

/// Two names and an action, and a lot of room.
const BODY_BYTES_MAX: usize = 64 << 10;
