//! The figures of all runs for programs: `results.json`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::goals::GOALS;
use super::machine::Machine;
use crate::error::Error;
use crate::results::{Results, Runs, summarise};
use crate::workloads::WORKLOADS;

/// Writes them to this path.
pub(crate) fn write(path: &Path, machine: &Machine, results: &Results) -> Result<(), Error> {
    let document = json!({
        "machine": machine,
        "results": WORKLOADS.iter().flat_map(|workload| {
            results.of(workload.name).map(|(kind, runs)| json!({
                "workload": workload.name,
                "about": workload.about,
                "system": kind.name(),
                "figures": figures(runs),
            }))
        }).collect::<Vec<Value>>(),
        "goals": GOALS.iter().filter_map(|goal| {
            let value = goal.value(results)?;
            Some(json!({ "goal": goal.text(), "value": value, "reached": goal.is_reached_by(value) }))
        }).collect::<Vec<Value>>(),
        "failures": results.failures(),
    });
    let text = format!("{document:#}\n");
    fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))
}

fn figures(runs: &Runs) -> Value {
    let entries = runs.iter().filter_map(|(metric, values)| {
        let summary = summarise(values)?;
        let name = serde_json::to_value(metric).expect("a metric is a name");
        let name = name.as_str().expect("a metric is a name").to_owned();
        let figure = json!({
            "median": summary.median,
            "min": summary.min,
            "max": summary.max,
            "runs": values,
        });
        Some((name, figure))
    });
    Value::Object(entries.collect::<Map<String, Value>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Metric;

    #[test]
    fn figures_have_their_runs_and_units() {
        let runs = Runs::from([(Metric::P999Us, vec![1.0, 4.0])]);
        let expected = json!({
            "p999_us": { "median": 2.5, "min": 1.0, "max": 4.0, "runs": [1.0, 4.0] },
        });
        assert_eq!(figures(&runs), expected);
    }
}
