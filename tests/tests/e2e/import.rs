//! Taking over the data directory of a reference nsqd.

use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;
use tests::daemon::{self, Nsqd};
use tests::reference::{Queue, write_metadata};

fn names(nsqd: &Nsqd) -> Vec<String> {
    let entries = fs::read_dir(nsqd.data_path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn channels_go_on_where_the_reference_stopped() {
    let data = TempDir::new().unwrap();
    write_metadata(
        data.path(),
        &[("orders", &["archive", "billing!"]), ("held!", &[])],
    );
    let mut queue = Queue::create(data.path(), "orders:archive");
    queue.put(0x18a2_9a84_d600_5000, 2, b"seen twice");
    queue.put(0x18a2_9a84_d600_5001, 0, b"never seen");
    queue.close();
    Queue::create(data.path(), "orders:billing").close();
    let mut queue = Queue::create(data.path(), "orders");
    queue.put(7, 0, b"for all");
    queue.close();
    let mut queue = Queue::create(data.path(), "held");
    queue.put(8, 0, b"later");
    queue.close();

    let mut nsqd = Nsqd::start_in(data, &[]);
    assert_eq!(
        names(&nsqd),
        ["ids.dat", "imported-1", "nsqd.dat", "topics"]
    );
    assert!(nsqd.log().contains("import done"), "{}", nsqd.log());
    assert_eq!(nsqd.channel("orders", "archive")["depth"], 3);
    assert_eq!(nsqd.channel("orders", "billing")["depth"], 1);
    assert_eq!(nsqd.channel("orders", "billing")["paused"], true);
    assert_eq!(nsqd.topic("held")["depth"], 1);
    assert_eq!(nsqd.topic("held")["paused"], true);

    nsqd.kill();
    nsqd.restart();
    nsqd.publish("orders", "new");
    let mut consumer = nsqd.consumer("orders", "archive");
    consumer.ready(10);
    let messages = consumer.messages(4);
    let told: Vec<_> = messages
        .iter()
        .map(|message| (message.text(), message.attempts))
        .collect();
    assert_eq!(
        told,
        [
            ("seen twice", 3),
            ("never seen", 1),
            ("for all", 1),
            ("new", 1)
        ]
    );
    assert_eq!(messages[0].id, "18a29a84d6005000");
    assert_eq!(messages[0].timestamp, 0x18a2_9a84_d600_5000);
    consumer.finish_all(&messages);
    nsqd.await_channel("orders", "archive", "in_flight_count", 0);
    nsqd.restart();
    assert_eq!(nsqd.channel("orders", "archive")["depth"], 0);
    assert_eq!(nsqd.channel("orders", "billing")["depth"], 2);
}

#[test]
fn a_kill_at_any_moment_of_the_import_loses_and_doubles_nothing() {
    const MESSAGES: usize = 4000;
    let small_segments = ["--max-bytes-per-file=65536"];
    let moments = [
        ("importing/new/topics/t-t", 1),
        ("importing/new/topics/t-t", 15),
        ("importing/new/topics/t-t", 60),
        ("imported-1/new", 1),
        ("topics/t-t", 1),
        ("imported-1", 4),
    ];
    for (directory, entries) in moments {
        let data = TempDir::new().unwrap();
        write_metadata(data.path(), &[("t", &["c"])]);
        for (name, first) in [("t:c", 0), ("t", MESSAGES as u64)] {
            let mut queue = Queue::create(data.path(), name);
            (first..first + MESSAGES as u64).for_each(|id| queue.put(id, 0, &[7; 500]));
            queue.close();
        }
        let data = daemon::kill_once(data, &small_segments, |data| {
            let found = fs::read_dir(data.join(directory));
            found.is_ok_and(|found| found.count() >= entries)
        });
        let nsqd = Nsqd::start_in(data, &small_segments);
        let context = format!("killed with {entries} in {directory}");
        assert_eq!(nsqd.channel("t", "c")["depth"], 2 * MESSAGES, "{context}");
        let mut consumer = nsqd.consumer("t", "c");
        consumer.ready(2500);
        let messages = consumer.consume(2 * MESSAGES);
        let ids: BTreeSet<_> = messages.into_iter().map(|message| message.id).collect();
        assert_eq!(ids.len(), 2 * MESSAGES, "{context}");
        assert_eq!(
            names(&nsqd),
            ["ids.dat", "imported-1", "nsqd.dat", "topics"]
        );
    }
}
