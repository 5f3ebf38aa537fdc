//! How a flush knows that all before it are settled, without a list of them.

use std::collections::VecDeque;

/// Publishes counted by generation: each flush ends one and begins the next, and waits until no
/// publish of its own generation, or of one before, is open.
#[derive(Debug)]
pub(super) struct Generations {
    /// Open publishes of each generation; the last one is the current.
    open: VecDeque<usize>,
    /// The number of the first in `open`.
    first: u64,
}

impl Generations {
    pub(super) fn new() -> Generations {
        Generations {
            open: VecDeque::from([0]),
            first: 0,
        }
    }

    /// Counts a publish in the current generation and returns its number.
    pub(super) fn begin(&mut self) -> u64 {
        let current = self.open.back_mut().expect("one generation is current");
        *current += 1;
        self.first + self.open.len() as u64 - 1
    }

    /// A publish of this generation became two.
    pub(super) fn split(&mut self, generation: u64) {
        *self.count(generation) += 1;
    }

    /// A publish of this generation is settled.
    pub(super) fn settle(&mut self, generation: u64) {
        *self.count(generation) -= 1;
        while self.open.len() > 1 && self.open[0] == 0 {
            self.open.pop_front();
            self.first += 1;
        }
    }

    /// Begins the next generation. Returns the one that ended by it, for [`Generations::is_over`].
    pub(super) fn turn(&mut self) -> u64 {
        let ended = self.first + self.open.len() as u64 - 1;
        if self.open.len() == 1 && self.open[0] == 0 {
            self.first += 1;
        } else {
            self.open.push_back(0);
        }
        ended
    }

    /// Whether this generation and all before it are settled.
    pub(super) fn is_over(&self, generation: u64) -> bool {
        generation < self.first
    }

    fn count(&mut self, generation: u64) -> &mut usize {
        let at = usize::try_from(generation - self.first).expect("as many as are in memory");
        &mut self.open[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_of_nothing_is_over_at_once() {
        let mut generations = Generations::new();
        for _ in 0..3 {
            let ended = generations.turn();
            assert!(generations.is_over(ended));
        }
    }

    #[test]
    fn a_flush_waits_for_what_came_before_it_only() {
        let mut generations = Generations::new();
        let (first, second) = (generations.begin(), generations.begin());
        let flush = generations.turn();
        let later = generations.begin();
        generations.settle(second);
        generations.settle(later);
        assert!(!generations.is_over(flush));
        generations.settle(first);
        assert!(generations.is_over(flush));
    }

    #[test]
    fn a_later_flush_waits_for_earlier_generations() {
        let mut generations = Generations::new();
        let first = generations.begin();
        generations.turn();
        let second = generations.begin();
        let flush = generations.turn();
        generations.settle(second);
        assert!(!generations.is_over(flush));
        generations.settle(first);
        assert!(generations.is_over(flush));
    }

    #[test]
    fn both_halves_of_a_split_publish_are_waited_for() {
        let mut generations = Generations::new();
        let publish = generations.begin();
        let flush = generations.turn();
        generations.split(publish);
        generations.settle(publish);
        assert!(!generations.is_over(flush));
        generations.settle(publish);
        assert!(generations.is_over(flush));
    }
}
