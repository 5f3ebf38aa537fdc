use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const IDLE: Duration = Duration::from_secs(10);

/// Connections named by letters.
struct Table {
    ready: Ready,
    now: Instant,
}

impl Table {
    fn new(max_in_flight: u32, eager: bool) -> Table {
        let rules = Rules {
            eager,
            ..Rules::default()
        };
        Table {
            ready: Ready::new(max_in_flight, rules),
            now: Instant::now(),
        }
    }

    fn with(max_in_flight: u32, ceilings: &[u32]) -> Table {
        let mut table = Table::new(max_in_flight, false);
        for (id, ceiling) in (0..).zip(ceilings) {
            table.ready.connected(id, *ceiling, table.now);
        }
        table.pass(SETTLING);
        table
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.ready.wake(self.now);
    }

    fn counts(&self) -> Vec<u32> {
        self.ready.links.iter().map(|link| link.ready).collect()
    }
}

#[track_caller]
fn check(max_in_flight: u32, ceilings: &[u32], expected: &[u32]) {
    assert_eq!(Table::with(max_in_flight, ceilings).counts(), expected);
}

#[test]
fn shares_are_even_and_nothing_is_left_over() {
    check(10, &[2500], &[10]);
    check(10, &[2500, 2500, 2500], &[4, 3, 3]);
    check(7, &[2500, 2500, 2500], &[3, 2, 2]);
    check(2, &[2500, 2500, 2500], &[1, 1, 0]);
    check(0, &[2500, 2500], &[0, 0]);
    check(10, &[2, 2500], &[2, 8]);
    check(10, &[2, 3], &[2, 3]);
    check(9, &[0, 2500, 2500], &[0, 5, 4]);
}

#[test]
fn old_shares_are_lowered_before_new_ones_are_raised() {
    let mut table = Table::with(10, &[2500]);
    table.ready.take_changed();
    table.ready.connected(1, 2500, table.now);
    assert_eq!(table.counts(), [5, 0], "what nsqd sent meanwhile has room");
    assert_eq!(table.ready.next_wake(), Some(table.now + SETTLING));
    table.pass(SETTLING);
    assert_eq!(table.counts(), [5, 5]);
    assert_eq!(table.ready.take_changed(), [0, 1]);
    assert_eq!(
        table.ready.next_wake(),
        None,
        "no timer when all is settled"
    );
}

#[test]
fn messages_in_flight_leave_no_room_until_they_are_answered() {
    let mut table = Table::with(4, &[2500]);
    table.ready.received(0, 4, table.now);
    table.ready.connected(1, 2500, table.now);
    table.pass(SETTLING);
    assert_eq!(table.counts(), [2, 0]);
    table.ready.answered(0, 1, table.now);
    assert_eq!(table.counts(), [2, 1]);
    table.ready.disconnected(0, table.now + IDLE, table.now);
    assert_eq!(table.counts(), [1], "three are still worked on");
    table.ready.answered(0, 1, table.now);
    assert_eq!(table.counts(), [2]);
    table.pass(IDLE);
    assert_eq!(table.counts(), [4], "the others timed out at their nsqd");
}

#[test]
fn an_eager_table_raises_at_once() {
    let mut table = Table::new(4, true);
    table.ready.connected(0, 2500, table.now);
    table.ready.received(0, 4, table.now);
    table.ready.connected(1, 2500, table.now);
    assert_eq!(table.counts(), [2, 2]);
}

#[test]
fn a_single_turn_finds_the_one_nsqd_that_has_messages() {
    let mut table = Table::with(1, &[2500, 2500, 2500]);
    let started = table.now;
    assert_eq!(table.counts(), [1, 0, 0]);
    while table.counts() != [0, 0, 1] {
        let wake = table.ready.next_wake().unwrap();
        assert!(wake > table.now, "time goes on");
        table.pass(wake - table.now);
    }
    assert!(table.now - started <= 2 * (IDLE + SETTLING));
    for _ in 0..4 {
        table.pass(IDLE / 2);
        table.ready.received(2, 1, table.now);
        table.ready.answered(2, 1, table.now);
        assert_eq!(table.counts(), [0, 0, 1], "it brings messages");
    }
    table.pass(IDLE);
    table.pass(SETTLING);
    assert_eq!(table.counts(), [1, 0, 0], "the turn is over, however busy");
}

