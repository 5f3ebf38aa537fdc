//! Whose turn it is: consumers that wait for messages, and those that were rung and are on their way.
//!
//! Those nearby come first; among equals, who began to wait first. A consumer further away that comes while nearer ones
//! are still wanted steps back once: long enough for those that were rung, never long enough to stall a message because
//! one of them does not come.

use std::collections::VecDeque;

use super::locality::{Locality, PerLocality};

/// Who waits and who is on the way, by nearness. Consumers are told by their keys.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: PerLocality<VecDeque<usize>>,
    rung: PerLocality<u64>,
}

/// The part of one consumer in this.
#[derive(Debug, Default)]
pub(super) struct Turn {
    locality: Locality,
    /// It found nothing, and waits to be rung.
    waiting: bool,
    /// It was rung, and has not come yet.
    rung: bool,
    /// It has let nearer ones go first since it last took its turn.
    stepped_back: bool,
}

/// Who else wants messages when a consumer comes for some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rivals {
    /// Nearer ones, for which it has not stepped back yet.
    Nearer,
    /// This many that are as near.
    Equal(u64),
}

impl Turn {
    /// A consumer that is this near.
    pub(super) fn new(locality: Locality) -> Self {
        Self {
            locality,
            ..Self::default()
        }
    }

    /// How near it is.
    pub(super) fn locality(&self) -> Locality {
        self.locality
    }
}

impl Turns {
    /// Puts a consumer at the end of those who wait.
    pub(super) fn wait(&mut self, key: usize, turn: &mut Turn) {
        if !turn.waiting {
            turn.waiting = true;
            self.waiting.at_mut(turn.locality).push_back(key);
        }
    }

    /// Forgets a consumer.
    pub(super) fn leave(&mut self, key: usize, turn: &Turn) {
        let waiting = self.waiting.at_mut(turn.locality);
        waiting.retain(|&waiting| waiting != key);
        *self.rung.at_mut(turn.locality) -= u64::from(turn.rung);
    }

    /// Notes that a consumer came for messages.
    pub(super) fn arrive(&mut self, turn: &mut Turn) -> Rivals {
        let rung = self.rung.at_mut(turn.locality);
        *rung -= u64::from(std::mem::take(&mut turn.rung));
        let nearer_wait = self.waiting.nearer(turn.locality).iter();
        let nearer_rung = self.rung.nearer(turn.locality).iter();
        let nearer =
            nearer_wait.map(VecDeque::len).sum::<usize>() as u64 + nearer_rung.sum::<u64>();
        if nearer > 0 && !turn.stepped_back {
            return Rivals::Nearer;
        }
        turn.stepped_back = false;
        let waiting = self.waiting.at(turn.locality).len() as u64 - u64::from(turn.waiting);
        Rivals::Equal(waiting + self.rung.at(turn.locality))
    }

    /// Lets nearer consumers go first, this once.
    pub(super) fn step_back(turn: &mut Turn) {
        turn.stepped_back = true;
    }

    /// Whether no consumer waits to be rung.
    pub(super) fn nobody_waits(&self) -> bool {
        self.waiting.all().iter().all(VecDeque::is_empty)
    }

    /// Takes out the nearest consumer that has waited longest.
    pub(super) fn next(&mut self) -> Option<usize> {
        let mut waiting = self.waiting.all_mut().iter_mut();
        waiting.find_map(VecDeque::pop_front)
    }

    /// Notes that the consumer which `next` took out is rung, or (`rung` is false) left out.
    pub(super) fn taken(&mut self, turn: &mut Turn, rung: bool) {
        turn.waiting = false;
        if rung && !std::mem::replace(&mut turn.rung, true) {
            *self.rung.at_mut(turn.locality) += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_then_who_waited_longest() {
        let mut turns = Turns::default();
        let far = [
            Locality::Global,
            Locality::Region,
            Locality::Zone,
            Locality::Region,
        ];
        for (key, locality) in far.into_iter().enumerate() {
            turns.wait(key, &mut Turn::new(locality));
        }
        let order: Vec<_> = std::iter::from_fn(|| turns.next()).collect();
        assert_eq!(order, [2, 1, 3, 0]);
        assert!(turns.nobody_waits());
    }

    #[test]
    fn one_further_away_steps_back_once() {
        let mut turns = Turns::default();
        let (mut near, mut far) = (Turn::new(Locality::Zone), Turn::new(Locality::Region));
        turns.wait(0, &mut near);
        assert_eq!(turns.next(), Some(0));
        turns.taken(&mut near, true);
        assert_eq!(turns.arrive(&mut far), Rivals::Nearer);
        Turns::step_back(&mut far);
        assert_eq!(turns.arrive(&mut far), Rivals::Equal(0));
        assert_eq!(
            turns.arrive(&mut far),
            Rivals::Nearer,
            "the next time it does so again"
        );
        assert_eq!(turns.arrive(&mut near), Rivals::Equal(0));
        assert_eq!(turns.arrive(&mut far), Rivals::Equal(0));
    }

    #[test]
    fn who_leaves_is_not_waited_for() {
        let mut turns = Turns::default();
        let (mut near, mut other) = (Turn::new(Locality::Zone), Turn::new(Locality::Zone));
        turns.wait(0, &mut near);
        turns.wait(1, &mut other);
        assert_eq!(turns.next(), Some(0));
        turns.taken(&mut near, true);
        turns.leave(0, &near);
        turns.leave(1, &other);
        let mut far = Turn::new(Locality::Global);
        assert_eq!(turns.arrive(&mut far), Rivals::Equal(0));
    }
}
