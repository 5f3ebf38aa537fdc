//! Connections that there is no room for: told why, and closed.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::{Instant, timeout},
};
use tracing::warn;

use super::Stream;
use super::descriptors::{self, Part};

/// Returns why there is no room for `stream`, just accepted, beside so many other `connections`: there are `max` of them
/// already (`--max-connections`; 0 for any number), or it has one of the last file descriptors.
pub fn no_room(stream: &Stream, connections: usize, max: usize) -> Option<String> {
    if max > 0 && connections >= max {
        let reason = format!("too many connections, --max-connections allows {max}");
        return Some(reason);
    }
    if stream.part_of_descriptors() == Part::Common {
        return None;
    }
    let limit = descriptors::limit();
    let reason = format!("too many connections, the limit of file descriptors is {limit}");
    Some(reason)
}

/// Refuses connections, a few of them politely at a time, and logs it once a second.
#[derive(Debug, Default)]
pub struct Refusals {
    goodbyes: JoinSet<()>,
    log: Rarely,
}

impl Refusals {
    /// Closes `stream` after it was sent `frame`, which says why. While many are still being told, further ones are
    /// closed without a word, so that this costs next to nothing.
    pub fn refuse(&mut self, stream: Stream, frame: Vec<u8>, reason: &str) {
        if let Some(count) = self.log.note() {
            let peer = stream.peer();
            warn!(reason, count, last_peer = peer, "connections refused");
        }
        while self.goodbyes.try_join_next().is_some() {}
        if self.goodbyes.len() < GOODBYES_MAX {
            self.goodbyes.spawn(say_goodbye(stream, frame));
        }
    }
}

/// Sends the last words, and reads on for a moment: closing with unread bytes in the socket would reset the connection,
/// and the peer might not get to see them.
async fn say_goodbye(mut stream: Stream, frame: Vec<u8>) {
    let goodbye = async {
        stream.write_all(&frame).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(DISCARD_BYTES_MAX);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // The peer may be gone; it was told all that could be told.
    let _ = timeout(LINGER, goodbye).await;
}

/// Counts what would be logged too often.
#[derive(Debug, Default)]
pub(super) struct Rarely {
    logged_at: Option<Instant>,
    count: u64,
}

impl Rarely {
    /// Counts one more; if a line is due, returns how many there were since the last one.
    pub(super) fn note(&mut self) -> Option<u64> {
        self.count += 1;
        let now = Instant::now();
        if self.logged_at.is_some_and(|at| now - at < LOG_EVERY) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

const GOODBYES_MAX: usize = 64;
const LINGER: Duration = Duration::from_millis(250);
const DISCARD_BYTES_MAX: u64 = 64 << 10;
const LOG_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_due_once_a_second_and_tells_of_all() {
        let mut log = Rarely::default();
        assert_eq!(log.note(), Some(1));
        for _ in 0..5 {
            assert_eq!(log.note(), None);
        }
        tokio::time::advance(LOG_EVERY).await;
        assert_eq!(log.note(), Some(6));
        assert_eq!(log.note(), None);
    }
}
