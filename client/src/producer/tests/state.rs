//! The queue: where publishes go, and in which order they come back.

use super::super::policy::Routing;
use super::super::state::{Placed, State};
use super::*;
use crate::connection::{ConnectError, ConnectionError};

fn state(nodes: usize) -> State {
    let address = |index| Arc::new(format!("nsqd{index}:4150").parse().unwrap());
    State::new((0..nodes).map(address).collect(), Routing::RoundRobin)
}

fn accept(state: &mut State, body: &str) -> Placed {
    let (job, _outcome) = job(body, Instant::now() + LONG);
    state.accept(job, false).expect("the producer is open")
}

fn take(state: &mut State, index: usize) -> Vec<Job> {
    let mut taken = Vec::new();
    state.take(index, usize::MAX, &mut taken);
    taken
}

fn failure(cause: ConnectionError) -> Arc<ConnectError> {
    let address = "nsqd0:4150".parse().unwrap();
    Arc::new(ConnectError { address, cause })
}

#[tokio::test]
async fn without_a_node_publishes_wait_in_order() {
    let mut state = state(1);
    for body in ["a", "b", "c"] {
        assert_eq!(accept(&mut state, body), Placed::Behind);
    }
    assert!(state.connected(0, "").contains(&0));
    assert_eq!(bodies(&take(&mut state, 0)), ["a", "b", "c"]);
}

#[tokio::test]
async fn only_the_first_in_a_queue_wakes_its_node() {
    let mut state = state(1);
    state.connected(0, "");
    assert_eq!(accept(&mut state, "a"), Placed::First(0));
    assert_eq!(accept(&mut state, "b"), Placed::Behind);
    take(&mut state, 0);
    assert_eq!(accept(&mut state, "c"), Placed::First(0));
}

#[tokio::test]
async fn a_turn_takes_one_publish_at_least_and_about_so_many_bytes() {
    let mut state = state(1);
    state.connected(0, "");
    for body in ["aaaa", "bb", "cc", "d"] {
        accept(&mut state, body);
    }
    let mut check = |bytes, expected: &[&str]| {
        let mut taken = Vec::new();
        state.take(0, bytes, &mut taken);
        assert_eq!(super::bodies(&taken), expected);
    };
    check(1, &["aaaa"]);
    check(3, &["bb", "cc"]);
    check(100, &["d"]);
}

#[tokio::test]
async fn what_comes_back_goes_before_what_came_later() {
    let mut state = state(1);
    state.connected(0, "");
    accept(&mut state, "a");
    accept(&mut state, "b");
    let sent = take(&mut state, 0);
    accept(&mut state, "c");
    state.put_back(0, sent);
    accept(&mut state, "d");
    assert_eq!(bodies(&take(&mut state, 0)), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_lost_node_passes_on_what_it_had() {
    let mut state = state(2);
    state.connected(0, "");
    accept(&mut state, "a");
    accept(&mut state, "b");
    let sent = take(&mut state, 0);
    accept(&mut state, "c");
    state.connected(1, "");
    assert_eq!(state.lost(0, sent), [1]);
    assert_eq!(state.statuses()[0].pending, 0);
    assert_eq!(state.statuses()[1].pending, 3);
    assert_eq!(bodies(&take(&mut state, 1)), ["a", "b", "c"]);
}

#[tokio::test]
async fn late_publishes_leave_the_queue() {
    let now = Instant::now();
    let mut state = state(1);
    for (body, seconds) in [("a", 1), ("b", 9), ("c", 2)] {
        let (job, _outcome) = job(body, now + Duration::from_secs(seconds));
        state.accept(job, false).expect("the producer is open");
    }
    let late = state.expire(now + Duration::from_secs(2));
    assert_eq!(bodies(late.iter().map(|(job, _)| job)), ["a", "c"]);
    for (_, outcome) in &late {
        let timeout = outcome.as_ref().unwrap_err();
        assert!(matches!(
            timeout,
            PublishError::Timeout {
                maybe_stored: false
            }
        ));
    }
    assert_eq!(state.earliest(), Some(now + Duration::from_secs(9)));
}

#[tokio::test]
async fn when_all_refuse_nothing_waits() {
    let mut state = state(2);
    accept(&mut state, "a");
    let refused = || failure(ConnectionError::SecretNeeded);
    assert!(
        state.unreachable(0, &refused()).ended.is_empty(),
        "the other may take it"
    );
    let ended = state.unreachable(1, &refused()).ended;
    assert_eq!(bodies(ended.iter().map(|(job, _)| job)), ["a"]);
    let (late, _outcome) = job("b", Instant::now() + LONG);
    let (_, error) = *state.accept(late, false).unwrap_err();
    assert!(matches!(error, PublishError::NotSent { cause: Some(_) }));
}

#[tokio::test]
async fn a_passing_fault_is_waited_for() {
    let mut state = state(1);
    accept(&mut state, "a");
    let moved = state.unreachable(0, &failure(ConnectionError::Closed));
    assert!(moved.ended.is_empty());
    assert!(state.readiness().is_none());
    state.connected(0, "");
    assert_eq!(bodies(&take(&mut state, 0)), ["a"]);
}
