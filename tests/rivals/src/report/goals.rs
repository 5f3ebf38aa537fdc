//! What nsqd is meant to reach beside the others, and whether it does.

use crate::measure::Metric;
use crate::results::Results;
use crate::systems::Kind;

/// A run: the name of a workload, and a system.
type Run = (&'static str, Kind);

/// One goal: a figure, alone or beside the same of another run.
#[derive(Debug)]
pub(crate) struct Goal {
    metric: Metric,
    of: Run,
    beside: Option<Run>,
    bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const MEMORY: Kind = Kind::NsqdMemory;
const DISK: Kind = Kind::NsqdDisk;

const fn faster(of: Run, beside: Run, times: f64) -> Goal {
    Goal {
        metric: Metric::MessagesPerSecond,
        of,
        beside: Some(beside),
        bound: Bound::AtLeast(times),
    }
}

const fn cheaper(of: Run, beside: Run, share: f64) -> Goal {
    Goal {
        metric: Metric::ServerCpuUs,
        of,
        beside: Some(beside),
        bound: Bound::AtMost(share),
    }
}

const fn idle(metric: Metric, most: f64) -> Goal {
    Goal {
        metric,
        of: ("idle-10000", MEMORY),
        beside: None,
        bound: Bound::AtMost(most),
    }
}

/// All of them. Beside those which write to files as they go, nsqd is measured with its messages in memory and on disk.
pub(crate) const GOALS: &[Goal] = &[
    faster(("publish", MEMORY), ("publish", Kind::Discard), 0.75),
    faster(
        ("publish-ephemeral", MEMORY),
        ("publish-ephemeral", Kind::Discard),
        0.75,
    ),
    faster(("publish", MEMORY), ("publish", Kind::RedisEverysec), 3.0),
    faster(("publish", DISK), ("publish", Kind::RedisEverysec), 3.0),
    faster(("publish", MEMORY), ("publish", Kind::Jetstream), 2.0),
    faster(("publish", DISK), ("publish", Kind::Jetstream), 2.0),
    cheaper(("deliver", MEMORY), ("deliver", Kind::Nats), 0.5),
    cheaper(("deliver", DISK), ("deliver", Kind::Nats), 0.5),
    cheaper(("deliver", MEMORY), ("deliver", Kind::Jetstream), 0.25),
    cheaper(("deliver", DISK), ("deliver", Kind::Jetstream), 0.25),
    cheaper(("deliver", MEMORY), ("deliver", Kind::RedisEverysec), 0.25),
    cheaper(("deliver", DISK), ("deliver", Kind::RedisEverysec), 0.25),
    Goal {
        metric: Metric::P50Us,
        of: ("publish-single", MEMORY),
        beside: Some(("publish-single", Kind::Discard)),
        bound: Bound::AtMost(1.2),
    },
    cheaper(("fanout-100", MEMORY), ("fanout-1", MEMORY), 1.0),
    idle(Metric::ResidentBytes, 60e6),
    // 0 %, as one reads it.
    idle(Metric::IdleCpuPercent, 0.5),
];

impl Goal {
    /// The runs that it needs.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> {
        [self.of].into_iter().chain(self.beside)
    }

    /// What was measured: a ratio, or the figure itself. None if a run is missing.
    pub(crate) fn value(&self, results: &Results) -> Option<f64> {
        let median = |(workload, kind)| {
            let figure = results.figure(workload, kind, self.metric);
            figure.map(|summary| summary.median)
        };
        let value = median(self.of)?;
        self.beside
            .map_or(Some(value), |beside| Some(value / median(beside)?))
    }

    /// Whether this value is good enough.
    pub(crate) fn is_reached_by(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        }
    }

    /// What is to be reached, in one line.
    pub(crate) fn text(&self) -> String {
        let (bound, limit) = match self.bound {
            Bound::AtLeast(limit) => ("at least", limit),
            Bound::AtMost(limit) => ("at most", limit),
        };
        let (workload, kind) = self.of;
        let heading = self.metric.heading();
        let what = format!("{workload}, {heading}, {}", kind.name());
        match self.beside {
            None => format!("{what}: {bound} {}", self.metric.show(limit)),
            Some((other, kind)) if other == workload => {
                format!("{what} / {}: {bound} {limit}", kind.name())
            }
            Some((other, kind)) => format!("{what} / {other}, {}: {bound} {limit}", kind.name()),
        }
    }
}

/// A line for each goal whose runs were done.
pub(crate) fn lines(results: &Results) -> String {
    let lines = GOALS.iter().filter_map(|goal| {
        let value = goal.value(results)?;
        let verdict = if goal.is_reached_by(value) {
            "reached"
        } else {
            "MISSED"
        };
        let shown = match goal.beside {
            None => goal.metric.show(value),
            Some(_) => format!("{value:.2}"),
        };
        Some(format!("  {verdict:<8} {shown:>8}  {}\n", goal.text()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figures;
    use crate::workloads::WORKLOADS;

    #[test]
    fn goals_are_about_runs_that_are_done() {
        for (name, kind) in GOALS.iter().flat_map(Goal::runs) {
            let workload = WORKLOADS.iter().find(|workload| workload.name == name);
            assert!(
                workload.is_some_and(|workload| workload.suits(kind)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_goal_is_reached_at_its_bound() {
        let mut results = Results::default();
        assert_eq!(lines(&results), "");
        for (kind, rate) in [
            (MEMORY, 3.0),
            (Kind::RedisEverysec, 1.0),
            (Kind::Discard, 5.0),
        ] {
            let figures = Figures::from([(Metric::MessagesPerSecond, rate)]);
            results.add("publish", kind, figures);
        }
        let expected = "\
            \x20 MISSED       0.60  publish, messages/s, nsqd-memory / discard: at least 0.75\n\
            \x20 reached      3.00  publish, messages/s, nsqd-memory / redis-everysec: at least 3\n";
        assert_eq!(lines(&results), expected);
    }
}
