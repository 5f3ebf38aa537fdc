//! Which topics and channels there are, and which are paused: `nsqd.dat`, in the reference's form, replaced as a whole
//! so that a crash at any byte leaves the old file or the new one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::daemon::flags::COMPATIBLE_VERSION;
use client::wire::{ChannelName, TopicName};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use crate::log::{Disk, read_file, replace_file};
use crate::topic::{Durability, Known, Topic};

/// The name of the file in the data directory.
pub const FILE_NAME: &str = "nsqd.dat";

/// Topics by name, with what is known of each.
pub type Topics = BTreeMap<TopicName, Known>;

/// The file, and who writes it: one writer at a time, one write for all changes that wait.
#[derive(Debug)]
pub struct Metadata {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    changes: AtomicU64,
    /// How many changes are on disk.
    written: tokio::sync::Mutex<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    topics: Option<Vec<FileTopic>>,
    #[serde(default)]
    version: String,
    /// Ours: CRC32C of the file without it, so that damage which is still JSON is noticed. The reference's file has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileTopic {
    name: String,
    #[serde(default)]
    paused: bool,
    /// Ours: the level that it was given for itself. The reference skips what it does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    durability: Option<String>,
    channels: Option<Vec<FileChannel>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileChannel {
    name: String,
    #[serde(default)]
    paused: bool,
}

impl Metadata {
    /// The metadata in a data directory.
    pub fn new(disk: Arc<dyn Disk>, data_path: &Path) -> Self {
        Self {
            disk,
            path: data_path.join(FILE_NAME),
            changes: AtomicU64::new(0),
            written: tokio::sync::Mutex::new(0),
        }
    }

    /// Reads the file; `None` if it is missing, or damaged and set aside: then the topics' directories tell what there
    /// is. Blocks.
    ///
    /// # Errors
    /// `failed to read metadata from <file> - <cause>`: the file is there and can't be read.
    pub fn read(&self) -> io::Result<Option<Topics>> {
        let bytes = match read_file(&*self.disk, &self.path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => {
                let text = format!(
                    "failed to read metadata from {} - {cause}",
                    self.path.display()
                );
                return Err(io::Error::new(cause.kind(), text));
            }
        };
        match File::parse(&bytes) {
            Ok(file) => Ok(Some(file.into_topics())),
            Err(cause) => {
                let aside = self.path.with_extension("damaged");
                error!(path = %self.path.display(), %cause, set_aside = %aside.display(),
                    "metadata is damaged; topics and channels are taken from their directories");
                self.disk.rename(&self.path, &aside)?;
                Ok(None)
            }
        }
    }

    /// Notes that `topics` has changed: some write after this call will have it.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether there are changes that are not on disk.
    pub async fn is_behind(&self) -> bool {
        *self.written.lock().await < self.changes.load(Ordering::Acquire)
    }

    /// Waits until every change noted so far is on disk; `topics` tells what there is now.
    pub async fn persist(&self, topics: impl FnOnce() -> Vec<Arc<Topic>>) -> io::Result<()> {
        let wanted = self.changes.load(Ordering::Acquire);
        let mut written = self.written.lock().await;
        if *written >= wanted {
            return Ok(());
        }
        let upto = self.changes.load(Ordering::Acquire);
        let topics = known(&topics());
        let (disk, path) = (Arc::clone(&self.disk), self.path.clone());
        let write = move || replace_file(&*disk, &path, &encode(topics));
        tokio::task::spawn_blocking(write)
            .await
            .expect("writing metadata does not panic")?;
        *written = upto;
        Ok(())
    }
}

impl File {
    fn of(topics: Topics) -> Self {
        let mut file = Self {
            topics: none_if_empty(topics.into_iter().map(FileTopic::of).collect()),
            version: COMPATIBLE_VERSION.to_owned(),
            check: None,
        };
        file.check = Some(crc32c::crc32c(&file.encode()));
        file
    }

    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names and flags can be told in JSON")
    }

    fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut file: Self = serde_json::from_slice(bytes)?;
        match file.check.take() {
            Some(check) if check != crc32c::crc32c(&file.encode()) => Err(
                serde_json::Error::custom("what it says does not match its check"),
            ),
            _ => Ok(file),
        }
    }

    fn into_topics(self) -> Topics {
        let mut topics = Topics::new();
        for topic in self.topics.unwrap_or_default() {
            match topic.name.parse() {
                Ok(name) => {
                    topics.insert(name, topic.into_known());
                }
                Err(error) => warn!(%error, "name in the metadata skipped"),
            }
        }
        topics
    }
}

