//! Bringing a finished file from the directory where it was written to the one where it belongs, never over another.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Gives `from` the name `to`, and leaves nothing behind. Both directories are durable afterwards.
///
/// Within a file system it is a hard link; to another one the file is copied under a temporary name first, so
/// that nobody sees a part of it.
///
/// # Errors
/// `AlreadyExists` if there is a `to`; `from` is as it was then.
pub(super) fn place(from: &Path, to: &Path) -> io::Result<()> {
    create_parent(to)?;
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, to)?,
        linked => linked?,
    }
    sync_parent(to)?;
    fs::remove_file(from)?;
    sync_parent(from)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = to.with_file_name(name);
    let copied = copy_whole(from, &part).and_then(|()| fs::hard_link(&part, to));
    // The copy is of no use under its temporary name, linked or not.
    let removed = fs::remove_file(&part);
    copied.and(removed)
}

fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Makes the directories above `path` that are missing, with mode 0770; they are durable afterwards.
pub(super) fn create_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    else {
        return Ok(());
    };
    if parent.is_dir() {
        return Ok(());
    }
    create_parent(parent)?;
    match DirBuilder::new().mode(0o770).create(parent) {
        // Another process, or another topic of this one, was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && parent.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent(parent),
    }
}

/// Makes a directory if there is none, and tries whether it takes files.
pub(super) fn prepare(directory: &Path) -> io::Result<()> {
    create_parent(&directory.join("file"))?;
    tempfile::tempfile_in(directory).map(drop)
}

/// Makes the name of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_put_over_another() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("x/y/b"));
        fs::write(&from, "new").unwrap();
        place(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert!(!from.exists());

        fs::write(&from, "newer").unwrap();
        let refused = place(&from, &to).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(fs::read(&from).unwrap(), b"newer");
    }

    #[test]
    fn a_copy_appears_whole_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&from, "new").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        let refused = copy(&from, &to).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    /// `/dev/shm` is a file system of its own wherever there is one.
    #[test]
    fn a_file_moves_to_another_file_system() {
        let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), other.path().join("b"));
        fs::write(&from, "new").unwrap();
        place(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert!(!from.exists());
    }
}
