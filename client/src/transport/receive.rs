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

/// A compressed stream, read as what it holds.
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

    /// Decompresses the next piece into the empty `plain`; what stays empty is the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // A small read can become a lot of work: every piece counts against the turn of this task.
            let proceed = ready!(coop::poll_proceed(context));
            proceed.made_progress();
            self.decoder
                .decode(&mut self.encoded, &mut self.plain)
                .map_err(damaged)?;
            if !self.plain.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(context))? == 0 {
                return Poll::Ready(self.decoder.end(&self.encoded).map_err(damaged));
            }
        }
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
        if this.taken == this.plain.len() {
            this.plain.clear();
            this.taken = 0;
            if let Err(error) = ready!(this.poll_piece(context)) {
                // Nothing of a piece that failed its check is ever handed out.
                this.plain.clear();
                return Poll::Ready(Err(error));
            }
        }
        let rest = &this.plain[this.taken..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.taken += count;
        Poll::Ready(Ok(()))
    }
}

fn damaged(error: DamagedStream) -> io::Error {
    let kind = match error {
        DamagedStream::Truncated(_) => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}
