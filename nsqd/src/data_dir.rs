//! The data directory: who may use it, and where things are in it.
//!
//! ```text
//! <data-path>/nsqd.dat                 topics and channels, as the reference keeps them
//!             ids.dat                  message ids reserved
//!             topics/<encoded name>/   <number>-<epoch>.main|side   segments of a topic's log
//!                                      progress.dat                 where its channels are
//!             topics/deleted-<n>/      what is left of a topic that was deleted
//! ```

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::wire::TopicName;
use rustix::fs::{FlockOperation, flock};

use crate::log::Disk;

/// Directories of deleted topics begin with this, which no encoded name does: they are removed in the background.
const DELETED_PREFIX: &str = "deleted-";
/// Encoded names begin with this.
const TOPIC_PREFIX: &str = "t-";

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It is not there, or not accessible.
    #[error("failed to lock data-path: open {path}: {cause}")]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Another process has it.
    #[error(
        "failed to lock data-path: cannot flock directory {path} - {cause} (possibly in use by another instance of nsqd)"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Nothing can be created in it.
    #[error("data-path {path} is not writable: {cause}")]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A data directory, locked for this process as long as the value lives.
#[derive(Debug)]
pub struct DataDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Locks the directory and makes sure that it can be written to. It is not created. Blocks.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, DataDirError> {
        let path = path.to_path_buf();
        let lock = match File::open(&path) {
            Ok(file) => file,
            Err(cause) => {
                return Err(DataDirError::Open {
                    path,
                    cause: plain(&cause),
                });
            }
        };
        if let Err(cause) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(DataDirError::InUse {
                path,
                cause: plain(&cause.into()),
            });
        }
        let topics = path.join("topics");
        if let Err(cause) = disk.create_dir(&topics).and_then(|()| disk.sync_dir(&path)) {
            return Err(DataDirError::NotWritable {
                path,
                cause: plain(&cause),
            });
        }
        Ok(Self {
            disk,
            path,
            _lock: lock,
        })
    }

    /// The file system it is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of a topic.
    pub fn topic(&self, name: &TopicName) -> PathBuf {
        self.topics().join(encode(name.as_str()))
    }

    /// The topics that have a directory. Blocks.
    pub fn topics_on_disk(&self) -> io::Result<Vec<TopicName>> {
        Ok(self
            .disk
            .list(&self.topics())?
            .iter()
            .filter_map(|name| decode(name))
            .collect())
    }

    /// Sets the directory of a topic aside, to be removed by [`Self::remove_deleted`]; the name is free at once. One
    /// rename, quick enough to be made under a lock.
    pub fn set_aside(&self, topic: &TopicName, number: u64) -> io::Result<()> {
        let aside = self.topics().join(format!("{DELETED_PREFIX}{number:016x}"));
        match self.disk.rename(&self.topic(topic), &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes what is left of deleted topics. Blocks.
    pub fn remove_deleted(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.topics())?;
        for name in self.disk.list(&self.topics())? {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with(DELETED_PREFIX))
            {
                self.disk.remove_dir(&self.topics().join(name))?;
            }
        }
        Ok(())
    }

    /// Makes everything that was written or changed in it survive a power cut. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.sync_all(&self.path)
    }

    fn topics(&self) -> PathBuf {
        self.path.join("topics")
    }
}

/// The system's words without Rust's "(os error 2)".
fn plain(error: &io::Error) -> io::Error {
    let text = error.to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase();
    io::Error::new(error.kind(), text)
}

/// A topic's name as a file name: one to one, never `.` or `..`, and safe where letter case does not count.
fn encode(name: &str) -> String {
    let mut encoded = String::from(TOPIC_PREFIX);
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02x}").expect("a string takes everything"),
        }
    }
    encoded
}

fn decode(encoded: &OsStr) -> Option<TopicName> {
    let mut rest = encoded.to_str()?.strip_prefix(TOPIC_PREFIX)?;
    let mut name = String::new();
    while let Some(first) = rest.chars().next() {
        if first == '%' {
            let byte = u8::from_str_radix(rest.get(1..3)?, 16).ok()?;
            name.push(char::from(byte));
            rest = &rest[3..];
        } else {
            name.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    let name: TopicName = name.parse().ok()?;
    // Only what we would write ourselves, so that one topic has one directory.
    (encode(name.as_str()) == encoded.to_str()?).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_path_component_and_come_back() {
        for (name, expected) in [
            ("orders", "t-orders"),
            (".", "t-%2e"),
            ("..", "t-%2e%2e"),
            ("a..b", "t-a%2e%2eb"),
            ("Orders", "t-%4frders"),
            ("x#ephemeral", "t-x%23ephemeral"),
        ] {
            assert_eq!(encode(name), expected);
            assert_eq!(decode(OsStr::new(expected)).unwrap().as_str(), name);
        }
        for stranger in [
            "deleted-1",
            "orders",
            "t-",
            "t-A",
            "t-%4",
            "t-%zz",
            "t-%61",
            "t-é",
        ] {
            assert_eq!(decode(OsStr::new(stranger)), None, "{stranger}");
        }
    }
}
