//! The few file calls that the daemon's storage makes, as a trait: the real disk, and in tests one that tears, loses
//! and refuses on demand.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::sabotage::{Fault, Site, is_on, pass};

/// A file system as storage needs it. Every call blocks; none is made under a lock that a publisher or consumer needs.
pub trait Disk: Debug + Send + Sync {
    /// Creates a file for writing, readable by its owner only; one that is there already is emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a directory, accessible by its owner only; fine if it is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Gives a file or directory another name, replacing a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all that is in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a directory survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes all that was done and written anywhere below `path` survive a power cut: one wait for many files, where one
    /// for each would take many times as long. After an error nothing is known of any of it.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Debug + Send + Sync {
    /// Writes at an offset; returns how many bytes were taken, which may be fewer than given.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads at an offset; returns how many bytes there were, 0 at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The length of the file in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Waits until what was written is on stable storage. After an error nothing is known of what was written before.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of `bytes` at `offset`, however short the single writes are.
pub(super) fn write_all_at(
    file: &dyn DiskFile,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads from `offset` until `bytes` is full or the file ends; returns how many bytes there were.
pub(crate) fn read_full_at(
    file: &dyn DiskFile,
    bytes: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a whole file.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or(usize::MAX)];
    let count = read_full_at(&*file, &mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Writes a whole file. Nothing is synced.
pub fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_all_at(&*disk.create(path)?, bytes, 0)
}

/// The name beside `path` under which its next content is written.
pub fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

/// Writes the next content of `path` beside it; to be synced and then renamed.
pub fn write_temporary(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write(disk, &temporary, bytes);
    if written.is_err() {
        // Best effort: the name is fixed, so that what stays behind is overwritten by the next attempt.
        let _ = disk.remove(&temporary);
    }
    written
}

/// Replaces a file so that a crash at any moment leaves either the old content or the new: written beside it under
/// one fixed name, synced, renamed over it, and the directory synced.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = disk.create(&temporary).and_then(|file| {
        write_all_at(&*file, bytes, 0)?;
        file.sync()
    });
    pass(Site::MetadataRename);
    if let Err(error) = written.and_then(|()| disk.rename(&temporary, path)) {
        // Best effort: the name is fixed, so that what stays behind is overwritten by the next attempt.
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    pass(Site::MetadataRename);
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// A sync, whose failure is final.
fn sync(mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let outcome = attempt();
    if outcome.is_err() && is_on(Fault::RetryFsync) {
        return attempt();
    }
    outcome
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(
            OpenOptions::new().read(true).write(true).open(path)?,
        ))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// The whole file system; the kernel offers nothing in between.
    fn sync_all(&self, path: &Path) -> io::Result<()> {
        let directory = File::open(path)?;
        sync(|| Ok(rustix::fs::syncfs(&directory)?))
    }
}

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        sync(|| self.sync_data())
    }
}
