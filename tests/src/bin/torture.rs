//! Hurts real daemons under load, and checks that they keep what they promise.
#![allow(clippy::print_stdout, reason = "a command that reports what happens")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tests::torture::nemesis::Fault;
use tests::torture::plan::{Plan, Wishes};
use tests::torture::promises::Durability;
use tests::torture::{checker, history, report, requirement, run};

#[derive(Parser)]
#[command(about = "Hurts real daemons under load, and checks that they keep what they promise")]
struct Arguments {
    /// Where runs have their files, a folder for each; those of a clean run are removed.
    #[arg(long, global = true, default_value_os_t = std::env::temp_dir().join("torture"))]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One run, of the faults that are named.
    Run(RunArguments),
    /// Does a run again, with the plan in its folder.
    Replay {
        /// The folder of the run.
        run: PathBuf,
    },
    /// Judges the history of a run again.
    Check {
        /// The folder of the run.
        run: PathBuf,
    },
}

#[derive(Args)]
struct RunArguments {
    /// Makes all choices; a random one if none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// When publishes are answered.
    #[arg(long, value_enum, default_value = "disk")]
    durability: Durability,
    /// Faults to choose from, with commas between them; none for a quiet run.
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// How many faults.
    #[arg(long, default_value_t = 10)]
    cycles: usize,
    /// A flag for nsqd, repeatable.
    #[arg(long = "flag", allow_hyphen_values = true)]
    flags: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Run(wishes) => wishes.plan().and_then(|plan| one(&plan, &arguments.dir)),
        Command::Replay { run } => match history::read(&run) {
            Ok((plan, _)) => one(&plan, &arguments.dir),
            Err(error) => Err(format!("{}: {error}", run.display())),
        },
        Command::Check { run } => check(&run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("torture: {reason}");
            ExitCode::from(2)
        }
    }
}

impl RunArguments {
    fn plan(self) -> Result<Plan, String> {
        let usable = requirement::usable(&self.faults)?;
        for line in &usable.skipped {
            println!("{line}");
        }
        Ok(Plan::new(&Wishes {
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
            durability: self.durability,
            faults: usable.faults,
            cycles: self.cycles,
            flags: self.flags,
        }))
    }
}

/// Does one run; tells whether it was clean.
fn one(plan: &Plan, dir: &std::path::Path) -> Result<bool, String> {
    println!("plan: {plan}");
    let outcome = run::run(plan, dir)?;
    if outcome.verdict.is_clean() {
        println!("{}", report::line(&outcome));
        return Ok(true);
    }
    let (_, events) = history::read(&outcome.directory).map_err(|error| error.to_string())?;
    println!("{}", report::failure(&outcome, &events));
    Ok(false)
}

fn check(run: &std::path::Path) -> Result<bool, String> {
    let (plan, events) =
        history::read(run).map_err(|error| format!("{}: {error}", run.display()))?;
    let verdict = checker::check(&plan.terms(), &events);
    let text = serde_json::to_string_pretty(&verdict).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(verdict.is_clean())
}
