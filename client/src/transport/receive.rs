//! Decompressing what arrives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::task::coop;

use super::ReceiveHalf;
use super::codec::{DamagedStream, Decode};

/// What is read at a time, before it is decompressed.
const READ_BYTES: usize = 16 * 1024;

/// A compressed stream, read as what it holds. A read takes every piece that is here and fits: what came together is
/// handled, and answered, together.
pub(super) struct Decompressed {
    inner: ReceiveHalf,
    decoder: Box<dyn Decode>,
    /// Received, and not decompressed.
    encoded: BytesMut,
    /// The last piece, and how much of it was taken.
    plain: Vec<u8>,
    taken: usize,
}

impl Decompressed {
    pub(super) fn new(
        inner: ReceiveHalf,
        decoder: Box<dyn Decode>,
        early: BytesMut,
    ) -> Decompressed {
        Decompressed {
            inner,
            decoder,
            encoded: early,
            plain: Vec::new(),
            taken: 0,
        }
    }

    /// Decompresses the next piece of what is here, all of the last one having been taken. Without one, `plain` is empty.
    fn decode(&mut self) -> Result<(), DamagedStream> {
        self.plain.clear();
        self.taken = 0;
        let decoded = self.decoder.decode(&mut self.encoded, &mut self.plain);
        if decoded.is_err() {
            // Nothing of a piece that failed its check is ever handed out.
            self.plain.clear();
        }
        decoded
    }

    /// Puts what fits of the last piece into `buffer`.
    fn take(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = &self.plain[self.taken..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.taken += count;
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.encoded.reserve(READ_BYTES);
        // Dropped when it waits, which loses nothing: it holds no bytes.
        let receive = std::pin::pin!(self.inner.read_buf(&mut self.encoded));
        receive.poll(context)
    }
}

impl AsyncRead for Decompressed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = buffer.remaining();
        loop {
            this.take(buffer);
            let has_some = buffer.remaining() < room;
            if buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            // A small read can become a lot of work: every piece counts against the turn of this task.
            match coop::poll_proceed(context) {
                Poll::Ready(proceed) => proceed.made_progress(),
                Poll::Pending if has_some => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
            match this.decode() {
                Ok(()) if !this.plain.is_empty() => continue,
                // Damage is told by the next read, which meets it again.
                _ if has_some => return Poll::Ready(Ok(())),
                decoded => decoded.map_err(damaged)?,
            }
            if ready!(this.poll_receive(context))? == 0 {
                return Poll::Ready(this.decoder.end(&this.encoded).map_err(damaged));
            }
        }
    }
}

fn damaged(error: DamagedStream) -> io::Error {
    let kind = match error {
        DamagedStream::Truncated(_) => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}
