//! Parts that several pages show: a figure with its past, and a verdict as a tag.

use askama::Template;

use super::spark::{Past, Spark};
use crate::alerts::Verdict;
use crate::history::Points;
use crate::sample::Figures;
use crate::units::{grouped, per_second};

/// One number, large, and what it was.
#[derive(Debug, Template)]
#[template(path = "parts/figure.html")]
pub(super) struct Figure {
    label: &'static str,
    /// Where live events have it.
    field: String,
    /// How it is written: `count`, `rate`.
    kind: &'static str,
    text: String,
    unit: &'static str,
    spark: Option<Spark>,
}

impl askama::filters::HtmlSafe for Figure {}

impl Figure {
    fn count(label: &'static str, field: impl Into<String>, count: i64) -> Self {
        Self {
            label,
            field: field.into(),
            kind: "count",
            text: grouped(count),
            unit: "",
            spark: None,
        }
    }

    fn rate(label: &'static str, field: impl Into<String>, rate: f64) -> Self {
        Self {
            kind: "rate",
            text: per_second(rate),
            unit: "/s",
            ..Self::count(label, field, 0)
        }
    }
}

/// A figure of a topic, a channel, a node or the cluster.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Published,
    Received,
    Finished,
    Waiting,
    InFlight,
    Deferred,
    Consumers,
    Requeued,
    TimedOut,
}

/// These figures with their past. `path` is where live events have them: `figures.`, or `node.`.
pub(super) fn figures(path: &str, figures: &Figures, past: &Past, kinds: &[Kind]) -> Vec<Figure> {
    let show = |kind: &Kind| {
        let (label, field) = kind.names();
        let field_path = format!("{path}{field}");
        let spark = past.spark(field, |points| kind.points(points));
        let figure = match kind.value(figures) {
            Value::Count(count) => Figure::count(label, field_path, count),
            Value::Rate(rate) => Figure::rate(label, field_path, rate),
        };
        Figure { spark, ..figure }
    };
    kinds.iter().map(show).collect()
}

enum Value {
    Count(i64),
    Rate(f64),
}

impl Kind {
    /// What is shown of a topic, of a node and of the cluster.
    pub(super) const OF_MANY: [Self; 5] = [
        Self::Published,
        Self::Finished,
        Self::Waiting,
        Self::InFlight,
        Self::Consumers,
    ];

    /// What people and what the API call it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Published => ("Published", "message_rate"),
            Self::Received => ("Received", "message_rate"),
            Self::Finished => ("Finished", "finish_rate"),
            Self::Waiting => ("Waiting", "depth"),
            Self::InFlight => ("In flight", "in_flight_count"),
            Self::Deferred => ("Deferred", "deferred_count"),
            Self::Consumers => ("Consumers", "client_count"),
            Self::Requeued => ("Requeued", "requeue_rate"),
            Self::TimedOut => ("Timed out", "timeout_rate"),
        }
    }

    fn value(self, figures: &Figures) -> Value {
        match self {
            Self::Published | Self::Received => Value::Rate(figures.message_rate),
            Self::Finished => Value::Rate(figures.finish_rate),
            Self::Waiting => Value::Count(figures.depth),
            Self::InFlight => Value::Count(figures.in_flight_count),
            Self::Deferred => Value::Count(figures.deferred_count),
            Self::Consumers => Value::Count(figures.client_count),
            Self::Requeued => Value::Rate(figures.requeue_rate),
            Self::TimedOut => Value::Rate(figures.timeout_rate),
        }
    }

    fn points(self, points: &Points) -> &Vec<Option<f64>> {
        match self {
            Self::Published | Self::Received => &points.message_rate,
            Self::Finished => &points.finish_rate,
            Self::Waiting => &points.depth,
            Self::InFlight => &points.in_flight_count,
            Self::Deferred => &points.deferred_count,
            Self::Consumers => &points.client_count,
            Self::Requeued => &points.requeue_rate,
            Self::TimedOut => &points.timeout_rate,
        }
    }
}

/// A verdict in a word, coloured by how good it is.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "parts/verdict.html")]
pub(super) struct Tag(pub(super) Verdict);

impl askama::filters::HtmlSafe for Tag {}

impl Tag {
    fn text(self) -> String {
        self.0.name().replace('_', " ")
    }

    /// The class of the style sheet; the script has the same.
    fn class(self) -> &'static str {
        match self.0 {
            Verdict::Stuck | Verdict::NotReady | Verdict::NoConsumers | Verdict::Growing => "bad",
            Verdict::Timeouts
            | Verdict::RequeueStorm
            | Verdict::Paused
            | Verdict::PartlyPaused
            | Verdict::Imbalance { .. }
            | Verdict::MissingOnNodes { .. }
            | Verdict::Draining { .. } => "warn",
            Verdict::KeepingUp => "good",
            Verdict::Idle => "idle",
        }
    }
}
