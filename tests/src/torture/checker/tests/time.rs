//! What is deferred, requeued or paused waits.

use super::*;

#[test]
fn what_is_deferred_does_not_come_early() {
    let story = story().publish(0, 1, 500, Outcome::Accepted).wait(300);
    story.done(0).bad(Invariant::Early);
}

#[test]
fn what_is_deferred_comes_when_it_is_due() {
    story()
        .publish(0, 1, 500, Outcome::Accepted)
        .wait(500)
        .done(0)
        .good();
}

#[test]
fn a_requeued_message_waits_for_its_delay() {
    let story = story().sent(0).deliver(1, 0, 1).requeue(1, 0, 500);
    story.deliver(1, 0, 2).finish(1, 0).bad(Invariant::Early);
}

#[test]
fn a_clean_stop_keeps_the_delay_of_a_requeued_message() {
    let story = story()
        .sent(0)
        .deliver(1, 0, 1)
        .requeue(1, 0, 500)
        .confirm(1);
    let story = story.restart(Stop::Clean);
    story.deliver(2, 0, 2).finish(2, 0).bad(Invariant::Early);
}

#[test]
fn what_is_published_while_paused_waits() {
    let place = (0, 0);
    let paused = What::Paused {
        topic: place.0,
        channel: place.1,
    };
    let story = story().then(paused).sent(0).done(0);
    story.bad(Invariant::Pause);
}

#[test]
fn what_was_on_the_way_at_a_pause_may_come() {
    let paused = What::Paused {
        topic: 0,
        channel: 0,
    };
    let resuming = What::Resuming {
        topic: 0,
        channel: 0,
    };
    story()
        .sent(0)
        .then(paused)
        .done(0)
        .sent(1)
        .then(resuming)
        .done(1)
        .good();
}
