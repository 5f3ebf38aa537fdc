//! Slowing down while messages fail: a state machine without clocks.
//!
//! ```text
//!            failure: level 1                  the sleep is over
//! Flowing ───────────────────▶ Sleeping ────────────────────────────▶ Probing
//!    ▲                            ▲   nothing is taken   one message    │ │
//!    │                            └─────────────────────────────────────┘ │
//!    │                       failure: level + 1, success: level − 1       │
//!    └────────────────────────────────────────────────────────────────────┘
//!                              success at level 1
//! ```
//!
//! The level says how long a sleep is: unit × 2^level, at most the longest. Answers that come in
//! during a sleep say nothing new and are ignored. The rules are those of the reference, which
//! [`Backoff::go_compat`] follows to the letter.

use std::time::Duration;

use tokio::time::Instant;

use super::ready::Demand;

/// When and for how long a consumer stops taking messages because they fail.
///
/// ```
/// use client::consumer::{Backoff, Recovery};
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential()
///     .unit(Duration::from_millis(100))
///     .longest(Duration::from_secs(10))
///     .threshold(3)
///     .recovery(Recovery::Immediate);
/// # let _ = backoff;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    unit: Duration,
    longest: Duration,
    threshold: u32,
    recovery: Recovery,
    jitter: bool,
    level_max: LevelMax,
}

/// How a consumer returns to full speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Each success lowers the level by one, with a shorter sleep in between.
    Stepwise,
    /// The first success ends the backoff.
    Immediate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LevelMax {
    /// The first level whose sleep would be the longest or more.
    ReachesLongest,
    /// The last level whose sleep is not above the longest, as in the reference; maybe none.
    StaysBelow,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::exponential()
    }
}

impl Backoff {
    /// Sleeps of 2 s, 4 s, 8 s … up to 2 min, of which chance takes a part ("full jitter"), after
    /// the first failure, with stepwise recovery.
    pub fn exponential() -> Backoff {
        Backoff {
            unit: Duration::from_secs(1),
            longest: Duration::from_mins(2),
            threshold: 1,
            recovery: Recovery::Stepwise,
            jitter: true,
            level_max: LevelMax::ReachesLongest,
        }
    }

    /// Failures never slow the consumer down.
    pub fn disabled() -> Backoff {
        Backoff::exponential().longest(Duration::ZERO)
    }

    /// What the Go client does: no jitter, and levels whose whole sleep is within the longest, so
    /// that the default never sleeps longer than 64 s.
    pub fn go_compat() -> Backoff {
        Backoff {
            jitter: false,
            level_max: LevelMax::StaysBelow,
            ..Backoff::exponential()
        }
    }

    /// Half of the sleep at level 1. Default 1 s (`backoff_multiplier` of the reference).
    #[must_use]
    pub fn unit(self, unit: Duration) -> Backoff {
        Backoff { unit, ..self }
    }

    /// The longest sleep; zero disables backoff. Default 2 min (`max_backoff_duration`).
    #[must_use]
    pub fn longest(self, longest: Duration) -> Backoff {
        Backoff { longest, ..self }
    }

    /// How many failures in a row start a backoff; 0 counts as 1. Default 1.
    #[must_use]
    pub fn threshold(self, failures: u32) -> Backoff {
        Backoff {
            threshold: failures,
            ..self
        }
    }

    /// How the way back goes. Default stepwise.
    #[must_use]
    pub fn recovery(self, recovery: Recovery) -> Backoff {
        Backoff { recovery, ..self }
    }

    /// Whether chance shortens the sleeps, so that many consumers do not wake as one. Default yes.
    #[must_use]
    pub fn jitter(self, jitter: bool) -> Backoff {
        Backoff { jitter, ..self }
    }

    /// The sleep at this level before chance shortens it.
    fn sleep(&self, level: u32) -> Duration {
        self.full_sleep(level).min(self.longest)
    }

    fn full_sleep(&self, level: u32) -> Duration {
        let factor = 1_u32.checked_shl(level).unwrap_or(u32::MAX);
        self.unit.saturating_mul(factor)
    }

