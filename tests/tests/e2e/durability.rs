//! Topics that promise more than memory: what was answered is there after kill -9, at the level that each topic has.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use nsqd::channel::checkpoint::Progress;
use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::{Frame, Peer, batch, with_body};

/// Producers of single messages, many, and deferred ones, each until its connection ends.
fn start_producers(to: SocketAddr, topic: &'static str, round: usize) -> Vec<JoinHandle<Answered>> {
    let producers = (0..6).map(|number| {
        thread::spawn(move || {
            let mut answered = Answered::new();
            let mut peer = Peer::connect(to);
            for count in 0.. {
                let body = format!("{round}-{number}-{count}");
                let (bytes, bodies) = command(topic, number, &body);
                peer.send(bytes);
                match peer.frame_within(wait::PATIENCE) {
                    Ok(Frame::Response(ok)) if ok == "OK" => answered.extend(bodies),
                    Ok(Frame::Response(_)) => unreachable!("no heartbeat is due"),
                    _ => break,
                }
            }
            answered
        })
    });
    producers.collect()
}

type Answered = BTreeSet<String>;

fn command(topic: &str, producer: usize, body: &str) -> (Vec<u8>, Vec<String>) {
    match producer % 3 {
        0 => (
            with_body(&format!("PUB {topic}"), body),
            vec![body.to_owned()],
        ),
        1 => {
            let bodies: Vec<_> = ["a", "b", "c"].map(|part| format!("{body}{part}")).into();
            (with_body(&format!("MPUB {topic}"), batch(&bodies)), bodies)
        }
        _ => (
            with_body(&format!("DPUB {topic} 100"), body),
            vec![body.to_owned()],
        ),
    }
}

/// Consumes until all of `owed` has come; others may come too.
fn drain(nsqd: &Nsqd, topic: &str, mut owed: Answered) {
    let mut consumer = nsqd.consumer(topic, "c");
    consumer.ready(500);
    while !owed.is_empty() {
        let message = consumer.message();
        consumer.finish(&message);
        owed.remove(message.text());
    }
}

#[track_caller]
fn check_kills(flags: &[&str], topic: &'static str) {
    let mut nsqd = Nsqd::start(flags);
    drop(nsqd.consumer(topic, "c"));
    let mut owed = Answered::new();
    for round in 1..=3 {
        let producers = start_producers(nsqd.tcp(), topic, round);
        wait::until("they publish", || {
            nsqd.topic(topic)["message_count"].as_u64() > Some(100)
        });
        nsqd.kill();
        for producer in producers {
            owed.extend(producer.join().unwrap());
        }
        nsqd.restart();
    }
    assert!(owed.len() > 100, "only {} were answered", owed.len());
    drain(&nsqd, topic, owed);
}

#[test]
fn at_disk_kill_9_loses_nothing_that_was_answered() {
    check_kills(&["--durability=disk"], "t");
}

#[test]
fn at_fsync_kill_9_loses_nothing_that_was_answered() {
    check_kills(&["--durability=fsync", "--mem-queue-size=50"], "t");
}

#[test]
fn a_level_that_is_raised_at_run_time_holds_from_then_on() {
    let mut nsqd = Nsqd::start(&[]);
    drop(nsqd.consumer("t", "c"));
    nsqd.publish("t", "before");
    nsqd.act("/topic/create?topic=t&durability=disk");
    nsqd.publish("t", "after");
    nsqd.kill();
    nsqd.restart();
    drain(&nsqd, "t", ["before", "after"].map(String::from).into());
}

#[test]
fn levels_are_told_changed_and_kept() {
    let mut nsqd = Nsqd::start(&["--durability=disk"]);
    for (query, level) in [
        ("", "disk"),
        ("&durability=fsync", "fsync"),
        ("", "fsync"),
        ("&durability=memory", "memory"),
        ("&durability=default", "disk"),
        ("&durability=fsync", "fsync"),
    ] {
        nsqd.act(&format!("/topic/create?topic=t{query}"));
        assert_eq!(nsqd.topic("t")["durability"], level, "after {query:?}");
    }
    nsqd.act("/topic/create?topic=plain");
    nsqd.restart();
    assert_eq!(nsqd.topic("t")["durability"], "fsync");
    assert_eq!(nsqd.topic("plain")["durability"], "disk");

    assert!(nsqd.terminate().success());
    let data = nsqd.into_data();
    fs::remove_file(data.path().join("nsqd.dat")).unwrap();
    let nsqd = Nsqd::start_in(data, &[]);
    assert_eq!(nsqd.topic("t")["durability"], "fsync");
}

