//! What a user decides: where a publish goes, how often it is tried, what happens when there is no room.

/// Which of the connected nsqds gets the next publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Routing {
    /// The one with the fewest publishes pending; among equals in turn.
    #[default]
    LeastPending,
    /// One after the other.
    RoundRobin,
    /// The first in the order given, as long as it is connected: an nsqd on this host before others.
    Primary,
    /// As `LeastPending` among the nsqds of this zone (nsqd's `-topology-zone`); among all while
    /// none of the zone is connected.
    Zone(String),
}

/// How often a publish is tried, within its own time. What certainly never reached an nsqd is
/// passed on without counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it may be sent in all, the first time included. Tried again is what an nsqd failed
    /// to store (`E_PUB_FAILED` and its like). Default 3.
    pub attempts: u32,
    /// Whether it is also tried again when its outcome is unknown, at the risk of a duplicate.
    /// Default no.
    pub retry_unknown: bool,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            attempts: 3,
            retry_unknown: false,
        }
    }
}

impl RetryPolicy {
    /// Sent once. With [`Routing::Primary`] and one nsqd this keeps the order of publishes.
    pub fn once() -> RetryPolicy {
        RetryPolicy {
            attempts: 1,
            retry_unknown: false,
        }
    }

    /// Tried until it is stored or its time is up; may be stored more than once.
    pub fn at_least_once() -> RetryPolicy {
        RetryPolicy {
            attempts: u32::MAX,
            retry_unknown: true,
        }
    }
}

/// What a publish does when as much is pending as allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Waits for room, within its own time.
    #[default]
    Wait,
    /// Fails with [`PublishError::Full`](super::PublishError::Full).
    Fail,
}

/// What is known of a node when a publish is to be routed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) index: usize,
    pub(super) pending: usize,
    pub(super) zone: &'a str,
}

impl Routing {
    /// Picks among `candidates`, all connected and in the order given, of `count` nodes. `turn`
    /// goes up by one each time.
    pub(super) fn pick<'a>(
        &self,
        candidates: impl Iterator<Item = Candidate<'a>> + Clone,
        count: usize,
        turn: usize,
    ) -> Option<usize> {
        let steps = |node: &Candidate<'_>| (node.index + count - turn % count) % count;
        let picked = match self {
            Routing::Primary => candidates.min_by_key(|node| node.index),
            Routing::RoundRobin => candidates.min_by_key(steps),
            Routing::LeastPending => candidates.min_by_key(|node| (node.pending, steps(node))),
            Routing::Zone(zone) => {
                candidates.min_by_key(|node| (node.zone != zone, node.pending, steps(node)))
            }
        };
        picked.map(|node| node.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [(usize, &str); 3] = [(5, "east"), (2, "west"), (2, "east")];

    fn check(routing: &Routing, up: &[usize], turn: usize, expected: Option<usize>) {
        let candidates = up.iter().map(|index| Candidate {
            index: *index,
            pending: NODES[*index].0,
            zone: NODES[*index].1,
        });
        assert_eq!(routing.pick(candidates, NODES.len(), turn), expected);
    }

    #[test]
    fn nobody_connected_is_nobody_picked() {
        check(&Routing::LeastPending, &[], 0, None);
        check(&Routing::Primary, &[], 0, None);
    }

    #[test]
    fn least_pending_takes_turns_among_equals() {
        check(&Routing::LeastPending, &[0, 1, 2], 0, Some(1));
        check(&Routing::LeastPending, &[0, 1, 2], 2, Some(2));
        check(&Routing::LeastPending, &[0], 7, Some(0));
    }

    #[test]
    fn round_robin_skips_who_is_not_there() {
        check(&Routing::RoundRobin, &[0, 2], 0, Some(0));
        check(&Routing::RoundRobin, &[0, 2], 1, Some(2));
        check(&Routing::RoundRobin, &[0, 2], 5, Some(2));
    }

    #[test]
    fn primary_is_the_first_connected() {
        check(&Routing::Primary, &[0, 1, 2], 1, Some(0));
        check(&Routing::Primary, &[1, 2], 2, Some(1));
    }

    #[test]
    fn a_zone_is_left_only_when_nobody_of_it_is_there() {
        let east = Routing::Zone("east".to_owned());
        check(&east, &[0, 1, 2], 0, Some(2));
        check(&east, &[0, 1], 0, Some(0));
        check(&east, &[1], 0, Some(1));
    }
}
