//! What runs have tried: something that never happened was not tried, however well they ended.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;

use super::checker::Figures;
use super::nemesis::Fault;
use super::plan::Step;

/// How often each thing happened that a long night must see at least once.
#[derive(Debug, Clone, Default)]
pub struct Exercise(BTreeMap<String, u64>);

/// What nsqd logs when something happens that its clients don't see.
const MARKS: [(&str, &str); 4] = [
    ("topics-recovered", "log recovered"),
    ("messages-refused", "publish refused"),
    ("storage-failed", "messages can't be moved to disk"),
    ("storage-healed", "messages can be moved to disk again"),
];

impl Exercise {
    /// What a run tried: the faults it came to, its figures, how many messages were on disk only, and the log of nsqd.
    pub fn of(steps: &[Step], figures: &Figures, spilled: u64, log: &str) -> Self {
        let faults = Fault::value_variants().iter().map(|fault| {
            let injected = steps.iter().filter(|step| step.fault == *fault).count();
            (fault.name(), injected as u64)
        });
        let marks = MARKS.iter().map(|(name, mark)| {
            let lines = log.lines().filter(|line| line.contains(mark)).count();
            ((*name).to_owned(), lines as u64)
        });
        let counts = [
            ("publishes-refused", figures.refused),
            ("publishes-unanswered", figures.unknown),
            ("batches-split", figures.batches_split_by_crashes),
            ("losses-allowed", figures.lost_as_allowed),
            ("again-after-restart", figures.duplicates_of_restarts),
            ("again-after-requeue", figures.duplicates_of_requeues),
            ("again-after-disconnect", figures.duplicates_of_disconnects),
            ("again-after-timeout", figures.duplicates_of_timeouts),
            ("again-after-freeze", figures.duplicates_of_freezes),
            ("clean-stops", figures.clean_stops),
            ("kills", figures.kills),
            ("power-cuts", figures.power_cuts),
            ("messages-spilled", spilled),
        ];
        let counts = counts.map(|(name, count)| (name.to_owned(), count));
        Self(faults.chain(marks).chain(counts).collect())
    }

    /// Adds what another run tried.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// What was not tried at all.
    pub fn untried(&self) -> Vec<&str> {
        let untried = self.0.iter().filter(|(_, count)| **count == 0);
        untried.map(|(name, _)| name.as_str()).collect()
    }
}

impl fmt::Display for Exercise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried:")?;
        self.0
            .iter()
            .try_for_each(|(name, count)| write!(f, " {name}={count}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_run_came_to_is_untried() {
        let steps = [Fault::Kill, Fault::Full].map(|fault| Step {
            acknowledgements: 1,
            fault,
            seed: 0,
        });
        let figures = Figures {
            kills: 1,
            ..Figures::default()
        };
        let mut all = Exercise::of(&steps[..1], &figures, 0, "INFO: log recovered messages=1");
        for name in ["full", "clean-stops", "storage-failed", "messages-spilled"] {
            assert!(all.untried().contains(&name), "{name}");
        }
        for name in ["kill", "kills", "topics-recovered"] {
            assert!(!all.untried().contains(&name), "{name}");
        }
        all.add(&Exercise::of(&steps, &figures, 7, ""));
        for name in ["full", "messages-spilled"] {
            assert!(!all.untried().contains(&name), "{name}");
        }
        assert!(all.to_string().contains(" kill=2 "), "{all}");
    }
}