#[test]
fn a_turn_that_nobody_else_wants_is_not_given_away() {
    let mut table = Table::with(1, &[2500]);
    assert_eq!(table.ready.next_wake(), None);
    table.pass(10 * IDLE);
    assert_eq!(table.counts(), [1]);
    assert!(table.ready.take_changed().len() == 1);

    let mut table = Table::with(1, &[2500, 0]);
    table.pass(10 * IDLE);
    assert_eq!(table.counts(), [1, 0], "the other allows nothing");
    assert!(table.ready.next_wake().is_none_or(|wake| wake > table.now));
}

#[test]
fn a_probe_is_one_message_of_one_connection() {
    let mut table = Table::with(10, &[2500, 2500]);
    table.ready.demand(Demand::Nothing, table.now);
    assert_eq!(table.counts(), [0, 0]);
    table.pass(SETTLING);
    table.ready.demand(Demand::Probe, table.now);
    assert_eq!(table.counts().iter().sum::<u32>(), 1);
    table.ready.demand(Demand::Full, table.now);
    assert_eq!(table.counts(), [5, 5]);
}

#[test]
fn starved_is_nearly_all_that_is_allowed() {
    let mut table = Table::with(20, &[2500]);
    assert!(!table.ready.is_starved());
    table.ready.received(0, 16, table.now);
    assert!(!table.ready.is_starved());
    table.ready.received(0, 1, table.now);
    assert!(table.ready.is_starved());
}

#[derive(Clone, Debug)]
enum Step {
    Connect(u32),
    Disconnect(usize),
    Receive(usize),
    Answer(usize),
    Demand(Demand),
    Resize(u32),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let demand = prop_oneof![
        Just(Demand::Nothing),
        Just(Demand::Probe),
        Just(Demand::Full)
    ];
    let step = prop_oneof![
        (0..20_u32).prop_map(Step::Connect),
        (0..8_usize).prop_map(Step::Disconnect),
        (0..8_usize).prop_map(Step::Receive),
        (0..8_usize).prop_map(Step::Receive),
        (0..8_usize).prop_map(Step::Answer),
        demand.prop_map(Step::Demand),
        (0..30_u32).prop_map(Step::Resize),
        (0..15_000_u64).prop_map(Step::Pass),
    ];
    vec(step, 1..200)
}

proptest! {
    /// The application never holds more than the maximum, as long as it is not lowered; and
    /// ready counts never sum up to more than it.
    #[test]
    fn the_maximum_is_never_exceeded(steps in steps()) {
        let mut table = Table::new(20, false);
        let mut highest = 20;
        let mut next_id = 0;
        for step in steps {
            let id = |index: usize, ready: &Ready| {
                let count = ready.links.len().max(1);
                ready.links.get(index % count).map_or(u64::MAX, |link| link.id)
            };
            match step {
                Step::Connect(ceiling) => {
                    table.ready.connected(next_id, ceiling, table.now);
                    next_id += 1;
                }
                Step::Disconnect(index) => {
                    let id = id(index, &table.ready);
                    table.ready.disconnected(id, table.now + IDLE, table.now);
                }
                // nsqd sends while less than the ready count is in flight.
                Step::Receive(index) => {
                    let id = id(index, &table.ready);
                    if table.ready.in_flight(id) < table.ready.count(id) {
                        table.ready.received(id, 1, table.now);
                    }
                }
                Step::Answer(index) => {
                    let id = id(index, &table.ready);
                    table.ready.answered(id, 1, table.now);
                }
                Step::Demand(demand) => table.ready.demand(demand, table.now),
                Step::Resize(max) => {
                    highest = highest.max(max);
                    table.ready.set_max_in_flight(max, table.now);
                }
                Step::Pass(millis) => table.pass(Duration::from_millis(millis)),
            }
            let sum: u32 = table.counts().iter().sum();
            prop_assert!(sum <= table.ready.max_in_flight);
            let held: u32 = table.ready.links.iter().map(|link| link.in_flight).sum();
            let departed: u32 = table.ready.departed.iter().map(|gone| gone.in_flight).sum();
            prop_assert!(held + departed <= highest);
            let within = |link: &Link| link.ready <= link.ceiling;
            prop_assert!(table.ready.links.iter().all(within));
        }
        // Left alone and without messages, everybody has what is due to him.
        table.ready.demand(Demand::Full, table.now);
        for link in &mut table.ready.links {
            link.in_flight = 0;
        }
        table.ready.departed.clear();
        table.pass(SETTLING);
        table.pass(SETTLING);
        let allowed: u32 = table.ready.links.iter().map(|link| link.ceiling).sum();
        let sum: u32 = table.counts().iter().sum();
        if u32::try_from(table.ready.links.len()).unwrap() <= table.ready.max_in_flight {
            prop_assert_eq!(sum, table.ready.max_in_flight.min(allowed));
        }
    }
}
