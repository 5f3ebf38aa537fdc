//! The receiving half: bytes in, frames out.

use std::ops::RangeInclusive;
use std::{fmt, io};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use super::error::ConnectionError;
use crate::transport::ReceiveHalf;
use crate::wire::{Frame, FrameDecoder, FrameError};

/// What the first read asks for; small, since most connections are quiet.
const READ_BYTES_MIN: usize = 8 * 1024;
/// What a read asks for when the nsqd has much to say.
const READ_BYTES_MAX: usize = 256 * 1024;
/// The start of an HTTP response, read as the size of a frame.
const HTTP_AS_SIZE: u32 = u32::from_be_bytes(*b"HTTP");
/// The start of an alert of TLS 1.0 to 1.3, likewise: what an HTTPS port says to what is no TLS.
const ALERT_AS_SIZE: RangeInclusive<u32> = 0x1503_0100..=0x1503_04ff;

/// Receives frames. Messages are slices of the receive buffer, whose memory is used again once
/// all of them are dropped; a message kept for long is better copied.
pub struct Reader {
    stream: ReceiveHalf,
    decoder: FrameDecoder,
    received: BytesMut,
    /// What the next read asks for: doubles when a read was filled, up to [`READ_BYTES_MAX`].
    read_bytes: usize,
}

impl Reader {
    pub(super) fn new(stream: ReceiveHalf, max_frame_bytes: usize) -> Reader {
        Reader {
            stream,
            decoder: FrameDecoder::new(max_frame_bytes),
            received: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
        }
    }

    /// The stream, and what was received from it and not decoded: the start of the next layer.
    #[cfg(any(feature = "tls", feature = "compression"))]
    pub(super) fn into_parts(self) -> (ReceiveHalf, BytesMut) {
        (self.stream, self.received)
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// The connection ended, or what came is not a frame. There is no way on from either.
    pub async fn next_frame(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            if let Some(frame) = self.received_frame()? {
                return Ok(frame);
            }
            self.receive().await?;
        }
    }

    /// Takes the next frame that is here already, without waiting; `None` until
    /// [`Reader::receive`] brought more.
    ///
    /// # Errors
    /// What came is not a frame.
    pub fn received_frame(&mut self) -> Result<Option<Frame>, ConnectionError> {
        self.decoder
            .decode(&mut self.received)
            .map_err(|error| match error {
                FrameError::TooBig { size, .. } if is_http(size) => ConnectionError::Http,
                error => ConnectionError::Protocol(error),
            })
    }

    /// Waits for bytes, at least one.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn receive(&mut self) -> Result<(), ConnectionError> {
        self.received.reserve(self.read_bytes);
        let asked = self.received.capacity() - self.received.len();
        let count = self.stream.read_buf(&mut self.received).await;
        let count = count.map_err(ConnectionError::Lost)?;
        if count == 0 {
            return Err(self.end());
        }
        if count == asked {
            self.read_bytes = (2 * self.read_bytes).min(READ_BYTES_MAX);
        }
        Ok(())
    }

    /// What was received and is not decoded yet, for callers who read frames in place.
    pub fn received(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    fn end(&self) -> ConnectionError {
        if self.received.is_empty() {
            return ConnectionError::Closed;
        }
        ConnectionError::Lost(io::ErrorKind::UnexpectedEof.into())
    }
}

fn is_http(size: u32) -> bool {
    size == HTTP_AS_SIZE || ALERT_AS_SIZE.contains(&size)
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("received_bytes", &self.received.len())
            .finish_non_exhaustive()
    }
}
