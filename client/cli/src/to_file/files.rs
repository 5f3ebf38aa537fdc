//! The files of one topic: which is open, what is written to it, and when it gives way to the next.
//!
//! ```text
//! append ─▶ pending ── write_pending ─▶ file ── sync ─▶ durable ── close ─▶ placed in the output directory
//!           (a member)                  (page cache)
//! ```
//!
//! All calls block. Nothing appended is safe before [`Files::sync`] has returned.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Zoned;

use super::encoding::Encoding;
use super::name::Template;
use super::placing::{create_parent, place, prepare, sync_parent};
use super::rotation::{Current, Limits, Next};

/// How files are written.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where finished files are.
    pub(crate) output_dir: PathBuf,
    /// Where files are while they are written; the same unless they are to appear finished only.
    pub(crate) work_dir: PathBuf,
    /// How they are compressed.
    pub(crate) encoding: Encoding,
    /// When one gives way to the next.
    pub(crate) limits: Limits,
    /// What the size limit counts.
    pub(crate) size: Size,
    /// No file without a message in it.
    pub(crate) skip_empty_files: bool,
    /// Names tell the time of UTC.
    pub(crate) utc: bool,
}

impl Options {
    /// Makes the directories that are missing, and tries whether they take files.
    ///
    /// # Errors
    /// A directory that does not.
    pub(super) fn prepare(&self) -> Result<(), FileError> {
        for directory in [&self.work_dir, &self.output_dir] {
            prepare(directory).map_err(|cause| FileError {
                path: directory.clone(),
                cause,
            })?;
        }
        Ok(())
    }
}

/// What the size of a compressed file is for its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// The messages written.
    Messages,
    /// The bytes on disk.
    Disk,
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub(crate) struct FileError {
    path: PathBuf,
    cause: io::Error,
}

/// The files of one topic.
#[derive(Debug)]
pub(super) struct Files {
    options: Options,
    template: Template,
    current: Option<Open>,
    /// The revision to try first, and the series it belongs to.
    next: (String, u32),
    /// Encoded bytes on their way; kept for its capacity.
    encoded: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    series: String,
    opened_at: Instant,
    /// Messages that are not written yet.
    pending: Vec<u8>,
    /// What counts for the size limit; pending bytes count only as messages.
    size: u64,
    bytes_on_disk: u64,
    /// Whether the directory has the name durably.
    named: bool,
    synced: bool,
}

