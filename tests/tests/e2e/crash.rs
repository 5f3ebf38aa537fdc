//! kill -9, damaged files, and two daemons on one data path.

use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;
use tests::daemon::{Nsqd, run_to_end};
use tests::wait;

/// Starts nsqd with `count` numbered messages in `t:c`, all of which are on disk.
fn with_backlog_on_disk(count: usize) -> Nsqd {
    let nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    let _consumer = nsqd.consumer("t", "c");
    let bodies: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    nsqd.peer().publish_many("t", &bodies);
    nsqd.await_channel("t", "c", "backend_depth", count as u64);
    nsqd
}

/// Consumes `t:c` until every message of `expected` was seen; fails when another one comes.
fn drain(nsqd: &Nsqd, expected: &BTreeSet<String>) {
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(100);
    let mut missing = expected.clone();
    while !missing.is_empty() {
        let message = consumer.consume(1).remove(0);
        missing.remove(message.text());
        assert!(
            expected.contains(message.text()),
            "{} was not owed",
            message.text()
        );
    }
}

fn numbers(range: std::ops::Range<usize>) -> BTreeSet<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn what_was_on_disk_survives_kill_9() {
    let mut nsqd = with_backlog_on_disk(2000);
    nsqd.kill();
    nsqd.restart();
    assert_eq!(nsqd.channel("t", "c")["depth"], 2000);
    drain(&nsqd, &numbers(0..2000));
}

#[test]
fn in_flight_and_deferred_messages_on_disk_survive_kill_9() {
    let mut nsqd = with_backlog_on_disk(100);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(20);
    let held = consumer.messages(20);
    consumer.ready(0);
    for message in &held[..5] {
        consumer.requeue(message, 3_600_000);
    }
    consumer.finish_all(&held[5..10]);
    consumer.expect_nothing();
    nsqd.kill();
    nsqd.restart();
    let channel = nsqd.channel("t", "c");
    let total = channel["depth"].as_u64().unwrap() + channel["deferred_count"].as_u64().unwrap();
    assert!(
        (95..=100).contains(&total),
        "95 are owed, 5 finished ones may come again: {channel}"
    );
    let mut owed = numbers(10..100);
    owed.extend(numbers(0..10));
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(100);
    let waiting = channel["depth"].as_u64().unwrap();
    let got = consumer.consume(usize::try_from(waiting).unwrap());
    assert!(got.iter().all(|message| owed.contains(message.text())));
    for number in 10..100 {
        let body = number.to_string();
        assert!(
            got.iter().any(|message| message.text() == body),
            "{body} was lost"
        );
    }
}

#[test]
fn many_crashes_under_load_lose_nothing_that_was_on_disk() {
    let mut random = tests::random::seeded("many_crashes_under_load");
    let mut nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    let mut owed = BTreeSet::new();
    let mut published = 0;
    for _ in 0..5 {
        let mut consumer = nsqd.consumer("t", "c");
        let bodies: Vec<_> = (published..published + 300)
            .map(|n| n.to_string())
            .collect();
        published += bodies.len();
        nsqd.peer().publish_many("t", &bodies);
        owed.extend(bodies);
        wait::until("all is on disk", || {
            let channel = nsqd.channel("t", "c");
            channel["backend_depth"] == channel["depth"]
        });
        consumer.ready(50);
        for message in consumer.consume(random.usize(0..100)) {
            owed.remove(message.text());
        }
        nsqd.kill();
        nsqd.restart();
    }
    // Finished messages may come again after a crash, so other messages are no failure here.
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(100);
    while !owed.is_empty() {
        owed.remove(consumer.consume(1)[0].text());
    }
}

#[test]
fn channels_that_were_answered_survive_kill_9() {
    let mut nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=made-over-http");
    let _consumer = nsqd.consumer("t", "made-by-sub");
    nsqd.kill();
    nsqd.restart();
    assert!(!nsqd.channel("t", "made-over-http").is_null());
    assert!(!nsqd.channel("t", "made-by-sub").is_null());
}

#[test]
fn a_damaged_metadata_file_is_set_aside_and_costs_nothing() {
    for damage in ["", "{\"topics\":[{\"na", "\u{0}\u{1}garbage", "[]"] {
        let mut nsqd = with_backlog_on_disk(50);
        assert!(nsqd.terminate().success());
        let data = nsqd.into_data();
        fs::write(data.path().join("nsqd.dat"), damage).unwrap();
        let nsqd = Nsqd::start_in(data, &[]);
        assert!(
            nsqd.log().contains(" ERROR: metadata is damaged"),
            "{}",
            nsqd.log()
        );
        assert_eq!(
            fs::read(nsqd.data_path().join("nsqd.damaged")).unwrap(),
            damage.as_bytes()
        );
        drain(&nsqd, &numbers(0..50));
    }
}

#[test]
fn a_lost_metadata_file_hides_no_message() {
    let mut nsqd = with_backlog_on_disk(50);
    assert!(nsqd.terminate().success());
    let data = nsqd.into_data();
    fs::remove_file(data.path().join("nsqd.dat")).unwrap();
    drain(&Nsqd::start_in(data, &[]), &numbers(0..50));
}

#[test]
fn a_half_written_metadata_file_is_cleaned_up() {
    let nsqd = with_backlog_on_disk(10);
    let data = nsqd.into_data();
    fs::write(data.path().join("nsqd.tmp"), "half").unwrap();
    let nsqd = Nsqd::start_in(data, &[]);
    drain(&nsqd, &numbers(0..10));
    assert!(!nsqd.data_path().join("nsqd.tmp").exists());
}

#[test]
fn a_second_daemon_on_the_same_data_path_refuses_and_harms_nothing() {
    let nsqd = with_backlog_on_disk(10);
    let path = nsqd.data_path().display();
    let ended = run_to_end(&[&format!("--data-path={path}"), "--tcp-address=127.0.0.1:0"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let expected = format!(
        "failed to instantiate nsqd - failed to lock data-path: cannot flock directory {path} - resource temporarily unavailable (possibly in use by another instance of nsqd)"
    );
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    drain(&nsqd, &numbers(0..10));
}

#[test]
fn a_data_path_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("missing");
    let ended = run_to_end(&[&format!("--data-path={}", path.display())]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let expected = format!(
        "failed to lock data-path: open {}: no such file or directory",
        path.display()
    );
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
}
