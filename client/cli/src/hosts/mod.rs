//! Which of several targets gets the next message, by how they fared. No I/O, and `now` is an argument.
//!
//! | mode | rule |
//! | --- | --- |
//! | round robin | in turn, whatever happens |
//! | hostpool | in turn, leaving out those that failed: for 30 s, twice as long after each further failure, up to 15 min. If all have failed, all are tried again |
//! | epsilon greedy | mostly the fastest: by chance, weighted by 1 / response time; the more seldom the others, the longer it goes on (30 % of the time falling to 1 %) |
//!
//! As go-hostpool has it, which the tools of the reference use.

mod speed;

use std::time::{Duration, Instant};

use self::speed::Speed;

/// How a target is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In turn.
    RoundRobin,
    /// In turn, but those that failed.
    Hostpool,
    /// The fast ones mostly.
    EpsilonGreedy,
}

/// The targets by number, and how they fared.
#[derive(Debug)]
pub(crate) struct Hosts {
    mode: Mode,
    targets: Vec<Host>,
    /// Whose turn was last.
    turn: usize,
    /// How often chance tries somebody in turn.
    epsilon: f64,
}

#[derive(Debug)]
struct Host {
    /// Until when it is left out, and how long that is.
    dead: Option<(Instant, Duration)>,
    speed: Speed,
}

const DEAD_FIRST: Duration = Duration::from_secs(30);
const DEAD_MAX: Duration = Duration::from_mins(15);
const EPSILON_FIRST: f64 = 0.3;
const EPSILON_DECAY: f64 = 0.9;
const EPSILON_MIN: f64 = 0.01;

impl Hosts {
    /// `count` targets, at least one, about which nothing is known.
    pub(crate) fn new(mode: Mode, count: usize, now: Instant) -> Hosts {
        let host = |_| Host {
            dead: None,
            speed: Speed::new(now),
        };
        Hosts {
            mode,
            targets: (0..count).map(host).collect(),
            turn: 0,
            epsilon: EPSILON_FIRST,
        }
    }

    /// The target for the next message. `chance` gives numbers from 0 to below 1.
    pub(crate) fn choose(&mut self, now: Instant, mut chance: impl FnMut() -> f64) -> usize {
        match self.mode {
            // Starts with the second, as ever.
            Mode::RoundRobin => self.next_turn(),
            Mode::Hostpool => self.next_living(now),
            Mode::EpsilonGreedy => {
                if chance() < self.epsilon {
                    self.epsilon = (self.epsilon * EPSILON_DECAY).max(EPSILON_MIN);
                    return self.next_living(now);
                }
                match self.weighted(now, chance()) {
                    Some(host) => host,
                    None => self.next_living(now),
                }
            }
        }
    }

    /// A target did what it was asked for, within `took`.
    pub(crate) fn succeeded(&mut self, host: usize, took: Duration, now: Instant) {
        let host = &mut self.targets[host];
        host.dead = None;
        host.speed.add(took, now);
    }

    /// A target failed.
    pub(crate) fn failed(&mut self, host: usize, now: Instant) {
        let host = &mut self.targets[host];
        let pause = match host.dead {
            Some((_, pause)) => (pause * 2).min(DEAD_MAX),
            None => DEAD_FIRST,
        };
        host.dead = Some((now + pause, pause));
    }

    fn next_turn(&mut self) -> usize {
        self.turn = (self.turn + 1) % self.targets.len();
        self.turn
    }

    fn next_living(&mut self, now: Instant) -> usize {
        for _ in 0..self.targets.len() {
            let host = self.turn;
            self.turn = (self.turn + 1) % self.targets.len();
            if self.targets[host].is_alive(now) {
                return host;
            }
        }
        for host in &mut self.targets {
            host.dead = None;
        }
        self.turn = 1 % self.targets.len();
        0
    }

    /// One of the living whose speed is known; `point` is where between 0 and 1 chance has put the needle.
    fn weighted(&mut self, now: Instant, point: f64) -> Option<usize> {
        let mut weights = Vec::with_capacity(self.targets.len());
        for (index, host) in self.targets.iter_mut().enumerate() {
            if !host.is_alive(now) {
                continue;
            }
            if let Some(millis) = host.speed.average_millis(now) {
                weights.push((index, 1.0 / millis));
            }
        }
        let all: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let mut left = point * all;
        for (index, weight) in &weights {
            left -= weight;
            if left < 0.0 {
                return Some(*index);
            }
        }
        weights.last().map(|(index, _)| *index)
    }
}

impl Host {
    /// Whether it may be tried: it never failed, or that was long enough ago.
    fn is_alive(&self, now: Instant) -> bool {
        self.dead.is_none_or(|(until, _)| until <= now)
    }
}

#[cfg(test)]
mod tests;
