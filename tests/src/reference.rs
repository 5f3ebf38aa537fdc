//! A data directory as a reference nsqd leaves it: `nsqd.dat` and the files of its disk queues.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What the reference does when nothing is said: `--max-bytes-per-file`.
const FILE_BYTES_MAX: u64 = 100 << 20;

/// Writes one disk queue. The meta file comes with [`Queue::close`]; before, it is a queue whose nsqd was killed.
#[derive(Debug)]
pub struct Queue {
    directory: PathBuf,
    name: String,
    file: BufWriter<File>,
    file_number: u64,
    file_bytes: u64,
    depth: u64,
}

impl Queue {
    /// A new queue of a topic (`orders`) or a channel (`orders:billing`).
    pub fn create(directory: &Path, name: &str) -> Self {
        Self {
            directory: directory.to_path_buf(),
            name: name.to_owned(),
            file: open(directory, name, 0),
            file_number: 0,
            file_bytes: 0,
            depth: 0,
        }
    }

    /// Adds a message: its id as a number, deliveries so far, and body. Its timestamp is the id too.
    pub fn put(&mut self, id: u64, attempts: u16, body: &[u8]) {
        let record_bytes = 30 + body.len() as u64;
        if self.file_bytes > 0 && self.file_bytes + record_bytes > FILE_BYTES_MAX {
            self.file.flush().expect("a queue file can be written");
            self.file_number += 1;
            self.file_bytes = 0;
            self.file = open(&self.directory, &self.name, self.file_number);
        }
        let length = u32::try_from(record_bytes - 4).expect("messages are small");
        let mut record = length.to_be_bytes().to_vec();
        record.extend_from_slice(&id.to_be_bytes());
        record.extend_from_slice(&attempts.to_be_bytes());
        record.extend_from_slice(format!("{id:016x}").as_bytes());
        record.extend_from_slice(body);
        (self.file.write_all(&record)).expect("a queue file can be written");
        self.file_bytes += record_bytes;
        self.depth += 1;
    }

    /// Ends it as a clean stop does.
    pub fn close(mut self) {
        self.file.flush().expect("a queue file can be written");
        let meta = format!(
            "{}\n0,0\n{},{}\n",
            self.depth, self.file_number, self.file_bytes
        );
        let path = self
            .directory
            .join(format!("{}.diskqueue.meta.dat", self.name));
        std::fs::write(path, meta).expect("a meta file can be written");
    }
}

fn open(directory: &Path, name: &str, number: u64) -> BufWriter<File> {
    let path = directory.join(format!("{name}.diskqueue.{number:06}.dat"));
    BufWriter::new(File::create(path).expect("a queue file can be created"))
}

/// Writes `nsqd.dat`: topics, each with its channels; one that ends in `!` is paused.
pub fn write_metadata(directory: &Path, topics: &[(&str, &[&str])]) {
    let flag = |name: &str| (name.trim_end_matches('!').to_owned(), name.ends_with('!'));
    let topics: Vec<_> = topics
        .iter()
        .map(|(topic, channels)| {
            let channels: Vec<_> = channels
                .iter()
                .map(|channel| {
                    let (name, paused) = flag(channel);
                    serde_json::json!({ "name": name, "paused": paused })
                })
                .collect();
            let (name, paused) = flag(topic);
            serde_json::json!({ "name": name, "paused": paused, "channels": channels })
        })
        .collect();
    let file = serde_json::json!({ "topics": topics, "version": "1.3.0" });
    std::fs::write(directory.join("nsqd.dat"), file.to_string()).expect("nsqd.dat can be written");
}
