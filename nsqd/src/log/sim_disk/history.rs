//! What was done to a disk, call by call, and what a power cut after any of the calls could leave.

use fastrand::Rng;

use super::{Change, Covered, Layer, SECTOR_BYTES, SimDisk, settle};

/// Something that was done.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Change(Change),
    Sync(Covered),
}

/// A disk that goes again through all that was done to another.
#[derive(Debug)]
pub(crate) struct History {
    durable: Layer,
    pending: Vec<Change>,
    events: std::vec::IntoIter<Event>,
}

/// What becomes of writes that no sync has covered.
#[derive(Debug, Clone, Copy)]
enum Writes {
    None,
    All,
    /// The first ones.
    Prefix(usize),
    /// Any of them.
    Subset,
    /// Any of them, each perhaps cut, with a hole or with garbage in it, at multiples of so many bytes.
    Torn(usize),
}

impl SimDisk {
    /// From now on everything is recorded. What is pending becomes durable first.
    pub(crate) fn record(&self) {
        let mut state = self.lock();
        state.flush(Covered::All);
        state.events = Some(Vec::new());
    }

    /// How many calls were recorded.
    pub(crate) fn recorded(&self) -> usize {
        self.lock().events.as_ref().map_or(0, Vec::len)
    }

    /// All that was recorded: a disk as it was then, which goes on call by call. `before` is the disk at that time.
    pub(crate) fn history(&self, before: &SimDisk) -> History {
        let events = self.lock().events.clone().unwrap_or_default();
        History {
            durable: before.lock().durable.clone(),
            pending: Vec::new(),
            events: events.into_iter(),
        }
    }

    /// Another disk with what is durable here.
    pub(crate) fn copy(&self) -> SimDisk {
        let state = self.lock();
        holding(state.durable.clone(), state.next_file)
    }
}

impl History {
    /// Does what was done next; `false` if that was all.
    pub(crate) fn advance(&mut self) -> bool {
        match self.events.next() {
            Some(Event::Change(change)) => self.pending.push(change),
            Some(Event::Sync(covered)) => settle(&mut self.durable, &mut self.pending, &covered),
            None => return false,
        }
        true
    }

    /// The disk if the process dies now: everything is there.
    pub(crate) fn kill(&self) -> SimDisk {
        let mut seen = self.durable.clone();
        self.pending.iter().for_each(|change| seen.apply(change));
        holding(seen, self.files())
    }

    /// A disk that a power cut may leave now. New names, renames and removals survive up to some point, in their order, as
    /// file systems with a journal have it; writes survive independently of that, whole or torn.
    pub(crate) fn cut_power(&self, rng: &mut Rng) -> SimDisk {
        let is_name = |change: &&Change| change.file().is_none();
        let names = self.pending.iter().filter(is_name).count();
        let some = rng.usize(..=names);
        let mut names_left = *rng.choice(&[0, some, names]).expect("there are three");
        let prefix = rng.usize(..=self.pending.len());
        let choices = [
            Writes::None,
            Writes::All,
            Writes::Prefix(prefix),
            Writes::Subset,
            Writes::Torn(SECTOR_BYTES),
            Writes::Torn(8 * SECTOR_BYTES),
        ];
        let writes = *rng.choice(&choices).expect("there are some");
        let mut left = self.durable.clone();
        for (index, change) in self.pending.iter().enumerate() {
            if change.file().is_none() {
                if names_left > 0 {
                    names_left -= 1;
                    left.apply(change);
                }
            } else {
                writes.apply(change, index, &mut left, rng);
            }
        }
        left.drop_orphans();
        holding(left, self.files())
    }

    fn files(&self) -> usize {
        let names = self.pending.iter().filter_map(Change::file);
        let pending = names.max().unwrap_or(0);
        let durable = self.durable.names.values().flatten().max().copied();
        pending.max(durable.unwrap_or(0))
    }
}

impl Writes {
    fn apply(self, change: &Change, index: usize, left: &mut Layer, rng: &mut Rng) {
        let survives = match self {
            Self::None => false,
            Self::All => true,
            Self::Prefix(prefix) => index < prefix,
            Self::Subset | Self::Torn(_) => rng.bool(),
        };
        match (self, change) {
            _ if !survives => {}
            (Self::Torn(sector), Change::Write(file, offset, bytes)) => {
                for (offset, bytes) in tear(*offset, bytes, sector, rng) {
                    left.apply(&Change::Write(*file, offset, bytes));
                }
            }
            _ => left.apply(change),
        }
    }
}

/// What is left of a write: cut at a sector of the file, perhaps with garbage behind it, or with a sector missing.
fn tear(offset: usize, bytes: &[u8], sector: usize, rng: &mut Rng) -> Vec<(usize, Vec<u8>)> {
    let first = offset / sector;
    let last = (offset + bytes.len()).div_ceil(sector);
    let border = |number: usize| (number * sector).clamp(offset, offset + bytes.len()) - offset;
    let torn = rng.usize(first..=last);
    let (start, end) = (border(torn), border(torn + 1));
    let head = (offset, bytes[..start].to_vec());
    match rng.u8(..4) {
        0 => vec![(offset, bytes.to_vec())],
        1 => vec![head],
        2 => vec![head, (offset + end, bytes[end..].to_vec())],
        _ => {
            let mut garbage = vec![0; bytes.len() - start];
            rng.fill(&mut garbage);
            vec![head, (offset + start, garbage)]
        }
    }
}

fn holding(content: Layer, next_file: usize) -> SimDisk {
    let disk = SimDisk::default();
    let mut state = disk.lock();
    state.seen = content.clone();
    state.durable = content;
    state.next_file = next_file;
    drop(state);
    disk
}
