//! The files of the reference's disk queues: their names, and where reading goes on.
//!
//! ```text
//! <topic>[:<channel>].diskqueue.<n>.dat        records, see records.rs; n has at least 6 digits
//!                    .diskqueue.meta.dat       <depth>\n<read file>,<position>\n<write file>,<position>\n
//!                    .diskqueue.meta.dat.*.tmp being written when it died
//!                    .diskqueue.<n>.dat.bad    set aside after a read error
//! ```

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use client::wire::{ChannelName, TopicName};
use tracing::warn;

use super::records::{Record, Records};
use super::{Import, ImportError, Total};
use crate::log::read_file;

const MARK: &str = ".diskqueue.";

/// What a directory has of the reference's queues.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The queues of each topic.
    pub(super) topics: BTreeMap<TopicName, Queues>,
    /// Files that the reference had set aside.
    pub(super) bad: Vec<String>,
    /// Files whose names tell no topic or channel.
    pub(super) strange: Vec<String>,
}

/// The queues of a topic.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// The topic's own: messages that no channel has been given.
    pub(super) own: Queue,
    /// The channels': messages that each of them has yet to deliver.
    pub(super) channels: BTreeMap<ChannelName, Queue>,
}

/// The files of one queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The file that tells where reading goes on.
    pub(super) meta: Option<OsString>,
    /// The files with records, by number.
    pub(super) files: BTreeMap<u64, OsString>,
}

/// What the meta file of a queue tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    /// Messages waiting, as far as the reference knew.
    pub(super) depth: u64,
    /// File and position of the next record to be read.
    pub(super) read: (u64, u64),
}

impl Meta {
    /// Reads the content of a meta file; `None` if it is damaged.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        let depth: i64 = lines.next()?.parse().ok()?;
        let (file, position) = lines.next()?.split_once(',')?;
        Some(Self {
            depth: u64::try_from(depth).unwrap_or(0),
            read: (file.parse().ok()?, position.parse().ok()?),
        })
    }
}

impl Import<'_> {
    /// Gives `take` every message that waits in a queue. What the reference wrote after it last wrote the meta file is
    /// taken too, as it would have done; and where the meta file is missing, everything.
    pub(super) fn read_queue(
        &self,
        queue: &Queue,
        mut take: impl FnMut(&Record<'_>) -> Result<(), ImportError>,
    ) -> Result<Total, ImportError> {
        let meta = self.read_meta(queue)?;
        let (first, position) = meta.map_or((0, 0), |meta| meta.read);
        let mut total = Total::default();
        for (&number, name) in queue.files.range(first..) {
            let path = self.data_dir.path().join(name);
            let from = if number == first { position } else { 0 };
            let file = self.disk().open(&path).map_err(ImportError::at(&path))?;
            let mut records = Records::new(file, from).map_err(ImportError::at(&path))?;
            while let Some(record) = records.next().map_err(ImportError::at(&path))? {
                take(&record)?;
                total.messages += 1;
                total.body_bytes += record.body.len() as u64;
            }
            for damaged in records.damage() {
                warn!(path = %path.display(), from = damaged.start, to = damaged.end,
                    "bytes that are no whole message; not imported");
                total.damaged_bytes += damaged.end - damaged.start;
            }
        }
        if let Some(meta) = meta
            && meta.depth != total.messages
        {
            warn!(told = meta.depth, found = total.messages, meta = ?queue.meta,
                "queue has another depth than its meta file tells: it was not closed cleanly, or is damaged");
        }
        Ok(total)
    }

    fn read_meta(&self, queue: &Queue) -> Result<Option<Meta>, ImportError> {
        let meta = match &queue.meta {
            Some(name) => {
                let path = self.data_dir.path().join(name);
                let bytes = read_file(self.disk(), &path).map_err(ImportError::at(&path))?;
                Meta::parse(&bytes)
            }
            None => None,
        };
        if meta.is_none() && !queue.files.is_empty() {
            warn!(files = ?queue.files.values(), "queue without a valid meta file; all of its messages are imported");
        }
        Ok(meta)
    }
}