/// A member is ended once it has this many bytes; it bounds what waits to be written.
const MEMBER_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Files {
    pub(super) fn new(options: Options, template: Template) -> Files {
        Files {
            options,
            template,
            current: None,
            next: (String::new(), 0),
            encoded: Vec::new(),
        }
    }

    /// Appends a message and the newline behind it to the file whose time it is. Returns whether a file was ended,
    /// and everything before this message is durable thereby.
    pub(super) fn append(&mut self, body: &[u8]) -> Result<bool, FileError> {
        let rotated = self.rotate()?;
        self.open_if_none()?;
        let options = &self.options;
        let open = self.current.as_mut().expect("opened above");
        open.pending.extend_from_slice(body);
        open.pending.push(b'\n');
        open.synced = false;
        if options.size == Size::Messages || options.encoding == Encoding::Plain {
            open.size += body.len() as u64 + 1;
        }
        if open.pending.len() >= MEMBER_BYTES_MAX {
            open.write_pending(options, &mut self.encoded)?;
        }
        Ok(rotated)
    }

    /// Makes durable what was appended.
    pub(super) fn sync(&mut self) -> Result<(), FileError> {
        match &mut self.current {
            Some(open) => open.sync(&self.options, &mut self.encoded),
            None => Ok(()),
        }
    }

    /// Ends the file if its time is over, and begins the next one even without a message.
    pub(super) fn tick(&mut self) -> Result<(), FileError> {
        self.rotate()?;
        if self.options.skip_empty_files {
            return Ok(());
        }
        self.open_if_none()
    }

    /// Ends the file. Its name may be used on if that is possible.
    pub(super) fn close(&mut self) -> Result<(), FileError> {
        let Some(mut open) = self.current.take() else {
            return Ok(());
        };
        if open.bytes_on_disk == 0 && open.pending.is_empty() {
            open.write_empty_member(&self.options)?;
        }
        open.sync(&self.options, &mut self.encoded)?;
        if self.moves() {
            self.place(&open)?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<bool, FileError> {
        let Some(open) = &self.current else {
            return Ok(false);
        };
        let series = self.template.series(&self.now());
        let current = Current {
            series: &open.series,
            bytes: open.size,
            age: open.opened_at.elapsed(),
        };
        let Some(next) = self.options.limits.next(current, &series) else {
            return Ok(false);
        };
        self.close()?;
        match next {
            Next::Series => self.next = (series, 0),
            Next::Revision => self.next.1 += 1,
        }
        Ok(true)
    }

    fn open_if_none(&mut self) -> Result<(), FileError> {
        if self.current.is_some() {
            return Ok(());
        }
        let series = self.template.series(&self.now());
        if self.next.0 != series {
            self.next = (series, 0);
        }
        while self.current.is_none() {
            self.current = self.try_open()?;
            if self.current.is_none() {
                self.next.1 += 1;
            }
        }
        Ok(())
    }

    /// Opens the next revision, unless it is taken or full.
    fn try_open(&self) -> Result<Option<Open>, FileError> {
        let (series, revision) = &self.next;
        let name = Template::path(series, *revision);
        let path = self.options.work_dir.join(&name);
        let failed = |cause| FileError {
            path: path.clone(),
            cause,
        };
        if self.moves() && self.options.output_dir.join(&name).exists() {
            return Ok(None);
        }
        create_parent(&path).map_err(failed)?;
        let opened = open_file(&path, self.is_exclusive());
        let Some((file, bytes)) = opened.map_err(failed)? else {
            return Ok(None);
        };
        if self.options.limits.bytes_are_passed(bytes) {
            return Ok(None);
        }
        Ok(Some(Open {
            file,
            series: series.clone(),
            opened_at: Instant::now(),
            pending: Vec::new(),
            size: bytes,
            bytes_on_disk: bytes,
            named: false,
            synced: false,
            path,
        }))
    }

    /// Whether each opening makes a new file. Behind a member that a crash has cut nothing could be read.
    fn is_exclusive(&self) -> bool {
        self.options.encoding != Encoding::Plain || self.options.limits.age > Duration::ZERO
    }

    fn moves(&self) -> bool {
        self.options.work_dir != self.options.output_dir
    }

    /// Brings a finished file to the output directory, under the next revision that is free.
    fn place(&mut self, open: &Open) -> Result<(), FileError> {
        loop {
            let (series, revision) = &self.next;
            let to = self
                .options
                .output_dir
                .join(Template::path(series, *revision));
            match place(&open.path, &to) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.next.1 += 1,
                Err(cause) => return Err(FileError { path: to, cause }),
            }
        }
    }

    fn now(&self) -> Zoned {
        let now = Zoned::now();
        if self.options.utc {
            now.with_time_zone(jiff::tz::TimeZone::UTC)
        } else {
            now
        }
    }
}

impl Open {
    fn sync(&mut self, options: &Options, encoded: &mut Vec<u8>) -> Result<(), FileError> {
        self.write_pending(options, encoded)?;
        if self.synced {
            return Ok(());
        }
        let synced = self.file.sync_data();
        self.checked(synced)?;
        if !self.named {
            self.checked(sync_parent(&self.path))?;
            self.named = true;
        }
        self.synced = true;
        Ok(())
    }

    /// Hands the pending bytes to the system, as one member.
    fn write_pending(&mut self, options: &Options, encoded: &mut Vec<u8>) -> Result<(), FileError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if options.encoding == Encoding::Plain {
            let written = self.file.write_all(&self.pending);
            self.checked(written)?;
            self.bytes_on_disk += self.pending.len() as u64;
        } else {
            encoded.clear();
            let written = options.encoding.encode(&self.pending, encoded);
            let written = written.and_then(|()| self.file.write_all(encoded));
            self.checked(written)?;
            self.bytes_on_disk += encoded.len() as u64;
        }
        self.pending.clear();
        if options.size == Size::Disk {
            self.size = self.bytes_on_disk;
        }
        Ok(())
    }

    /// A compressed file of no bytes at all would be taken for a broken one.
    fn write_empty_member(&mut self, options: &Options) -> Result<(), FileError> {
        let mut member = Vec::new();
        let written = options.encoding.encode(&[], &mut member);
        let written = written.and_then(|()| self.file.write_all(&member));
        self.synced = false;
        self.checked(written)
    }

    fn checked<T>(&self, result: io::Result<T>) -> Result<T, FileError> {
        result.map_err(|cause| FileError {
            path: self.path.clone(),
            cause,
        })
    }
}

/// Opens a file for appending, with its size; `None` if it must be new and is not.
fn open_file(path: &Path, exclusive: bool) -> io::Result<Option<(File, u64)>> {
    let mut options = OpenOptions::new();
    options.append(true).read(true);
    let options = if exclusive {
        options.create_new(true)
    } else {
        options.create(true)
    };
    let mut file = match options.open(path) {
        Err(error) if exclusive && error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        file => file?,
    };
    end_line(&mut file)?;
    Ok(Some((file, fs::metadata(path)?.len())))
}

/// Ends a line that a crash has cut, so that no message is taken for its rest.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    match last {
        [b'\n'] => Ok(()),
        _ => file.write_all(b"\n"),
    }
}

#[cfg(test)]
mod tests;
