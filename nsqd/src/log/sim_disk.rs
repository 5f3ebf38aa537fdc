//! A disk in memory for tests, which remembers what a power cut would leave, and fails on demand.
//!
//! Two layers: what the process sees, and what is durable. Every change (a write, a new name, a rename) is pending until
//! a sync covers it. A [crash](SimDisk::crash) decides which of the pending changes reach the durable layer; what was
//! [recorded](SimDisk::record) can be cut off after each single call. As on Linux, a sync that fails leaves what it was to
//! cover neither written nor pending, and handles that were open are told once.

mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use parking_lot::{Mutex, MutexGuard};

use super::file::{Disk, DiskFile};
use history::Event;
pub(crate) use history::History;

const SECTOR_BYTES: usize = 512;
const PAGE_BYTES: u64 = 4096;

/// What of the pending changes survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// All: only the process died.
    Process,
    /// Nothing.
    PowerNone,
    /// The first ones.
    PowerPrefix,
    /// Any of them.
    PowerSubset,
    /// Any of them, the last write cut at a sector, with or without garbage behind it.
    Torn,
}

impl Crash {
    pub(crate) const ALL: [Self; 5] = [
        Self::Process,
        Self::PowerNone,
        Self::PowerPrefix,
        Self::PowerSubset,
        Self::Torn,
    ];
}

/// Which calls a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Open,
    Read,
    Write,
    Sync,
    Rename,
}

/// Strikes after `skip` calls, `times` in a row.
#[derive(Debug, Clone, Copy)]
struct Fault {
    call: Call,
    skip: u32,
    times: u32,
    errno: i32,
}

/// Out of space.
pub(crate) const ENOSPC: i32 = 28;
/// The device failed.
pub(crate) const EIO: i32 = 5;

#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    seen: Layer,
    durable: Layer,
    pending: Vec<Change>,
    /// What was done since it is recorded.
    events: Option<Vec<Event>>,
    faults: Vec<Fault>,
    /// How often written content was lost by a failed sync, by file; each handle that was open then is told once.
    losses: BTreeMap<usize, u64>,
    /// Writes take half of what they are given.
    short_writes: bool,
    bad_pages: Vec<(PathBuf, u64)>,
    next_file: usize,
}

#[derive(Debug, Default, Clone)]
struct Layer {
    /// Files by their number; `None` for a directory.
    names: BTreeMap<PathBuf, Option<usize>>,
    files: BTreeMap<usize, Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Change {
    Name(PathBuf, Option<usize>),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    Truncate(usize),
    Write(usize, usize, Vec<u8>),
}

impl Change {
    /// The file whose content it changes.
    fn file(&self) -> Option<usize> {
        match *self {
            Self::Truncate(file) | Self::Write(file, ..) => Some(file),
            _ => None,
        }
    }

    /// Whether it changes a name in `directory`.
    fn is_in(&self, directory: &Path) -> bool {
        match self {
            Self::Name(path, _) | Self::Rename(_, path) | Self::Remove(path) => {
                path.parent() == Some(directory)
            }
            _ => false,
        }
    }
}

/// What a sync makes durable.
#[derive(Debug, Clone)]
enum Covered {
    All,
    /// The names in a directory.
    Names(PathBuf),
    /// The content of a file.
    File(usize),
}

impl Covered {
    fn has(&self, change: &Change) -> bool {
        match self {
            Self::All => true,
            Self::Names(directory) => change.is_in(directory),
            Self::File(file) => change.file() == Some(*file),
        }
    }
}

/// Moves what a sync covers from the pending changes to the durable layer.
fn settle(durable: &mut Layer, pending: &mut Vec<Change>, covered: &Covered) {
    pending.retain(|change| {
        let keep = !covered.has(change);
        if !keep {
            durable.apply(change);
        }
        keep
    });
}

impl Layer {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Name(path, file) => {
                self.names.insert(path.clone(), *file);
            }
            Change::Rename(from, to) => {
                let moved: Vec<_> = self
                    .names
                    .keys()
                    .filter(|path| path.starts_with(from))
                    .cloned()
                    .collect();
                for path in moved {
                    let file = self.names.remove(&path).expect("just seen");
                    let rest = path.strip_prefix(from).expect("it starts so");
                    let target = if rest == Path::new("") {
                        to.clone()
                    } else {
                        to.join(rest)
                    };
                    self.names.insert(target, file);
                }
            }
            Change::Remove(path) => self.names.retain(|name, _| !name.starts_with(path)),
            Change::Truncate(file) => self.files.entry(*file).or_default().clear(),
            Change::Write(file, offset, bytes) => {
                let content = self.files.entry(*file).or_default();
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// What is in a file; of one that has only got its name so far, nothing.
    fn content(&self, file: usize) -> &[u8] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    /// Forgets what is in a directory that is not there.
    fn drop_orphans(&mut self) {
        let names = self.names.clone();
        self.names.retain(|path, _| {
            let mut above = path.ancestors().skip(1);
            above.all(|directory| names.contains_key(directory))
        });
    }
}

impl State {
    fn change(&mut self, change: Change) {
        self.seen.apply(&change);
        if let Some(events) = &mut self.events {
            events.push(Event::Change(change.clone()));
        }
        self.pending.push(change);
    }

