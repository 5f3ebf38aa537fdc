//! Who gets what, one behaviour each.

use std::collections::BTreeSet;

use super::*;
use crate::clock::Random;

fn ids(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn requeued_goes_behind_what_was_published_before() {
    let mut bench = Bench::new();
    let consumer = bench.consumer(2);
    bench.publish(4);
    assert_eq!(bench.claim_ids(consumer), [0, 1]);
    bench.requeue(consumer, 0, Duration::ZERO).unwrap();
    bench.publish(2);
    bench.channel.set_ready(consumer, 100);
    assert_eq!(
        bench.claim(consumer),
        [(2, 1), (3, 1), (0, 2), (4, 1), (5, 1)]
    );
}

#[test]
fn what_a_consumer_leaves_goes_to_the_front_in_order() {
    let mut bench = Bench::new();
    let (first, second) = (bench.consumer(3), bench.consumer(100));
    bench.publish(6);
    assert_eq!(bench.claim_ids(first).len(), 3);
    bench.channel.remove_consumer(first);
    let claimed = bench.claim(second);
    assert_eq!(claimed[..3], [(0, 2), (1, 2), (2, 2)]);
    assert_eq!(claimed.len(), 6);
}

#[test]
fn only_its_holder_may_finish_requeue_or_touch_a_message() {
    let mut bench = Bench::new();
    let (holder, other) = (bench.consumer(1), bench.consumer(1));
    bench.publish(1);
    assert_eq!(bench.claim_ids(holder), [0]);
    let id = MessageId::from_u64(0);
    assert_eq!(bench.finish(other, 0), Err(NotHeld::NotOwned));
    assert_eq!(bench.requeue(other, 0, TIMEOUT), Err(NotHeld::NotOwned));
    assert_eq!(bench.channel.touch(other, id), Err(NotHeld::NotOwned));
    assert_eq!(bench.finish(holder, 0), Ok(()));
    assert_eq!(bench.finish(holder, 0), Err(NotHeld::NotInFlight));
    assert_eq!(bench.channel.touch(holder, id), Err(NotHeld::NotInFlight));
}

#[test]
fn touch_extends_up_to_the_maximum() {
    let mut bench = Bench::new();
    let consumer = bench.consumer(1);
    bench.publish(1);
    bench.claim(consumer);
    let mut held = Duration::ZERO;
    let step = Duration::from_secs(59);
    while bench
        .channel
        .touch(consumer, MessageId::from_u64(0))
        .is_ok()
    {
        bench.pass(step);
        held += step;
    }
    assert!(held >= TIMEOUT_MAX && held < TIMEOUT_MAX + step, "{held:?}");
    assert_eq!(bench.channel.snapshot().timeout_count, 1);
    assert_eq!(bench.claim(consumer), [(0, 2)]);
}

#[test]
fn deferred_comes_when_due_and_not_before() {
    let mut bench = Bench::new();
    let consumer = bench.consumer(10);
    let late = bench.publish_deferred(Duration::from_secs(3));
    let early = bench.publish_deferred(Duration::from_secs(2));
    assert_eq!(bench.channel.snapshot().deferred_count, 2);
    assert!(bench.claim(consumer).is_empty());
    bench.pass(Duration::from_millis(1999));
    assert!(bench.claim(consumer).is_empty());
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.claim(consumer), [(early, 1)]);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.claim(consumer), [(late, 1)]);
}

#[test]
fn a_paused_channel_hands_out_nothing_and_takes_what_is_finished() {
    let mut bench = Bench::new();
    let consumer = bench.consumer(10);
    bench.publish(1);
    bench.claim(consumer);
    bench.channel.set_paused(true);
    bench.publish(3);
    assert!(bench.claim(consumer).is_empty());
    assert_eq!(bench.finish(consumer, 0), Ok(()));
    bench.channel.set_paused(false);
    assert_eq!(bench.claim_ids(consumer), ids(1..4));
}

#[test]
fn empty_drops_what_waits_is_held_or_deferred() {
    let mut bench = Bench::new();
    let consumer = bench.consumer(2);
    bench.publish(5);
    bench.publish_deferred(TIMEOUT);
    bench.claim(consumer);
    bench.channel.empty();
    let snapshot = bench.channel.snapshot();
    assert_eq!(snapshot.depth.messages, 0);
    assert_eq!((snapshot.in_flight_count, snapshot.deferred_count), (0, 0));
    assert_eq!(bench.finish(consumer, 0), Err(NotHeld::NotInFlight));
    bench.publish(1);
    assert_eq!(bench.claim_ids(consumer), [6]);
}

#[test]
fn a_channel_has_as_many_consumers_as_are_allowed() {
    let (mut shared, clock) = Shared::for_tests();
    shared.consumers_max = 1;
    let bench = Bench::with(1000, (shared, clock));
    let first = bench.consumer(1);
    let refused = bench
        .channel
        .add_consumer(TIMEOUT, Locality::default(), Arc::default());
    assert_eq!(refused, Err(SubscribeError::TooMany(1)));
    assert!(bench.channel.remove_consumer(first));
    bench.consumer(1);
    bench.channel.exit();
    let refused = bench
        .channel
        .add_consumer(TIMEOUT, Locality::default(), Arc::default());
    assert_eq!(refused, Err(SubscribeError::Exiting));
}

/// Whether it was rung since the last look.
fn was_rung(bell: &Notify) -> bool {
    let mut rung = std::pin::pin!(bell.notified());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    rung.as_mut().poll(&mut context).is_ready()
}

