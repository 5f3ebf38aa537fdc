//! Proof that the harness can see: a nsqd that breaks one promise on purpose must be caught, and by the invariant that it breaks.

use std::path::Path;

use super::checker::Invariant;
use super::flips;
use super::nemesis::Fault;
use super::plan::{Plan, Wishes};
use super::promises::Durability;
use super::requirement;
use super::run;

/// How often a case is tried before the harness counts as blind: some faults strike by chance.
const ATTEMPTS: u64 = 3;

/// One way to break a promise, and the run that must notice.
struct Case {
    name: &'static str,
    durability: Durability,
    trial: Trial,
    expected: &'static [Invariant],
}

enum Trial {
    /// A run with these faults.
    Run {
        faults: &'static [Fault],
        cycles: usize,
        flags: &'static [&'static str],
    },
    /// Flipped bits.
    Flips,
}

const fn run_of(faults: &'static [Fault], cycles: usize) -> Trial {
    Trial::Run {
        faults,
        cycles,
        flags: &[],
    }
}

const CASES: [Case; 10] = [
    Case {
        name: "ack-before-fsync",
        durability: Durability::Fsync,
        trial: run_of(&[Fault::PowerCut], 6),
        expected: &[Invariant::Loss],
    },
    Case {
        name: "skip-dir-fsync",
        durability: Durability::Fsync,
        trial: run_of(&[Fault::Names], 2),
        expected: &[Invariant::Sync],
    },
    Case {
        name: "no-crc",
        durability: Durability::Disk,
        trial: Trial::Flips,
        expected: &[Invariant::Damage],
    },
    Case {
        name: "persist-cursor-on-send",
        durability: Durability::Disk,
        trial: run_of(&[Fault::Kill], 10),
        expected: &[Invariant::Loss],
    },
    Case {
        name: "drop-1-in-10000",
        durability: Durability::Memory,
        trial: run_of(&[], 60),
        expected: &[Invariant::Loss],
    },
    Case {
        name: "double-deliver",
        durability: Durability::Memory,
        trial: run_of(&[], 10),
        expected: &[Invariant::Duplicate, Invariant::Resurrection],
    },
    Case {
        name: "retry-fsync",
        durability: Durability::Fsync,
        trial: run_of(&[Fault::SyncError], 4),
        expected: &[Invariant::Sync],
    },
    Case {
        name: "unlink-before-ack-sync",
        durability: Durability::Disk,
        trial: Trial::Run {
            faults: &[Fault::Kill],
            cycles: 10,
            flags: &["--max-bytes-per-file=4096"],
        },
        expected: &[Invariant::Loss],
    },
    Case {
        name: "forget-deferred",
        durability: Durability::Disk,
        trial: run_of(&[Fault::Terminate], 6),
        expected: &[Invariant::Loss],
    },
    Case {
        name: "mpub-non-atomic",
        durability: Durability::Disk,
        trial: run_of(&[Fault::Kill], 20),
        expected: &[Invariant::Atomicity],
    },
];

/// What came of one case.
#[derive(Debug)]
pub enum Sight {
    /// Noticed, as it must be.
    Caught(Invariant),
    /// Not noticed, or not by the right invariant; those that were violated.
    Missed(Vec<Invariant>),
    /// Can't be tried on this machine.
    Skipped(String),
}

/// The names of all cases.
pub fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.name)
}

/// Tries one case, below this folder.
///
/// # Errors
///
/// When there is no case of this name, or the harness can't do its work.
pub fn try_case(name: &str, seed: u64, base: &Path) -> Result<Sight, String> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| format!("no sabotage is called {name:?}"))?;
    let mut violated = Vec::new();
    for attempt in 0..ATTEMPTS {
        let seed = seed.wrapping_add(attempt);
        violated = match &case.trial {
            Trial::Flips => flipped(case, seed, base)?,
            Trial::Run {
                faults,
                cycles,
                flags,
            } => {
                let usable = requirement::usable(faults)?;
                if let Some(reason) = usable.skipped.first() {
                    return Ok(Sight::Skipped(reason.clone()));
                }
                let flags = flags.iter().map(ToString::to_string).collect();
                let durability = case.durability;
                let wishes = Wishes {
                    seed,
                    durability,
                    faults: usable.faults,
                    cycles: *cycles,
                    flags,
                };
                let outcome = run::run(&plan(&wishes, case), base)?;
                outcome.remove();
                outcome.verdict.counts.into_keys().collect()
            }
        };
        let right = violated
            .iter()
            .find(|invariant| case.expected.contains(invariant));
        if let Some(invariant) = right {
            return Ok(Sight::Caught(*invariant));
        }
    }
    Ok(Sight::Missed(violated))
}

/// Small messages, of all kinds, which come again only for a cause.
fn plan(wishes: &Wishes, case: &Case) -> Plan {
    let mut plan = Plan::new(wishes);
    plan.sabotage = Some(case.name.to_owned());
    plan.body_bytes_max = 100;
    plan.pause_us_max = 500;
    plan.msg_timeout_ms = 60_000;
    plan.forgotten_percent = 0;
    plan.sync_timeout_ms = 100;
    if !wishes.faults.is_empty() {
        plan.deferred_percent = 20;
        plan.consumers = 3;
        plan.ready = 50;
    }
    plan
}

fn flipped(case: &Case, seed: u64, base: &Path) -> Result<Vec<Invariant>, String> {
    let flips = flips::run(seed, 100, Some(case.name), base)?;
    Ok(if flips.violations.is_empty() {
        Vec::new()
    } else {
        vec![Invariant::Damage]
    })
}
