//! One run: load, hurt, heal, drain, restart, and judge.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checker::{self, Figures, Verdict};
use super::exercise::Exercise;
use super::load::Load;
use super::nemesis;
use super::plan::{Ground, Plan};
use super::world::{GivenUp, World};

/// How long the load runs before the first fault.
const WARM_UP_ACKNOWLEDGEMENTS: u64 = 50;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Of the run.
    pub plan: Plan,
    /// Where its files are; they are removed when the verdict is clean.
    pub directory: PathBuf,
    /// What the checker says.
    pub verdict: Verdict,
    /// Faults injected.
    pub cycles: usize,
    /// Publishes that were answered with an error that blames nsqd.
    pub declined: u64,
    /// From start to judgement.
    pub took: Duration,
    /// The longest start of nsqd.
    pub longest_start: Duration,
    /// Its longest clean stop.
    pub longest_stop: Duration,
    /// What it tried.
    pub exercise: Exercise,
}

impl Outcome {
    /// The figures that the checker counted.
    pub fn figures(&self) -> &Figures {
        &self.verdict.figures
    }

    /// Removes what a run has left.
    pub fn remove(&self) {
        // Best effort: it may be removed already.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Does what the plan says, in a folder below this one.
///
/// # Errors
///
/// When the harness can't even begin.
pub fn run(plan: &Plan, base: &Path) -> Result<Outcome, String> {
    let start = Instant::now();
    let directory = base.join(format!("{}-{:x}", plan.seed, std::process::id()));
    let mut world = World::create(plan.clone(), &directory)?;
    let mut cycles = 0;
    let lived = live(&mut world, &mut cycles);
    if lived.is_err()
        && let Some(load) = &mut world.load
    {
        load.drain();
        load.end();
    }
    let history = &world.shared.history;
    history
        .flush()
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let verdict = checker::check(&plan.terms(), &history.events());
    let log = fs::read_to_string(&world.launch.log).unwrap_or_default();
    let steps = &plan.steps[..cycles];
    let outcome = Outcome {
        exercise: Exercise::of(steps, &verdict.figures, world.most_spilled, &log),
        plan: plan.clone(),
        directory,
        cycles,
        declined: world.shared.declined(),
        took: start.elapsed(),
        longest_start: world.longest_start,
        longest_stop: world.longest_stop,
        verdict,
    };
    keep_or_remove(world, &outcome);
    Ok(outcome)
}

fn live(world: &mut World, cycles: &mut usize) -> Result<(), GivenUp> {
    let shared = world.shared.clone();
    world.load = Some(Load::start(&shared));
    world.progress(WARM_UP_ACKNOWLEDGEMENTS)?;
    for step in &shared.plan.steps {
        world.progress(step.acknowledgements)?;
        // What is lost when the harness itself dies is nothing of importance.
        let _ = shared.history.flush();
        nemesis::inject(*step, world)?;
        world.look();
        *cycles += 1;
    }
    world.progress(shared.plan.acknowledgements)?;
    drain(world)
}

/// Has everything finished, and makes sure that a restart brings nothing back.
fn drain(world: &mut World) -> Result<(), GivenUp> {
    if let Some(load) = &mut world.load {
        load.drain();
    }
    world.await_empty()?;
    world.terminate();
    world.start()?;
    world.await_empty()?;
    if let Some(load) = &mut world.load {
        load.end();
    }
    world.terminate();
    world.inspect();
    Ok(())
}

/// A failed run leaves everything: history, logs, and the data as it is now. What lies on a volume goes with it, so it is copied.
fn keep_or_remove(world: World, outcome: &Outcome) {
    if outcome.verdict.is_clean() {
        drop(world);
        outcome.remove();
        return;
    }
    if outcome.plan.ground == Ground::Folder {
        return;
    }
    let kept = outcome.directory.join("kept");
    let from = world.volume().path().to_owned();
    let arguments = ["-r".as_ref(), from.as_os_str(), kept.as_os_str()];
    // Best effort: what there is to see is in the history.
    let _ = std::process::Command::new("cp").args(arguments).status();
}
