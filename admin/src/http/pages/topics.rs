//! The overview, the list of topics, and the counter: all from the last look, so that nobody is waited for.

use std::collections::BTreeMap;

use askama::Template;
use client::daemon::http::{Query, Response};

use super::figure::{Figure, Kind, Tag, figures};
use super::spark::{Past, Range, Spark};
use super::{Frame, Guest, filters, rendered};
use crate::alerts::Alert;
use crate::cluster::{ClusterError, Report, unix_seconds};
use crate::history::Subject;
use crate::sample::{Sample, TopicSample};

/// What is wrong, and the topics that are worst off.
pub(super) fn overview(guest: Guest<'_>, query: &Query) -> Response {
    let sample = guest.admin.scene.sample();
    let range = Range::read(query);
    let past = Past::new(guest.admin, &Subject::Cluster, range);
    let missing = sample.nodes.values().filter(|node| node.error.is_some());
    let mut topics: Vec<_> = sample.topics.iter().collect();
    topics.sort_by_key(|(name, topic)| {
        let severity = topic.worst_verdict().severity();
        (severity, -topic.figures.depth, *name)
    });
    let topics = topics.into_iter().take(WORST_MAX).map(|(name, topic)| {
        let past = Past::new(guest.admin, &Subject::Topic(name.clone()), range);
        Line {
            depth_spark: past.spark("depth", |points| &points.depth),
            rate_spark: past.spark("message_rate", |points| &points.message_rate),
            ..Line::new(name.clone(), topic.clone())
        }
    });
    let alerts = guest.admin.scene.alerts.firing();
    let wrong = alerts.iter().filter(|alert| !alert.is_silenced).count();
    let title = match wrong {
        0 => "Overview".to_owned(),
        count => format!("({count}) Overview"),
    };
    let page = Overview {
        figures: figures("figures.", &sample.total, &past, &Kind::OF_MANY),
        topic_count: sample.topics.len(),
        topics: topics.collect(),
        node_count: sample.nodes.len(),
        missing_count: missing.count(),
        now: unix_seconds(),
        alerts,
        frame: Frame::new(guest, title, "overview", sample.warnings.clone()),
    };
    rendered(&page)
}

/// All topics; those too that are on no node.
pub(super) async fn list(guest: Guest<'_>) -> Result<Response, ClusterError> {
    let sample = guest.admin.scene.sample();
    let (names, reports) = names(guest, &sample).await?;
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    // Some are on no node; of others, nsqlookupds have not heard yet.
    for name in names.into_iter().chain(sample.topics.keys().cloned()) {
        let topic = sample.topics.get(&name).cloned().unwrap_or_default();
        lines.insert(name.clone(), Line::new(name, topic));
    }
    let page = Topics {
        frame: Frame::new(guest, "Topics".to_owned(), "topics", reports),
        topics: lines.into_values().collect(),
    };
    Ok(rendered(&page))
}

/// The topics that are known besides those that were seen, and who did not tell.
async fn names(
    guest: Guest<'_>,
    sample: &Sample,
) -> Result<(Vec<String>, Vec<Report>), ClusterError> {
    let cluster = &guest.admin.cluster;
    // Nodes that were given know no more than was seen.
    if !cluster.has_lookupds() && !sample.topics.is_empty() {
        return Ok((Vec::new(), sample.missing().collect()));
    }
    match cluster.topics().await {
        Ok((names, warnings)) => Ok((names, warnings.reports())),
        // What was seen is shown even while no nsqlookupd answers.
        Err(error) if !sample.topics.is_empty() => Ok((Vec::new(), error.reports())),
        Err(error) => Err(error),
    }
}

/// A number for the wall.
pub(super) fn counter(guest: Guest<'_>) -> Response {
    let sample = guest.admin.scene.sample();
    let channels = sample.topics.values();
    let channels = channels.flat_map(|topic| topic.channels.values());
    let (mut count, mut rate) = (0_i64, 0.0);
    for channel in channels {
        count = count.saturating_add(channel.message_count);
        rate += channel.figures.message_rate;
    }
    rendered(&Counter {
        frame: Frame::new(
            guest,
            "Counter".to_owned(),
            "counter",
            sample.warnings.clone(),
        ),
        count,
        rate,
    })
}

/// A topic in a list.
struct Line {
    name: String,
    topic: TopicSample,
    tag: Tag,
    rate_spark: Option<Spark>,
    depth_spark: Option<Spark>,
}

impl Line {
    fn new(name: String, topic: TopicSample) -> Self {
        Self {
            tag: Tag(topic.worst_verdict()),
            name,
            topic,
            rate_spark: None,
            depth_spark: None,
        }
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    frame: Frame<'a>,
    figures: Vec<Figure>,
    alerts: Vec<Alert>,
    /// In Unix seconds.
    now: i64,
    topics: Vec<Line>,
    topic_count: usize,
    node_count: usize,
    missing_count: usize,
}

#[derive(Template)]
#[template(path = "topics.html")]
struct Topics<'a> {
    frame: Frame<'a>,
    topics: Vec<Line>,
}

#[derive(Template)]
#[template(path = "counter.html")]
struct Counter<'a> {
    frame: Frame<'a>,
    count: i64,
    rate: f64,
}

/// Topics in the overview.
const WORST_MAX: usize = 20;
