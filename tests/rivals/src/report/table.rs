//! The figures of a workload as lines of text: medians, with how far the runs lie apart where that matters.

use crate::measure::Metric;
use crate::results::{Results, Runs, summarise};
use crate::workloads::Workload;

/// A line for each system, with a column for each figure that one of them has.
pub(crate) fn table(workload: &Workload, results: &Results) -> String {
    let measured = |metric: &Metric| {
        let mut systems = results.of(workload.name);
        systems.any(|(_, runs)| runs.contains_key(metric))
    };
    let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(measured).collect();
    let headings = metrics.iter().map(|metric| metric.heading().to_owned());
    let mut rows = vec![[String::new()].into_iter().chain(headings).collect()];
    for (kind, runs) in results.of(workload.name) {
        let cells = metrics.iter().map(|metric| cell(*metric, runs));
        rows.push([kind.name()].into_iter().chain(cells).collect());
    }
    format!("{}: {}\n{}", workload.name, workload.about, align(&rows))
}

fn cell(metric: Metric, runs: &Runs) -> String {
    let values = runs.get(&metric).map_or(&[][..], Vec::as_slice);
    let Some(summary) = summarise(values) else {
        return "-".to_owned();
    };
    let median = metric.show(summary.median);
    match metric {
        Metric::MessagesPerSecond | Metric::ServerCpuUs if values.len() > 1 => {
            format!("{median} ±{:.0}%", summary.spread_percent())
        }
        _ => median,
    }
}

/// Rows with columns of the same width: the first aligned left, the others right.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let (first, others) = row.split_first().expect("a row has a name");
        let others = others.iter().zip(&widths[1..]);
        let others = others.map(|(cell, width)| format!("  {cell:>width$}"));
        let first = format!("  {first:<width$}", width = widths[0]);
        let cells = [first].into_iter().chain(others);
        cells.chain(["\n".to_owned()]).collect::<String>()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figures;
    use crate::systems::Kind;
    use crate::workloads::WORKLOADS;

    #[test]
    fn columns_are_those_that_were_measured() {
        let mut results = Results::default();
        for rate in [900.0, 1100.0] {
            let figures = [(Metric::MessagesPerSecond, rate), (Metric::P50Us, 7.2)];
            results.add("publish", Kind::NsqdMemory, Figures::from(figures));
        }
        let figures = Figures::from([(Metric::MessagesPerSecond, 5.0)]);
        results.add("publish", Kind::Nats, figures);
        let expected = "publish: publish 200 B in batches of 200\n\
            \x20              messages/s  p50 µs\n\
            \x20 nsqd-memory   1000 ±10%       7\n\
            \x20 nats                  5       -\n";
        assert_eq!(table(&WORKLOADS[0], &results), expected);
    }
}
