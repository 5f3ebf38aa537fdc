//! How `max_in_flight` is spread over the connections: a state machine without sockets or clocks.
//!
//! ```text
//! enough for all   every connection has an even share, the remainder goes to the oldest ones
//! too few          some connections hold 1 each; one that is idle, or held it for long, gives it
//!                  to the connection which waited longest
//! probe            as too few, with a single 1
//! nothing          0 everywhere
//! ```
//!
//! What holds always: the ready counts sum up to at most `max_in_flight`, and none is above what
//! its nsqd allows. Counts are lowered before others are raised. Unless [`Rules::eager`], a count
//! is raised only as far as messages in flight leave room: an nsqd that was lowered may still have
//! sent for its old count, which is reserved for [`SETTLING`], and what was sent before counts
//! until it is answered. So `max_in_flight` is not exceeded while shares move either.

use std::time::Duration;

use tokio::time::Instant;

/// How long a lowered count stays reserved: what nsqd sent before it knew is here by then. As
/// long as nsqd holds back messages at most (its `output_buffer_timeout`).
pub(super) const SETTLING: Duration = Duration::from_millis(250);

/// Names a connection; a new one for each time a node is connected to.
pub(super) type LinkId = u64;

/// What the connections together may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing: paused, backing off or draining.
    Nothing,
    /// A single message.
    Probe,
    /// All of `max_in_flight`.
    Full,
}

/// How shares move between connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// A connection without a message for so long gives its turn away. Default 10 s
    /// (`low_rdy_idle_timeout` of the reference).
    pub(super) idle_timeout: Duration,
    /// A busy connection gives its turn away after so long. Default 30 s (`low_rdy_timeout`).
    pub(super) turn_timeout: Duration,
    /// Raises at once, as the reference does, and lets messages in flight exceed the maximum
    /// while shares move.
    pub(super) eager: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            idle_timeout: Duration::from_secs(10),
            turn_timeout: Duration::from_secs(30),
            eager: false,
        }
    }
}

/// The ready counts of all connections.
#[derive(Debug)]
pub(super) struct Ready {
    rules: Rules,
    max_in_flight: u32,
    demand: Demand,
    /// Oldest first.
    links: Vec<Link>,
    /// Connections that are gone, of which the application still has messages.
    departed: Vec<Departed>,
    /// Some connection has less than its share, for lack of room.
    unsettled: bool,
    /// Connections whose count changed since they were last taken.
    changed: Vec<LinkId>,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    /// What its nsqd allows.
    ceiling: u32,
    ready: u32,
    in_flight: u32,
    /// A count that was lowered, and until when it is reserved.
    settling: Option<(u32, Instant)>,
    /// When its turn began.
    granted_at: Instant,
    last_message_at: Instant,
    /// When it last gave its turn away; never is before all else.
    served_at: Option<Instant>,
}

#[derive(Debug)]
struct Departed {
    id: LinkId,
    in_flight: u32,
    /// When nsqd has given the messages to somebody else.
    until: Instant,
}

impl Ready {
    pub(super) fn new(max_in_flight: u32, rules: Rules) -> Ready {
        Ready {
            rules,
            max_in_flight,
            demand: Demand::Full,
            links: Vec::new(),
            departed: Vec::new(),
            unsettled: false,
            changed: Vec::new(),
        }
    }

    /// A connection is subscribed; its nsqd allows a count of `ceiling`.
    pub(super) fn connected(&mut self, id: LinkId, ceiling: u32, now: Instant) {
        self.links.push(Link {
            id,
            ceiling,
            ready: 0,
            in_flight: 0,
            settling: None,
            granted_at: now,
            last_message_at: now,
            served_at: None,
        });
        self.plan(now);
    }

    /// A connection is gone. What it has in flight counts until it is answered, at most until
    /// `until`.
    pub(super) fn disconnected(&mut self, id: LinkId, until: Instant, now: Instant) {
        let Some(index) = self.links.iter().position(|link| link.id == id) else {
            return;
        };
        let in_flight = self.links.remove(index).in_flight;
        if in_flight > 0 {
            self.departed.push(Departed {
                id,
                in_flight,
                until,
            });
        }
        self.plan(now);
    }

