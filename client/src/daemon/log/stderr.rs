//! Standard error, where nobody may be reading: a daemon goes on without its log.
//!
//! A write to a full pipe waits for the reader, and with it would every task that has something to log. So each piece is
//! written only when there is room for it, which the kernel is asked for first. (A non-blocking file would do too, but
//! that flag is shared by all processes that write to it.) A reader who is late is waited for once, for a moment; from then
//! on lines are dropped, and counted, until there is room again. The next line is preceded by one that tells how many.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Returns how many lines were dropped since the process started, as nobody read them.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Writes `line`, newline included, or drops it; `missed` makes the line that tells how many were dropped before it.
pub(super) fn write_line(line: &str, missed: impl Fn(u64) -> String) {
    // A panic elsewhere leaves nothing half done that matters: at worst a line was not counted.
    let mut output = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    if !output.write_line(&mut io::stderr(), line, missed) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// What became of the lines so far.
#[derive(Debug, Default)]
struct Output {
    /// There was no room the last time.
    is_stuck: bool,
    /// Lines dropped that nobody was told of.
    missed: u64,
    /// The last line that was written lacks its end.
    is_cut: bool,
}

impl Output {
    const fn new() -> Self {
        Self {
            is_stuck: false,
            missed: 0,
            is_cut: false,
        }
    }

    /// False if the line was dropped, or its end was.
    fn write_line(
        &mut self,
        file: &mut (impl Write + AsFd),
        line: &str,
        missed: impl Fn(u64) -> String,
    ) -> bool {
        if self.missed > 0 {
            let end_of_last = if self.is_cut { "\n" } else { "" };
            let told = format!("{end_of_last}{}", missed(self.missed));
            if self.write(file, told.as_bytes()) {
                (self.missed, self.is_cut) = (0, false);
            }
        }
        let written = self.missed == 0 && self.write(file, line.as_bytes());
        self.missed += u64::from(!written);
        written
    }

    /// False as soon as there is no room.
    fn write(&mut self, file: &mut (impl Write + AsFd), bytes: &[u8]) -> bool {
        for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            let patience = if self.is_stuck {
                Duration::ZERO
            } else {
                PATIENCE
            };
            self.is_stuck = !has_room(file, patience);
            if self.is_stuck {
                self.is_cut |= number > 0;
                return false;
            }
            // Nothing is left to tell about a stderr that is gone, and a daemon outlives its terminal.
            let _ = file.write_all(piece);
        }
        true
    }
}

/// Whether a piece can be written without waiting; true also if writing would fail.
fn has_room(file: &impl AsFd, patience: Duration) -> bool {
    let patience = Timespec::try_from(patience).expect("milliseconds fit");
    let mut files = [PollFd::new(file, PollFlags::OUT)];
    let polled = rustix::io::retry_on_intr(|| poll(&mut files, Some(&patience)));
    polled.is_ok_and(|ready| ready > 0)
}

static DROPPED: AtomicU64 = AtomicU64::new(0);
static STDERR: Mutex<Output> = Mutex::new(Output::new());
/// `PIPE_BUF`: a pipe that says it has room takes so much.
const PIECE_BYTES: usize = 4096;
/// How long a reader may be late before lines are dropped.
const PATIENCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn missed(count: u64) -> String {
        format!("({count} missed)\n")
    }

    #[test]
    fn a_full_pipe_drops_lines_and_tells_how_many() {
        let (mut reader, mut pipe) = io::pipe().unwrap();
        let mut output = Output::default();
        let line = "x".repeat(999) + "\n";
        let mut written = 0;
        while output.write_line(&mut pipe, &line, missed) {
            written += 1;
            assert!(written < 100_000, "the pipe never fills");
        }
        for _ in 0..1000 {
            assert!(!output.write_line(&mut pipe, &line, missed));
        }
        let mut bytes = vec![0; written * line.len()];
        reader.read_exact(&mut bytes).unwrap();
        assert!(output.write_line(&mut pipe, "next\n", missed));
        drop(pipe);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "(1001 missed)\nnext\n");
    }

    #[test]
    fn a_long_line_that_was_cut_is_ended() {
        let (mut reader, mut pipe) = io::pipe().unwrap();
        let mut output = Output::default();
        let long = "x".repeat(10 << 20) + "\n";
        assert!(!output.write_line(&mut pipe, &long, missed));
        let mut bytes = vec![0; PIECE_BYTES];
        while output.is_stuck {
            reader.read_exact(&mut bytes).unwrap();
            output.write_line(&mut pipe, "next\n", missed);
        }
        drop(pipe);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let (cut, rest) = rest.split_once('\n').unwrap();
        assert!(cut.bytes().all(|byte| byte == b'x'), "{cut}");
        assert!(rest.ends_with(" missed)\nnext\n"), "{rest}");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_reason_to_stop() {
        let (reader, mut pipe) = io::pipe().unwrap();
        drop(reader);
        assert!(Output::default().write_line(&mut pipe, "last words\n", missed));
    }
}
