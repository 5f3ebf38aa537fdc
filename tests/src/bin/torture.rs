//! Hurts real daemons under load, and checks that they keep what they promise.
#![allow(clippy::print_stdout, reason = "a command that reports what happens")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tests::torture::exercise::Exercise;
use tests::torture::nemesis::Fault;
use tests::torture::plan::{Plan, Wishes};
use tests::torture::profile::{self, Profile};
use tests::torture::promises::Durability;
use tests::torture::sabotage::{self, Sight};
use tests::torture::{checker, flips, history, report, requirement, run};

/// Set in the process that has a mount namespace of its own.
const ALONE: &str = "TORTURE_ALONE";

#[derive(Parser)]
#[command(about = "Hurts real daemons under load, and checks that they keep what they promise")]
struct Arguments {
    /// Where runs have their files, a folder for each; those of a clean run are removed.
    #[arg(long, global = true, default_value_os_t = std::env::temp_dir().join("torture"))]
    dir: PathBuf,
    /// A file that gets a line for each run.
    #[arg(long, global = true)]
    log: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One run of the faults that are named, or all runs of a profile.
    Run(RunArguments),
    /// Flips bits in copies of a topic.
    Flip {
        /// Makes all choices; a random one if none is given.
        #[arg(long, default_value_t = fastrand::u64(..), hide_default_value = true)]
        seed: u64,
        /// How many.
        #[arg(long, default_value_t = 1000)]
        count: usize,
    },
    /// Has nsqd break its promises on purpose, and checks that each breach is noticed.
    Sabotage {
        /// Makes all choices; a random one if none is given.
        #[arg(long, default_value_t = fastrand::u64(..), hide_default_value = true)]
        seed: u64,
        /// Which promises; all if none is named.
        names: Vec<String>,
    },
    /// Has nsqd die once at every place where files are half changed, at each level that is to outlive it.
    Abort {
        /// Makes all choices; a random one if none is given.
        #[arg(long, default_value_t = fastrand::u64(..), hide_default_value = true)]
        seed: u64,
    },
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
    #[arg(long, default_value_t = fastrand::u64(..), hide_default_value = true)]
    seed: u64,
    /// The runs of a submission, or of a long night, besides those that `--seeds` keeps.
    #[arg(long, value_enum, conflicts_with_all = ["durability", "faults", "cycles", "flags"])]
    profile: Option<Profile>,
    /// The file of runs that are done with every profile.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/torture/seeds.txt"))]
    seeds: PathBuf,
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
    isolate();
    let Arguments { dir, log, command } = Arguments::parse();
    let mut session = Session {
        dir,
        log,
        tried: Exercise::default(),
    };
    let done = match command {
        Command::Run(arguments) => session.run(arguments),
        Command::Flip { seed, count } => session.flip(seed, count),
        Command::Sabotage { seed, names } => session.sabotage(seed, &names),
        Command::Abort { seed } => session.abort(seed),
        Command::Replay { run } => read(&run).and_then(|(plan, _)| session.one(&plan)),
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

/// Gives root's harness a mount namespace of its own: whatever becomes of it, its mounts go with it.
fn isolate() {
    if std::env::var_os(ALONE).is_some() || !rustix::process::geteuid().is_root() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private"])
        .arg(program);
    // Without `unshare` it goes on as it is.
    let _ = command
        .args(std::env::args_os().skip(1))
        .env(ALONE, "1")
        .exec();
}

/// Where the results of this command go, and what it has tried so far.
struct Session {
    dir: PathBuf,
    log: Option<PathBuf>,
    tried: Exercise,
}

impl Session {
    fn run(&mut self, arguments: RunArguments) -> Result<bool, String> {
        let seed = arguments.seed;
        let Some(profile) = arguments.profile else {
            let RunArguments {
                durability,
                faults,
                cycles,
                flags,
                ..
            } = arguments;
            return self.usable(Wishes {
                seed,
                durability,
                faults,
                cycles,
                flags,
            });
        };
        println!("repeat with --seed {seed}");
        let kept = fs::read_to_string(&arguments.seeds)
            .map_err(|error| format!("{}: {error}", arguments.seeds.display()))?;
        let mut is_clean = true;
        for wishes in profile::seeds(&kept)?
            .into_iter()
            .chain(profile::runs(profile, seed))
        {
            is_clean &= self.usable(wishes)?;
        }
        is_clean &= self.flip(seed, profile::flips(profile))?;
        is_clean &= self.have_tried_all(profile)?;
        Ok(is_clean)
    }

    /// Tells what was not tried, which must be nothing in a soak.
    fn have_tried_all(&self, profile: Profile) -> Result<bool, String> {
        self.print(&self.tried.to_string())?;
        let untried = self.tried.untried();
        if untried.is_empty() {
            return Ok(true);
        }
        self.print(&format!("NOT TRIED: {}", untried.join(" ")))?;
        Ok(profile != Profile::Soak)
    }

    /// Does a run with those of its faults that can be tried here; tells whether it was clean.
    fn usable(&mut self, wishes: Wishes) -> Result<bool, String> {
        let usable = requirement::usable(&wishes.faults)?;
        for line in &usable.skipped {
            println!("{line}");
        }
        if usable.faults.is_empty() && !wishes.faults.is_empty() {
            return Ok(true);
        }
        self.one(&Plan::new(&Wishes {
            faults: usable.faults,
            ..wishes
        }))
    }

    fn one(&mut self, plan: &Plan) -> Result<bool, String> {
        println!("plan: {plan}");
        let outcome = run::run(plan, &self.dir)?;
        self.tried.add(&outcome.exercise);
        self.print(&report::line(&outcome))?;
        if !outcome.verdict.is_clean() {
            let (_, events) = read(&outcome.directory)?;
            println!("{}", report::failure(&outcome, &events));
        }
        Ok(outcome.verdict.is_clean())
    }

    fn abort(&mut self, seed: u64) -> Result<bool, String> {
        let mut is_clean = true;
        for plan in profile::aborts(seed) {
            is_clean &= self.one(&plan)?;
        }
        Ok(is_clean)
    }

    fn flip(&self, seed: u64, count: usize) -> Result<bool, String> {
        let flips::Flips {
            flipped,
            harmless,
            cost_one,
            violations,
        } = flips::run(seed, count, None, &self.dir)?;
        for violation in &violations {
            println!("{violation}");
        }
        let violated = violations.len();
        self.print(&format!(
            "seed={seed} flips={flipped} harmless={harmless} cost_one_record={cost_one} violated={violated}"
        ))?;
        Ok(violations.is_empty())
    }

    fn sabotage(&self, seed: u64, chosen: &[String]) -> Result<bool, String> {
        let all: Vec<_> = sabotage::names().map(str::to_owned).collect();
        let names = if chosen.is_empty() { &all } else { chosen };
        let mut caught = 0;
        let mut skipped = 0;
        for name in names {
            let sight = sabotage::try_case(name, seed, &self.dir)?;
            println!("{name}: {sight:?}");
            caught += usize::from(matches!(sight, Sight::Caught(_)));
            skipped += usize::from(matches!(sight, Sight::Skipped(_)));
        }
        let tried = names.len();
        self.print(&format!(
            "seed={seed} sabotage={tried} caught={caught} skipped={skipped}"
        ))?;
        Ok(caught + skipped == tried)
    }

    fn print(&self, line: &str) -> Result<(), String> {
        println!("{line}");
        let Some(path) = &self.log else {
            return Ok(());
        };
        let log = File::options().create(true).append(true).open(path);
        let written = log.and_then(|mut log| log.write_all(report::dated(line).as_bytes()));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn read(run: &Path) -> Result<(Plan, Vec<tests::torture::event::Event>), String> {
    history::read(run).map_err(|error| format!("{}: {error}", run.display()))
}

fn check(run: &Path) -> Result<bool, String> {
    let (plan, events) = read(run)?;
    let verdict = checker::check(&plan.terms(), &events);
    let text = serde_json::to_string_pretty(&verdict).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(verdict.is_clean())
}
