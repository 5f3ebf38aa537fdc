//! The sending half: commands in, bytes out.

use std::{fmt, io};

use tokio::io::AsyncWriteExt;

use super::error::ConnectionError;
use crate::transport::SendHalf;
use crate::wire::Command;

/// A buffer larger than this is given back once it is sent.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Sends commands. Writing only fills a buffer, so that many commands leave in one system call;
/// [`Writer::unsent_bytes`] tells when it is time to flush.
pub struct Writer {
    stream: SendHalf,
    buffer: Vec<u8>,
    /// How much of the buffer the system has taken.
    sent: usize,
}

impl Writer {
    pub(super) fn new(stream: SendHalf) -> Writer {
        Writer {
            stream,
            buffer: Vec::new(),
            sent: 0,
        }
    }

    /// The stream, for the next layer; everything was flushed before.
    #[cfg(any(feature = "tls", feature = "compression"))]
    pub(super) fn into_stream(self) -> SendHalf {
        self.stream
    }

    /// Appends a command to the buffer.
    pub fn write(&mut self, command: &Command<'_>) {
        command.encode(&mut self.buffer);
    }

    /// Appends bytes that are commands already.
    pub fn write_encoded(&mut self, commands: &[u8]) {
        self.buffer.extend_from_slice(commands);
    }

    /// How many bytes wait to be sent.
    pub fn unsent_bytes(&self) -> usize {
        self.buffer.len() - self.sent
    }

    /// Sends all that was written. Dropped halfway, the next flush goes on where it stopped.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.forget_sent();
        while self.sent < self.buffer.len() {
            let count = self.stream.write(&self.buffer[self.sent..]).await;
            let count = count.map_err(ConnectionError::Lost)?;
            if count == 0 {
                return Err(ConnectionError::Lost(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        self.stream.flush().await.map_err(ConnectionError::Lost)?;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES_MAX);
        self.sent = 0;
        Ok(())
    }

    /// Keeps the buffer as small as what is unsent, also for a caller who writes as fast as the
    /// system takes. Moves each byte at most once on average.
    fn forget_sent(&mut self) {
        if self.sent > self.buffer.len() / 2 {
            self.buffer.drain(..self.sent);
            self.sent = 0;
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("unsent_bytes", &self.unsent_bytes())
            .finish_non_exhaustive()
    }
}
