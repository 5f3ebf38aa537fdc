//! The command line, and what it makes of workloads and systems.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::report::goals::{GOALS, Goal};
use crate::systems::Kind;
use crate::workloads::{WORKLOADS, Workload};

/// What is typed.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(
    name = "rivals",
    about = "Measures nsqd side by side with NATS, JetStream and Redis Streams",
    long_about = "Measures nsqd side by side with NATS, JetStream and Redis Streams.\n\n\
        Each run starts a server of its own on a free port of this machine, with its data in a temporary folder. Runs of the \
        systems that are compared take turns. Medians are printed; all runs go to results.json, plots beside it. Let nothing \
        else run meanwhile, and compare figures of one machine only."
)]
pub(crate) struct Arguments {
    /// List systems and workloads, and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Measure these systems only
    #[arg(long, value_name = "SYSTEM,…", value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// Do these workloads only; see --list
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    #[arg(value_parser = PossibleValuesParser::new(WORKLOADS.iter().map(|workload| workload.name)))]
    pub(crate) workload: Vec<String>,
    /// Do what the goals are about, and no more
    #[arg(long, conflicts_with = "workload")]
    pub(crate) goals: bool,
    /// Runs of each system and workload; 3 when left out, 5 with --goals, 1 with --quick
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Short runs, which show that everything works, and no figures to trust
    #[arg(long)]
    pub(crate) quick: bool,
    /// Another NSQ daemon, which joins as the system `peer`
    #[arg(long, value_name = "PATH")]
    pub(crate) nsqd: Option<PathBuf>,
    /// Count nsqd's system calls by strace, in publish and deliver workloads; spoils the other figures
    #[arg(long)]
    pub(crate) syscalls: bool,
    /// Where results.json, plots, and the servers' data go: on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", default_value = "target/rivals")]
    pub(crate) out: PathBuf,
}

/// A workload, and the systems that it is done to.
pub(crate) type Task = (&'static Workload, Vec<Kind>);

impl Arguments {
    /// Runs of each system and workload.
    pub(crate) fn rounds(&self) -> u32 {
        let default = match (self.quick, self.goals) {
            (true, _) => 1,
            (false, true) => 5,
            (false, false) => 3,
        };
        self.rounds.unwrap_or(default)
    }

    /// What is to be done to those of the systems that are there.
    pub(crate) fn tasks(&self, present: &[Kind]) -> Vec<Task> {
        let tasks = WORKLOADS.iter().filter(|workload| self.wants(workload));
        let tasks = tasks.map(|workload| {
            let systems = present.iter().copied();
            let systems = systems.filter(|kind| self.suits(workload, *kind));
            (workload, systems.collect::<Vec<Kind>>())
        });
        tasks.filter(|(_, systems)| !systems.is_empty()).collect()
    }

    fn wants(&self, workload: &Workload) -> bool {
        let named = self.workload.iter().any(|name| name == workload.name);
        named || (self.workload.is_empty() && (!self.syscalls || workload.is_traceable()))
    }

    fn suits(&self, workload: &Workload, kind: Kind) -> bool {
        let run = (workload.name, kind);
        let needed = !self.goals
            || GOALS
                .iter()
                .flat_map(Goal::runs)
                .any(|needed| needed == run);
        // A server that is traced must not be one that others pay for.
        let traceable = !self.syscalls || kind.is_nsqd();
        needed && traceable && workload.suits(kind)
    }
}

/// The names and meanings of systems and workloads.
pub(crate) fn list(kinds: &[Kind]) -> String {
    let systems = kinds.iter().map(|kind| (kind.name(), kind.about()));
    let workloads = WORKLOADS.iter().map(|workload| {
        let about = workload.about.to_owned();
        (workload.name.to_owned(), about)
    });
    let lines = |entries: Vec<(String, String)>| -> String {
        let lines = entries
            .into_iter()
            .map(|(name, about)| format!("  {name:<30}{about}\n"));
        lines.collect()
    };
    let (systems, workloads) = (lines(systems.collect()), lines(workloads.collect()));
    format!("systems\n{systems}workloads\n{workloads}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(arguments: &[&str]) -> Vec<String> {
        let words = ["rivals"].iter().chain(arguments);
        let arguments = Arguments::try_parse_from(words).unwrap();
        let present = [Kind::NsqdMemory, Kind::Nats, Kind::Discard];
        let shown = arguments
            .tasks(&present)
            .into_iter()
            .map(|(workload, systems)| {
                let systems: Vec<String> = systems.into_iter().map(Kind::name).collect();
                format!("{}: {}", workload.name, systems.join(" "))
            });
        shown.collect()
    }

    #[test]
    fn workloads_are_done_to_those_whom_they_suit() {
        let all = tasks(&[]);
        assert_eq!(all.len(), WORKLOADS.len());
        assert_eq!(
            tasks(&["--workload", "deliver,backlog"]),
            ["deliver: nsqd-memory nats", "backlog: nsqd-memory"]
        );
    }

    #[test]
    fn goals_need_a_few_runs_only() {
        let goals = tasks(&["--goals"]);
        assert_eq!(goals.first().unwrap(), "publish: nsqd-memory discard");
        assert!(goals.contains(&"fanout-100: nsqd-memory".to_owned()));
        assert!(!goals.iter().any(|task| task.starts_with("latency")));
    }

    #[test]
    fn an_unknown_workload_is_refused_with_the_known_ones() {
        let refused = Arguments::try_parse_from(["rivals", "--workload", "publsh"]);
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("'publsh'") && text.contains("publish-64k"),
            "{text}"
        );
    }
}
