//! What `/metrics` shows, in the text format of `OpenMetrics`.
//!
//! What happens is counted in here as it happens; what the registry holds is read from it when somebody asks.

use client::wire::ErrorCode;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::registry::Counts;

/// The content type of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The counters of a daemon.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    connections: Gauge,
    commands: ByLabel,
    refused: ByLabel,
}

/// A counter for each value of one label.
type ByLabel = Family<[(&'static str, &'static str); 1], Counter>;

impl Metrics {
    /// Counts a connection until the result is dropped.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Counts a command that was carried out.
    pub(crate) fn command(&self, name: &'static str) {
        self.commands.get_or_create(&[("command", name)]).inc();
    }

    /// Counts a connection that is closed with an error.
    pub(crate) fn refused(&self, code: ErrorCode) {
        self.refused.get_or_create(&[("code", code.as_str())]).inc();
    }

    /// Returns everything as text.
    pub(crate) fn encode(&self, counts: Counts) -> String {
        let mut registry = Registry::with_prefix("nsqlookupd");
        registry.register(
            "connections",
            "TCP connections open",
            self.connections.clone(),
        );
        let mut gauge = |name, help, count: usize| {
            let value = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            registry.register(name, help, value);
        };
        gauge(
            "producers",
            "nsqds connected and identified",
            counts.producers,
        );
        gauge(
            "inactive_producers",
            "nsqds left out of answers for want of a ping",
            counts.inactive_producers,
        );
        gauge("topics", "Topics known", counts.topics);
        gauge("channels", "Channels known", counts.channels);
        gauge(
            "registrations",
            "Topics and channels, counted once for each nsqd that has them",
            counts.registrations,
        );
        registry.register("commands", "Commands carried out", self.commands.clone());
        registry.register(
            "refused",
            "Connections closed with an error",
            self.refused.clone(),
        );

        let mut text = String::new();
        text::encode(&mut text, &registry).expect("a string takes any text");
        text
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