/// Whether a file belongs to the reference's disk queues.
pub(super) fn is_queue_file(name: &OsStr) -> bool {
    let is_one = matches!(extension(name), Some("dat" | "bad" | "tmp"));
    is_one && name.to_string_lossy().contains(MARK)
}

fn extension(name: &OsStr) -> Option<&str> {
    Path::new(name).extension()?.to_str()
}

/// Sorts the queue files among these names.
pub(super) fn find(names: &[OsString]) -> Found {
    let mut found = Found::default();
    for name in names.iter().filter(|name| is_queue_file(name)) {
        let text = name.to_string_lossy().into_owned();
        match extension(name) {
            Some("bad") => found.bad.push(text),
            Some("dat") if found.add(&text, name).is_none() => found.strange.push(text),
            _ => {}
        }
    }
    found
}

impl Found {
    /// Adds a file to its queue; `None` if its name tells none.
    fn add(&mut self, text: &str, name: &OsStr) -> Option<()> {
        let (queue, file) = text.rsplit_once(MARK)?;
        let file = file.strip_suffix(".dat")?;
        let number: Option<u64> = match file {
            "meta" => None,
            digits => Some(digits.parse().ok()?),
        };
        // On Windows the reference writes `;`. Neither may be in a name.
        let (topic, channel) = match queue.split_once([':', ';']) {
            Some((topic, channel)) => (topic, Some(channel.parse::<ChannelName>().ok()?)),
            None => (queue, None),
        };
        let topic: TopicName = topic.parse().ok()?;
        if topic.is_ephemeral() || channel.as_ref().is_some_and(ChannelName::is_ephemeral) {
            return None;
        }
        let queues = self.topics.entry(topic).or_default();
        let queue = match channel {
            Some(channel) => queues.channels.entry(channel).or_default(),
            None => &mut queues.own,
        };
        match number {
            Some(number) => drop(queue.files.insert(number, name.to_owned())),
            None => queue.meta = Some(name.to_owned()),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_by_topic_channel_and_number() {
        let names = [
            "nsqd.dat",
            "a.b.diskqueue.000000.dat",
            "a.b.diskqueue.1234567.dat",
            "a.b.diskqueue.meta.dat",
            "a.b.diskqueue.meta.dat.4711.tmp",
            "a.b:c.diskqueue.diskqueue.000003.dat",
            "a.b;d.diskqueue.meta.dat",
            "a.b.diskqueue.000002.dat.bad",
            "b c.diskqueue.000002.dat",
            "b.diskqueue.x.dat",
            "b#ephemeral.diskqueue.000000.dat",
            "notes.diskqueue.txt",
        ];
        let found = find(&names.map(OsString::from));
        let queues = &found.topics[&"a.b".parse::<TopicName>().unwrap()];
        assert_eq!(found.topics.len(), 1);
        let numbers: Vec<_> = queues.own.files.keys().collect();
        assert_eq!(numbers, [&0, &1_234_567]);
        assert!(queues.own.meta.is_some());
        let channels: Vec<_> = queues.channels.keys().map(ChannelName::as_str).collect();
        assert_eq!(channels, ["c.diskqueue", "d"]);
        assert_eq!(found.bad, ["a.b.diskqueue.000002.dat.bad"]);
        assert_eq!(found.strange.len(), 3, "{:?}", found.strange);
    }

    #[test]
    fn a_meta_file_is_read_or_counts_as_missing() {
        let meta = |depth, read| Some(Meta { depth, read });
        let check = |text: &str, expected| {
            assert_eq!(Meta::parse(text.as_bytes()), expected, "{text:?}");
        };
        check("2\n0,0\n0,71\n", meta(2, (0, 0)));
        check("-3\n4,512\n6,0\n", meta(0, (4, 512)));
        for damaged in ["", "2", "2\n0\n0,71\n", "x\n0,0\n0,0\n", "2\n0,-1\n0,0\n"] {
            check(damaged, None);
        }
    }
}
