//! What scripts read: the reference's JSON, each answer with a `message` that is empty when everybody answered.

use client::daemon::http::{Request, Response};
use serde::Serialize;

use super::target::View;
use super::{Admin, told};
use crate::cluster::{self, ClusterError, Warnings};

/// Answers a GET below `/api`.
pub(super) async fn read(admin: &Admin, view: &View, request: &Request) -> Response {
    let cluster = &admin.cluster;
    let answer = match view {
        View::Topics => match request.query() {
            Err(refusal) => return refusal.into(),
            Ok(query) if query.get("inactive") == Some("true") => {
                shown(cluster.inactive_topics().await, |topics| Topics { topics })
            }
            Ok(_) => shown(cluster.topics().await, |topics| Topics {
                topics: some(topics),
            }),
        },
        View::Topic(topic) => shown(cluster.topic(topic).await, |topic| topic),
        View::Channel(topic, channel) => {
            shown(cluster.channel(topic, channel).await, |channel| channel)
        }
        View::Nodes => shown(cluster.nodes().await, |nodes| Nodes { nodes: some(nodes) }),
        View::Node(node) => shown(cluster.node_detail(node).await, |node| node),
        View::Counter => shown(cluster.counters().await, |stats| Counters { stats }),
    };
    answer.unwrap_or_else(|error| refused(&error))
}

/// The error as JSON.
pub(super) fn refused(error: &ClusterError) -> Response {
    let (status, message) = told(error);
    Response::error(status, &message)
}

/// A view in the form that `wrap` gives it, with its message.
fn shown<T, W: Serialize>(
    view: cluster::View<T>,
    wrap: impl FnOnce(T) -> W,
) -> Result<Response, ClusterError> {
    let (value, warnings) = view?;
    Ok(with_message(wrap(value), &warnings))
}

/// The answer to what was done or asked, with who did not take part.
pub(super) fn with_message(value: impl Serialize, warnings: &Warnings) -> Response {
    #[derive(Serialize)]
    struct WithMessage<T> {
        #[serde(flatten)]
        value: T,
        message: String,
    }
    Response::json(&WithMessage {
        value,
        message: warnings.message(),
    })
}

/// The reference says `null` for an empty list.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[derive(Serialize)]
struct Topics<T> {
    topics: T,
}

#[derive(Serialize)]
struct Nodes<T> {
    nodes: T,
}

#[derive(Serialize)]
struct Counters<T> {
    stats: T,
}
