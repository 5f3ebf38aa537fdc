//! What is measured, by name and unit.

use std::collections::BTreeMap;

use serde::Serialize;

/// What one run found.
pub(crate) type Figures = BTreeMap<Metric, f64>;

/// A figure of a run. The names are those of the JSON file, and end with the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Messages confirmed, or delivered where there are consumers.
    MessagesPerSecond,
    /// Processor time of the server, user and system, for each of them.
    ServerCpuUs,
    /// The same of this program.
    LoadCpuUs,
    /// The most memory of the server that was resident since its start; what is resident where nothing happens.
    ResidentBytes,
    /// What the server has the disk write for each message.
    WrittenBytes,
    /// From send to confirmation, or from due time to delivery in `latency-*`.
    P50Us,
    /// The same; 1 of 100 takes longer.
    P99Us,
    /// The same; 1 of 1,000 takes longer.
    P999Us,
    /// From start until clients are answered.
    StartMs,
    /// Processor time of the server while nothing happens, in percent of one core.
    IdleCpuPercent,
    /// System calls of the server for each message, while strace slows it down.
    Syscalls,
}

impl Metric {
    /// All of them, in the order of columns.
    pub(crate) const ALL: [Self; 11] = [
        Self::MessagesPerSecond,
        Self::ServerCpuUs,
        Self::LoadCpuUs,
        Self::ResidentBytes,
        Self::WrittenBytes,
        Self::P50Us,
        Self::P99Us,
        Self::P999Us,
        Self::StartMs,
        Self::IdleCpuPercent,
        Self::Syscalls,
    ];

    /// The head of its column.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::MessagesPerSecond => "messages/s",
            Self::ServerCpuUs => "server µs",
            Self::LoadCpuUs => "load µs",
            Self::ResidentBytes => "memory MB",
            Self::WrittenBytes => "disk B",
            Self::P50Us => "p50 µs",
            Self::P99Us => "p99 µs",
            Self::P999Us => "p99.9 µs",
            Self::StartMs => "start ms",
            Self::IdleCpuPercent => "cpu %",
            Self::Syscalls => "syscalls",
        }
    }

    /// A value as it is shown in its column.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::ServerCpuUs | Self::LoadCpuUs => format!("{value:.3}"),
            Self::ResidentBytes => format!("{:.1}", value / 1e6),
            Self::Syscalls => format!("{value:.4}"),
            Self::StartMs | Self::IdleCpuPercent => format!("{value:.1}"),
            Self::MessagesPerSecond
            | Self::WrittenBytes
            | Self::P50Us
            | Self::P99Us
            | Self::P999Us => format!("{value:.0}"),
        }
    }
}
