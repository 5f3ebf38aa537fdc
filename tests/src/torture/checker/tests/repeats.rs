//! What comes again has a cause, and counts how often it came.

use super::*;

#[test]
fn a_second_copy_without_a_cause_is_a_duplicate() {
    let story = story()
        .sent(0)
        .deliver(1, 0, 1)
        .deliver(1, 0, 2)
        .finish(1, 0);
    story.bad(Invariant::Duplicate);
}

#[test]
fn a_second_copy_after_the_finish_is_a_duplicate() {
    let story = story().sent(0).done(0).deliver(1, 0, 2).finish(1, 0);
    story.bad(Invariant::Duplicate);
}

#[test]
fn a_second_copy_to_another_consumer_is_a_duplicate_too() {
    let story = story()
        .connect(2)
        .sent(0)
        .deliver(1, 0, 1)
        .deliver(2, 0, 2)
        .finish(2, 0);
    story.bad(Invariant::Duplicate);
}

#[test]
fn req_a_lost_connection_and_a_time_out_are_causes() {
    let requeued = story().sent(0).deliver(1, 0, 1).requeue(1, 0, 0);
    requeued.deliver(1, 0, 2).finish(1, 0).good();
    let lost = story().connect(2).sent(0).deliver(1, 0, 1).disconnect(1);
    lost.deliver(2, 0, 2).finish(2, 0).good();
    let timed_out = story().sent(0).deliver(1, 0, 1).wait(1_000);
    timed_out.deliver(1, 0, 2).finish(1, 0).is_good(&QUICK);
}

#[test]
fn copies_are_counted_by_their_cause() {
    let counts = |story: Story, terms| {
        let figures = story.finish(1, 0).verdict(terms).figures;
        [
            figures.duplicates_of_requeues,
            figures.duplicates_of_disconnects,
            figures.duplicates_of_timeouts,
            figures.duplicates_of_restarts,
        ]
    };
    let held = story().connect(2).sent(0).deliver(2, 0, 1);
    let requeued = held.clone().requeue(2, 0, 0).deliver(1, 0, 2);
    assert_eq!(counts(requeued, &TERMS), [1, 0, 0, 0]);
    let lost = held.clone().disconnect(2).deliver(1, 0, 2);
    assert_eq!(counts(lost, &TERMS), [0, 1, 0, 0]);
    let timed_out = held.wait(1_000).deliver(1, 0, 2);
    assert_eq!(counts(timed_out, &QUICK), [0, 0, 1, 0]);
}

#[test]
fn the_end_of_another_connection_is_no_cause() {
    let story = story().connect(2).sent(0).deliver(1, 0, 1).disconnect(2);
    story
        .deliver(1, 0, 2)
        .finish(1, 0)
        .bad(Invariant::Duplicate);
}

#[test]
fn the_end_of_a_connection_may_be_hidden_by_a_fault() {
    let hidden = |active| What::Fault {
        fault: Fault::HalfOpen,
        active,
    };
    let story = story()
        .connect(2)
        .sent(0)
        .deliver(1, 0, 1)
        .then(hidden(true));
    let story = story.deliver(2, 0, 2).finish(2, 0).wait(5_000);
    story.clone().then(hidden(false)).disconnect(1).good();
    story.then(hidden(false)).bad(Invariant::Duplicate);
}

#[test]
fn what_a_frozen_consumer_reads_late_proves_nothing() {
    let frozen = story()
        .connect(2)
        .sent(0)
        .then(What::Frozen { connection: 1 });
    frozen.deliver(2, 0, 2).finish(2, 0).deliver(1, 0, 1).good();
}

#[test]
fn what_was_finished_for_certain_stays_so_over_a_clean_stop() {
    let story = story().sent(0).done(0).confirm(1).restart(Stop::Clean);
    story.good();
    story
        .deliver(2, 0, 2)
        .finish(2, 0)
        .bad(Invariant::Resurrection);
}

#[test]
fn what_was_finished_may_come_again_after_a_crash_that_followed_soon() {
    let story = story().sent(0).done(0).confirm(1).restart(Stop::Killed);
    story.deliver(2, 0, 1).finish(2, 0).good();
}

#[test]
fn what_was_finished_long_before_a_crash_stays_so() {
    let story = story()
        .sent(0)
        .done(0)
        .confirm(1)
        .wait(3_000)
        .restart(Stop::Killed);
    story
        .deliver(2, 0, 1)
        .finish(2, 0)
        .bad(Invariant::Resurrection);
}

#[test]
fn progress_that_could_not_be_written_is_forgotten_for_longer() {
    let full = |active| What::Fault {
        fault: Fault::Full,
        active,
    };
    let finished = || story().sent(0).done(0).confirm(1);
    let crashed = |story: Story| {
        let story = story.then(full(true)).wait(3_000).then(full(false));
        story.restart(Stop::Killed).deliver(2, 0, 1).finish(2, 0)
    };
    crashed(finished()).good();
    crashed(finished().wait(3_000)).bad(Invariant::Resurrection);
}

#[test]
fn attempts_start_at_one() {
    story()
        .sent(0)
        .deliver(1, 0, 2)
        .finish(1, 0)
        .bad(Invariant::Attempts);
}

#[test]
fn attempts_go_up() {
    let story = story().sent(0).deliver(1, 0, 1).requeue(1, 0, 0);
    story.deliver(1, 0, 1).finish(1, 0).bad(Invariant::Attempts);
}

#[test]
fn attempts_go_up_by_one() {
    let story = story().sent(0).deliver(1, 0, 1).requeue(1, 0, 0);
    story.deliver(1, 0, 3).finish(1, 0).bad(Invariant::Attempts);
}

#[test]
fn what_a_connection_brings_at_its_end_may_be_read_late() {
    let story = story().connect(2).sent(0).deliver(1, 0, 1).requeue(1, 0, 0);
    let story = story.deliver(1, 0, 3).finish(1, 0);
    let story = story.deliver(2, 0, 2).finish(2, 0).disconnect(1);
    story.clone().disconnect(2).good();
    story.bad(Invariant::Attempts);
}

#[test]
fn a_clean_stop_keeps_attempts() {
    let story = story().sent(0).deliver(1, 0, 1).restart(Stop::Clean);
    story.deliver(2, 0, 1).finish(2, 0).bad(Invariant::Attempts);
}

#[test]
fn a_crash_may_forget_attempts() {
    let story = story().sent(0).deliver(1, 0, 1).restart(Stop::Killed);
    story.deliver(2, 0, 1).finish(2, 0).good();
}

#[test]
fn a_delivery_that_was_lost_on_the_way_counts() {
    let story = story().sent(0).disconnect(1).connect(2);
    story.deliver(2, 0, 2).finish(2, 0).good();
}

#[test]
fn duplicates_after_a_crash_are_counted_beside_their_bound() {
    let story = story()
        .sent(0)
        .sent(1)
        .deliver(1, 0, 1)
        .done(1)
        .restart(Stop::Killed);
    let story = story
        .deliver(2, 0, 1)
        .finish(2, 0)
        .deliver(2, 1, 1)
        .finish(2, 1);
    story.good();
    let figures = story.verdict(&TERMS).figures;
    assert_eq!(
        (
            figures.duplicates_of_restarts,
            figures.duplicates_of_restarts_max
        ),
        (2, 2)
    );
}
