//! Compressing what is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::SendHalf;
use super::codec::{Encode, PIECE_BYTES};

/// With this much compressed and not sent, nothing more is taken.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// A buffer larger than this is given back once it is sent.
const KEPT_BYTES_MAX: usize = 128 * 1024;

/// A stream that is compressed as it is written.
pub(super) struct Compressed {
    inner: SendHalf,
    encoder: Box<dyn Encode>,
    /// Compressed, and how much of it was sent.
    encoded: Vec<u8>,
    sent: usize,
}

impl Compressed {
    pub(super) fn new(inner: SendHalf, encoder: Box<dyn Encode>) -> Compressed {
        Compressed {
            inner,
            encoder,
            encoded: Vec::new(),
            sent: 0,
        }
    }

    /// Sends until no more than `left` bytes wait.
    fn poll_send(&mut self, context: &mut Context<'_>, left: usize) -> Poll<io::Result<()>> {
        while self.encoded.len() - self.sent > left {
            let waiting = &self.encoded[self.sent..];
            match ready!(Pin::new(&mut self.inner).poll_write(context, waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        if self.sent == self.encoded.len() {
            self.sent = 0;
            self.encoded.clear();
            self.encoded.shrink_to(KEPT_BYTES_MAX);
        } else if self.sent > WAITING_BYTES_MAX {
            self.encoded.drain(..self.sent);
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all, so that the other end can decompress all that was written.
    fn poll_flush_encoder(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.encoder.flush(&mut self.encoded);
        self.poll_send(context, 0)
    }
}

impl AsyncWrite for Compressed {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        plain: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(context, WAITING_BYTES_MAX))?;
        let piece = &plain[..plain.len().min(PIECE_BYTES)];
        if !piece.is_empty() {
            this.encoder.encode(piece, &mut this.encoded);
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_flush_encoder(context))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_flush_encoder(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}
