//! All runs, in turns: one of each system, then again, so that a slow minute of the machine hits all alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use crate::arguments::Task;
use crate::error::Error;
use crate::measure::Figures;
use crate::report::table::table;
use crate::results::Results;
use crate::settings::Settings;
use crate::systems::Kind;
use crate::workloads::{Workload, run};

/// How long a run may take; one that takes longer waits for what never comes.
const RUN_MAX: Duration = Duration::from_mins(2);

/// What is to be measured, and how.
#[derive(Debug)]
pub(crate) struct Session {
    /// Where the program of each system is.
    pub(crate) programs: BTreeMap<Kind, PathBuf>,
    /// What is done to whom.
    pub(crate) tasks: Vec<Task>,
    /// Runs of each.
    pub(crate) rounds: u32,
    /// The rest.
    pub(crate) settings: Settings,
}

impl Session {
    /// Does all runs, and prints the table of each workload when it is done.
    pub(crate) async fn measure(&self) -> Results {
        let mut results = Results::default();
        for (workload, systems) in &self.tasks {
            let rounds = if workload.once() { 1 } else { self.rounds };
            for _ in 0..rounds {
                for kind in systems {
                    self.run(workload, *kind, &mut results).await;
                }
            }
            println!("{}", table(workload, &results));
        }
        results
    }

    /// One run. One that fails is told at once, and does not keep the others from running.
    async fn run(&self, workload: &Workload, kind: Kind, results: &mut Results) {
        match self.try_run(workload, kind, &self.programs[&kind]).await {
            Ok(figures) => results.add(workload.name, kind, figures),
            Err(error) => {
                let failure = format!("{}, {}: {error}", workload.name, kind.name());
                eprintln!("failed: {failure}");
                results.fail(failure);
            }
        }
    }

    async fn try_run(
        &self,
        workload: &Workload,
        kind: Kind,
        program: &Path,
    ) -> Result<Figures, Error> {
        let run = run(workload, kind, program, &self.settings);
        let seconds = RUN_MAX.as_secs();
        let done = timeout(RUN_MAX, run).await;
        done.map_err(|_| Error::TooLong { seconds })?
    }
}
