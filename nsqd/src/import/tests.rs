//! Taking over directories that a reference could have left, on a disk that fails and crashes.

use std::fmt::Write;

use client::wire::{ATTEMPTS_AT, BODY_AT};
use fastrand::Rng;
use tempfile::TempDir;

use super::*;
use crate::channel::checkpoint::Progress;
use crate::clock::manual::Dice;
use crate::log::sim_disk::{Call, Crash, EIO, SimDisk};
use crate::log::{Buffer, Care, Directory, Lane, Log, Recovered, Settings};
use crate::topic::read_progress;

/// A record as the reference writes it.
pub(super) fn record(id: u64, attempts: u16, body: &str) -> Vec<u8> {
    let length = u32::try_from(26 + body.len()).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&1_700_000_000_000_000_000_i64.to_be_bytes());
    bytes.extend_from_slice(&attempts.to_be_bytes());
    bytes.extend_from_slice(format!("{id:016x}").as_bytes());
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

/// One record for each word; a digit at the end of a word tells how often it was delivered.
fn records(words: &str) -> Vec<u8> {
    let words = words.split_whitespace().enumerate();
    let one = |(index, word): (usize, &str)| {
        let attempts = word.chars().last().and_then(|last| last.to_digit(10));
        record(
            index as u64,
            attempts.unwrap_or(0).try_into().unwrap(),
            word,
        )
    };
    words.flat_map(one).collect()
}

struct Bench {
    disk: SimDisk,
    directory: TempDir,
    memory: Arc<Memory>,
    random: Arc<dyn Random>,
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Self {
            disk: SimDisk::new(directory.path().to_str().unwrap()),
            directory,
            memory: Memory::new(1 << 20, 256),
            random: Arc::new(Dice::new(5)),
        }
    }

    /// Two topics with channels, one of which has a queue of several files.
    fn with_queues() -> Self {
        let bench = Self::new();
        bench.put(
            metadata::FILE_NAME,
            br#"{"topics":[{"name":"orders","paused":false,"channels":[{"name":"archive","paused":false},{"name":"billing","paused":true}]},{"name":"zeta","paused":true,"channels":null}],"version":"1.3.0"}"#,
        );
        bench.put_queue("orders", "o1x o2x");
        bench.put_queue("orders:archive", "a b c d e f g h i j k l m n o p q r s t");
        bench.put_queue("orders:billing", "late7 once1");
        bench.put_file("orders:billing", 1, &records("next"));
        bench.put_queue("zeta", "z");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        self.disk.put(&self.path(name), content);
    }

    fn put_queue(&self, queue: &str, words: &str) {
        let depth = words.split_whitespace().count();
        let meta = format!("{depth}\n0,0\n0,{}\n", records(words).len());
        self.put(&format!("{queue}.diskqueue.meta.dat"), meta.as_bytes());
        self.put_file(queue, 0, &records(words));
    }

    fn put_file(&self, queue: &str, number: u64, content: &[u8]) {
        self.put(&format!("{queue}.diskqueue.{number:06}.dat"), content);
    }

    /// What a start does.
    fn import(&self) -> Result<(), String> {
        let disk = Arc::new(self.disk.clone());
        let data_dir =
            DataDir::open(disk, self.directory.path()).map_err(|error| error.to_string())?;
        let import = Import {
            metadata: &Metadata::new(Arc::clone(data_dir.disk()), data_dir.path()),
            data_dir: &data_dir,
            memory: &self.memory,
            random: &self.random,
        };
        import.run().map_err(|error| error.to_string())
    }

    /// What the channels of a topic will be given: for each, the messages of its own and then those that all get.
    fn told(&self, topic: &str) -> Vec<String> {
        let (progress, Recovered { segments, .. }) = self.open(topic);
        let load = |number: u64| segments[&number].load(&self.memory).unwrap();
        let told = |channel: &crate::channel::checkpoint::ChannelProgress| {
            let mut told = format!("{}:", channel.name);
            for run in &channel.ready {
                let buffer = load(run.first.segment);
                (run.first.index..run.first.index + run.count)
                    .for_each(|index| tell(&mut told, &buffer, index, run.first.attempts));
            }
            told.push_str(" |");
            for (&number, segment) in segments.range(channel.cursor.0..) {
                let buffer = load(number);
                if segment.lane() == Lane::Main {
                    (0..buffer.count()).for_each(|index| tell(&mut told, &buffer, index, 0));
                }
            }
            told
        };
        progress.channels.iter().map(told).collect()
    }

    fn open(&self, topic: &str) -> (Progress, Recovered) {
        let path = self.path(&format!("topics/t-{topic}"));
        let disk = Arc::new(self.disk.clone());
        let directory = Directory::new(disk, path, true, Care::default());
        directory.keep_files();
        let progress = read_progress(&directory).unwrap().unwrap();
        let settings = Settings {
            mem_queue_size: 100,
            ephemeral: false,
        };
        let recovered = Log::recover(settings, &self.memory, directory, &self.random, 0).unwrap();
        (progress, recovered)
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let directory = if directory.is_empty() {
            self.directory.path().to_path_buf()
        } else {
            self.path(directory)
        };
        let names = self.disk.list(&directory).unwrap();
        names
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    /// All is there once, and nothing of the reference is left in its place.
    fn check(&self, context: &str) {
        assert_eq!(
            self.told("orders"),
            [
                "archive: a b c d e f g h i j k l m n o p q r s t | o1x o2x",
                "billing: late7(7) once1(1) next | o1x o2x"
            ],
            "{context}"
        );
        assert_eq!(self.told("zeta"), Vec::<String>::new(), "{context}");
        let (progress, recovered) = self.open("zeta");
        assert_eq!((progress.unshown, recovered.report.messages), ((0, 0), 1));
        assert_eq!(
            self.names(""),
            ["imported-1", "nsqd.dat", "topics"],
            "{context}"
        );
        assert_eq!(self.names("imported-1").len(), 10, "{context}");
    }
}

