//! What is wrong, told once it has been so for a while, and until it has been right for a while.
//!
//! ```text
//!          condition holds for `hold`            no condition for CLEAR_AFTER
//! pending ───────────────────────────▶ firing ────────────────────────────────▶ forgotten
//! ```
//!
//! | file | owns |
//! | --- | --- |
//! | `mod.rs` | [`Alerts`]: states, and who has been silenced |
//! | `judge.rs` | pure: which conditions hold in a sample |
//! | `verdict.rs` | pure: what is to be said of a channel |

mod judge;
mod verdict;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::broadcast;

pub(crate) use judge::{Condition, Judge, Rule};
pub(crate) use verdict::Verdict;

/// The alerts, behind a lock that is held for a look or for a tick.
#[derive(Debug)]
pub(crate) struct Alerts {
    states: Mutex<States>,
    /// Told of alerts that begin or end. Nobody may listen.
    changes_tx: broadcast::Sender<Alert>,
}

#[derive(Debug, Default)]
struct States {
    /// By id.
    alerts: BTreeMap<String, State>,
    /// Until when which ids are silent.
    silences: BTreeMap<String, Instant>,
}

#[derive(Debug)]
struct State {
    condition: Condition,
    /// When the condition began to hold, by both clocks.
    since: Instant,
    since_time: i64,
    /// When it held last.
    held: Instant,
    is_firing: bool,
}

/// An alert as the API tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Alert {
    /// `rule:topic:channel` or `rule:node`: the same while the alert lasts, and when it comes back.
    pub(crate) id: String,
    pub(crate) rule: Rule,
    pub(crate) severity: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) topic: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) node: String,
    /// One sentence.
    pub(crate) text: String,
    /// Unix seconds.
    pub(crate) since: i64,
    pub(crate) is_silenced: bool,
    /// False only in what is told of its end.
    pub(crate) is_firing: bool,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            states: Mutex::default(),
            changes_tx: broadcast::Sender::new(CHANGES_MAX),
        }
    }
}

impl Alerts {
    /// Takes in all conditions that hold at `now`, which is `time` in Unix seconds.
    pub(crate) fn observe(&self, now: Instant, time: i64, conditions: Vec<Condition>) {
        let changes = self.states().observe(now, time, conditions);
        for change in changes {
            // An error says that nobody listens.
            let _ = self.changes_tx.send(change);
        }
    }

    /// What fires, the most severe first, then the oldest.
    pub(crate) fn firing(&self) -> Vec<Alert> {
        let (now, states) = (Instant::now(), self.states());
        let firing = states.alerts.iter().filter(|(_, state)| state.is_firing);
        let mut alerts: Vec<Alert> = firing
            .map(|(id, state)| state.alert(id, states.is_silenced(id, now)))
            .collect();
        alerts.sort_by_key(|alert| (alert.rule.severity(), alert.since));
        alerts
    }

    /// Says nothing of `id` for as long as `duration`, zero for an end of that. False if there are too many silences.
    pub(crate) fn silence(&self, id: &str, duration: Duration) -> bool {
        let (now, mut states) = (Instant::now(), self.states());
        states.silences.retain(|_, until| *until > now);
        states.silences.remove(id);
        if duration.is_zero() {
            return true;
        }
        let has_room = states.silences.len() < SILENCES_MAX;
        if let Some(until) = now.checked_add(duration).filter(|_| has_room) {
            states.silences.insert(id.to_owned(), until);
        }
        has_room
    }

    /// Alerts that begin and end from now on. Those that are silent when they do are not told.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Alert> {
        self.changes_tx.subscribe()
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl States {
    fn observe(&mut self, now: Instant, time: i64, conditions: Vec<Condition>) -> Vec<Alert> {
        for condition in conditions {
            let id = condition.id();
            let has_room = self.alerts.len() < ALERTS_MAX;
            match self.alerts.get_mut(&id) {
                Some(state) => {
                    state.condition = condition;
                    state.held = now;
                }
                None if has_room => {
                    self.alerts.insert(id, State::new(now, time, condition));
                }
                None => {}
            }
        }
        let mut changes = Vec::new();
        let silences = &self.silences;
        let is_silenced = |id: &str| silences.get(id).is_some_and(|until| *until > now);
        self.alerts.retain(|id, state| {
            let was_firing = state.is_firing;
            let is_kept = state.advance(now);
            let has_ended = was_firing && !is_kept;
            if (state.is_firing != was_firing || has_ended) && !is_silenced(id) {
                changes.push(Alert {
                    is_firing: is_kept,
                    ..state.alert(id, false)
                });
            }
            is_kept
        });
        changes
    }

    fn is_silenced(&self, id: &str, now: Instant) -> bool {
        self.silences.get(id).is_some_and(|until| *until > now)
    }
}

impl State {
    fn new(now: Instant, time: i64, condition: Condition) -> Self {
        Self {
            condition,
            since: now,
            since_time: time,
            held: now,
            is_firing: false,
        }
    }

