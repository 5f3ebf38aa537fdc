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
            creation(body)?
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

fn creation(body: Body) -> Result<Change, HttpError> {
    let one = Some(body.channel).filter(|channel| !channel.is_empty());
    let channels = one.into_iter().chain(body.channels);
    let channels = channels.map(|channel| valid(channel, "INVALID_CHANNEL"));
    Ok(Change::Create {
        topic: valid(body.topic, "INVALID_TOPIC")?,
        channels: channels.collect::<Result<_, _>>()?,
        nodes: body.nodes,
    })
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
    /// More than one may be created at once.
    channels: Vec<String>,
    /// Where a topic is to be created at once.
    nodes: Vec<String>,
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
    for (action, channel) in actions(change) {
        let mut deed = deed(visitor, request, action);
        change.topic().clone_into(&mut deed.topic);
        channel.unwrap_or_default().clone_into(&mut deed.channel);
        if let Change::Tombstone { node, .. } = change {
            deed.node.clone_from(node);
        }
        nodes.clone_into(&mut deed.nodes);
        result.clone_into(&mut deed.result);
        admin.audit.record(deed);
    }
}

/// What the reference calls it, and the channel that it is done to; the creation of a channel is that of its topic too.
fn actions(change: &Change) -> Vec<(&'static str, Option<&str>)> {
    let (topic_action, channel_action, channel) = match change {
        Change::Create { channels, .. } => {
            let channels = channels.iter();
            let channels = channels.map(|channel| ("create_channel", Some(channel.as_str())));
            return std::iter::once(("create_topic", None))
                .chain(channels)
                .collect();
        }
        Change::Tombstone { .. } => return vec![("tombstone_topic_producer", None)],
        Change::Delete { channel, .. } => ("delete_topic", "delete_channel", channel),
        Change::Do { verb, channel, .. } => match verb {
            Verb::Pause => ("pause_topic", "pause_channel", channel),
            Verb::Unpause => ("unpause_topic", "unpause_channel", channel),
            Verb::Empty => ("empty_topic", "empty_channel", channel),
        },
    };
    match channel {
        None => vec![(topic_action, None)],
        Some(channel) => vec![(channel_action, Some(channel))],
    }
}

/// The nodes on which it was done, or tried.
#[derive(serde::Serialize)]
struct Nodes {
    nodes: Vec<String>,
}

/// Two names and an action, and a lot of room.
const BODY_BYTES_MAX: usize = 64 << 10;