impl FileTopic {
    fn of((name, known): (TopicName, Known)) -> Self {
        let channels = known.channels.into_iter();
        let channels = channels.map(|(name, paused)| FileChannel {
            name: name.to_string(),
            paused,
        });
        Self {
            name: name.to_string(),
            paused: known.paused,
            durability: known.durability.map(|level| level.to_string()),
            channels: none_if_empty(channels.collect()),
        }
    }

    fn into_known(self) -> Known {
        let mut channels = BTreeMap::new();
        for FileChannel { name, paused } in self.channels.unwrap_or_default() {
            match name.parse::<ChannelName>() {
                Ok(name) => {
                    channels.insert(name, paused);
                }
                Err(error) => warn!(topic = %self.name, %error, "name in the metadata skipped"),
            }
        }
        Known {
            paused: self.paused,
            durability: self.durability.map(|level| known_level(&level)),
            channels,
        }
    }
}

/// The level of this name. One that is not known is from a later version: no level here promises too much.
fn known_level(name: &str) -> Durability {
    name.parse().unwrap_or_else(|error| {
        warn!(%name, %error, "level of durability in the metadata taken for fsync");
        Durability::Fsync
    })
}

/// What is to be known of these topics at the next start.
fn known(topics: &[Arc<Topic>]) -> Topics {
    let durable = topics.iter().filter(|topic| !topic.name().is_ephemeral());
    durable
        .map(|topic| (topic.name().clone(), topic.known()))
        .collect()
}

/// The bytes of the file for these topics.
pub fn encode(topics: Topics) -> Vec<u8> {
    File::of(topics).encode()
}

/// The reference writes `null` for no elements.
fn none_if_empty<T>(elements: Vec<T>) -> Option<Vec<T>> {
    (!elements.is_empty()).then_some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::RealDisk;

    /// Recorded from the reference.
    const RECORDED: &str = r#"{"topics":[{"name":"orders","paused":false,"channels":[{"name":"archive","paused":false},{"name":"billing","paused":true}]},{"name":"zeta","paused":true,"channels":null}],"version":"1.3.0"}"#;

    fn read(content: &str) -> (Option<Topics>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), content).unwrap();
        (
            Metadata::new(Arc::new(RealDisk), directory.path())
                .read()
                .unwrap(),
            directory,
        )
    }

    #[test]
    fn the_references_file_is_read() {
        let topics = read(RECORDED).0.unwrap();
        let orders = &topics[&"orders".parse::<TopicName>().unwrap()];
        let paused: Vec<_> = orders
            .channels
            .iter()
            .map(|(name, paused)| (name.as_str(), *paused))
            .collect();
        assert_eq!(paused, [("archive", false), ("billing", true)]);
        let zeta = &topics[&"zeta".parse::<TopicName>().unwrap()];
        assert!(zeta.paused && zeta.channels.is_empty());
    }

    #[test]
    fn a_file_cut_anywhere_is_set_aside_and_counts_as_missing() {
        for cut in 0..RECORDED.len() {
            let (topics, directory) = read(&RECORDED[..cut]);
            assert!(topics.is_none(), "cut at {cut}");
            assert!(directory.path().join("nsqd.damaged").exists());
        }
    }

    #[test]
    fn levels_come_back_and_unknown_ones_are_taken_for_the_strongest() {
        let text = r#"{"topics":[{"name":"t","paused":false,"durability":"disk","channels":null}],"version":"1.3.0"}"#;
        let topics = read(text).0.unwrap();
        let written = String::from_utf8(encode(topics)).unwrap();
        assert!(written.starts_with(text.trim_end_matches('}')), "{written}");
        let later = read(&text.replace("disk", "replicated")).0.unwrap();
        let levels: Vec<_> = later.values().map(|known| known.durability).collect();
        assert_eq!(levels, [Some(Durability::Fsync)]);
    }

    #[test]
    fn damage_that_is_still_json_is_noticed() {
        let written = String::from_utf8(encode(read(RECORDED).0.unwrap())).unwrap();
        assert!(read(&written).0.is_some());
        for (what, damaged) in [
            ("archive", "archivd"),
            ("true", "false"),
            ("check\":", "check\":1"),
        ] {
            let (topics, directory) = read(&written.replacen(what, damaged, 1));
            assert!(topics.is_none(), "{damaged}");
            assert!(directory.path().join("nsqd.damaged").exists());
        }
    }

    #[test]
    fn bad_names_are_skipped() {
        let topics = read(
            r#"{"topics":[{"name":"a b"},{"name":"t","channels":[{"name":""},{"name":"c"}]}]}"#,
        )
        .0
        .unwrap();
        assert_eq!(topics.len(), 1);
        assert_eq!(topics.values().next().unwrap().channels.len(), 1);
    }
}
