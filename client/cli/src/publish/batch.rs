//! Lines that leave in one command.

use std::time::Instant;

use bytes::Bytes;

use super::lines::Line;
use crate::figures;

/// Lines collected, in their order.
#[derive(Debug)]
pub(super) struct Batch {
    bodies: Vec<Bytes>,
    about: About,
    /// When the first line came.
    pub(super) opened_at: Instant,
}

/// What is remembered of a batch that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) messages: u64,
    /// Bodies together.
    pub(super) bytes: usize,
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    longest_line: u64,
    longest_bytes: usize,
}

impl About {
    /// The lines for a message to people.
    pub(super) fn lines(&self) -> String {
        if self.first_line == self.last_line {
            let bytes = figures::count(self.longest_bytes as u64);
            return format!("line {} ({bytes} bytes)", self.first_line);
        }
        format!(
            "lines {} to {} (the longest is line {} with {} bytes)",
            self.first_line,
            self.last_line,
            self.longest_line,
            figures::count(self.longest_bytes as u64)
        )
    }

    /// All lines from this batch to a later one.
    pub(super) fn to(self, later: About) -> About {
        let longer = [self, later].into_iter().max_by_key(|it| it.longest_bytes);
        let longer = longer.unwrap_or(later);
        About {
            messages: self.messages + later.messages,
            bytes: self.bytes + later.bytes,
            first_line: self.first_line,
            last_line: later.last_line,
            ..longer
        }
    }
}

impl Batch {
    pub(super) fn open(line: Line, now: Instant) -> Batch {
        let mut batch = Batch {
            bodies: Vec::new(),
            about: About {
                first_line: line.number,
                ..About::default()
            },
            opened_at: now,
        };
        batch.push(line);
        batch
    }

    pub(super) fn push(&mut self, line: Line) {
        let about = &mut self.about;
        about.messages += 1;
        about.bytes += line.body.len();
        about.last_line = line.number;
        if line.body.len() > about.longest_bytes {
            about.longest_bytes = line.body.len();
            about.longest_line = line.number;
        }
        self.bodies.push(line.body);
    }

    pub(super) fn messages(&self) -> usize {
        self.bodies.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.about.bytes
    }

    /// The bodies, and what to remember of them.
    pub(super) fn into_parts(self) -> (Vec<Bytes>, About) {
        (self.bodies, self.about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_names_its_lines() {
        let line = |number, body: &'static str| Line {
            number,
            body: Bytes::from_static(body.as_bytes()),
        };
        let mut batch = Batch::open(line(3, "abc"), Instant::now());
        assert_eq!(batch.about.lines(), "line 3 (3 bytes)");
        batch.push(line(5, "abcde"));
        batch.push(line(6, "abcde"));
        let text = "lines 3 to 6 (the longest is line 5 with 5 bytes)";
        assert_eq!(batch.about.lines(), text);
        assert_eq!((batch.messages(), batch.bytes()), (3, 13));
    }
}