    fn allows(&self, level: u32) -> bool {
        if self.longest.is_zero() {
            return false;
        }
        match self.level_max {
            LevelMax::StaysBelow => self.full_sleep(level) <= self.longest,
            LevelMax::ReachesLongest => {
                level <= 1 || level < u32::BITS && self.full_sleep(level - 1) < self.longest
            }
        }
    }
}

/// What an answer says about the health of the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The message was finished.
    Success,
    /// The message failed.
    Failure,
    /// The message goes back, and this is nobody's fault.
    Neutral,
}

/// A step of the machine, which the application may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// A sleep begins.
    Slept { level: u32, until: Instant },
    /// One message is taken.
    Probed { level: u32 },
    /// All is well again.
    Ended,
}

/// Where the consumer stands.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    level: u32,
    /// Failures in a row at level 0.
    failures: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Flowing,
    Sleeping { until: Instant },
    Probing,
}

impl Pace {
    pub(super) fn new(backoff: Backoff) -> Pace {
        Pace {
            backoff,
            level: 0,
            failures: 0,
            phase: Phase::Flowing,
        }
    }

    /// Takes note of an answer. `chance` is in `0.0..1.0` and asked for when a sleep begins.
    pub(super) fn answered(
        &mut self,
        outcome: Outcome,
        now: Instant,
        chance: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        if matches!(self.phase, Phase::Sleeping { .. }) {
            return None;
        }
        let level = self.level_after(outcome);
        let was = std::mem::replace(&mut self.level, level);
        match (was, level) {
            (0, 0) => None,
            (_, 0) => Some(self.end()),
            _ => Some(self.sleep(now, chance())),
        }
    }

    /// Goes on with one message if the sleep is over.
    pub(super) fn wake(&mut self, now: Instant) -> Option<Transition> {
        match self.phase {
            Phase::Sleeping { until } if until <= now => {
                self.phase = Phase::Probing;
                Some(Transition::Probed { level: self.level })
            }
            _ => None,
        }
    }

    /// Forgets all failures.
    pub(super) fn reset(&mut self) -> Option<Transition> {
        (self.level > 0).then(|| self.end())
    }

    /// When a sleep ends.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        match self.phase {
            Phase::Sleeping { until } => Some(until),
            _ => None,
        }
    }

    /// How much may be taken.
    pub(super) fn demand(&self) -> Demand {
        match self.phase {
            Phase::Flowing => Demand::Full,
            Phase::Sleeping { .. } => Demand::Nothing,
            Phase::Probing => Demand::Probe,
        }
    }

    /// 0 when all is well.
    pub(super) fn level(&self) -> u32 {
        self.level
    }

    fn level_after(&mut self, outcome: Outcome) -> u32 {
        match outcome {
            Outcome::Neutral => self.level,
            Outcome::Success if self.backoff.recovery == Recovery::Immediate => {
                self.failures = 0;
                0
            }
            Outcome::Success => {
                self.failures = 0;
                self.level.saturating_sub(1)
            }
            Outcome::Failure => {
                self.failures = self.failures.saturating_add(1);
                let counts = self.level > 0 || self.failures >= self.backoff.threshold;
                if counts && self.backoff.allows(self.level + 1) {
                    self.level + 1
                } else {
                    self.level
                }
            }
        }
    }

    fn sleep(&mut self, now: Instant, chance: f64) -> Transition {
        let sleep = self.backoff.sleep(self.level);
        let sleep = if self.backoff.jitter {
            sleep.mul_f64(chance)
        } else {
            sleep
        };
        let until = now + sleep;
        self.phase = Phase::Sleeping { until };
        Transition::Slept {
            level: self.level,
            until,
        }
    }

    fn end(&mut self) -> Transition {
        self.level = 0;
        self.failures = 0;
        self.phase = Phase::Flowing;
        Transition::Ended
    }
}

#[cfg(test)]
#[path = "tests/backoff.rs"]
mod tests;
