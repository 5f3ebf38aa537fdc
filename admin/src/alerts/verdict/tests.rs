//! Each verdict from what is seen over minutes.

use super::*;
use crate::sample::Figures;

fn channel(figures: Figures) -> ChannelSample {
    ChannelSample {
        figures,
        nodes: 2,
        ..ChannelSample::default()
    }
}

/// The verdict after `seconds` in which the depth goes from one to the other while the rest stays.
fn after(seconds: u64, depth: (i64, i64), figures: Figures) -> Verdict {
    let start = Instant::now();
    let mut tracker = Tracker::new(start);
    let mut verdict = Verdict::Idle;
    for second in (0..=seconds).step_by(2) {
        let (now, share) = (
            start + Duration::from_secs(second),
            i64::try_from(second).unwrap(),
        );
        let (from, to) = depth;
        let depth = from + (to - from) * share / i64::try_from(seconds).unwrap();
        verdict = tracker.judge(now, &channel(Figures { depth, ..figures }), 2, true);
    }
    verdict
}

#[test]
fn each_state_has_its_verdict() {
    let none = Figures::default();
    let busy = Figures {
        client_count: 3,
        message_rate: 100.0,
        finish_rate: 100.0,
        ..none
    };
    let idle_consumer = Figures {
        client_count: 1,
        ..none
    };
    for (seconds, depth, figures, name) in [
        (60, (0, 0), none, "idle"),
        (60, (0, 0), idle_consumer, "idle"),
        (10, (5, 5), none, "no_consumers"),
        (20, (5, 5), idle_consumer, "idle"),
        (40, (5, 5), idle_consumer, "stuck"),
        (60, (5, 5), busy, "keeping_up"),
        (170, (100, 1000), busy, "keeping_up"),
        (240, (100, 1000), busy, "growing"),
        (240, (1_000_000, 1_000_100), busy, "keeping_up"),
        (60, (1000, 100), busy, "draining"),
        (
            60,
            (5, 5),
            Figures {
                timeout_rate: 2.0,
                ..busy
            },
            "timeouts",
        ),
        (
            60,
            (5, 5),
            Figures {
                requeue_rate: 20.0,
                ..busy
            },
            "requeue_storm",
        ),
    ] {
        let verdict = after(seconds, depth, figures);
        assert_eq!(verdict.name(), name, "{seconds} s, {depth:?}, {figures:?}");
    }
}

#[test]
fn draining_tells_when_it_ends() {
    let busy = Figures {
        client_count: 1,
        finish_rate: 10.0,
        ..Figures::default()
    };
    let Verdict::Draining { seconds } = after(60, (1200, 600), busy) else {
        panic!("not draining");
    };
    assert!((55..=65).contains(&seconds), "{seconds}");
}

#[test]
fn a_pause_is_told_whether_on_all_nodes_or_on_some() {
    let now = Instant::now();
    for (paused_nodes, verdict) in [(2, Verdict::Paused), (1, Verdict::PartlyPaused)] {
        let paused = ChannelSample {
            paused_nodes,
            ..channel(Figures::default())
        };
        let mut tracker = Tracker::new(now);
        assert_eq!(tracker.judge(now, &paused, 2, true), verdict);
        let later = now + Duration::from_mins(5);
        tracker.judge(later, &paused, 2, true);
        let minutes = if verdict == Verdict::Paused { 5 } else { 0 };
        assert_eq!(tracker.paused_for(later), Duration::from_mins(minutes));
    }
}

#[test]
fn a_node_that_holds_nearly_all_is_told_if_consumers_are_elsewhere() {
    let seen = |nodes, depth, node_depth_max, fullest_client_count| ChannelSample {
        nodes,
        node_depth_max,
        fullest_client_count,
        figures: Figures {
            depth,
            client_count: 3,
            ..Figures::default()
        },
        ..ChannelSample::default()
    };
    assert_eq!(imbalance(&seen(3, 1000, 900, 1)), Some(90));
    for even in [
        seen(3, 1000, 800, 1),
        seen(3, 1000, 900, 3),
        seen(1, 1000, 1000, 0),
        seen(3, 99, 99, 0),
        seen(0, 0, 0, 0),
    ] {
        assert_eq!(imbalance(&even), None, "{even:?}");
    }
}

#[test]
fn nodes_without_the_channel_are_told_once_consumers_have_had_time() {
    let start = Instant::now();
    let mut tracker = Tracker::new(start);
    let seen = channel(Figures::default());
    let mut at = |seconds, is_complete| {
        let now = start + Duration::from_secs(seconds);
        tracker.judge(now, &seen, 3, is_complete)
    };
    assert_eq!((at(0, true), at(119, true)), (Verdict::Idle, Verdict::Idle));
    assert_eq!(at(120, true), Verdict::MissingOnNodes { nodes: 1 });
    assert_eq!(
        (at(122, false), at(124, true)),
        (Verdict::Idle, Verdict::Idle)
    );
}

#[test]
fn consumers_none_of_whom_is_ready_are_told_where_they_are_known() {
    let client = |ready_count| crate::cluster::Client {
        ready_count,
        ..crate::cluster::Client::default()
    };
    let seen = |depth, clients: Vec<crate::cluster::Client>| Channel {
        depth,
        client_count: 2,
        clients: Some(clients),
        ..Channel::default()
    };
    let refined = |verdict: Verdict, channel: &Channel| verdict.refined(channel).name();
    let waiting = seen(5, vec![client(0), client(0)]);
    assert_eq!(refined(Verdict::Stuck, &waiting), "not_ready");
    assert_eq!(refined(Verdict::Paused, &waiting), "paused");
    assert_eq!(refined(Verdict::Idle, &seen(0, vec![client(0)])), "idle");
    let one_is = seen(5, vec![client(0), client(1)]);
    assert_eq!(refined(Verdict::Stuck, &one_is), "stuck");
    let unknown = Channel {
        clients: None,
        ..waiting
    };
    assert_eq!(refined(Verdict::Stuck, &unknown), "stuck");
}

#[test]
fn while_nodes_are_missing_nothing_grows() {
    let start = Instant::now();
    let mut tracker = Tracker::new(start);
    for second in (0..300).step_by(2) {
        let now = start + Duration::from_secs(second);
        let depth = i64::try_from(second).unwrap() * 100;
        let figures = Figures {
            depth,
            client_count: 1,
            finish_rate: 1.0,
            ..Figures::default()
        };
        let verdict = tracker.judge(now, &channel(figures), 2, second != 200);
        assert_eq!(
            verdict == Verdict::Growing,
            (180..200).contains(&second),
            "{second}"
        );
    }
}
