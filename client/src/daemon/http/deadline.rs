//! When a connection has taken too long to send a request head or to take the answer, or has been idle for too long.
//!
//! ```text
//!        first byte of a head          head complete              answer ready             all of it taken
//!   Idle ────────────────────▶ Head ──────────────────▶ Busy ──────────────────▶ Writing ──────────────────▶ Idle …
//!   idle_timeout               header_timeout           the handler's own        write_timeout for each 64 KiB
//! ```
//!
//! A new connection is in `Head`. A response that is a stream is `Streaming` until its end: at most `idle_timeout` from one
//! byte written to the next. hyper has one deadline for all of this; a slow peer must not get the minute that an idle one has.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::Limits;

/// Where a connection is, shared between its socket, its requests and the one who waits for the deadline.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    phase: Arc<Mutex<Phase>>,
    header_timeout: Duration,
    write_timeout: Duration,
    idle_timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Head {
        since: Instant,
    },
    Busy,
    /// `bytes` have been taken since.
    Writing {
        since: Instant,
        bytes: usize,
    },
    Idle {
        since: Instant,
    },
    Streaming {
        since: Instant,
    },
}

impl Deadline {
    /// Returns the deadline of a connection accepted now.
    pub(super) fn new(limits: &Limits) -> Self {
        let phase = Arc::new(Mutex::new(Phase::Head {
            since: Instant::now(),
        }));
        Self {
            phase,
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
            idle_timeout: limits.idle_timeout,
        }
    }

    /// Notes that the head of a request is complete.
    pub(super) fn request_started(&self) {
        *self.phase() = Phase::Busy;
    }

    /// Notes that a response is ready to be written.
    pub(super) fn request_ended(&self) {
        *self.phase() = Phase::Writing {
            since: Instant::now(),
            bytes: 0,
        };
    }

    /// Notes that a response is to be written which has no end of its own.
    pub(super) fn stream_started(&self) {
        *self.phase() = Phase::Streaming {
            since: Instant::now(),
        };
    }

    /// True if no request is under way, and no response either.
    pub(super) fn is_awaiting_head(&self) -> bool {
        matches!(*self.phase(), Phase::Head { .. })
    }

    fn bytes_arrived(&self) {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Idle { .. }) {
            *phase = Phase::Head {
                since: Instant::now(),
            };
        }
    }

    fn bytes_written(&self, count: usize) {
        match &mut *self.phase() {
            Phase::Streaming { since } => *since = Instant::now(),
            Phase::Writing { since, bytes } => {
                *bytes += count;
                if *bytes >= WRITE_BYTES {
                    (*since, *bytes) = (Instant::now(), 0);
                }
            }
            _ => {}
        }
    }

    /// hyper flushes when it has written all that it has; of a response that is no stream it has everything.
    fn flushed(&self) {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Writing { .. }) {
            *phase = Phase::Idle {
                since: Instant::now(),
            };
        }
    }

    /// Waits until the peer has taken too long. Looks four times per header timeout, rather than arming a
    /// timer for each request, and so is late by a quarter of it at most.
    pub(super) async fn passed(&self) {
        let mut ticks = tokio::time::interval(self.header_timeout / 4);
        loop {
            let now = ticks.tick().await;
            let over_at = match *self.phase() {
                Phase::Busy => continue,
                Phase::Head { since } => since + self.header_timeout,
                Phase::Writing { since, .. } => since + self.write_timeout,
                Phase::Idle { since } | Phase::Streaming { since } => since + self.idle_timeout,
            };
            if now >= over_at {
                return;
            }
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        // One assignment happens under the lock: a panic elsewhere cannot leave it half done.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that tells its [`Deadline`] about every byte read or written.
#[derive(Debug)]
pub(super) struct Watched<IO> {
    pub(super) socket: IO,
    pub(super) deadline: Deadline,
}

impl<IO> Watched<IO> {
    fn note_written(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count @ 1..)) = polled {
            self.deadline.bytes_written(count);
        }
        polled
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.deadline.bytes_arrived();
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note_written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.note_written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.socket).poll_flush(context);
        if polled.is_ready() {
            self.deadline.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// What a peer has to take within the `write_timeout`, unless less is left.
const WRITE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const WRITE: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_mins(1);
    const LIMITS: Limits = Limits {
        header_timeout: HEADER,
        write_timeout: WRITE,
        idle_timeout: IDLE,
        ..Limits::DEFAULT
    };

    /// How long after now the deadline passes, in seconds.
    async fn seconds_until_passed(deadline: &Deadline) -> f64 {
        let start = Instant::now();
        deadline.passed().await;
        start.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn heads_and_idle_connections_have_their_own_deadlines() {
        let deadline = Deadline::new(&LIMITS);
        let waited = seconds_until_passed(&deadline).await;
        assert!((10.0..=12.5).contains(&waited), "new connection: {waited}");

        deadline.request_started();
        let waited = tokio::time::timeout(10 * IDLE, deadline.passed()).await;
        assert!(waited.is_err(), "a busy connection has no deadline here");

        deadline.request_ended();
        deadline.flushed();
        let waited = seconds_until_passed(&deadline).await;
        assert!((60.0..=62.5).contains(&waited), "idle: {waited}");

        deadline.stream_started();
        tokio::time::advance(IDLE / 2).await;
        deadline.bytes_written(1);
        let waited = seconds_until_passed(&deadline).await;
        assert!((60.0..=62.5).contains(&waited), "stream: {waited}");

        deadline.request_ended();
        deadline.flushed();
        deadline.bytes_arrived();
        tokio::time::advance(HEADER / 2).await;
        deadline.bytes_arrived();
        let waited = seconds_until_passed(&deadline).await;
        assert!(
            (5.0..=7.5).contains(&waited),
            "trickled bytes do not extend it: {waited}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_to_be_taken_at_some_speed() {
        let deadline = Deadline::new(&LIMITS);
        deadline.request_ended();
        tokio::time::advance(WRITE / 2).await;
        deadline.bytes_written(WRITE_BYTES);
        tokio::time::advance(WRITE / 2).await;
        deadline.bytes_written(WRITE_BYTES - 1);
        // What is pipelined behind it begins no head.
        deadline.bytes_arrived();
        let waited = seconds_until_passed(&deadline).await;
        assert!((15.0..=17.5).contains(&waited), "{waited}");
    }
}
