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

const fn case(
    name: &'static str,
    durability: Durability,
    trial: Trial,
    expected: &'static [Invariant],
) -> Case {
    Case {
        name,
        durability,
        trial,
        expected,
    }
}

const fn run_of(faults: &'static [Fault], cycles: usize) -> Trial {
    Trial::Run {
        faults,
        cycles,
        flags: &[],
    }
}

const SMALL_FILES: Trial = Trial::Run {
    faults: KILL,
    cycles: 10,
    flags: &["--max-bytes-per-file=4096"],
};
const KILL: &[Fault] = &[Fault::Kill];
const LOSS: &[Invariant] = &[Invariant::Loss];
const AGAIN: &[Invariant] = &[Invariant::Duplicate, Invariant::Resurrection];
const SYNC: &[Invariant] = &[Invariant::Sync];

const CASES: [Case; 10] = {
    use Durability::{Disk, Fsync, Memory};
    [
        case(
            "ack-before-fsync",
            Fsync,
            run_of(&[Fault::PowerCut], 6),
            LOSS,
        ),
        case("skip-dir-fsync", Fsync, run_of(&[Fault::Names], 2), SYNC),
        case("no-crc", Disk, Trial::Flips, &[Invariant::Damage]),
        case("persist-cursor-on-send", Disk, run_of(KILL, 10), LOSS),
        case("drop-1-in-10000", Memory, run_of(&[], 60), LOSS),
        case("double-deliver", Memory, run_of(&[], 10), AGAIN),
        case("retry-fsync", Fsync, run_of(&[Fault::SyncError], 4), SYNC),
        case("unlink-before-ack-sync", Disk, SMALL_FILES, LOSS),
        case(
            "forget-deferred",
            Disk,
            run_of(&[Fault::Terminate], 6),
            LOSS,
        ),
        case(
            "mpub-non-atomic",
            Disk,
            run_of(KILL, 20),
            &[Invariant::Atomicity],
        ),
    ]
};

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
    let mut sight = Sight::Missed(Vec::new());
    for attempt in 0..ATTEMPTS {
        sight = case.attempt(seed.wrapping_add(attempt), base)?;
        if !matches!(sight, Sight::Missed(_)) {
            break;
        }
    }
    Ok(sight)
}

impl Case {
    fn attempt(&self, seed: u64, base: &Path) -> Result<Sight, String> {
        let Trial::Run {
            faults,
            cycles,
            flags,
        } = &self.trial
        else {
            return Ok(self.judge(flipped(self, seed, base)?));
        };
        let usable = requirement::usable(faults)?;
        if let Some(reason) = usable.skipped.first() {
            return Ok(Sight::Skipped(reason.clone()));
        }
        let wishes = Wishes {
            seed,
            durability: self.durability,
            faults: usable.faults,
            cycles: *cycles,
            flags: flags.iter().map(ToString::to_string).collect(),
        };
        let outcome = run::run(&plan(&wishes, self), base)?;
        outcome.remove();
        Ok(self.judge(outcome.verdict.counts.into_keys().collect()))
    }

    fn judge(&self, violated: Vec<Invariant>) -> Sight {
        let mut violations = violated.iter();
        let right = violations.find(|invariant| self.expected.contains(invariant));
        match right {
            Some(invariant) => Sight::Caught(*invariant),
            None => Sight::Missed(violated),
        }
    }
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
