//! All nodes, and one of them. One that does not answer is shown, with what is known of it.

use std::collections::BTreeMap;

use askama::Template;
use client::daemon::http::{Query, Response};

use super::figure::{Figure, Kind, figures};
use super::spark::{Past, RANGES, Range};
use super::{Frame, Guest, filters, rendered};
use crate::cluster::{ClusterError, Node, NodeDetail, Warnings, unix_seconds};
use crate::history::Subject;
use crate::sample::NodeSample;

pub(super) async fn list(guest: Guest<'_>) -> Result<Response, ClusterError> {
    let sample = guest.admin.scene.sample();
    let (known, warnings) = match guest.admin.cluster.announced().await {
        Ok(known) => known,
        Err(ClusterError::Unanswered(failures)) if !sample.nodes.is_empty() => {
            (Vec::new(), Warnings::from(failures))
        }
        Err(error) => return Err(error),
    };
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for (name, seen) in &sample.nodes {
        lines.insert(name.clone(), Line::of(seen.clone()));
    }
    for node in known {
        let line = lines.entry(node.name()).or_default();
        line.hide(&node);
        line.node = node;
    }
    let down = lines.values().filter(|line| line.seen.error.is_some());
    let title = match down.count() {
        0 => "Nodes".to_owned(),
        count => format!("({count} down) Nodes"),
    };
    Ok(rendered(&NodesPage {
        frame: Frame::new(guest, title, "nodes", warnings.reports()),
        lookupd_count: guest.admin.cluster.lookupds().len(),
        now: unix_seconds(),
        nodes: lines,
    }))
}

pub(super) async fn one(
    guest: Guest<'_>,
    name: &str,
    query: &Query,
) -> Result<Response, ClusterError> {
    let sample = guest.admin.scene.sample();
    let seen = sample.nodes.get(name).cloned();
    let (detail, warnings) = match (guest.admin.cluster.node_detail(name).await, &seen) {
        (Ok(detail), _) => detail,
        (Err(ClusterError::Unanswered(failures)), Some(_)) => {
            (nothing_of(name), Warnings::from(failures))
        }
        (Err(error), _) => return Err(error),
    };
    let seen = seen.unwrap_or_default();
    let range = Range::read(query);
    let past = Past::new(guest.admin, &Subject::Node(name.to_owned()), range);
    let state = if seen.error.is_some() { "down" } else { "up" };
    let page = NodePage {
        frame: Frame::new(
            guest,
            format!("{name} · {state}"),
            "nodes",
            warnings.reports(),
        ),
        figures: figures("node.", &seen.figures, &past, &Kind::OF_MANY),
        range,
        now: unix_seconds(),
        is_drained: is_drained(&seen),
        node: &detail,
        seen,
    };
    Ok(rendered(&page))
}

/// True if nothing comes any more, and nothing is left.
fn is_drained(seen: &NodeSample) -> bool {
    let figures = &seen.figures;
    let left = [
        figures.depth,
        figures.in_flight_count,
        figures.deferred_count,
    ];
    seen.error.is_none() && figures.message_rate <= 0.0 && left.iter().all(|count| *count <= 0)
}

fn nothing_of(name: &str) -> NodeDetail {
    NodeDetail {
        node: name.to_owned(),
        ..NodeDetail::default()
    }
}

/// A node in the list.
#[derive(Default)]
struct Line {
    seen: NodeSample,
    node: Node,
    /// Topics whose consumers it is hidden from.
    hidden: Vec<String>,
}

impl Line {
    fn of(seen: NodeSample) -> Self {
        Self {
            seen,
            ..Self::default()
        }
    }

    fn hide(&mut self, node: &Node) {
        let topics = node.topics.iter().flatten();
        let hidden = topics.filter(|topic| topic.tombstoned);
        self.hidden = hidden.map(|topic| topic.topic.clone()).collect();
    }
}

#[derive(Template)]
#[template(path = "nodes.html")]
struct NodesPage<'a> {
    frame: Frame<'a>,
    nodes: BTreeMap<String, Line>,
    lookupd_count: usize,
    /// In Unix seconds.
    now: i64,
}

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage<'a> {
    frame: Frame<'a>,
    node: &'a NodeDetail,
    seen: NodeSample,
    figures: Vec<Figure>,
    range: Range,
    now: i64,
    is_drained: bool,
}