    /// Messages came.
    pub(super) fn received(&mut self, id: LinkId, count: u32, now: Instant) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.in_flight += count;
            link.last_message_at = now;
        }
    }

    /// Messages were answered, or timed out.
    pub(super) fn answered(&mut self, id: LinkId, count: u32, now: Instant) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.in_flight = link.in_flight.saturating_sub(count);
        } else if let Some(departed) = self.departed.iter_mut().find(|gone| gone.id == id) {
            departed.in_flight = departed.in_flight.saturating_sub(count);
        }
        if self.unsettled {
            self.plan(now);
        }
    }

    /// Changes how much is asked for in all.
    pub(super) fn demand(&mut self, demand: Demand, now: Instant) {
        if self.demand != demand {
            self.demand = demand;
            self.plan(now);
        }
    }

    /// Changes the maximum.
    pub(super) fn set_max_in_flight(&mut self, max_in_flight: u32, now: Instant) {
        self.max_in_flight = max_in_flight;
        self.plan(now);
    }

    /// The time of [`Ready::next_wake`] has come.
    pub(super) fn wake(&mut self, now: Instant) {
        self.plan(now);
    }

    /// When counts change without anything else happening.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let settled = self
            .links
            .iter()
            .filter_map(|link| link.settling.map(|(_, until)| until));
        let forgotten = self.departed.iter().map(|gone| gone.until);
        let room = settled.chain(forgotten).min();
        let holders = self.links.iter().filter(|link| link.ready > 0);
        let turns = holders.map(|link| self.turn_ends(link)).min();
        // Room that becomes free matters only to a connection which waits for it.
        let room = room.filter(|_| self.unsettled);
        let turns = turns.filter(|_| self.is_contested());
        room.into_iter().chain(turns).min()
    }

    /// What a connection may have in flight now.
    pub(super) fn count(&self, id: LinkId) -> u32 {
        let link = self.links.iter().find(|link| link.id == id);
        link.map_or(0, |link| link.ready)
    }

    /// How many messages a connection has in flight.
    pub(super) fn in_flight(&self, id: LinkId) -> u32 {
        let link = self.links.iter().find(|link| link.id == id);
        link.map_or(0, |link| link.in_flight)
    }

    /// Whether a connection has so much in flight that little more will come: 85 % of its count,
    /// as in the reference.
    pub(super) fn is_starved(&self) -> bool {
        self.links.iter().any(|link| {
            link.in_flight > 0 && u64::from(link.in_flight) * 100 >= u64::from(link.ready) * 85
        })
    }

    /// Takes the connections whose counts changed, those that were lowered first.
    pub(super) fn take_changed(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.changed)
    }

    fn plan(&mut self, now: Instant) {
        self.forget_past(now);
        let targets = self.targets(now);
        self.renew_turns(&targets, now);
        for (link, &target) in self.links.iter_mut().zip(&targets) {
            if link.ready > target {
                link.lower(target, now);
                self.changed.push(link.id);
            }
        }
        self.raise(&targets, now);
    }

    /// Whose turn ended without anybody to take it over starts a new one.
    fn renew_turns(&mut self, targets: &[u32], now: Instant) {
        for (index, target) in targets.iter().enumerate() {
            if *target > 0 && self.turn_ends(&self.links[index]) <= now {
                self.links[index].granted_at = now;
            }
        }
    }

    fn forget_past(&mut self, now: Instant) {
        for link in &mut self.links {
            link.settling = link.settling.filter(|(_, until)| *until > now);
        }
        self.departed
            .retain(|gone| gone.in_flight > 0 && gone.until > now);
    }

    fn raise(&mut self, targets: &[u32], now: Instant) {
        self.unsettled = false;
        let eager = self.rules.eager;
        let departed: u32 = self.departed.iter().map(|gone| gone.in_flight).sum();
        let claimed = self.links.iter().map(|link| link.claim(eager)).sum::<u32>()
            + if eager { 0 } else { departed };
        let mut room = self.max_in_flight.saturating_sub(claimed);
        for (link, &target) in self.links.iter_mut().zip(targets) {
            let claim = link.claim(eager);
            let count = target.min(claim.saturating_add(room));
            if count > link.ready {
                room -= count.saturating_sub(claim);
                if link.ready == 0 {
                    link.granted_at = now;
                }
                link.ready = count;
                self.changed.push(link.id);
            }
            self.unsettled |= count < target;
        }
    }

    fn targets(&self, now: Instant) -> Vec<u32> {
        if self.demand == Demand::Nothing {
            return vec![0; self.links.len()];
        }
        match self.turns() {
            Some(turns) => self.holders(turns, now),
            None => self.shares(),
        }
    }

    /// How many connections can hold a 1, if not all can hold one.
    fn turns(&self) -> Option<usize> {
        let turns = match self.demand {
            Demand::Nothing => 0,
            Demand::Probe => self.max_in_flight.min(1),
            Demand::Full => self.max_in_flight,
        };
        let turns = usize::try_from(turns).unwrap_or(usize::MAX);
        (turns < self.links.len() || self.demand == Demand::Probe).then_some(turns)
    }

    fn is_contested(&self) -> bool {
        self.turns()
            .is_some_and(|turns| turns > 0 && turns < self.links.len())
    }

    /// Even shares: in each round an equal part goes to all that are below their ceiling.
    fn shares(&self) -> Vec<u32> {
        let mut shares = vec![0; self.links.len()];
        let mut left = self.max_in_flight;
        loop {
            let ceilings = self.links.iter().map(|link| link.ceiling);
            let mut open: Vec<(&mut u32, u32)> = shares
                .iter_mut()
                .zip(ceilings)
                .filter(|(share, ceiling)| **share < *ceiling)
                .collect();
            let count = u32::try_from(open.len()).expect("fewer connections than 2^32");
            if left == 0 || count == 0 {
                return shares;
            }
            let part = (left / count).max(1);
            for (share, ceiling) in &mut open {
                let more = part.min(*ceiling - **share).min(left);
                **share += more;
                left -= more;
            }
        }
    }

    /// Who holds one of the turns: those who do and may go on, then who waited longest.
    fn holders(&self, turns: usize, now: Instant) -> Vec<u32> {
        let contested = self.is_contested();
        let mut order: Vec<usize> = (0..self.links.len())
            .filter(|&index| self.links[index].ceiling > 0)
            .collect();
        order.sort_by_key(|&index| {
            let link = &self.links[index];
            let goes_on = link.ready > 0 && !(contested && self.turn_ends(link) <= now);
            let waits_since = if link.ready > 0 {
                Some(now)
            } else {
                link.served_at
            };
            (!goes_on, waits_since)
        });
        let mut targets = vec![0; self.links.len()];
        for &index in order.iter().take(turns) {
            targets[index] = 1;
        }
        targets
    }

    fn turn_ends(&self, link: &Link) -> Instant {
        let idle = link.granted_at.max(link.last_message_at) + self.rules.idle_timeout;
        idle.min(link.granted_at + self.rules.turn_timeout)
    }
}

impl Link {
    fn lower(&mut self, count: u32, now: Instant) {
        let reserved = self.settling.map_or(0, |(reserved, _)| reserved);
        self.settling = Some((self.ready.max(reserved), now + SETTLING));
        self.ready = count;
        if count == 0 {
            self.served_at = Some(now);
        }
    }

    /// How many messages its nsqd may have in flight to it at this moment.
    fn claim(&self, eager: bool) -> u32 {
        if eager {
            return self.ready;
        }
        let reserved = self.settling.map_or(0, |(reserved, _)| reserved);
        self.ready.max(self.in_flight).max(reserved)
    }
}

#[cfg(test)]
#[path = "tests/ready.rs"]
mod tests;
