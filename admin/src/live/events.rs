//! What is to be seen in a view.

use serde_json::{Value, json};

use super::{Scene, View};
use crate::cluster::{ClusterError, Warnings};
use crate::sample::{ChannelSample, Sample, TopicSample};

/// The view at `sample`: all of it, or where that can be much what differs from `before`.
pub(super) async fn render(
    scene: &Scene,
    view: &View,
    before: Option<&Sample>,
    sample: &Sample,
) -> Value {
    let mut data = match view {
        View::Overview => overview(scene, sample),
        View::Topics => topics(before, sample),
        View::Topic(name) => {
            let answer = scene.cluster.topic(name).await;
            let seen = sample.topics.get(name);
            let channels = seen.map(|topic| {
                let channels = topic.channels.iter();
                channels
                    .map(|(name, channel)| (name.clone(), judged(channel)))
                    .collect::<serde_json::Map<_, _>>()
            });
            with_answer(
                "topic",
                answer,
                json!({
                    "figures": seen.map(|topic| topic.figures),
                    "channels": channels,
                }),
            )
        }
        View::Channel(topic, name) => {
            let answer = scene.cluster.channel(topic, name).await;
            let seen = sample.topics.get(topic);
            let seen = seen.and_then(|topic| topic.channels.get(name));
            let judged = seen.map_or(json!({}), |seen| {
                let mut seen = seen.clone();
                if let Ok((channel, _)) = &answer {
                    seen.verdict = seen.verdict.refined(channel);
                }
                judged(&seen)
            });
            with_answer("channel", answer, judged)
        }
        View::Nodes => json!({ "nodes": sample.nodes }),
        View::Node(name) => json!({ "node": sample.nodes.get(name) }),
        View::Counter => counter(sample),
    };
    data["tick"] = json!(sample.tick);
    data["time"] = json!(sample.time);
    data
}

fn overview(scene: &Scene, sample: &Sample) -> Value {
    let channels: usize = sample
        .topics
        .values()
        .map(|topic| topic.channels.len())
        .sum();
    let missing = sample.nodes.values().filter(|node| node.error.is_some());
    json!({
        "figures": sample.total,
        "message_count": sample.message_count,
        "topic_count": sample.topics.len(),
        "channel_count": channels,
        "node_count": sample.nodes.len(),
        "missing_node_count": missing.count(),
        "alerts": scene.alerts.firing(),
        "warnings": sample.warnings.iter().map(|report| &report.raw).collect::<Vec<_>>(),
    })
}

/// Rows as arrays, with their columns named once: a thousand topics are 70 KB.
fn topics(before: Option<&Sample>, sample: &Sample) -> Value {
    let rows = sample.topics.iter().filter_map(|(name, topic)| {
        let row = row(name, topic);
        let known = before.and_then(|before| before.topics.get(name));
        let is_same = known.is_some_and(|known| self::row(name, known) == row);
        (!is_same).then_some(row)
    });
    let gone = before.into_iter().flat_map(|before| before.topics.keys());
    let gone = gone.filter(|name| !sample.topics.contains_key(*name));
    json!({
        "is_whole": before.is_none(),
        "columns": COLUMNS,
        "rows": rows.collect::<Vec<_>>(),
        "gone": gone.collect::<Vec<_>>(),
    })
}

fn row(name: &str, topic: &TopicSample) -> Value {
    let figures = &topic.figures;
    json!([
        name,
        topic.queue_depth,
        figures.depth,
        figures.in_flight_count,
        figures.deferred_count,
        figures.client_count,
        topic.message_count,
        rounded(figures.message_rate),
        rounded(figures.finish_rate),
        topic.channels.len(),
        topic.nodes,
        topic.paused_nodes,
        topic.worst_verdict().name(),
    ])
}

fn judged(channel: &ChannelSample) -> Value {
    json!({
        "figures": channel.figures,
        "verdict": channel.verdict.name(),
        "verdict_text": channel.verdict.to_string(),
        "nodes": channel.nodes,
        "paused_nodes": channel.paused_nodes,
        "node_depth_max": channel.node_depth_max,
    })
}

fn counter(sample: &Sample) -> Value {
    let channels = sample
        .topics
        .values()
        .flat_map(|topic| topic.channels.values());
    let (mut count, mut rate) = (0_i64, 0.0);
    for channel in channels {
        count = count.saturating_add(channel.message_count);
        rate += channel.figures.message_rate;
    }
    json!({ "message_count": count, "message_rate": rate })
}

/// `data` with what the cluster has just answered under `key`, and its `message`.
fn with_answer<T: serde::Serialize>(
    key: &str,
    answer: Result<(T, Warnings), ClusterError>,
    mut data: Value,
) -> Value {
    let (value, message) = match answer {
        Ok((value, warnings)) => (json!(value), warnings.message()),
        Err(error) => (Value::Null, crate::http::told(&error).1),
    };
    data[key] = value;
    data["message"] = json!(message);
    data
}

/// To a tenth: more digits would make each row a new one.
fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

const COLUMNS: [&str; 13] = [
    "topic_name",
    "queue_depth",
    "depth",
    "in_flight_count",
    "deferred_count",
    "client_count",
    "message_count",
    "message_rate",
    "finish_rate",
    "channel_count",
    "node_count",
    "paused_node_count",
    "verdict",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sample::Figures;

    fn sample(topics: &[(&str, i64)]) -> Sample {
        let topics = topics.iter().map(|(name, depth)| {
            let figures = Figures {
                depth: *depth,
                ..Figures::default()
            };
            let topic = TopicSample {
                figures,
                ..TopicSample::default()
            };
            ((*name).to_owned(), topic)
        });
        Sample {
            topics: topics.collect::<BTreeMap<_, _>>(),
            ..Sample::default()
        }
    }

    #[test]
    fn only_topics_that_changed_are_sent_again() {
        let (before, now) = (
            sample(&[("a", 1), ("b", 1), ("c", 1)]),
            sample(&[("a", 1), ("b", 2), ("d", 1)]),
        );
        let whole = topics(None, &now);
        assert_eq!(
            (&whole["is_whole"], whole["rows"].as_array().unwrap().len()),
            (&json!(true), 3)
        );
        let changed = topics(Some(&before), &now);
        let names: Vec<&Value> = changed["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| &row[0])
            .collect();
        assert_eq!(names, ["b", "d"]);
        assert_eq!(
            (&changed["gone"], &changed["is_whole"]),
            (&json!(["c"]), &json!(false))
        );
        assert_eq!(changed["rows"][0].as_array().unwrap().len(), COLUMNS.len());
    }
}
