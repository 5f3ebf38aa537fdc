//! The directory of one topic: file names, its creation on first need, and what is to be removed from it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::file::{Disk, DiskFile, temporary};
use super::record::Lane;
use crate::sabotage::{Fault, Site, is_on, pass};

/// A topic's place on disk. Nothing is created before there is something to keep.
#[derive(Debug)]
pub struct Directory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    created: AtomicBool,
    /// Names were created in it that a power cut may take back, and so was its own.
    new_names: AtomicBool,
    own_name_is_new: AtomicBool,
    /// Files whose segments nobody needs any more; removed off the async threads.
    garbage: Mutex<Vec<Discarded>>,
    /// From now on segments leave their files behind.
    keeps_files: AtomicBool,
    /// The topic is deleted: no file is created any more, since another topic of the same name may have the place.
    deleted: RwLock<bool>,
    damaged_messages: AtomicU64,
    care: Care,
}

/// What all topics have to wake the storage worker with.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Notify,
    /// Something has happened in some topic.
    stirred: AtomicBool,
}

impl Bell {
    /// Asks the storage worker to come.
    pub fn ring(&self) {
        self.rung.notify_one();
    }

    /// Waits until it is rung.
    pub async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Whether something has happened in some topic since the last [`Self::settle`]. While nothing has, no topic needs to
    /// be looked at: there may be very many.
    pub fn is_stirred(&self) -> bool {
        self.stirred.load(Ordering::Acquire)
    }

    /// Forgets that something has happened, as every topic is looked at now.
    pub fn settle(&self) {
        self.stirred.store(false, Ordering::Release);
    }
}

/// How a topic asks the storage worker to come: it sets its flag, and rings the bell that all topics share.
#[derive(Debug, Default)]
pub struct Care {
    wanted: AtomicBool,
    bell: Arc<Bell>,
}

impl Care {
    /// A topic's flag; `bell` is what the storage worker waits for.
    pub fn new(bell: &Arc<Bell>) -> Self {
        Self {
            wanted: AtomicBool::new(false),
            bell: Arc::clone(bell),
        }
    }

    fn call(&self) {
        if !self.wanted.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
    }
}

#[derive(Debug)]
struct Discarded {
    path: PathBuf,
    damaged: bool,
}

impl Directory {
    /// The directory at `path`, which exists already if `created`.
    pub fn new(disk: Arc<dyn Disk>, path: PathBuf, created: bool, care: Care) -> Arc<Self> {
        Arc::new(Self {
            disk,
            path,
            created: AtomicBool::new(created),
            new_names: AtomicBool::new(created),
            own_name_is_new: AtomicBool::new(created),
            garbage: Mutex::default(),
            keeps_files: AtomicBool::new(false),
            deleted: RwLock::new(false),
            damaged_messages: AtomicU64::new(0),
            care,
        })
    }

    /// The file system it is on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it exists on disk.
    pub fn exists(&self) -> bool {
        self.created.load(Ordering::Acquire)
    }

    /// The number after those of all segments in it. Blocks.
    pub fn number_end(&self) -> io::Result<u64> {
        if !self.exists() {
            return Ok(0);
        }
        let names = self.disk.list(&self.path)?;
        let numbers = names.iter().filter_map(|name| parse_segment_name(name));
        Ok(numbers.map(|(number, ..)| number + 1).max().unwrap_or(0))
    }

