//! Histories made by hand: good ones pass, and each bad one is caught by the invariant that it breaks.

use super::*;
use crate::torture::event::{Batch, Key, Outcome, Stop};
use crate::torture::nemesis::Fault;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

const TERMS: Terms = Terms {
    durability: Durability::Disk,
    channels: 1,
    msg_timeout: 60 * SECOND,
    sync_window: 2 * SECOND,
    small_batch: 2,
    ordered: false,
};

/// A history in the making. Each event is 10 ms after the one before; the only producer is 0, the first connection 1.
#[derive(Clone)]
struct Story {
    at: u64,
    events: Vec<Event>,
}

fn key(seq: u64) -> Key {
    Key { producer: 0, seq }
}

/// A consumer is there.
fn story() -> Story {
    Story {
        at: 0,
        events: Vec::new(),
    }
    .connect(1)
}

impl Story {
    fn then(mut self, what: What) -> Self {
        self.at += 10 * MILLISECOND;
        self.events.push(Event { at: self.at, what });
        self
    }

    fn wait(mut self, ms: u64) -> Self {
        self.at += ms * MILLISECOND;
        self
    }

    fn connect(self, connection: u32) -> Self {
        self.then(What::Connected {
            connection,
            topic: 0,
            channel: 0,
            ready: 2,
        })
    }

    fn disconnect(self, connection: u32) -> Self {
        self.then(What::Disconnected { connection })
    }

    fn publish(self, first: u64, count: u32, delay_ms: u64, outcome: Outcome) -> Self {
        let batch = Batch {
            producer: 0,
            first,
            count,
        };
        self.then(What::Published {
            topic: 0,
            batch,
            delay_ms,
        })
        .then(What::Answered { batch, outcome })
    }

    /// One that was accepted.
    fn sent(self, seq: u64) -> Self {
        self.publish(seq, 1, 0, Outcome::Accepted)
    }

    fn deliver(self, connection: u32, seq: u64, attempts: u16) -> Self {
        self.deliver_as(connection, seq, attempts, seq + 100)
    }

    fn deliver_as(self, connection: u32, seq: u64, attempts: u16, id: u64) -> Self {
        self.then(What::Delivered {
            connection,
            message: key(seq),
            id,
            attempts,
        })
    }

    fn finish(self, connection: u32, seq: u64) -> Self {
        self.then(What::Finished {
            connection,
            message: key(seq),
        })
    }

    fn requeue(self, connection: u32, seq: u64, delay_ms: u64) -> Self {
        self.then(What::Requeued {
            connection,
            message: key(seq),
            delay_ms,
        })
    }

    fn confirm(self, connection: u32) -> Self {
        self.then(What::Barrier { connection })
            .then(What::Passed { connection })
    }

    /// Delivered for the first time and finished.
    fn done(self, seq: u64) -> Self {
        self.deliver(1, seq, 1).finish(1, seq)
    }

    /// nsqd ends and comes back, and the consumer with it, as connection 2.
    fn restart(self, stop: Stop) -> Self {
        self.then(What::Down { stop })
            .disconnect(1)
            .then(What::Up)
            .connect(2)
    }

    fn verdict(&self, terms: &Terms) -> Verdict {
        check(terms, &self.events)
    }

    #[track_caller]
    fn is_good(&self, terms: &Terms) {
        let verdict = self.verdict(terms);
        assert!(verdict.is_clean(), "{:?}", verdict.violations);
    }

    #[track_caller]
    fn breaks(&self, terms: &Terms, invariant: Invariant) {
        let verdict = self.verdict(terms);
        let broken: Vec<_> = verdict.counts.keys().collect();
        assert_eq!(broken, [&invariant], "{:?}", verdict.violations);
    }

    fn good(&self) {
        self.is_good(&TERMS);
    }

    #[track_caller]
    fn bad(&self, invariant: Invariant) {
        self.breaks(&TERMS, invariant);
    }
}

fn at_level(durability: Durability) -> Terms {
    Terms {
        durability,
        ..TERMS
    }
}

const QUICK: Terms = Terms {
    msg_timeout: SECOND,
    ..TERMS
};
const ORDERED: Terms = Terms {
    ordered: true,
    ..TERMS
};

// Loss.

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

// Phantom, corruption, identity.

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

// Duplicates.

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

// Resurrection.

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
    let story = story()
        .then(full(true))
        .sent(0)
        .done(0)
        .confirm(1)
        .wait(3_000)
        .then(full(false));
    story
        .restart(Stop::Killed)
        .deliver(2, 0, 1)
        .finish(2, 0)
        .good();
}

// Attempts.

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

// Time.

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

// Flow.

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

// Figures and trails.

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

#[test]
fn the_trail_of_a_message_is_what_concerns_it() {
    let story = story().sent(0).sent(1).done(0).then(What::Up).done(1);
    let trail = trail(&story.events, key(0));
    assert_eq!(
        trail.len(),
        5,
        "published, answered, delivered, finished, up: {trail:?}"
    );
}
