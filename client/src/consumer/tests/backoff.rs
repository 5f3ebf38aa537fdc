use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use Outcome::{Failure, Neutral, Success};

struct Clock {
    pace: Pace,
    now: Instant,
}

impl Clock {
    fn new(backoff: Backoff) -> Clock {
        Clock {
            pace: Pace::new(backoff),
            now: Instant::now(),
        }
    }

    /// Answers once nothing sleeps any more; returns how long the sleep is that follows.
    fn answer(&mut self, outcome: Outcome) -> Option<Duration> {
        if let Some(until) = self.pace.next_wake() {
            self.now = until;
            let probed = self.pace.wake(self.now);
            assert!(matches!(probed, Some(Transition::Probed { .. })));
            assert_eq!(self.pace.demand(), Demand::Probe);
        }
        match self.pace.answered(outcome, self.now, || 1.0) {
            Some(Transition::Slept { until, .. }) => Some(until - self.now),
            _ => None,
        }
    }

    fn sleeps(&mut self, outcome: Outcome, count: usize) -> Vec<u64> {
        let sleeps = (0..count).filter_map(|_| self.answer(outcome));
        sleeps.map(|sleep| sleep.as_secs()).collect()
    }
}

#[test]
fn sleeps_double_up_to_the_longest_and_shrink_step_by_step() {
    let mut clock = Clock::new(Backoff::exponential());
    let up = [2, 4, 8, 16, 32, 64, 120, 120, 120];
    assert_eq!(clock.sleeps(Failure, 9), up);
    assert_eq!(clock.sleeps(Success, 9), [64, 32, 16, 8, 4, 2]);
    assert_eq!(clock.pace.demand(), Demand::Full);
}

#[test]
fn as_the_reference_it_stays_below_the_longest() {
    let mut clock = Clock::new(Backoff::go_compat());
    assert_eq!(clock.sleeps(Failure, 8), [2, 4, 8, 16, 32, 64, 64, 64]);

    let tiny = Backoff::go_compat().longest(Duration::from_millis(1999));
    assert_eq!(Clock::new(tiny).sleeps(Failure, 8), [0_u64; 0]);
    let tiny = Backoff::exponential().longest(Duration::from_secs(1));
    assert_eq!(Clock::new(tiny).sleeps(Failure, 3), [1, 1, 1]);
}

#[test]
fn disabled_never_sleeps() {
    let mut clock = Clock::new(Backoff::disabled());
    assert_eq!(clock.sleeps(Failure, 100), [0_u64; 0]);
    assert_eq!(clock.pace.demand(), Demand::Full);
}

#[test]
fn a_threshold_forgives_single_failures() {
    let mut clock = Clock::new(Backoff::exponential().threshold(3));
    assert_eq!(clock.sleeps(Failure, 2), [0_u64; 0]);
    clock.answer(Success);
    assert_eq!(clock.sleeps(Failure, 3), [2]);
    assert_eq!(clock.sleeps(Failure, 1), [4], "no grace while backing off");
}

#[test]
fn recovery_may_be_immediate() {
    let mut clock = Clock::new(Backoff::exponential().recovery(Recovery::Immediate));
    clock.sleeps(Failure, 4);
    assert_eq!(clock.answer(Success), None);
    assert_eq!(clock.pace.demand(), Demand::Full);
}

#[test]
fn a_neutral_answer_repeats_the_sleep_of_a_backoff_only() {
    let mut clock = Clock::new(Backoff::exponential());
    assert_eq!(clock.answer(Neutral), None);
    clock.sleeps(Failure, 2);
    assert_eq!(clock.sleeps(Neutral, 2), [4, 4]);
}

#[test]
fn answers_during_a_sleep_are_ignored() {
    let mut clock = Clock::new(Backoff::exponential());
    clock.answer(Failure);
    for outcome in [Failure, Success, Neutral] {
        let ignored = clock.pace.answered(outcome, clock.now, || 1.0);
        assert_eq!(ignored, None);
    }
    assert_eq!(clock.pace.wake(clock.now), None, "too early");
    assert_eq!(clock.pace.level(), 1);
    assert_eq!(clock.pace.reset(), Some(Transition::Ended));
    assert_eq!(clock.pace.reset(), None);
}

proptest! {
    #[test]
    fn a_sleep_is_never_longer_than_the_longest(
        unit_ms in 0..5_000_u64,
        longest_ms in 0..200_000_u64,
        go in any::<bool>(),
        failures in vec(prop::bool::weighted(0.7), 1..100),
    ) {
        let longest = Duration::from_millis(longest_ms);
        let backoff = if go { Backoff::go_compat() } else { Backoff::exponential() };
        let backoff = backoff.unit(Duration::from_millis(unit_ms)).longest(longest);
        let mut clock = Clock::new(backoff);
        let mut level = 0;
        for failed in failures {
            let outcome = if failed { Failure } else { Success };
            let sleep = clock.answer(outcome);
            prop_assert!(sleep.is_none_or(|sleep| sleep <= longest));
            prop_assert_eq!(sleep.is_some(), clock.pace.demand() == Demand::Nothing);
            prop_assert!(clock.pace.level().abs_diff(level) <= 1);
            level = clock.pace.level();
        }
    }
}
