//! Opening the directory of a topic after anything: a clean stop, a crash, damage.
//!
//! Each segment file is looked at once. One that was sealed and is whole is believed, and read when its turn comes; any
//! other is read now and sealed behind its last valid record. Files that are not ours stay where they are.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::directory::{Directory, parse_segment_name};
use super::memory::Memory;
use super::record::{FileHeader, Lane};
use super::segment::{Inspected, Segment, inspect};
use super::{Log, ReaderId, Settings};
use crate::clock::Random;
use crate::sabotage::{Site, pass};

/// A log as it was found on disk.
#[derive(Debug)]
pub struct Recovered {
    /// The log, with no cursor yet.
    pub log: Log,
    /// The segments of both lanes by their numbers, for those who have unfinished messages in them. Segments of the side
    /// lane that nobody holds when this is dropped are discarded.
    pub segments: BTreeMap<u64, Arc<Segment>>,
    /// What was done.
    pub report: Report,
}

/// What recovery found in a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages in the main lane.
    pub messages: u64,
    /// Segment files that had to be read, since they were still written to or are damaged.
    pub scanned: usize,
    /// Segment files without any message that can be read; they are kept under a name that says so.
    pub unreadable: usize,
}

impl Log {
    /// Opens the log in `directory`, which need not exist. New segments get numbers from `number_min` on: above all that
    /// were ever told of. Blocks.
    pub fn recover(
        settings: Settings,
        memory: &Arc<Memory>,
        directory: Arc<Directory>,
        random: &Arc<dyn Random>,
        number_min: u64,
    ) -> io::Result<Recovered> {
        let mut report = Report::default();
        let mut segments = BTreeMap::new();
        let mut sealed = VecDeque::new();
        let names = if directory.exists() {
            directory.disk().list(directory.path())?
        } else {
            Vec::new()
        };
        let mut found: Vec<_> = names
            .into_iter()
            .filter_map(|name| Some((parse_segment_name(&name)?, name)))
            .collect();
        found.sort();
        let next_number = found
            .last()
            .map_or(0, |((number, ..), _)| number + 1)
            .max(number_min);
        for (parsed @ (number, _, lane), name) in found {
            pass(Site::Recovery);
            let path = directory.path().join(&name);
            let Some(header) = open_segment(&directory, &path, parsed, memory, &mut report)? else {
                continue;
            };
            let base = match lane {
                Lane::Main => report.messages,
                Lane::Side => 0,
            };
            let segment = Segment::recovered(&header, base, &directory);
            if lane == Lane::Main {
                report.messages += u64::from(header.count);
                sealed.push_back(Arc::clone(&segment));
            }
            segments.insert(number, segment);
        }
        let log = Self::new(settings, memory, directory, random);
        log.adopt(sealed, &segments, next_number, report.messages);
        Ok(Recovered {
            log,
            segments,
            report,
        })
    }

    fn adopt(
        &self,
        sealed: VecDeque<Arc<Segment>>,
        segments: &BTreeMap<u64, Arc<Segment>>,
        next_number: u64,
        end: u64,
    ) {
        let mut state = self.state.lock();
        let open = |number, lane, base| {
            Segment::open(number, lane, base, self.random.next_u64(), &self.directory)
        };
        state.open.segment = open(next_number, Lane::Main, end);
        state.side.segment = open(next_number + 1, Lane::Side, 0);
        state.next_number = next_number + 2;
        state.spilled = sealed.len() as u64;
        state.aside = segments.values().map(Arc::downgrade).collect();
        state.sealed = sealed;
    }

    /// Adds the cursor that a channel had, at the place it had reached. What lies between that place and the next
    /// message that is still there was in memory only, or is lost.
    pub fn restore_reader(&self, ephemeral: bool, position: (u64, u32)) -> ReaderId {
        let reader = self.add_reader(ephemeral);
        let mut state = self.state.lock();
        state.readers[reader.0].cursor = state.sequence_of(position);
        reader
    }

    /// Restores what no channel had been shown: with channels the border of a paused topic, without them where their
    /// first one will start.
    pub fn restore_unshown(&self, position: (u64, u32), paused: bool) {
        let mut state = self.state.lock();
        let from = state.sequence_of(position);
        state.unclaimed = from;
        // After a crash a channel may have claimed more than was hidden when the topic was paused.
        let claimed = state.readers.iter().map(|(_, reader)| reader.cursor).max();
        state.visible = paused.then_some(from.max(claimed.unwrap_or(0)));
    }

    /// Ends recovery: drops what no cursor comes to.
    pub fn finish_recovery(&self) {
        self.state.lock().trim();
    }

    /// The end of the side lane, as it outlives the process.
    pub fn side_end(&self) -> (u64, u32) {
        let state = self.state.lock();
        (state.side.segment.number(), state.side.buffer.count())
    }

    /// Where what no channel has been shown starts, as it outlives the process; the end if all is shown.
    pub fn unshown_position(&self) -> (u64, u32) {
        let state = self.state.lock();
        state.position_of(state.unshown().unwrap_or_else(|| state.end()))
    }
}

/// Looks at one segment file; `None` if there is nothing to be had from it.
fn open_segment(
    directory: &Directory,
    path: &Path,
    parsed: (u64, u64, Lane),
    memory: &Arc<Memory>,
    report: &mut Report,
) -> io::Result<Option<FileHeader>> {
    let inspected = match inspect(directory.disk(), path, parsed, memory) {
        Err(error) if is_lasting(&error) => {
            report.unreadable += 1;
            tracing::error!(path = %path.display(), %error, "segment file can't be opened; left as it is");
            return Ok(None);
        }
        other => other?,
    };
    match inspected {
        Inspected::Whole(header) => Ok(Some(header)),
        Inspected::Scanned(header) => {
            report.scanned += 1;
            Ok(Some(header))
        }
        Inspected::Empty => directory.disk().remove(path).map(|()| None),
        Inspected::Unreadable => {
            report.unreadable += 1;
            tracing::warn!(path = %path.display(), "segment file has no message that can be read; set aside");
            let aside = path.with_extension("damaged");
            directory.disk().rename(path, &aside).map(|()| None)
        }
    }
}

/// Whether trying again at the next start would help as little as now: it is no file, or not ours.
fn is_lasting(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::IsADirectory | io::ErrorKind::PermissionDenied
    )
}

impl super::State {
    fn sequence_of(&self, (number, index): (u64, u32)) -> u64 {
        let at = self
            .sealed
            .partition_point(|segment| segment.number() < number);
        match self.sealed.get(at) {
            Some(segment) if segment.number() == number => {
                (segment.base() + u64::from(index)).min(segment.end())
            }
            Some(segment) => segment.base(),
            None => self.end(),
        }
    }
}
