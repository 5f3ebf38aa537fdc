//! What comes is what was sent there, once, under one id.

use super::*;

#[test]
fn what_nobody_sent_is_a_phantom() {
    story().deliver(1, 0, 1).bad(Invariant::Phantom);
}

#[test]
fn what_comes_before_it_is_sent_is_a_phantom() {
    let story = story()
        .deliver(1, 0, 1)
        .sent(0)
        .deliver(1, 0, 1)
        .finish(1, 0);
    story.bad(Invariant::Phantom);
}

#[test]
fn what_was_refused_may_not_come() {
    let story = story().publish(0, 1, 0, Outcome::Refused);
    story.good();
    story.done(0).bad(Invariant::Phantom);
}

#[test]
fn what_comes_on_another_topic_is_a_phantom() {
    let elsewhere = What::Connected {
        connection: 5,
        topic: 1,
        channel: 0,
        ready: 2,
    };
    let story = story().sent(0).done(0).then(elsewhere);
    story.deliver(5, 0, 1).bad(Invariant::Phantom);
}

#[test]
fn what_no_body_says_is_corrupt() {
    let garbled = What::Garbled {
        connection: 1,
        text: "bits".to_owned(),
    };
    story().then(garbled).bad(Invariant::Corruption);
}

#[test]
fn two_messages_with_one_id_are_confused() {
    let story = story()
        .sent(0)
        .sent(1)
        .done(0)
        .deliver_as(1, 1, 1, 100)
        .finish(1, 1);
    story.bad(Invariant::Identity);
}

#[test]
fn a_message_keeps_its_id() {
    let story = story().sent(0).deliver(1, 0, 1).requeue(1, 0, 0);
    story
        .deliver_as(1, 0, 2, 999)
        .finish(1, 0)
        .bad(Invariant::Identity);
}
