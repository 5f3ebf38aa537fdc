//! GET `/metrics`: the cluster's sums, its alerts, and nsqadmin itself, as Prometheus text.

use std::fmt::Write as _;

use client::daemon::http::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::Admin;
use crate::sample::{Figures, Sample};

pub(super) fn show(admin: &Admin) -> Response {
    let sample = admin.scene.sample();
    let mut text = Text::default();
    own(&mut text, admin, &sample);
    alerts(&mut text, admin);
    cluster(&mut text, &sample);
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Response::plain(&text.0).with_header(CONTENT_TYPE, content_type)
}

fn own(text: &mut Text, admin: &Admin, sample: &Sample) {
    let usage = admin.history.usage();
    let sessions = admin
        .access
        .sessions()
        .map_or(0, crate::session::Sessions::count);
    for (name, kind, help, value) in [
        (
            "nsqadmin_samples_total",
            "counter",
            "looks at the cluster",
            sample.tick,
        ),
        (
            "nsqadmin_history_series",
            "gauge",
            "topics, channels and nodes with a history",
            usage.series as u64,
        ),
        (
            "nsqadmin_history_series_max",
            "gauge",
            "most of them",
            usage.series_max as u64,
        ),
        (
            "nsqadmin_history_bytes",
            "gauge",
            "memory of the history",
            usage.bytes as u64,
        ),
        (
            "nsqadmin_history_left_out",
            "gauge",
            "topics, channels and nodes without a history, for lack of room",
            usage.left_out as u64,
        ),
        (
            "nsqadmin_live_viewers",
            "gauge",
            "who watches live figures",
            admin.hub.count() as u64,
        ),
        (
            "nsqadmin_sessions",
            "gauge",
            "who has logged in",
            sessions as u64,
        ),
    ] {
        text.family(name, kind, help);
        text.line(name, &[], value);
    }
}

fn alerts(text: &mut Text, admin: &Admin) {
    text.family(
        "nsqadmin_alert",
        "gauge",
        "1 for an alert that fires and is not silenced",
    );
    for alert in admin.scene.alerts.firing() {
        let labels = [
            ("rule", alert.rule.name()),
            ("severity", alert.severity),
            ("topic", &alert.topic),
            ("channel", &alert.channel),
            ("node", &alert.node),
        ];
        text.line("nsqadmin_alert", &labels, u8::from(!alert.is_silenced));
    }
}

fn cluster(text: &mut Text, sample: &Sample) {
    text.family("nsq_cluster_node_up", "gauge", "1 for a node that answers");
    for (name, node) in &sample.nodes {
        text.line(
            "nsq_cluster_node_up",
            &[("node", name)],
            u8::from(node.error.is_none()),
        );
    }
    text.family(
        "nsq_cluster_topic_depth",
        "gauge",
        "messages that no channel has been given yet",
    );
    for (name, topic) in &sample.topics {
        text.line(
            "nsq_cluster_topic_depth",
            &[("topic", name)],
            topic.queue_depth,
        );
    }
    text.family(
        "nsq_cluster_topic_messages",
        "gauge",
        "messages published since nodes started",
    );
    for (name, topic) in &sample.topics {
        text.line(
            "nsq_cluster_topic_messages",
            &[("topic", name)],
            topic.message_count,
        );
    }
    for (name, help, figure) in CHANNEL_GAUGES {
        text.family(name, "gauge", help);
        for (topic_name, topic) in &sample.topics {
            for (channel_name, channel) in &topic.channels {
                let labels = [("topic", topic_name.as_str()), ("channel", channel_name)];
                text.line(name, &labels, figure(&channel.figures));
            }
        }
    }
}

/// A figure of a channel: its name, what it is, where it is found.
type ChannelGauge = (&'static str, &'static str, fn(&Figures) -> f64);

#[expect(clippy::cast_precision_loss, reason = "Prometheus has nothing else")]
const CHANNEL_GAUGES: [ChannelGauge; 7] = [
    ("nsq_cluster_channel_depth", "messages that wait", |f| {
        f.depth as f64
    }),
    (
        "nsq_cluster_channel_in_flight",
        "messages that consumers hold",
        |f| f.in_flight_count as f64,
    ),
    (
        "nsq_cluster_channel_deferred",
        "messages that are not due yet",
        |f| f.deferred_count as f64,
    ),
    ("nsq_cluster_channel_clients", "consumers", |f| {
        f.client_count as f64
    }),
    (
        "nsq_cluster_channel_finish_rate",
        "messages finished a second",
        |f| f.finish_rate,
    ),
    (
        "nsq_cluster_channel_requeue_rate",
        "messages given back a second",
        |f| f.requeue_rate,
    ),
    (
        "nsq_cluster_channel_timeout_rate",
        "messages not finished in time, a second",
        |f| f.timeout_rate,
    ),
];

/// Prometheus text (exposition format 0.0.4).
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
            .expect("a String takes everything");
    }

    /// Labels without a value are left out.
    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        let labels = labels.iter().filter(|(_, value)| !value.is_empty());
        for (index, (label, value)) in labels.clone().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let value = escaped(value);
            write!(self.0, "{before}{label}=\"{value}\"").expect("a String takes everything");
        }
        let end = if labels.count() == 0 { "" } else { "}" };
        writeln!(self.0, "{end} {value}").expect("a String takes everything");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_say_cannot_break_out_of_a_label() {
        let mut text = Text::default();
        text.line("m", &[("a", "x\"} 9\n\\"), ("b", "")], 1);
        text.line("m", &[], 2);
        assert_eq!(text.0, "m{a=\"x\\\"} 9\\n\\\\\"} 1\nm 2\n");
    }
}
