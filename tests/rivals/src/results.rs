//! What was measured, for whoever tells it.

use std::collections::BTreeMap;

use crate::measure::{Figures, Metric};
use crate::systems::Kind;

/// The figures of all runs, by workload and system.
#[derive(Debug, Default)]
pub(crate) struct Results {
    cells: BTreeMap<(&'static str, Kind), Runs>,
    failures: Vec<String>,
}

/// The values of each figure, one for each run.
pub(crate) type Runs = BTreeMap<Metric, Vec<f64>>;

/// What several runs say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The middle of the values; of two, their mean.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Results {
    /// Takes what one run found.
    pub(crate) fn add(&mut self, workload: &'static str, kind: Kind, figures: Figures) {
        let runs = self.cells.entry((workload, kind)).or_default();
        for (metric, value) in figures {
            runs.entry(metric).or_default().push(value);
        }
    }

    /// Notes that a run could not be done.
    pub(crate) fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    /// The runs that could not be done, and why.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// All runs of a workload, by system.
    pub(crate) fn of(&self, workload: &str) -> impl Iterator<Item = (Kind, &Runs)> {
        let cells = self.cells.iter();
        cells.filter_map(move |((name, kind), runs)| (*name == workload).then_some((*kind, runs)))
    }

    /// One figure; none if it was not measured.
    pub(crate) fn figure(&self, workload: &str, kind: Kind, metric: Metric) -> Option<Summary> {
        let mut systems = self.of(workload);
        let (_, runs) = systems.find(|(measured, _)| *measured == kind)?;
        summarise(runs.get(&metric)?)
    }
}

/// None of no values.
pub(crate) fn summarise(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    };
    Some(Summary { median, min, max })
}

impl Summary {
    /// Half the way from the least to the greatest, in percent of the median.
    pub(crate) fn spread_percent(self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        (self.max - self.min) / 2.0 / self.median * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends_are_found() {
        let check = |values: &[f64], median, min, max| {
            assert_eq!(summarise(values), Some(Summary { median, min, max }));
        };
        check(&[3.0], 3.0, 3.0, 3.0);
        check(&[3.0, 1.0], 2.0, 1.0, 3.0);
        check(&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0);
        assert_eq!(summarise(&[]), None);
    }

    #[test]
    fn figures_of_several_runs_come_together() {
        let mut results = Results::default();
        for value in [1.0, 3.0] {
            let figures = Figures::from([(Metric::P50Us, value)]);
            results.add("publish", Kind::Nats, figures);
        }
        let p50 = |kind| results.figure("publish", kind, Metric::P50Us);
        let spread = p50(Kind::Nats).unwrap().spread_percent();
        assert!((spread - 50.0).abs() < 1e-9, "{spread}");
        assert_eq!(p50(Kind::Discard), None);
        assert_eq!(results.of("deliver").count(), 0);
    }
}
