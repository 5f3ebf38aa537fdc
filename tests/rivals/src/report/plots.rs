//! Plots as SVG: bars of each workload, lines of latency by load.

use std::error::Error as StdError;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::Error;
use crate::measure::Metric;
use crate::results::Results;
use crate::systems::Kind;
use crate::workloads::{Shape, WORKLOADS, Workload};

type Drawn = Result<(), Box<dyn StdError>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What bars are drawn for, each in a panel of its own.
const PANELS: [Metric; 4] = [
    Metric::MessagesPerSecond,
    Metric::ServerCpuUs,
    Metric::ResidentBytes,
    Metric::P99Us,
];
const PANEL_WIDTH: u32 = 300;
const BAR_HEIGHT: u32 = 34;
const HEAD_HEIGHT: u32 = 70;

/// Draws into this folder: `WORKLOAD.svg` for each that was measured, and `latency.svg`.
pub(crate) fn draw(folder: &Path, results: &Results) -> Result<(), Error> {
    for workload in WORKLOADS {
        if results.of(workload.name).next().is_some() {
            let path = folder.join(format!("{}.svg", workload.name));
            report(&path, bars(&path, workload, results))?;
        }
    }
    let latencies = latencies(results);
    if latencies.is_empty() {
        return Ok(());
    }
    let path = folder.join("latency.svg");
    report(&path, lines(&path, &latencies))
}

fn report(path: &Path, drawn: Drawn) -> Result<(), Error> {
    drawn.map_err(|error| Error::Plot {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// A panel for each figure that the workload has, a bar for each system.
fn bars(path: &Path, workload: &Workload, results: &Results) -> Drawn {
    let panels: Vec<(Metric, Vec<(Kind, f64)>)> = PANELS
        .into_iter()
        .map(|metric| (metric, medians(workload, metric, results)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let systems = u32::try_from(results.of(workload.name).count())?;
    let width = PANEL_WIDTH * u32::try_from(panels.len())?;
    let size = (width.max(PANEL_WIDTH), HEAD_HEIGHT + BAR_HEIGHT * systems);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let titled = root.titled(workload.about, ("sans-serif", 18))?;
    let areas = titled.split_evenly((1, panels.len().max(1)));
    for (area, (metric, bars)) in areas.iter().zip(&panels) {
        panel(area, *metric, bars)?;
    }
    root.present()?;
    Ok(())
}

fn medians(workload: &Workload, metric: Metric, results: &Results) -> Vec<(Kind, f64)> {
    let systems = results.of(workload.name).map(|(kind, _)| kind);
    let figures = systems.filter_map(|kind| {
        let figure = results.figure(workload.name, kind, metric)?;
        Some((kind, figure.median))
    });
    figures.collect()
}

/// Bars from zero on, so that their lengths compare; name and value stand on them.
fn panel(area: &Area<'_>, metric: Metric, bars: &[(Kind, f64)]) -> Drawn {
    let longest = bars
        .iter()
        .map(|(_, value)| *value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(metric.heading(), ("sans-serif", 14))
        .margin(8)
        .build_cartesian_2d(0.0..longest, 0..bars.len() * 2)?;
    for (index, (kind, value)) in bars.iter().enumerate() {
        // From the top; a bar and its label share two rows.
        let row = (bars.len() - index) * 2;
        let colour = Palette99::pick(*kind as usize);
        let bar = Rectangle::new([(0.0, row - 1), (*value, row - 2)], colour.filled());
        chart.draw_series([bar])?;
        let label = format!("{} {}", kind.name(), metric.show(*value));
        chart.draw_series([Text::new(label, (0.0, row), ("sans-serif", 12))])?;
    }
    Ok(())
}

/// The p99 of a system by load in percent of its highest rate.
type Latency = (Kind, Vec<(f64, f64)>);

fn latencies(results: &Results) -> Vec<Latency> {
    let mut lines: Vec<Latency> = Vec::new();
    for workload in WORKLOADS {
        let Shape::Latency { percent } = workload.shape else {
            continue;
        };
        for (kind, p99) in medians(workload, Metric::P99Us, results) {
            let point = (f64::from(percent), p99);
            match lines.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, points)) => points.push(point),
                None => lines.push((kind, vec![point])),
            }
        }
    }
    lines
}

fn lines(path: &Path, latencies: &[Latency]) -> Drawn {
    let root = SVGBackend::new(path, (800, 500)).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || latencies.iter().flat_map(|(_, points)| points);
    let least = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption("p99 from due time to delivery", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..100.0, (least.max(1.0)..most * 1.2).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("load in % of the highest rate")
        .y_desc("µs")
        .draw()?;
    for (kind, points) in latencies {
        let colour = Palette99::pick(*kind as usize).to_rgba();
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        let series = chart.draw_series(line.point_size(3))?;
        let key = move |(x, y)| Rectangle::new([(x, y - 2), (x + 16, y + 2)], colour.filled());
        series.label(kind.name()).legend(key);
    }
    let mut legend = chart.configure_series_labels();
    legend.background_style(WHITE.mix(0.8)).draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::measure::Figures;

    #[test]
    fn plots_name_what_was_measured() {
        let mut results = Results::default();
        for workload in ["publish", "latency-10", "latency-90"] {
            let figures = [(Metric::MessagesPerSecond, 7.0), (Metric::P99Us, 250.0)];
            results.add(workload, Kind::Nats, Figures::from(figures));
        }
        let folder = TempDir::new().unwrap();
        draw(folder.path(), &results).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("publish.svg").contains("nats 250"));
        assert!(read("latency.svg").contains("nats"));
        assert!(!folder.path().join("deliver.svg").exists());
    }
}
