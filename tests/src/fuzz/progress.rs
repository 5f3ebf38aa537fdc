//! `progress.dat`, which tells where the channels of a topic are.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nsqd::channel::checkpoint::Progress;
use nsqd::channel::{self, Claimed, Locality};
use nsqd::clock::System;
use nsqd::log::Disk;
use nsqd::message_id::MessageIds;
use nsqd::topic::{COMMITS_MAX, Durability, PROGRESS_NAME, Shared, Topic};
use tokio::sync::Semaphore;

use super::damage::{Dice, SETTINGS, TOPIC, directory, memory, write};
use super::disk::MemoryDisk;

/// Messages in the topic whose progress it is said to be.
const MESSAGES: u64 = 20;

/// Any file is read, and what is in it is what it is written as. A topic opens with it, true or not, and its channels give
/// out no more than it says and the topic has.
pub fn progress(data: &[u8]) {
    let Some((version, payload)) = data.split_first() else {
        return;
    };
    assert!(
        Progress::decode(data).is_err(),
        "it has no magic, or a wrong checksum"
    );
    let magic = match version % 3 {
        0 => b"NSQPROG1",
        1 => b"NSQPROG2",
        _ => b"NSQPROG3",
    };
    let check = crc32c::crc32c(payload).to_be_bytes();
    let bytes = [magic.as_slice(), &check, payload].concat();
    let Ok(progress) = Progress::decode(&bytes) else {
        return;
    };
    let again = Progress::decode(&progress.encode()).expect("it was just written");
    assert_eq!(again, progress);
    restore(&bytes, &progress);
}

fn restore(bytes: &[u8], progress: &Progress) {
    let disk = write(MESSAGES, true);
    disk.put(&Path::new(TOPIC).join(PROGRESS_NAME), bytes.to_vec());
    let name = "orders".parse().expect("it is a name");
    let place = (&memory(), directory(&disk));
    let topic = Topic::restore(name, SETTINGS, place, None, shared(&disk));
    let topic = topic.expect("memory can be read");
    for channel in topic.channels() {
        let written = progress
            .channels
            .iter()
            .find(|written| written.name == *channel.name());
        let runs = written.map_or(0, |written| written.ready.len() + written.deferred.len());
        let taken = take(&channel);
        assert!(taken <= MESSAGES * (runs as u64 + 1), "{taken}");
    }
    // Lets go of the channels that wait for messages.
    topic.exit();
}

/// How many messages a consumer gets.
fn take(channel: &channel::Channel) -> u64 {
    let consumer = channel
        .add_consumer(Duration::from_mins(1), Locality::default(), Arc::default())
        .expect("it is open");
    channel.set_ready(consumer, u64::MAX);
    loop {
        match channel.claim(consumer, 0, usize::MAX, &mut Vec::new()) {
            Claimed::Some => {}
            Claimed::OnDisk(segment) => channel.load_now(&segment).expect("memory can be read"),
            _ => return channel.snapshot().in_flight_count,
        }
    }
}

fn shared(disk: &MemoryDisk) -> Shared {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let ids = MessageIds::open(disk, Path::new("/data"), 1, 0).expect("memory takes all");
    Shared {
        channels: channel::Shared {
            clock: Arc::new(System),
            random: Arc::new(Dice::default()),
            timers: Arc::default(),
            max_msg_timeout: Duration::from_mins(15),
            consumers_max: 0,
            latency: None,
        },
        ids: Arc::new(ids),
        channels_max: 0,
        durability: Durability::Disk,
        commit_turns: Arc::new(Semaphore::new(COMMITS_MAX)),
    }
}
