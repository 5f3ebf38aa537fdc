//! One topic of the reference: its queues become segments and a progress file, to be added to what we have of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::wire::{ChannelName, TopicName};
use tracing::{info, warn};

use super::queue::Queues;
use super::records::Record;
use super::{Import, ImportError, Total};
use crate::channel::checkpoint::{ChannelProgress, Progress};
use crate::channel::{Entry, Run};
use crate::log::{BulkWriter, Care, Directory, Lane};
use crate::metadata::Topics;
use crate::topic::{Known, PROGRESS_NAME, read_progress};

/// What we have of a topic before the import.
#[derive(Debug)]
struct Before {
    progress: Option<Progress>,
    /// The number of the first segment to come.
    number: u64,
}

/// What a topic's queues have become.
#[derive(Debug, Default)]
struct Written {
    /// The messages of each channel's queue.
    ready: Vec<(ChannelName, Vec<Run>)>,
    /// The number of the first segment that all channels read.
    main: u64,
    /// The number after those of all segments.
    end: u64,
    total: Total,
}

/// A topic's directory while it is written.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    writer: BulkWriter,
}

impl Output {
    fn begin(&mut self, lane: Lane) -> Result<u64, ImportError> {
        self.writer.begin(lane).map_err(ImportError::at(&self.path))
    }

    fn push(&mut self, record: &Record<'_>) -> Result<Entry, ImportError> {
        let pushed = self
            .writer
            .push(record.timestamp_ns, record.id, record.body);
        let (segment, index) = pushed.map_err(ImportError::at(&self.path))?;
        Ok(Entry {
            segment,
            index,
            attempts: record.attempts,
        })
    }
}

impl Import<'_> {
    /// Writes a topic's messages and progress below `staged`, and notes the topic and its channels in `topics`. One that
    /// has no messages needs nothing beyond its name there.
    pub(super) fn stage_topic(
        &self,
        name: &TopicName,
        queues: &Queues,
        staged: &Path,
        topics: &mut Topics,
    ) -> Result<Total, ImportError> {
        let place = self.data_dir.topic(name);
        let before = self.before(&place)?;
        let path = staged.join(
            place
                .file_name()
                .expect("a topic has a directory of its own"),
        );
        let directory = self.directory(&path, false);
        let writer = BulkWriter::new(directory, self.memory, self.random, before.number);
        let mut output = Output { path, writer };
        let written = self.write_queues(name, queues, &mut output)?;
        if written.total.messages == 0 {
            return Ok(written.total);
        }
        let known = topics.entry(name.clone()).or_insert_with(|| {
            warn!(topic = %name, "topic is not in nsqd.dat, but has messages; created");
            before
                .progress
                .as_ref()
                .map(Known::from)
                .unwrap_or_default()
        });
        for (channel, _) in &written.ready {
            known.channels.entry(channel.clone()).or_insert_with(|| {
                warn!(topic = %name, %channel, "channel is not in nsqd.dat, but has messages; created");
                false
            });
        }
        let total = written.total;
        let progress = merge(before, written, known);
        self.write(&output.path.join(PROGRESS_NAME), &progress.encode())?;
        Ok(total)
    }

    fn before(&self, place: &Path) -> Result<Before, ImportError> {
        let exists = self.disk().list(place).is_ok();
        let directory = self.directory(place, exists);
        let progress = read_progress(&directory).map_err(ImportError::at(place))?;
        let told = progress
            .as_ref()
            .map_or(0, |progress| progress.number_max() + 1);
        let number_end = directory.number_end().map_err(ImportError::at(place))?;
        Ok(Before {
            progress,
            number: number_end.max(told),
        })
    }

    fn directory(&self, path: &Path, exists: bool) -> Arc<Directory> {
        let disk = Arc::clone(self.data_dir.disk());
        Directory::new(disk, path.to_path_buf(), exists, Care::default())
    }

    fn write_queues(
        &self,
        name: &TopicName,
        queues: &Queues,
        output: &mut Output,
    ) -> Result<Written, ImportError> {
        let mut written = Written::default();
        for (channel, queue) in &queues.channels {
            output.begin(Lane::Side)?;
            let mut runs = Vec::new();
            let total = self.read_queue(queue, |record| {
                Run::from(output.push(record)?).append_to(&mut runs);
                Ok(())
            })?;
            info!(topic = %name, %channel, messages = total.messages, bytes = total.body_bytes, "channel's queue imported");
            written.total += total;
            if !runs.is_empty() {
                written.ready.push((channel.clone(), runs));
            }
        }
        written.main = output.begin(Lane::Main)?;
        let total = self.read_queue(&queues.own, |record| output.push(record).map(drop))?;
        info!(topic = %name, messages = total.messages, bytes = total.body_bytes, "topic's queue imported");
        written.total += total;
        written.end = output.begin(Lane::Main)?;
        Ok(written)
    }
}

/// The progress of a topic's channels with what was written for them. What we had before comes first.
fn merge(before: Before, written: Written, known: &Known) -> Progress {
    // A channel of which we know nothing has seen nothing of what we had, unless it came to be later.
    let start = match &before.progress {
        Some(_) => (written.main, 0),
        None => (0, 0),
    };
    let mut progress = before.progress.unwrap_or_else(|| Progress {
        // Nothing is newer than this file, unless there were messages before.
        side_end: match before.number {
            0 => (written.end, 0),
            _ => (0, 0),
        },
        ..Progress::default()
    });
    for name in known.channels.keys() {
        if progress
            .channels
            .iter()
            .all(|channel| channel.name != *name)
        {
            progress.channels.push(ChannelProgress {
                cursor: start,
                ..ChannelProgress::at_start(name.clone())
            });
        }
    }
    for (name, runs) in written.ready {
        let mut channels = progress.channels.iter_mut();
        let channel = channels.find(|channel| channel.name == name);
        channel
            .expect("each channel with messages is known")
            .ready
            .extend(runs);
    }
    progress
}
