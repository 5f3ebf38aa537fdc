//! What to take from where: [`Ready`] spreads the demand which [`Pace`] and the application set.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::{Backoff, Outcome, Pace, Transition};
use super::ready::{Demand, LinkId, Ready, Rules};

/// Both state machines, and the wishes of the application.
#[derive(Debug)]
pub(super) struct Flow {
    ready: Ready,
    pace: Pace,
    paused: bool,
    stopped: bool,
}

impl Flow {
    pub(super) fn new(max_in_flight: u32, backoff: Backoff, rules: Rules) -> Flow {
        Flow {
            ready: Ready::new(max_in_flight, rules),
            pace: Pace::new(backoff),
            paused: false,
            stopped: false,
        }
    }

    /// As [`Ready::connected`].
    pub(super) fn connected(&mut self, id: LinkId, ceiling: u32, now: Instant) {
        self.ready.connected(id, ceiling, now);
    }

    /// As [`Ready::disconnected`]; messages of that connection time out after `msg_timeout`.
    pub(super) fn disconnected(&mut self, id: LinkId, msg_timeout: Duration, now: Instant) {
        self.ready.disconnected(id, now + msg_timeout, now);
    }

    /// As [`Ready::received`].
    pub(super) fn received(&mut self, id: LinkId, count: u32, now: Instant) {
        self.ready.received(id, count, now);
    }

    /// A message was answered.
    pub(super) fn answered(
        &mut self,
        id: LinkId,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Transition> {
        self.ready.answered(id, 1, now);
        let transition = self.pace.answered(outcome, now, fastrand::f64);
        self.follow(transition, now)
    }

    /// Messages are out of the application's hands without an answer.
    pub(super) fn released(&mut self, id: LinkId, count: u32, now: Instant) {
        self.ready.answered(id, count, now);
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, now: Instant) -> Option<Transition> {
        let transition = self.pace.wake(now);
        self.ready.wake(now);
        self.follow(transition, now)
    }

    /// When [`Flow::wake`] has something to do.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let wakes = [self.pace.next_wake(), self.ready.next_wake()];
        wakes.into_iter().flatten().min()
    }

    /// As [`Ready::set_max_in_flight`].
    pub(super) fn set_max_in_flight(&mut self, max_in_flight: u32, now: Instant) {
        self.ready.set_max_in_flight(max_in_flight, now);
    }

    /// Takes nothing until it is resumed.
    pub(super) fn pause(&mut self, paused: bool, now: Instant) {
        self.paused = paused;
        self.apply_demand(now);
    }

    /// Takes nothing any more.
    pub(super) fn stop(&mut self, now: Instant) {
        self.stopped = true;
        self.apply_demand(now);
    }

    /// Ends a backoff.
    pub(super) fn reset_backoff(&mut self, now: Instant) -> Option<Transition> {
        let transition = self.pace.reset();
        self.follow(transition, now)
    }

    /// The ready counts and what is in flight.
    pub(super) fn ready(&mut self) -> &mut Ready {
        &mut self.ready
    }

    /// 0 when all is well.
    pub(super) fn backoff_level(&self) -> u32 {
        self.pace.level()
    }

    fn follow(&mut self, transition: Option<Transition>, now: Instant) -> Option<Transition> {
        if transition.is_some() {
            self.apply_demand(now);
        }
        transition
    }

    fn apply_demand(&mut self, now: Instant) {
        let demand = if self.paused || self.stopped {
            Demand::Nothing
        } else {
            self.pace.demand()
        };
        self.ready.demand(demand, now);
    }
}