#[test]
fn what_is_no_level_is_refused_and_changes_nothing() {
    let nsqd = Nsqd::start(&[]);
    let refused = |query: &str| {
        let answer = nsqd.post(&format!("/topic/create?{query}"), "");
        let expected = r#"{"message":"INVALID_ARG_DURABILITY"}"#;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (400, expected),
            "{query}"
        );
    };
    for level in ["", "Fsync", "replicated", "1"] {
        refused(&format!("topic=t&durability={level}"));
    }
    assert!(nsqd.topic("t").is_null());
    refused("topic=e%23ephemeral&durability=fsync");
    nsqd.act("/topic/create?topic=e%23ephemeral&durability=memory");
    assert_eq!(nsqd.topic("e#ephemeral")["durability"], "memory");
}

#[test]
fn replies_keep_the_order_of_commands_whatever_the_level_of_their_topics() {
    let nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=safe&durability=fsync");
    nsqd.act("/topic/create?topic=safer&durability=fsync");
    let mut peer = nsqd.peer();
    let mut commands = Vec::new();
    for topic in ["safe", "fast", "safer", "safe"] {
        commands.extend(with_body(&format!("PUB {topic}"), "m"));
    }
    commands.extend(b"SUB fast c\n");
    commands.extend(with_body("DPUB safe 50", "m"));
    commands.extend(b"FIN 0123456789abcdef\n");
    commands.extend(with_body("MPUB safer", batch(&["a", "b"])));
    commands.extend(b"CLS\n");
    commands.extend(with_body("PUB safe", "last"));
    commands.extend(b"NONSENSE\n");
    peer.send(&commands);
    for _ in 0..6 {
        peer.expect_ok();
    }
    assert!(peer.error().starts_with("E_FIN_FAILED"));
    peer.expect_ok();
    assert_eq!(peer.response(), "CLOSE_WAIT");
    peer.expect_ok();
    assert_eq!(peer.error(), "E_INVALID invalid command NONSENSE");
    peer.expect_closed();
    assert_eq!(nsqd.topic("safe")["message_count"], 4);
}

#[test]
fn a_producer_that_sends_no_more_is_answered_all_the_same() {
    let nsqd = Nsqd::start(&["--durability=fsync"]);
    let mut peer = nsqd.peer();
    peer.send(with_body("PUB t", "m"));
    peer.end_sending();
    peer.expect_ok();
    peer.expect_closed();
}

#[test]
fn a_channel_starts_where_it_was_created_even_after_kill_9() {
    let mut nsqd = Nsqd::start(&[
        "--durability=disk",
        "--checkpoint-interval=1h",
        "--sync-timeout=1h",
    ]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    nsqd.publish("t", "before");
    nsqd.act("/channel/create?topic=t&channel=later");
    nsqd.publish("t", "after");
    nsqd.kill();
    nsqd.restart();
    assert_eq!(nsqd.channel("t", "later")["depth"], 1);
    assert_eq!(nsqd.channel("t", "c")["depth"], 2);
}

#[test]
fn progress_is_on_disk_within_the_checkpoint_interval() {
    let mut nsqd = Nsqd::start(&["--durability=disk", "--checkpoint-interval=100ms"]);
    let mut consumer = nsqd.consumer("t", "c");
    nsqd.peer().publish_many("t", &["a", "b", "c"]);
    consumer.ready(3);
    let taken = consumer.messages(3);
    consumer.ready(0);
    consumer.finish(&taken[0]);
    consumer.requeue(&taken[1], 3_600_000);
    nsqd.await_channel("t", "c", "in_flight_count", 1);
    let path = nsqd.data_path().join("topics/t-t/progress.dat");
    wait::until("a checkpoint tells of the requeued message", || {
        let progress = fs::read(&path).ok();
        let progress = progress.and_then(|bytes| Progress::decode(&bytes).ok());
        progress.is_some_and(|progress| progress.channels[0].deferred.len() == 1)
    });
    nsqd.kill();
    nsqd.restart();
    let channel = nsqd.channel("t", "c");
    assert_eq!(
        (&channel["depth"], &channel["deferred_count"]),
        (&1.into(), &1.into())
    );
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(3);
    let again = consumer.message();
    assert_eq!((again.text(), again.attempts), ("c", 2));
}
