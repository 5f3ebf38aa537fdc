//! Taking over the data directory of a reference nsqd that was stopped: its queues become topics of ours.
//!
//! ```text
//! <data-path>/nsqd.dat, *.diskqueue.*     what the reference left
//!             importing/                  being written; begun anew after a crash
//!               nsqd.dat                  the reference's, as it was
//!               new/nsqd.dat              the topics and channels that there will be
//!               new/topics/t-<name>/      their messages, as in <data-path>/topics
//!             imported-<n>/               the same after the one rename that decides
//! ```
//!
//! Nothing of the reference is touched before all of `importing` is on stable storage and has been renamed. From then
//! on a crash is made good by going on: what is in `new` moves to its place, the reference's files move beside it, and
//! `new` goes last. Each message of a channel's queue is written for that channel alone, each one of a topic's queue once,
//! for all channels.

mod queue;
mod records;
#[cfg(test)]
mod tests;
mod topic;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{info, warn};

use crate::clock::Random;
use crate::data_dir::DataDir;
use crate::log::{Disk, Memory, read_file, write_file};
use crate::metadata::{self, Metadata};
use queue::{Found, is_queue_file};

const STAGING: &str = "importing";
const DONE_PREFIX: &str = "imported-";
const NEW: &str = "new";
const TOPICS: &str = "topics";

/// Why a reference's data can't be taken over: what was being done to which file. It is all still there.
#[derive(Debug, thiserror::Error)]
#[error("failed to import the reference's data: {path}: {cause}")]
pub struct ImportError {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

impl ImportError {
    /// Tells an error of the disk with the file that was being read or written.
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| Self { path, cause }
    }
}

/// What the import works with.
#[derive(Debug)]
pub struct Import<'a> {
    /// Where the reference's files are, and ours will be.
    pub data_dir: &'a DataDir,
    /// The topics and channels that there are.
    pub metadata: &'a Metadata,
    /// Where messages are held on their way.
    pub memory: &'a Arc<Memory>,
    /// Chance for the epochs of segments.
    pub random: &'a Arc<dyn Random>,
}

/// How much was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Total {
    messages: u64,
    body_bytes: u64,
    damaged_bytes: u64,
}

impl std::ops::AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.body_bytes += other.body_bytes;
        self.damaged_bytes += other.damaged_bytes;
    }
}

impl Import<'_> {
    /// Takes over what a reference left in the data directory, if there is anything, and ends an import that was interrupted.
    /// To be called before the topics are restored. Blocks, as long as it takes to copy the messages.
    ///
    /// # Errors
    /// A file that can't be read or written. Nothing is lost: the next call begins anew, or goes on.
    pub fn run(&self) -> Result<(), ImportError> {
        let data_path = self.data_dir.path();
        let names = self
            .disk()
            .list(data_path)
            .map_err(ImportError::at(data_path))?;
        for name in names.iter().filter(|name| number(name).is_some()) {
            self.put_in_place(&data_path.join(name))?;
        }
        let staging = data_path.join(STAGING);
        if names.iter().any(|name| name == STAGING) {
            warn!("an import was interrupted; it begins anew");
            (self.disk().remove_dir(&staging)).map_err(ImportError::at(&staging))?;
        }
        // What was put in place just now is not to be imported again.
        let names = self
            .disk()
            .list(data_path)
            .map_err(ImportError::at(data_path))?;
        if !names.iter().any(|name| is_queue_file(name)) {
            return Ok(());
        }
        let last = names
            .iter()
            .filter_map(|name| number(name))
            .max()
            .unwrap_or(0);
        let done = data_path.join(format!("{DONE_PREFIX}{}", last + 1));
        info!(path = %data_path.display(), "queues of a reference nsqd found; taking them over");
        let total = self.stage(&staging, &queue::find(&names))?;
        self.sync()?;
        let Total {
            messages,
            body_bytes,
            damaged_bytes,
        } = total;
        (self.disk().rename(&staging, &done)).map_err(ImportError::at(&staging))?;
        self.put_in_place(&done)?;
        info!(messages, body_bytes, damaged_bytes, old_files = %done.display(), "import done");
        Ok(())
    }

    /// Writes all that there will be.
    fn stage(&self, staging: &Path, found: &Found) -> Result<Total, ImportError> {
        for bad in &found.bad {
            warn!(
                file = bad,
                "set aside by the reference as damaged; not imported"
            );
        }
        for strange in &found.strange {
            warn!(
                file = strange,
                "not a queue of a topic or channel; not imported"
            );
        }
        let new = staging.join(NEW);
        for directory in [staging, &new, &new.join(TOPICS)] {
            (self.disk().create_dir(directory)).map_err(ImportError::at(directory))?;
        }
        let old = self.data_dir.path().join(metadata::FILE_NAME);
        match read_file(self.disk(), &old) {
            Ok(bytes) => self.write(&staging.join(metadata::FILE_NAME), &bytes)?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(ImportError::at(&old)(cause)),
        }
        let metadata = self.metadata.read().map_err(ImportError::at(&old))?;
        let mut topics = metadata.unwrap_or_default();
        let mut total = Total::default();
        for (name, queues) in &found.topics {
            total += self.stage_topic(name, queues, &new.join(TOPICS), &mut topics)?;
        }
        self.write(&new.join(metadata::FILE_NAME), &metadata::encode(topics))?;
        Ok(total)
    }

    /// Moves what was staged to where it belongs, and the reference's files out of the way. A second call goes on where
    /// an interrupted one was.
    fn put_in_place(&self, done: &Path) -> Result<(), ImportError> {
        let (disk, data_path) = (self.disk(), self.data_dir.path());
        let new = done.join(NEW);
        let topics = new.join(TOPICS);
        let names = match disk.list(&topics) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            names => names.map_err(ImportError::at(&topics))?,
        };
        let place = |name: &OsString| data_path.join(TOPICS).join(name);
        for name in &names {
            let place = place(name);
            disk.create_dir(&place).map_err(ImportError::at(&place))?;
        }
        // Before anything moves: else a power cut could bring back the directory's old name, with only half of it inside.
        self.sync()?;
        for name in &names {
            self.move_files(&topics.join(name), &place(name), |_| true)?;
        }
        self.move_files(&new, data_path, |name| name == metadata::FILE_NAME)?;
        self.move_files(data_path, done, is_queue_file)?;
        self.sync()?;
        disk.remove_dir(&new).map_err(ImportError::at(&new))
    }

    fn move_files(
        &self,
        from: &Path,
        to: &Path,
        wanted: impl Fn(&OsStr) -> bool,
    ) -> Result<(), ImportError> {
        let names = self.disk().list(from).map_err(ImportError::at(from))?;
        for name in names.iter().filter(|name| wanted(name)) {
            let file = from.join(name);
            (self.disk().rename(&file, &to.join(name))).map_err(ImportError::at(&file))?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ImportError> {
        write_file(self.disk(), path, bytes).map_err(ImportError::at(path))
    }

    fn sync(&self) -> Result<(), ImportError> {
        self.data_dir
            .sync()
            .map_err(ImportError::at(self.data_dir.path()))
    }

    fn disk(&self) -> &dyn Disk {
        &**self.data_dir.disk()
    }
}

/// The number of a finished import, from the name of its directory.
fn number(name: &OsStr) -> Option<u64> {
    name.to_str()?.strip_prefix(DONE_PREFIX)?.parse().ok()
}
