//! What holds of connections, batches and whole runs.

use super::*;

#[test]
fn more_in_flight_than_asked_for_is_seen() {
    let story = story().sent(0).sent(1).sent(2);
    let story = story.deliver(1, 0, 1).deliver(1, 1, 1).deliver(1, 2, 1);
    story
        .finish(1, 0)
        .finish(1, 1)
        .finish(1, 2)
        .bad(Invariant::Ready);
}

#[test]
fn as_much_as_asked_for_is_right() {
    let story = story()
        .sent(0)
        .sent(1)
        .sent(2)
        .deliver(1, 0, 1)
        .deliver(1, 1, 1);
    story.finish(1, 0).done(2).finish(1, 1).good();
}

#[test]
fn half_a_batch_without_an_answer_is_seen() {
    let story = story().publish(0, 3, 0, Outcome::Unknown).done(0).done(1);
    story.bad(Invariant::Atomicity);
}

#[test]
fn a_small_batch_is_not_split_by_a_kill() {
    split_by(Stop::Killed, 2).bad(Invariant::Atomicity);
}

#[test]
fn a_power_cut_may_split_any_batch_and_a_kill_large_ones() {
    for story in [split_by(Stop::PowerCut, 2), split_by(Stop::Killed, 3)] {
        story.good();
        let figures = story.verdict(&TERMS).figures;
        assert_eq!(figures.batches_split_by_crashes, 1);
    }
}

#[test]
fn a_batch_may_be_given_out_in_part_before_a_kill_and_vanish() {
    let (batch, sent) = batch_on_the_way(2);
    let story = story().then(sent).deliver(1, 0, 1).restart(Stop::Killed);
    let outcome = Outcome::Unknown;
    story.then(What::Answered { batch, outcome }).good();
}

fn batch_on_the_way(count: u32) -> (Batch, What) {
    let batch = Batch {
        producer: 0,
        first: 0,
        count,
    };
    let sent = What::Published {
        topic: 0,
        batch,
        delay_ms: 0,
    };
    (batch, sent)
}

/// Of a batch that was on the way at a crash, one message came.
fn split_by(stop: Stop, count: u32) -> Story {
    let (batch, sent) = batch_on_the_way(count);
    let story = story().then(sent).restart(stop);
    let outcome = Outcome::Unknown;
    let story = story.then(What::Answered { batch, outcome });
    story.deliver(2, 0, 1).finish(2, 0)
}

#[test]
fn half_a_batch_that_was_acknowledged_is_a_loss() {
    let story = story().publish(0, 2, 0, Outcome::Accepted).done(0);
    story.bad(Invariant::Loss);
}

#[test]
fn half_a_batch_that_was_refused_is_a_phantom() {
    let story = story().publish(0, 2, 0, Outcome::Refused).done(0);
    story.bad(Invariant::Phantom);
}

#[test]
fn a_quiet_run_keeps_the_order() {
    let story = story().sent(0).sent(1);
    story
        .then(What::Up)
        .done(1)
        .done(0)
        .breaks(&ORDERED, Invariant::Order);
}

#[test]
fn what_is_counted_at_the_end_must_be_nothing() {
    let counted = |depth| What::Counted {
        topic: 0,
        channel: 0,
        depth,
        in_flight: 0,
        deferred: 0,
    };
    story().then(counted(0)).good();
    story().then(counted(1)).bad(Invariant::Accounting);
}

#[test]
fn what_the_harness_saw_itself_counts() {
    let text = "no answer".to_owned();
    let complaint = What::Complaint {
        invariant: Invariant::Liveness,
        text,
    };
    story().then(complaint).bad(Invariant::Liveness);
}
