//! What was acknowledged comes, unless a mishap may have cost it.

use super::*;

#[test]
fn nothing_and_a_plain_exchange_are_good() {
    story().good();
    story().sent(0).done(0).confirm(1).good();
}

#[test]
fn an_acknowledged_message_that_never_comes_is_lost() {
    story().sent(0).bad(Invariant::Loss);
}

#[test]
fn one_that_comes_and_is_never_finished_is_lost() {
    story().sent(0).deliver(1, 0, 1).bad(Invariant::Loss);
}

#[test]
fn one_in_flight_at_a_crash_must_come_again() {
    let story = story().sent(0).deliver(1, 0, 1).restart(Stop::Killed);
    story.bad(Invariant::Loss);
}

#[test]
fn one_that_one_of_two_channels_gets_is_lost_on_the_other() {
    let two = Terms {
        channels: 2,
        ..TERMS
    };
    story().sent(0).done(0).breaks(&two, Invariant::Loss);
}

#[test]
fn a_clean_stop_loses_nothing_even_from_memory() {
    let story = story().sent(0).restart(Stop::Clean);
    story.breaks(&at_level(Durability::Memory), Invariant::Loss);
}

#[test]
fn memory_may_lose_all_by_a_kill_and_disk_nothing() {
    let story = story().sent(0).restart(Stop::Killed);
    story.is_good(&at_level(Durability::Memory));
    assert_eq!(
        story
            .verdict(&at_level(Durability::Memory))
            .figures
            .lost_as_allowed,
        1
    );
    story.breaks(&at_level(Durability::Disk), Invariant::Loss);
}

#[test]
fn a_kill_before_it_was_sent_excuses_no_loss() {
    let story = story().restart(Stop::Killed).sent(0);
    story.breaks(&at_level(Durability::Memory), Invariant::Loss);
}

#[test]
fn a_power_cut_costs_disk_the_sync_window_only() {
    let soon = story().sent(0).restart(Stop::PowerCut);
    soon.is_good(&at_level(Durability::Disk));
    let late = story().sent(0).wait(3_000).restart(Stop::PowerCut);
    late.breaks(&at_level(Durability::Disk), Invariant::Loss);
}

#[test]
fn a_power_cut_costs_fsync_nothing() {
    let story = story().sent(0).restart(Stop::PowerCut);
    story.breaks(&at_level(Durability::Fsync), Invariant::Loss);
}

#[test]
fn a_finish_that_failed_finishes_nothing() {
    let failed = What::Failed {
        connection: 1,
        id: 100,
    };
    story().sent(0).done(0).then(failed).bad(Invariant::Loss);
}

#[test]
fn what_has_no_answer_may_come_or_not() {
    story().publish(0, 1, 0, Outcome::Unknown).good();
    story().publish(0, 1, 0, Outcome::Unknown).done(0).good();
}

#[test]
fn what_is_answered_while_the_power_goes_counts_for_nothing() {
    let fsync = at_level(Durability::Fsync);
    let cut = story().then(What::Cutting).sent(0).restart(Stop::PowerCut);
    cut.is_good(&fsync);
    cut.sent(1).breaks(&fsync, Invariant::Loss);
}