fn tell(told: &mut String, buffer: &Buffer, index: u32, attempts: u16) {
    let frame = buffer.frame(index);
    assert_eq!(
        frame[ATTEMPTS_AT - 8..ATTEMPTS_AT],
        1_700_000_000_000_000_000_i64.to_be_bytes()
    );
    told.push(' ');
    told.push_str(std::str::from_utf8(&frame[BODY_AT..]).unwrap());
    if attempts > 0 {
        write!(told, "({attempts})").unwrap();
    }
}

#[test]
fn each_channel_gets_its_own_messages_and_all_get_the_topics() {
    let bench = Bench::with_queues();
    let nsqd_dat = bench.disk.content(&bench.path("nsqd.dat"));
    bench.import().unwrap();
    bench.check("");
    let told = |content: &[u8]| {
        let mut told: serde_json::Value = serde_json::from_slice(content).unwrap();
        told.as_object_mut().unwrap().remove("check");
        told
    };
    let now = bench.disk.content(&bench.path("nsqd.dat"));
    assert_eq!(told(&now), told(&nsqd_dat));
    assert_eq!(
        bench.disk.content(&bench.path("imported-1/nsqd.dat")),
        nsqd_dat
    );
    let (progress, _) = bench.open("orders");
    let runs: usize = progress
        .channels
        .iter()
        .map(|channel| channel.ready.len())
        .sum();
    assert!(runs < 10, "a backlog is told in runs: {runs}");
    bench.import().unwrap();
    bench.check("nothing is imported twice");
}

#[test]
fn a_failure_or_crash_at_any_call_loses_and_doubles_nothing() {
    let calls = [
        Call::Create,
        Call::Open,
        Call::Read,
        Call::Write,
        Call::Sync,
        Call::Rename,
    ];
    let mut rng = Rng::with_seed(3);
    let mut struck = 0;
    for (call, crash) in calls
        .iter()
        .flat_map(|call| Crash::ALL.map(|crash| (*call, crash)))
    {
        for skip in 0.. {
            let bench = Bench::with_queues();
            bench.disk.fail(call, skip, u32::MAX, EIO);
            let outcome = bench.import();
            bench.disk.heal();
            bench.disk.crash(crash, &mut rng);
            bench.import().unwrap();
            bench.check(&format!("{call:?} {skip} {crash:?}"));
            if outcome.is_ok() {
                break;
            }
            struck += 1;
        }
    }
    assert!(struck > 300, "{struck}");
}

#[test]
fn what_is_whole_is_imported_and_the_rest_stays_aside() {
    let bench = Bench::new();
    let mut torn = records("one two three");
    torn.truncate(torn.len() - 2);
    bench.put_file("t:c", 4, &torn);
    bench.put_file("t:c", 5, &records("four"));
    bench.put("t:c.diskqueue.meta.dat", b"9\n4,0\n5,34\n");
    bench.put_file("t:c", 3, &records("old"));
    bench.put("t:c.diskqueue.000002.dat.bad", &records("bad"));
    bench.put("t:c.diskqueue.meta.dat.77.tmp", b"");
    bench.put_file("t:rescued", 0, &records("no meta"));
    bench.put_queue("t:empty", "");
    bench.import().unwrap();
    assert_eq!(bench.told("t"), ["c: one two four |", "rescued: no meta |"]);
    assert_eq!(
        bench
            .disk
            .content(&bench.path("imported-1/t:c.diskqueue.000004.dat")),
        torn
    );
    assert_eq!(bench.names("imported-1").len(), 9);
    let known = Metadata::new(Arc::new(bench.disk.clone()), bench.directory.path());
    let known = &known.read().unwrap().unwrap()["t"];
    assert_eq!(
        known.channels.len(),
        2,
        "channels with messages are created: {known:?}"
    );
}

#[test]
fn what_the_reference_left_comes_after_what_there_is() {
    let bench = Bench::with_queues();
    bench.import().unwrap();
    bench.put_queue("orders", "newer");
    bench.put_queue("orders:archive", "again");
    bench.put_queue("orders:third", "new");
    bench.import().unwrap();
    assert_eq!(
        bench.told("orders"),
        [
            "archive: a b c d e f g h i j k l m n o p q r s t again | o1x o2x newer",
            "billing: late7(7) once1(1) next | o1x o2x newer",
            "third: new | newer",
        ]
    );
    assert_eq!(
        bench.names(""),
        ["imported-1", "imported-2", "nsqd.dat", "topics"]
    );
}

#[test]
fn a_directory_without_queues_is_left_alone() {
    let bench = Bench::new();
    bench.put("nsqd.dat", b"{}");
    bench.put("notes.diskqueue.txt", b"");
    bench.import().unwrap();
    assert_eq!(
        bench.names(""),
        ["notes.diskqueue.txt", "nsqd.dat", "topics"]
    );
}