    /// Creates the directory if it is not there. Blocks.
    pub fn ensure(&self) -> io::Result<()> {
        if !self.exists() {
            pass(Site::TopicCreate);
            self.disk.create_dir(&self.path)?;
            pass(Site::TopicCreate);
            self.own_name_is_new.store(true, Ordering::Release);
            self.created.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Makes the names of its files, and its own, survive a power cut. Blocks.
    ///
    /// # Errors
    /// Nothing is known of names that were created since the last time; the next call syncs them again.
    pub fn sync_names(&self) -> io::Result<()> {
        self.sync_if(&self.new_names, &self.path)?;
        let above = self.path.parent().unwrap_or(Path::new("."));
        self.sync_if(&self.own_name_is_new, above)
    }

    fn sync_if(&self, is_new: &AtomicBool, path: &Path) -> io::Result<()> {
        // Cleared first: a name that is created meanwhile counts for the next time.
        if !is_new.swap(false, Ordering::AcqRel) || is_on(Fault::SkipDirFsync) {
            return Ok(());
        }
        let synced = self.disk.sync_dir(path);
        synced.inspect_err(|_| is_new.store(true, Ordering::Release))
    }

    /// Creates a file in it, and the directory itself if need be. Blocks.
    pub(super) fn create_file(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let deleted = self.deleted.read();
        if *deleted {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.ensure()?;
        let file = self.disk.create(&self.path.join(name))?;
        self.new_names.store(true, Ordering::Release);
        Ok(file)
    }

    /// Puts a file that was written beside another in its place. Blocks.
    pub fn replace(&self, path: &Path) -> io::Result<()> {
        pass(Site::ProgressRename);
        self.disk.rename(&temporary(path), path)?;
        pass(Site::ProgressRename);
        self.new_names.store(true, Ordering::Release);
        Ok(())
    }

    /// From now on nothing is discarded: the files are needed at the next start.
    pub fn keep_files(&self) {
        self.keeps_files.store(true, Ordering::Release);
    }

    /// From now on nothing is created or discarded: the topic is deleted, and the directory is somebody else's.
    pub fn leave(&self) {
        self.keep_files();
        *self.deleted.write() = true;
    }

    /// Whether the topic is deleted.
    pub fn is_left(&self) -> bool {
        *self.deleted.read()
    }

    /// Notes that a file is not needed any more. A damaged one is kept under a name that says so.
    pub(super) fn discard(&self, name: &str, damaged: bool) {
        if !self.keeps_files.load(Ordering::Acquire) {
            self.garbage.lock().push(Discarded {
                path: self.path.join(name),
                damaged,
            });
            self.care.call();
        }
    }

    /// Notes that something has happened in the topic, which the storage worker sees when it comes by itself.
    pub(super) fn stir(&self) {
        self.care.bell.stirred.store(true, Ordering::Release);
    }

    /// Asks the storage worker to come.
    pub fn call_for_care(&self) {
        self.care.call();
    }

    /// Whether the storage worker was asked for since the last time.
    pub fn take_care(&self) -> bool {
        self.care.wanted.swap(false, Ordering::AcqRel)
    }

    /// Counts messages that could not be read back.
    pub(super) fn count_damaged(&self, messages: u64) {
        self.damaged_messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// Messages that could not be read back since the process started.
    pub fn damaged_messages(&self) -> u64 {
        self.damaged_messages.load(Ordering::Relaxed)
    }

    /// Removes what was discarded. Blocks. What can't be removed is found again at the next start.
    pub fn collect_garbage(&self) {
        let garbage = std::mem::take(&mut *self.garbage.lock());
        for Discarded { path, damaged } in garbage {
            pass(Site::SegmentUnlink);
            let outcome = if damaged {
                self.disk.rename(&path, &path.with_extension("damaged"))
            } else {
                self.disk.remove(&path)
            };
            if let Err(error) = outcome
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "segment file not removed");
            }
            pass(Site::SegmentUnlink);
        }
    }
}

/// Numbers from here on are not ours: a million segments a second would take nine years.
pub(crate) const NUMBER_LIMIT: u64 = 1 << 48;

/// The name of a segment's file: its number, the epoch that its records are checked with, and its lane.
pub(super) fn segment_name(number: u64, epoch: u64, lane: Lane) -> String {
    let extension = match lane {
        Lane::Main => "main",
        Lane::Side => "side",
    };
    format!("{number:012}-{epoch:016x}.{extension}")
}

/// Number, epoch and lane from the name of a segment's file; `None` for any other file.
pub(super) fn parse_segment_name(name: &OsStr) -> Option<(u64, u64, Lane)> {
    let (stem, extension) = name.to_str()?.split_once('.')?;
    let (number, epoch) = stem.split_once('-')?;
    let lane = match extension {
        "main" => Lane::Main,
        "side" => Lane::Side,
        _ => return None,
    };
    let epoch = (epoch.len() == 16).then(|| u64::from_str_radix(epoch, 16).ok())??;
    let number = number
        .parse()
        .ok()
        .filter(|&number| number < NUMBER_LIMIT)?;
    Some((number, epoch, lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_come_back_and_strangers_are_left_alone() {
        for (number, epoch, lane) in [(0, 0, Lane::Main), (NUMBER_LIMIT - 1, u64::MAX, Lane::Side)]
        {
            let name = segment_name(number, epoch, lane);
            assert_eq!(
                parse_segment_name(name.as_ref()),
                Some((number, epoch, lane)),
                "{name}"
            );
        }
        for stranger in [
            "channels",
            "1-2.main",
            "x.main",
            "000-0000000000000000.damaged",
            "18446744073709551615-0000000000000000.main",
            ".main",
        ] {
            assert_eq!(parse_segment_name(stranger.as_ref()), None, "{stranger}");
        }
    }
}