    /// Goes on to the state that `now` asks for; false when it is over.
    fn advance(&mut self, now: Instant) -> bool {
        let holds = self.held == now;
        if !self.is_firing && holds {
            let held_for = now.saturating_duration_since(self.since);
            self.is_firing = held_for >= self.condition.rule.hold();
        }
        let right_for = now.saturating_duration_since(self.held);
        holds || (self.is_firing && right_for < CLEAR_AFTER)
    }

    fn alert(&self, id: &str, is_silenced: bool) -> Alert {
        let condition = &self.condition;
        Alert {
            id: id.to_owned(),
            rule: condition.rule,
            severity: condition.rule.severity(),
            topic: condition.topic.clone(),
            channel: condition.channel.clone(),
            node: condition.node.clone(),
            text: condition.text.clone(),
            since: self.since_time,
            is_silenced,
            is_firing: self.is_firing,
        }
    }
}

/// A condition that comes and goes is one alert.
const CLEAR_AFTER: Duration = Duration::from_secs(30);
/// More than anybody reads.
const ALERTS_MAX: usize = 10_000;
const SILENCES_MAX: usize = 1_000;
const CHANGES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn condition() -> Condition {
        Condition {
            rule: Rule::NoConsumers,
            topic: "t".to_owned(),
            channel: "c".to_owned(),
            node: String::new(),
            text: "text".to_owned(),
        }
    }

    #[test]
    fn an_alert_waits_before_it_fires_and_before_it_ends() {
        let alerts = Alerts::default();
        let mut changes = alerts.changes();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let observe = |seconds, holds: bool| {
            let conditions = holds.then(condition).into_iter().collect();
            alerts.observe(at(seconds), 1000, conditions);
            alerts.firing().len()
        };
        assert_eq!(observe(0, true), 0);
        assert_eq!(observe(2, false), 0, "a moment is no alert");
        assert_eq!(
            (observe(4, true), observe(12, true), observe(14, true)),
            (0, 0, 1)
        );
        assert_eq!(
            (observe(16, false), observe(40, false)),
            (1, 1),
            "may come back"
        );
        assert_eq!((observe(42, true), observe(71, false)), (1, 1));
        assert_eq!(observe(72, false), 0);
        let told: Vec<bool> = [changes.try_recv(), changes.try_recv()]
            .map(|alert| alert.unwrap().is_firing)
            .to_vec();
        assert_eq!(
            (told, changes.try_recv().is_err()),
            (vec![true, false], true)
        );
    }

    #[test]
    fn a_silenced_alert_is_marked_and_not_told() {
        let alerts = Alerts::default();
        let mut changes = alerts.changes();
        let now = Instant::now();
        assert!(alerts.silence("no_consumers:t:c", Duration::from_mins(5)));
        for seconds in [0, 10] {
            alerts.observe(now + Duration::from_secs(seconds), 0, vec![condition()]);
        }
        let firing = alerts.firing();
        assert!(
            firing[0].is_silenced && changes.try_recv().is_err(),
            "{firing:?}"
        );
        assert!(alerts.silence(&firing[0].id, Duration::ZERO));
        assert!(!alerts.firing()[0].is_silenced);
    }

    #[test]
    fn silences_have_a_bound() {
        let alerts = Alerts::default();
        for number in 0..SILENCES_MAX {
            assert!(alerts.silence(&number.to_string(), Duration::from_mins(1)));
        }
        assert!(!alerts.silence("one more", Duration::from_mins(1)));
    }
}
