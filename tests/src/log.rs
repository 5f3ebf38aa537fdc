//! What a daemon wrote to its standard output or error.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The lines so far, filled by a thread of its own which ends with the daemon.
#[derive(Debug)]
pub struct Log {
    lines: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Log {
    /// Collects everything that can be read from `source`, until it ends.
    pub fn collect(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(String::new()));
        let filled = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source
                .read_until(b'\n', &mut line)
                .is_ok_and(|bytes| bytes > 0)
            {
                let text = String::from_utf8_lossy(&line).into_owned();
                filled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&text);
                line.clear();
            }
        });
        Self { lines, reader }
    }

    /// Everything written so far.
    pub fn text(&self) -> String {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Everything that was ever written, once the writer has ended.
    pub fn to_end(self) -> String {
        self.reader.join().expect("reading lines does not panic");
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What follows `marker` on the first line that has it.
    pub fn after(&self, marker: &str) -> Option<String> {
        let text = self.text();
        let line = text
            .split_inclusive('\n')
            .find(|line| line.contains(marker))?;
        let (_, rest) = line.strip_suffix('\n')?.split_once(marker)?;
        Some(rest.to_owned())
    }
}