    /// Makes the pending changes durable that are covered.
    fn flush(&mut self, covered: Covered) {
        settle(&mut self.durable, &mut self.pending, &covered);
        if let Some(events) = &mut self.events {
            events.push(Event::Sync(covered));
        }
    }

    /// A sync has failed: what was written to these files is gone, and clean.
    fn forget(&mut self, covered: impl Fn(usize) -> bool) {
        let lost = self.pending.iter().filter_map(Change::file);
        let lost: BTreeSet<_> = lost.filter(|file| covered(*file)).collect();
        for file in lost {
            *self.losses.entry(file).or_default() += 1;
        }
        self.pending
            .retain(|change| !change.file().is_some_and(&covered));
        for (file, content) in &mut self.seen.files {
            if covered(*file) {
                *content = self.durable.content(*file).to_vec();
            }
        }
    }

    fn losses_of(&self, file: usize) -> u64 {
        self.losses.get(&file).copied().unwrap_or(0)
    }

    fn strike(&mut self, call: Call) -> io::Result<()> {
        for fault in &mut self.faults {
            if fault.call != call || fault.times == 0 {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times -= 1;
            return Err(io::Error::from_raw_os_error(fault.errno));
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.seen.names.get(path) {
            Some(Some(file)) => Ok(*file),
            Some(None) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl SimDisk {
    /// A disk with one directory, `path`.
    pub(crate) fn new(path: &str) -> Self {
        let disk = Self::default();
        let mut state = disk.lock();
        for directory in Path::new(path).ancestors() {
            state.change(Change::Name(directory.to_path_buf(), None));
        }
        state.flush(Covered::All);
        drop(state);
        disk
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Lets `times` calls fail, after `skip` that don't.
    pub(crate) fn fail(&self, call: Call, skip: u32, times: u32, errno: i32) {
        self.lock().faults.push(Fault {
            call,
            skip,
            times,
            errno,
        });
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.bad_pages.clear();
    }

    /// How many have it, open files included.
    pub(crate) fn users(&self) -> usize {
        Arc::strong_count(&self.state)
    }

    /// From now on writes take half of what they are given.
    pub(crate) fn write_short(&self) {
        self.lock().short_writes = true;
    }

    /// From now on a page of a file can't be read.
    pub(crate) fn spoil_page(&self, path: &Path, page: u64) {
        self.lock().bad_pages.push((path.to_path_buf(), page));
    }

    /// The files in a directory.
    pub(crate) fn files(&self, directory: &str) -> Vec<PathBuf> {
        let state = self.lock();
        let names = state.seen.names.iter();
        names
            .filter(|(path, file)| path.parent() == Some(Path::new(directory)) && file.is_some())
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// What is in a file.
    pub(crate) fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.lock();
        let file = state.file(path).expect("the file exists");
        state.seen.content(file).to_vec()
    }

    /// Puts a file there, durable.
    pub(crate) fn put(&self, path: &Path, content: &[u8]) {
        let mut state = self.lock();
        state.next_file += 1;
        let file = state.next_file;
        state.change(Change::Name(path.to_path_buf(), Some(file)));
        state.change(Change::Write(file, 0, content.to_vec()));
        state.flush(Covered::All);
    }

    /// Ends the process, or the machine; what is seen then is what survived.
    pub(crate) fn crash(&self, crash: Crash, rng: &mut Rng) {
        let mut state = self.lock();
        if crash == Crash::Process {
            return;
        }
        let pending = std::mem::take(&mut state.pending);
        let prefix = rng.usize(..=pending.len());
        let survives = |index: usize, rng: &mut Rng| match crash {
            Crash::Process => true,
            Crash::PowerNone => false,
            Crash::PowerPrefix => index < prefix,
            Crash::PowerSubset | Crash::Torn => rng.bool(),
        };
        let mut kept: Vec<_> = (0..)
            .zip(pending)
            .filter(|(index, _)| survives(*index, rng))
            .map(|(_, change)| change)
            .collect();
        if crash == Crash::Torn {
            tear(&mut kept, rng);
        }
        for change in kept {
            state.durable.apply(&change);
        }
        state.durable.drop_orphans();
        state.seen = state.durable.clone();
    }
}

/// Cuts the last write at a sector.
fn tear(changes: &mut [Change], rng: &mut Rng) {
    let mut backwards = changes.iter_mut().rev();
    let last = backwards.find_map(|change| match change {
        Change::Write(_, _, bytes) => Some(bytes),
        _ => None,
    });
    let Some(bytes) = last else { return };
    let cut = rng.usize(..=bytes.len() / SECTOR_BYTES) * SECTOR_BYTES;
    if rng.bool() {
        bytes.truncate(cut);
    } else {
        rng.fill(&mut bytes[cut..]);
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.strike(Call::Create)?;
        let file = if let Ok(file) = state.file(path) {
            file
        } else {
            let parent = path.parent().expect("a file is in a directory");
            if !state.seen.names.contains_key(parent) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.next_file += 1;
            let file = state.next_file;
            state.change(Change::Name(path.to_path_buf(), Some(file)));
            file
        };
        state.change(Change::Truncate(file));
        Ok(self.handle(&state, path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.strike(Call::Open)?;
        let file = state.file(path)?;
        Ok(self.handle(&state, path, file))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.seen.names.contains_key(path) {
            state.change(Change::Name(path.to_path_buf(), None));
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let state = self.lock();
        if !state.seen.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = state.seen.names.keys();
        let inside = names.filter(|name| name.parent() == Some(path));
        Ok(inside
            .filter_map(|name| name.file_name())
            .map(OsString::from)
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.strike(Call::Rename)?;
        if !state.seen.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.file(path)?;
        state.change(Change::Remove(path.to_path_buf()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.lock().change(Change::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.strike(Call::Sync)?;
        state.flush(Covered::Names(path.to_path_buf()));
        Ok(())
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state
            .strike(Call::Sync)
            .inspect_err(|_| state.forget(|_| true))?;
        state.flush(Covered::All);
        Ok(())
    }
}

impl SimDisk {
    fn handle(&self, state: &State, path: &Path, file: usize) -> Box<dyn DiskFile> {
        Box::new(SimFile {
            losses_told: AtomicU64::new(state.losses_of(file)),
            disk: self.clone(),
            path: path.to_path_buf(),
            file,
        })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    file: usize,
    losses_told: AtomicU64,
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.strike(Call::Write)?;
        let count = if state.short_writes {
            bytes.len().div_ceil(2)
        } else {
            bytes.len()
        };
        let offset = usize::try_from(offset).expect("tests are small");
        let taken = bytes[..count].to_vec();
        state.change(Change::Write(self.file, offset, taken));
        Ok(count)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.strike(Call::Read)?;
        let pages = offset / PAGE_BYTES..(offset + bytes.len() as u64).div_ceil(PAGE_BYTES);
        let mut bad_pages = state.bad_pages.iter();
        if bad_pages.any(|(path, page)| *path == self.path && pages.contains(page)) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let content = state.seen.content(self.file);
        let offset = usize::try_from(offset).expect("tests are small");
        let rest = content.get(offset..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().seen.content(self.file).len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let struck = state.strike(Call::Sync);
        if struck.is_err() {
            state.forget(|file| file == self.file);
        }
        let losses = state.losses_of(self.file);
        let told = self.losses_told.swap(losses, Ordering::Relaxed);
        if struck.is_err() || told != losses {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        state.flush(Covered::File(self.file));
        Ok(())
    }
}