#[test]
fn fifty_consumers_get_each_message_once_and_none_starves() {
    let mut bench = Bench::new();
    let consumers: Vec<_> = (0..50)
        .map(|_| {
            let bell: Arc<Notify> = Arc::default();
            let consumer = bench
                .channel
                .add_consumer(TIMEOUT, Locality::default(), Arc::clone(&bell))
                .unwrap();
            bench.channel.set_ready(consumer, 100);
            assert!(bench.claim(consumer).is_empty());
            (consumer, bell)
        })
        .collect();
    bench.publish(500);
    let mut seen = BTreeSet::new();
    let mut counts = vec![0; consumers.len()];
    let mut idle = false;
    while !std::mem::replace(&mut idle, true) {
        for ((consumer, bell), count) in consumers.iter().zip(&mut counts) {
            if !was_rung(bell) {
                continue;
            }
            idle = false;
            let (_, claimed) = bench.claim_once(*consumer, 0);
            *count += claimed.len();
            for (id, attempts) in claimed {
                assert_eq!(attempts, 1);
                assert!(seen.insert(id), "{id} was handed out twice");
            }
        }
    }
    assert_eq!(seen.len(), 500);
    assert!(counts.iter().all(|&count| count == 10), "{counts:?}");
}

#[test]
fn a_consumer_that_takes_one_passes_the_bell_on() {
    let mut bench = Bench::new();
    let bells: [Arc<Notify>; 2] = Default::default();
    let consumers = [(0, 1), (1, 100)].map(|(at, ready_count)| {
        let bell = Arc::<Notify>::clone(&bells[at]);
        let consumer = bench
            .channel
            .add_consumer(TIMEOUT, Locality::default(), bell)
            .unwrap();
        bench.channel.set_ready(consumer, ready_count);
        assert!(bench.claim(consumer).is_empty());
        consumer
    });
    bench.publish(1);
    // Nobody has come to the end of the log since, so this rings nobody.
    bench.publish(5);
    assert!(was_rung(&bells[0]) && !was_rung(&bells[1]));
    assert_eq!(bench.claim_ids(consumers[0]), [0]);
    assert!(was_rung(&bells[1]));
    assert_eq!(bench.claim_ids(consumers[1]), ids(1..6));
}

#[test]
fn a_consumer_that_takes_the_last_one_it_can_leaves_the_bell_to_others() {
    let mut bench = Bench::new();
    let bells: [Arc<Notify>; 2] = Default::default();
    let consumers = bells.each_ref().map(|bell| {
        let bell = Arc::clone(bell);
        let consumer = bench
            .channel
            .add_consumer(TIMEOUT, Locality::default(), bell)
            .unwrap();
        bench.channel.set_ready(consumer, 1);
        assert!(bench.claim(consumer).is_empty());
        consumer
    });
    bench.publish(1);
    assert!(was_rung(&bells[0]));
    assert_eq!(bench.claim_ids(consumers[0]), [0]);
    assert!(!was_rung(&bells[1]), "there is nothing for it yet");
    bench.publish(1);
    assert!(was_rung(&bells[1]));
    assert_eq!(bench.claim_ids(consumers[1]), [1]);
}

/// Goes round 0 to 99.
#[derive(Debug, Default)]
struct Round(std::sync::atomic::AtomicU64);

impl Random for Round {
    fn next_u64(&self) -> u64 {
        let next = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        next % 100
    }
}

#[test]
fn a_sample_is_exactly_its_rate_and_the_rest_counts_as_finished() {
    for rate in [1, 42, 99] {
        let (mut shared, clock) = Shared::for_tests();
        shared.random = Arc::new(Round::default());
        let mut bench = Bench::with(1000, (shared, clock));
        let consumer = bench.consumer(1000);
        bench.publish(300);
        let (_, sample) = bench.claim_once(consumer, rate);
        assert_eq!(sample.len(), 3 * usize::from(rate));
        let snapshot = bench.channel.snapshot();
        assert_eq!(snapshot.in_flight_count, 3 * u64::from(rate));
        assert_eq!(snapshot.depth.messages, 0);
        let taken = bench.channel.consumer_snapshot(consumer);
        assert_eq!(taken.counters.messages, 3 * u64::from(rate));
        for (id, _) in sample {
            bench.finish(consumer, id).unwrap();
        }
        bench.log.release_if_idle();
        assert_eq!(bench.log.memory().used(), 0);
    }
}

#[test]
fn a_straggler_does_not_pin_its_segment() {
    let mut bench = Bench::with(1, Shared::for_tests());
    let consumer = bench.consumer(1000);
    bench.publish(100);
    bench.log.spill_due().unwrap();
    let (straggler, rest) = (0, ids(1..100));
    assert_eq!(bench.claim_ids(consumer).len(), 100);
    for id in rest {
        bench.finish(consumer, id).unwrap();
    }
    let in_segment = |bench: &Bench| bench.channel.progress(|_| 0).ready[0].first.segment;
    let before = in_segment(&bench);
    let moved = (0..10).filter(|_| bench.channel.move_stragglers()).count();
    assert_eq!(moved, 1);
    assert_ne!(in_segment(&bench), before);
    // It is still the same message in the same hands.
    bench.requeue(consumer, straggler, Duration::ZERO).unwrap();
    assert_eq!(bench.claim(consumer), [(straggler, 2)]);
    bench.finish(consumer, straggler).unwrap();
    bench.log.release_if_idle();
    assert_eq!(bench.log.memory().used(), 0);
}
