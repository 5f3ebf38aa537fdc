//! Damaged metadata: whatever happens to `nsqd.dat` or to a topic's `progress.dat`, no message is lost and no channel is
//! hidden.
//!
//! `NSQD_DAMAGES` is how many random changes of each file are tried.

use client::wire::TopicName;
use fastrand::Rng;

use super::flips::{damages, seeded};
use super::states::{CHANNELS, TIMEOUT, known, numbered, open, open_and_drain, take};
use super::*;
use crate::channel::Locality;
use crate::clock::manual::StoppedClock;
use crate::metadata::{FILE_NAME, Metadata, Topics, encode};
use crate::topic::{Durability, PROGRESS_NAME};

const CHANGES: usize = 300;
const MESSAGES: u64 = 20;
/// Of these each channel has finished the first ones.
const FINISHED: u64 = 5;
const DATA_PATH: &str = "/topics";

/// The disk of a topic that has stopped cleanly.
async fn stopped() -> SimDisk {
    let disk = SimDisk::new(DATA_PATH);
    let clock = Arc::new(StoppedClock::new());
    let topic = open(&disk, &clock, Durability::Fsync, Some(known()));
    for number in 0..MESSAGES {
        let body = numbered(number, 100);
        let bodies = std::iter::once(body.as_slice());
        topic.publish(bodies, &mut Vec::new()).await.unwrap();
    }
    for name in CHANNELS {
        let channel = topic.channel(name).unwrap();
        let consumer = channel
            .add_consumer(TIMEOUT, Locality::default(), Arc::default())
            .unwrap();
        for (_, id) in take(&channel, consumer, FINISHED) {
            channel.finish(consumer, &[id], |id, _| panic!("{id} is held"));
        }
        channel.remove_consumer(consumer);
    }
    let metadata = encode(Topics::from([(topic.name().clone(), topic.known())]));
    disk.put(&Path::new(DATA_PATH).join(FILE_NAME), &metadata);
    topic
        .close()
        .finish(&disk.sync_all(Path::new(DATA_PATH)))
        .unwrap();
    disk.sync_all(Path::new(DATA_PATH)).unwrap();
    disk
}

/// Starts as a node does, after a file has got this content.
fn check(disk: &SimDisk, path: &Path, content: &[u8]) {
    let disk = disk.copy();
    disk.put(path, content);
    let metadata = Metadata::new(Arc::new(disk.clone()), Path::new(DATA_PATH));
    let topic: TopicName = "orders".parse().unwrap();
    // A topic that is not in the metadata comes back for its directory.
    let known = metadata
        .read()
        .unwrap()
        .and_then(|mut topics| topics.remove(&topic));
    for found in open_and_drain(&disk, known) {
        let lost: Vec<_> = (FINISHED..MESSAGES)
            .filter(|number| !found.contains(number))
            .collect();
        assert!(
            lost.is_empty(),
            "{path:?}: b\"{}\": lost {lost:?}",
            content.escape_ascii()
        );
    }
}

/// Something else in some place.
fn change(content: &mut Vec<u8>, rng: &mut Rng) {
    let from = rng.usize(..content.len());
    let upto = rng.usize(from..=content.len().min(from + 30));
    match rng.u8(..4) {
        0 => content[from] ^= 1 << rng.u8(..8),
        1 => rng.fill(&mut content[from..upto]),
        2 => content[from..upto].fill(0),
        _ => drop(content.drain(from..upto)),
    }
}

#[tokio::test]
async fn damaged_metadata_loses_and_hides_nothing() {
    let mut rng = seeded("metadata");
    let disk = stopped().await;
    let nsqd_dat = Path::new(DATA_PATH).join(FILE_NAME);
    let progress_dat = Path::new(TOPIC).join(PROGRESS_NAME);
    for path in [nsqd_dat, progress_dat] {
        let content = disk.content(&path);
        check(&disk, &path, &content);
        check(&disk, &path, &vec![0; content.len()]);
        for cut in 0..content.len() {
            check(&disk, &path, &content[..cut]);
        }
        for _ in 0..damages(CHANGES) {
            let mut content = content.clone();
            change(&mut content, &mut rng);
            check(&disk, &path, &content);
        }
    }
}
