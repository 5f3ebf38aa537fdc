use super::*;

fn chosen(hosts: &mut Hosts, now: Instant, count: usize) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count)
        .map(|_| hosts.choose(now, || random.f64()))
        .collect()
}

#[test]
fn round_robin_starts_with_the_second_and_knows_no_failures() {
    let now = Instant::now();
    let mut hosts = Hosts::new(Mode::RoundRobin, 3, now);
    hosts.failed(1, now);
    assert_eq!(chosen(&mut hosts, now, 5), [1, 2, 0, 1, 2]);
}

#[test]
fn hostpool_leaves_out_who_failed_for_longer_each_time() {
    let start = Instant::now();
    let mut hosts = Hosts::new(Mode::Hostpool, 3, start);
    assert_eq!(chosen(&mut hosts, start, 4), [0, 1, 2, 0]);
    hosts.failed(1, start);
    assert_eq!(chosen(&mut hosts, start, 3), [2, 0, 2]);
    let retried = start + Duration::from_secs(30);
    assert_eq!(chosen(&mut hosts, retried, 3), [0, 1, 2]);
    hosts.failed(1, retried);
    let later = retried + Duration::from_secs(59);
    assert_eq!(chosen(&mut hosts, later, 3), [0, 2, 0]);
    let later = retried + Duration::from_mins(1);
    assert_eq!(chosen(&mut hosts, later, 2), [1, 2]);
    hosts.succeeded(1, Duration::ZERO, later);
    hosts.failed(1, later);
    assert_eq!(
        chosen(&mut hosts, later + Duration::from_secs(30), 3),
        [0, 1, 2]
    );
}

#[test]
fn a_pause_ends_at_15_minutes() {
    let mut now = Instant::now();
    let mut hosts = Hosts::new(Mode::Hostpool, 2, now);
    for _ in 0..10 {
        hosts.failed(1, now);
        now += DEAD_MAX;
    }
    assert!(hosts.targets[1].is_alive(now));
}

#[test]
fn when_all_have_failed_all_are_tried_again() {
    let now = Instant::now();
    let mut hosts = Hosts::new(Mode::Hostpool, 2, now);
    hosts.failed(0, now);
    hosts.failed(1, now);
    assert_eq!(chosen(&mut hosts, now, 3), [0, 1, 0]);
}

#[test]
fn epsilon_greedy_prefers_the_fast() {
    let now = Instant::now();
    let mut hosts = Hosts::new(Mode::EpsilonGreedy, 2, now);
    hosts.succeeded(0, Duration::from_millis(10), now);
    hosts.succeeded(1, Duration::from_millis(90), now);
    let fast = chosen(&mut hosts, now, 10_000)
        .iter()
        .filter(|host| **host == 0)
        .count();
    // 90 % by weight, and half of some 150 tries by turn.
    assert!((8_800..9_200).contains(&fast), "{fast}");
    hosts.failed(0, now);
    assert!(chosen(&mut hosts, now, 100).iter().all(|host| *host == 1));
}
