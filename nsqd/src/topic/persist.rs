//! A topic across restarts: its progress on disk, its recovery, and the work that the storage worker does for it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::wire::{ChannelName, TopicName};
use tokio::time::Instant;

use super::{Durability, Shared, Topic, Unshown};
use crate::channel::checkpoint::{ChannelProgress, Due, Progress};
use crate::channel::{Channel, Start};
use crate::log::{
    Directory, Lane, Log, Memory, Recovered, Report, Segment, Settings, read_file, replace_file,
    write_temporary,
};

/// The file with the progress of a topic's channels, in its directory.
pub const PROGRESS_NAME: &str = "progress.dat";

/// What is on disk of the channels' progress.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
    /// They are beside the file that they are to replace.
    beside: bool,
}

/// What the metadata knows of a topic.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Whether it is paused.
    pub paused: bool,
    /// The level of durability that it was given for itself.
    pub durability: Option<Durability>,
    /// Its channels, and whether each is paused.
    pub channels: BTreeMap<ChannelName, bool>,
}

impl From<&Progress> for Known {
    fn from(progress: &Progress) -> Self {
        let channels = progress.channels.iter();
        Self {
            paused: progress.paused,
            durability: progress.durability,
            channels: channels
                .map(|channel| (channel.name.clone(), channel.paused))
                .collect(),
        }
    }
}

impl Topic {
    /// Brings back a topic from its directory, if it has one. With `known`, exactly those channels come back; without,
    /// since the metadata is lost, those that the progress file knows. Blocks.
    pub fn restore(
        name: TopicName,
        settings: Settings,
        (memory, directory): (&Arc<Memory>, Arc<Directory>),
        known: Option<Known>,
        shared: Shared,
    ) -> io::Result<Arc<Self>> {
        let progress = read_progress(&directory)?;
        let number_min = progress
            .as_ref()
            .map_or(0, |progress| progress.number_max() + 1);
        let random = &shared.channels.random;
        let Recovered {
            log,
            segments,
            report,
        } = Log::recover(settings, memory, directory, random, number_min)?;
        let progress_is_lost = progress.is_none();
        let progress = progress.unwrap_or_default();
        let known = known.unwrap_or_else(|| Known::from(&progress));
        let topic = Self::new(name, log, known.durability, shared);
        if report != Report::default() {
            tracing::info!(topic = %topic.name, messages = report.messages, scanned = report.scanned,
                unreadable = report.unreadable, "log recovered");
        }
        topic.restore_channels(&segments, (progress, progress_is_lost), known)?;
        topic.log.finish_recovery();
        Ok(topic)
    }

    /// What the metadata is to know of it.
    pub fn known(&self) -> Known {
        let channels = self.channels.lock();
        let durable = (channels.by_name.values()).filter(|channel| !channel.name().is_ephemeral());
        Known {
            paused: channels.paused,
            durability: self.own_level.read(),
            channels: durable
                .map(|channel| (channel.name().clone(), channel.is_paused()))
                .collect(),
        }
    }

    fn restore_channels(
        &self,
        segments: &BTreeMap<u64, Arc<Segment>>,
        (progress, progress_is_lost): (Progress, bool),
        known: Known,
    ) -> io::Result<()> {
        let mut channels = self.channels.lock();
        channels.paused = known.paused;
        for (name, paused) in known.channels {
            let written = progress
                .channels
                .iter()
                .find(|channel| channel.name == name);
            let written = written
                .cloned()
                .unwrap_or_else(|| ChannelProgress::at_start(name.clone()));
            let written = ChannelProgress { paused, ..written };
            channels
                .by_name
                .insert(name, self.restore_channel(segments, &written));
        }
        self.log.restore_unshown(progress.unshown, known.paused);
        let unshown = progress
            .unshown_deferred
            .iter()
            .filter_map(|due| self.unshown(segments, *due));
        channels.unshown_deferred.extend(unshown);
        // What was deferred after the progress was written belongs to every channel. So does what was moved aside, where
        // nothing tells whose it was.
        for (_, segment) in segments.range(progress.side_end.0..) {
            if segment.lane() == Lane::Side {
                let newer = self.newer(segment, progress.side_end, progress_is_lost)?;
                channels.unshown_deferred.extend(newer);
            }
        }
        channels.show_deferred();
        Ok(())
    }

    fn restore_channel(
        &self,
        segments: &BTreeMap<u64, Arc<Segment>>,
        written: &ChannelProgress,
    ) -> Arc<Channel> {
        let start = Start::At(written.cursor);
        let channel = Channel::new(
            written.name.clone(),
            &self.log,
            start,
            &self.shared.channels,
        );
        channel.restore(segments, written, |due_ns| self.due(due_ns));
        channel
    }

    /// The messages of a side segment that come after `side_end`.
    fn newer(
        &self,
        segment: &Arc<Segment>,
        side_end: (u64, u32),
        with_moved: bool,
    ) -> io::Result<Vec<Unshown>> {
        let buffer = segment.load(self.log.memory())?;
        let from = if segment.number() == side_end.0 {
            side_end.1
        } else {
            0
        };
        let wanted = |&index: &u32| {
            !buffer.frame(index).is_empty() && (with_moved || !buffer.tag(index).moved)
        };
        let newer = (from..buffer.count()).filter(wanted).map(|index| {
            let due_ns = buffer.tag(index).due_ns;
            self.unshown_at(segment, index, due_ns)
        });
        Ok(newer.collect())
    }

