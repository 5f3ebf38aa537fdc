//! A topic across restarts: its progress on disk, its recovery, and the work that the storage worker does for it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::wire::{ChannelName, TopicName};
use tokio::time::Instant;

use super::{Shared, Topic, Unshown};
use crate::channel::checkpoint::{ChannelProgress, Due, Progress};
use crate::channel::{Channel, Start};
use crate::log::{
    Directory, Lane, Log, Memory, Recovered, Report, Segment, Settings, read_file, replace_file,
};

const PROGRESS_NAME: &str = "progress.dat";

/// What is on disk of the channels' progress.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
}

/// What the metadata knows of a topic.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Whether it is paused.
    pub paused: bool,
    /// Its channels, and whether each is paused.
    pub channels: BTreeMap<ChannelName, bool>,
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
        let topic = Self::new(name, log, shared);
        if report != Report::default() {
            tracing::info!(topic = %topic.name, messages = report.messages, scanned = report.scanned,
                unreadable = report.unreadable, "log recovered");
        }
        topic.restore_channels(&segments, &progress.unwrap_or_default(), known);
        topic.log.finish_recovery();
        Ok(topic)
    }

    fn restore_channels(
        &self,
        segments: &BTreeMap<u64, Arc<Segment>>,
        progress: &Progress,
        known: Option<Known>,
    ) {
        let known = known.unwrap_or_else(|| {
            let channels = progress.channels.iter();
            let channels = channels
                .map(|channel| (channel.name.clone(), channel.paused))
                .collect();
            Known {
                paused: progress.paused,
                channels,
            }
        });
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
        // What was deferred after the progress was written belongs to every channel.
        for (_, segment) in segments.range(progress.side_end.0..) {
            self.restore_newer(&mut channels, segment, progress.side_end);
        }
        channels.show_deferred();
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

    fn restore_newer(
        &self,
        channels: &mut super::Channels,
        segment: &Arc<Segment>,
        side_end: (u64, u32),
    ) {
        if segment.lane() != Lane::Side {
            return;
        }
        let Ok(buffer) = segment.load(self.log.memory()) else {
            tracing::error!(topic = %self.name, segment = segment.number(), "deferred messages can't be read now");
            return;
        };
        let from = if segment.number() == side_end.0 {
            side_end.1
        } else {
            0
        };
        for index in from..buffer.count() {
            let tag = buffer.tag(index);
            if !tag.moved && !buffer.frame(index).is_empty() {
                let segment = Arc::clone(segment);
                let (due, due_ns) = (self.due(tag.due_ns), tag.due_ns);
                channels.unshown_deferred.push(Unshown {
                    segment,
                    index,
                    due,
                    due_ns,
                });
            }
        }
    }

    fn unshown(&self, segments: &BTreeMap<u64, Arc<Segment>>, due: Due) -> Option<Unshown> {
        let segment = Arc::clone(segments.get(&due.entry.segment)?);
        let Due { entry, due_ns } = due;
        Some(Unshown {
            segment,
            index: entry.index,
            due: self.due(due_ns),
            due_ns,
        })
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

    /// Writes the channels' progress if it has changed, and then removes files that nobody needs any more. Blocks.
    pub fn checkpoint(&self) -> io::Result<()> {
        let directory = self.log.directory();
        if directory.exists() && !self.is_exiting() {
            let bytes = self.progress().encode();
            let mut written = self.progress.lock();
            if written.bytes != bytes {
                replace_file(directory.disk(), &self.progress_path(), &bytes)?;
                written.bytes = bytes;
            }
        }
        directory.collect_garbage();
        Ok(())
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
            side_end: self.log.side_end(),
            unshown_deferred: channels.unshown_deferred.iter().map(Unshown::due).collect(),
            channels: durable.map(|channel| channel.progress(wall)).collect(),
        }
    }

    /// Why the storage worker failed when it last worked for this topic.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Spills what memory has no room for. Blocks.
    pub fn care(&self) {
        self.attempt(|topic| {
            topic.log.spill_due()?;
            topic.log.directory().collect_garbage();
            Ok(())
        });
    }

    /// Once in a while: moves stragglers aside, brings progress to disk, and syncs what was written without. Blocks.
    pub fn tidy(&self) {
        if !self.log.take_activity() {
            return;
        }
        self.attempt(|topic| {
            let moved = topic
                .channels()
                .iter()
                .filter(|channel| channel.move_stragglers())
                .count();
            if topic.writes_through() {
                topic.log.write_through()?;
                topic.log.sync()?;
            } else if moved > 0 && topic.log.directory().exists() {
                // What was on disk stays there, before the files that it was in go.
                topic.log.write_side()?;
                topic.log.sync()?;
            }
            topic.log.release_if_idle();
            topic.checkpoint()
        });
    }

    /// Does storage work; a failure is logged when it is new, and held until the next attempt.
    fn attempt(&self, work: impl FnOnce(&Self) -> io::Result<()>) {
        if self.is_exiting() {
            return;
        }
        let fault = work(self)
            .err()
            .map(|cause| format!("topic {}: {cause}", self.name));
        let before = std::mem::replace(&mut *self.fault.lock(), fault.clone());
        if fault == before {
            return;
        }
        if let Some(fault) = fault {
            tracing::error!(fault, "messages can't be moved to disk; trying again");
        } else {
            tracing::info!(topic = %self.name, "messages can be moved to disk again");
        }
    }

    /// Ends delivery and writes everything that must come back: for a clean stop. Blocks.
    pub fn close(&self) -> io::Result<()> {
        for channel in self.channels() {
            if channel.name().is_ephemeral() {
                self.delete_channel(channel.name().as_str(), None);
            } else {
                channel.stop();
            }
        }
        self.exiting.store(true, Ordering::Release);
        self.log.close();
        self.log.directory().collect_garbage();
        self.log.directory().keep_files();
        self.log.spill_all()?;
        if self.log.directory().exists() {
            let bytes = self.progress().encode();
            replace_file(self.log.directory().disk(), &self.progress_path(), &bytes)?;
        }
        Ok(())
    }
}

/// Reads the progress file; a damaged one is set aside, and counts as missing.
fn read_progress(directory: &Directory) -> io::Result<Option<Progress>> {
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
