//! The history of a run: every event in order, in memory and in a file that only grows.
//!
//! The file has a JSON document a line: first the [`Plan`], then the events. It is complete up to the last
//! [`History::flush`], which precedes each fault, so that a harness that dies leaves something to check.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::event::{Event, What};
use super::plan::Plan;

/// The name of the file in the directory of a run.
pub const FILE_NAME: &str = "history.jsonl";

/// A history that is being written. One lock orders it: what is written down first happened first.
#[derive(Debug)]
pub struct History {
    start: Instant,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    events: Vec<Event>,
    file: BufWriter<File>,
}

impl History {
    /// Begins the history of a run in this directory.
    pub fn create(directory: &Path, plan: &Plan) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(directory.join(FILE_NAME))?);
        serde_json::to_writer(&mut file, plan)?;
        file.write_all(b"\n")?;
        let events = Vec::new();
        Ok(Self {
            start: Instant::now(),
            written: Mutex::new(Written { events, file }),
        })
    }

    /// Writes down what happens now.
    pub fn record(&self, what: What) {
        let mut written = self.written();
        let at =
            u64::try_from(self.start.elapsed().as_nanos()).expect("a run ends within 584 years");
        let event = Event { at, what };
        // The events in memory decide; the file is for whoever looks later.
        let _ = serde_json::to_writer(&mut written.file, &event);
        let _ = written.file.write_all(b"\n");
        written.events.push(event);
    }

    /// Brings the file up to date.
    pub fn flush(&self) -> io::Result<()> {
        self.written().file.flush()
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.written().events.len()
    }

    /// Whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.written().events.clone()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what a run left in its directory.
pub fn read(directory: &Path) -> io::Result<(Plan, Vec<Event>)> {
    let mut lines = BufReader::new(File::open(directory.join(FILE_NAME))?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let plan = serde_json::from_str(&first)?;
    let events = lines.map(|line| Ok(serde_json::from_str(&line?)?));
    Ok((plan, events.collect::<io::Result<_>>()?))
}