    fn unshown(&self, segments: &BTreeMap<u64, Arc<Segment>>, due: Due) -> Option<Unshown> {
        let Due { entry, due_ns } = due;
        let segment = segments.get(&entry.segment)?;
        let is_there = segment.count().is_some_and(|count| entry.index < count);
        is_there.then(|| self.unshown_at(segment, entry.index, due_ns))
    }

    fn unshown_at(&self, segment: &Arc<Segment>, index: u32, due_ns: i64) -> Unshown {
        Unshown {
            segment: Arc::clone(segment),
            index,
            due: self.due(due_ns),
            due_ns,
        }
    }

    /// When a wall-clock time comes on the monotonic clock.
    fn due(&self, due_ns: i64) -> Instant {
        let clock = &self.shared.channels.clock;
        let delay_ns = due_ns.saturating_sub(clock.wall_ns()).max(0).unsigned_abs();
        let delay = Duration::from_nanos(delay_ns);
        clock
            .now()
            .checked_add(delay)
            .unwrap_or_else(|| clock.now())
    }

    fn progress_path(&self) -> PathBuf {
        self.log.directory().path().join(PROGRESS_NAME)
    }

    /// Writes the channels' progress, if it has changed, beside the file that it is to replace; tells whether it did.
    /// Blocks.
    pub(super) fn write_progress(&self) -> io::Result<bool> {
        let directory = self.log.directory();
        if !directory.exists() {
            return Ok(false);
        }
        let Some(mut written) = self.progress.try_lock() else {
            // Somebody waits for stable storage, and others must not wait for that.
            self.log.note_activity();
            return Ok(false);
        };
        let bytes = self.progress().encode();
        if written.bytes == bytes {
            return Ok(false);
        }
        write_temporary(directory.disk(), &self.progress_path(), &bytes)?;
        *written = Written {
            bytes,
            beside: true,
        };
        Ok(true)
    }

    /// Puts the progress that was written in its place. Blocks.
    pub(super) fn replace_progress(&self) -> io::Result<()> {
        let mut written = self.progress.lock();
        if !std::mem::take(&mut written.beside) {
            // A checkpoint came in between.
            return Ok(());
        }
        self.log.directory().replace(&self.progress_path())
    }

    /// Notes that the progress on disk may be an old one: it is written the next time, even if nothing happens until then.
    pub(super) fn distrust_progress(&self) {
        *self.progress.lock() = Written::default();
        self.log.note_activity();
    }

    /// Brings the channels' progress to stable storage, where the topic is on disk at all: after that a channel that has
    /// been created starts where it does now, whatever happens. Blocks.
    ///
    /// # Errors
    /// The progress that was there before still is. The storage worker tries again.
    pub fn checkpoint(&self) -> io::Result<()> {
        let directory = self.log.directory();
        if !directory.exists() {
            return Ok(());
        }
        let mut written = self.progress.lock();
        let bytes = self.progress().encode();
        if written.beside || written.bytes != bytes {
            *written = Written::default();
            self.log.note_activity();
            replace_file(directory.disk(), &self.progress_path(), &bytes)?;
            written.bytes = bytes;
        }
        directory.sync_names()
    }

    fn progress(&self) -> Progress {
        let clock = &self.shared.channels.clock;
        let (now, wall_ns) = (clock.now(), clock.wall_ns());
        let wall = |due: Instant| {
            let left =
                i64::try_from(due.saturating_duration_since(now).as_nanos()).unwrap_or(i64::MAX);
            // Rounded, so that an unchanged deferral gives the same bytes each time.
            wall_ns.saturating_add(left) / 1_000_000 * 1_000_000
        };
        let channels = self.channels.lock();
        let durable = channels
            .by_name
            .values()
            .filter(|channel| !channel.name().is_ephemeral());
        Progress {
            unshown: self.log.unshown_position(),
            paused: channels.paused,
            durability: self.own_level.read(),
            side_end: self.log.side_end(),
            unshown_deferred: channels.unshown_deferred.iter().map(Unshown::due).collect(),
            channels: durable.map(|channel| channel.progress(wall)).collect(),
        }
    }
}

/// Reads the progress file; a damaged one is set aside, and counts as missing.
pub fn read_progress(directory: &Directory) -> io::Result<Option<Progress>> {
    let path = directory.path().join(PROGRESS_NAME);
    let bytes = match read_file(directory.disk(), &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match Progress::decode(&bytes) {
        Ok(progress) => Ok(Some(progress)),
        Err(error) => {
            tracing::error!(path = %path.display(), %error,
                "progress of channels is damaged; all messages on disk will be delivered again");
            directory
                .disk()
                .rename(&path, &path.with_extension("damaged"))?;
            Ok(None)
        }
    }
}
