//! The runs that together make a submission's proof, and a long night's.

use clap::ValueEnum;

use super::nemesis::Fault;
use super::nemesis::abort::Place;
use super::plan::{Plan, Wishes};
use super::promises::Durability;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// What every submission passes: under three minutes.
    Ci,
    /// What a long night reaches.
    Soak,
}

/// One sort of run: a level, faults that go together, and how many of them; 0 for no such run.
struct Sort {
    durability: Durability,
    faults: &'static [Fault],
    ci: usize,
    soak: usize,
}

const fn sort(durability: Durability, faults: &'static [Fault], ci: usize, soak: usize) -> Sort {
    Sort {
        durability,
        faults,
        ci,
        soak,
    }
}

/// Cycles of a soak are cut into runs of so many, so that each draws a plan of its own.
const CYCLES_MAX: usize = 25;

const LIMITS: &[Fault] = &[Fault::Inodes, Fault::ReadOnly];
const CRASHES: &[Fault] = &[Fault::Kill, Fault::CrashLoop, Fault::EarlyStop];
const STOPS: &[Fault] = &[Fault::Terminate, Fault::Hold, Fault::Intruder];
const CLIENTS: &[Fault] = &[
    Fault::Cut,
    Fault::Freeze,
    Fault::HalfOpen,
    Fault::Trickle,
    Fault::Pause,
    Fault::Descriptors,
];
const POWER: &[Fault] = &[Fault::PowerCut];
const SNAPSHOTS: &[Fault] = &[Fault::Snapshot];
const DISK: &[Fault] = &[Fault::Full, Fault::ShortWrite];
const ERRORS: &[Fault] = &[
    Fault::Names,
    Fault::SyncError,
    Fault::ReadError,
    Fault::SlowSync,
];
const MIXED: &[Fault] = &[
    Fault::Kill,
    Fault::Terminate,
    Fault::Cut,
    Fault::Freeze,
    Fault::Hold,
    Fault::Churn,
    Fault::Pause,
];
const MIXED_WITH_POWER: &[Fault] = &[Fault::Kill, Fault::PowerCut, Fault::SyncError, Fault::Full];

const SORTS: &[Sort] = &[
    sort(Durability::Disk, &[], 2, 20),
    sort(Durability::Memory, &[], 5, 100),
    sort(Durability::Disk, &[Fault::Kill], 12, 250),
    sort(Durability::Fsync, &[Fault::Kill], 8, 250),
    sort(Durability::Disk, CRASHES, 3, 50),
    sort(Durability::Memory, CRASHES, 0, 25),
    sort(Durability::Disk, &[Fault::Abort], 0, 100),
    sort(Durability::Fsync, &[Fault::Abort], 0, 100),
    sort(Durability::Memory, &[Fault::Terminate], 8, 100),
    sort(Durability::Disk, STOPS, 4, 50),
    sort(Durability::Fsync, STOPS, 4, 50),
    sort(Durability::Fsync, POWER, 8, 300),
    sort(Durability::Disk, POWER, 2, 50),
    sort(Durability::Memory, CLIENTS, 4, 50),
    sort(Durability::Disk, CLIENTS, 4, 50),
    sort(Durability::Fsync, SNAPSHOTS, 6, 200),
    sort(Durability::Memory, DISK, 2, 50),
    sort(Durability::Disk, DISK, 3, 50),
    sort(Durability::Fsync, DISK, 2, 50),
    sort(Durability::Disk, &[Fault::Inodes], 1, 20),
    sort(Durability::Fsync, LIMITS, 4, 50),
    sort(Durability::Disk, ERRORS, 3, 50),
    sort(
        Durability::Fsync,
        &[Fault::SyncError, Fault::PowerCut],
        3,
        50,
    ),
    sort(Durability::Memory, &[Fault::Lookupd], 2, 100),
    sort(Durability::Disk, &[Fault::Partition], 2, 200),
    sort(Durability::Disk, &[Fault::Clock], 2, 100),
    sort(Durability::Disk, MIXED, 5, 100),
    sort(Durability::Fsync, MIXED_WITH_POWER, 4, 100),
];

/// How many bits are flipped.
pub fn flips(profile: Profile) -> usize {
    match profile {
        Profile::Ci => 300,
        Profile::Soak => 10_000,
    }
}

/// The runs of a profile.
pub fn runs(profile: Profile, seed: u64) -> Vec<Wishes> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut runs = Vec::new();
    for sort in SORTS {
        let cycles = match profile {
            Profile::Ci => sort.ci,
            Profile::Soak => sort.soak,
        };
        for first in (0..cycles).step_by(CYCLES_MAX) {
            runs.push(Wishes {
                seed: random.u64(..),
                durability: sort.durability,
                faults: sort.faults.to_vec(),
                cycles: cycles.saturating_sub(first).min(CYCLES_MAX),
                flags: Vec::new(),
            });
        }
    }
    runs
}

/// Runs in which nsqd dies once at every place of its code where it can be made to.
pub fn aborts(seed: u64) -> [Plan; 2] {
    let levels = [
        (seed, Durability::Disk),
        (seed.wrapping_add(1), Durability::Fsync),
    ];
    levels.map(|(seed, durability)| {
        let mut plan = Plan::new(&Wishes {
            seed,
            durability,
            faults: vec![Fault::Abort],
            cycles: Place::all().count(),
            flags: Vec::new(),
        });
        for (number, step) in (0..).zip(&mut plan.steps) {
            step.seed = number;
        }
        plan
    })
}

/// Runs that are done each time: a line each has a seed, a durability, faults with commas between them, and a number of cycles.
///
/// # Errors
///
/// Names the line that is not so.
pub fn seeds(text: &str) -> Result<Vec<Wishes>, String> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| parse(line).ok_or_else(|| format!("not a run: {line:?}")))
        .collect()
}

fn parse(line: &str) -> Option<Wishes> {
    let mut words = line.split_whitespace();
    let seed = words.next()?.parse().ok()?;
    let durability = Durability::from_str(words.next()?, true).ok()?;
    let faults = words
        .next()?
        .split(',')
        .map(|name| Fault::from_str(name, true));
    let faults = faults.collect::<Result<_, _>>().ok()?;
    let cycles = words.next()?.parse().ok()?;
    let flags = Vec::new();
    words.next().is_none().then_some(Wishes {
        seed,
        durability,
        faults,
        cycles,
        flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_that_are_kept_are_runs() {
        let kept = seeds(include_str!("../../torture/seeds.txt")).unwrap();
        assert!(!kept.is_empty());
        assert!(seeds("7 disk kill").is_err(), "without cycles");
        assert!(seeds("7 disk boom 3").is_err(), "no such fault");
    }

    #[test]
    fn a_profile_is_the_same_for_the_same_seed() {
        let seeds = |seed| {
            runs(Profile::Ci, seed)
                .iter()
                .map(|run| run.seed)
                .collect::<Vec<_>>()
        };
        assert_eq!(seeds(1), seeds(1));
        assert_ne!(seeds(1), seeds(2));
    }
}
