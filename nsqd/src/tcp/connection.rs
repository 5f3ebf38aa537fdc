//! The bytes of one connection: what has arrived and what is to be sent. Buffers grow with what is really there, are
//! used again while there is traffic, and are given back when there is none.

use std::{fmt, io};

use bytes::BytesMut;
use client::transport::{ReceiveHalf, SendHalf, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::LINGER;

/// What is read at a time on a quiet connection, and on a busy one.
const READ_BYTES: std::ops::RangeInclusive<usize> = 1024..=256 * 1024;
/// An output buffer that a large message has grown beyond this is not kept.
const OUTPUT_KEPT_BYTES: usize = 256 * 1024;
/// With this much output waiting, nothing more is read.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// How much of what a peer still sends is read and thrown away at the end, so that it gets to see the last error.
const DISCARD_BYTES_MAX: usize = 1 << 20;

/// A connection's two buffers and the transport under them.
pub(super) struct Connection {
    reader: ReceiveHalf,
    writer: SendHalf,
    /// Between here and the socket are layers, which hold back what is written until they are flushed.
    layered: bool,
    /// Something was written to them since.
    unflushed: bool,
    /// Received, and not consumed.
    pub(super) input: BytesMut,
    /// To be sent, from `sent` on.
    pub(super) output: Vec<u8>,
    sent: usize,
    read_bytes: usize,
    /// Since when output waits without any of it being taken.
    stuck_since: Option<Instant>,
}

/// What the socket did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Bytes have arrived.
    Received,
    /// Some of the output was taken.
    Sent,
    /// The peer sends no more.
    End,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            reader: transport.receive,
            writer: transport.send,
            layered: false,
            unflushed: false,
            input: BytesMut::new(),
            output: Vec::new(),
            sent: 0,
            read_bytes: *READ_BYTES.start(),
            stuck_since: None,
        }
    }

    /// Whether there is output to be sent.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty() || self.unflushed
    }

    /// Whether it goes on in TLS or compression.
    pub(super) fn is_layered(&self) -> bool {
        self.layered
    }

    /// Takes the transport out, for a layer to be put on it; [`Connection::set_transport`] gives it back.
    pub(super) fn take_transport(&mut self) -> Transport {
        let none = Transport::new(tokio::io::empty(), tokio::io::empty());
        Transport {
            receive: std::mem::replace(&mut self.reader, none.receive),
            send: std::mem::replace(&mut self.writer, none.send),
        }
    }

    /// Goes on over `transport`, which is one with layers or, after a failure, the bare one.
    pub(super) fn set_transport(&mut self, transport: Transport, layered: bool) {
        (self.reader, self.writer) = (transport.receive, transport.send);
        (self.layered, self.unflushed) = (layered, false);
    }

    /// Sends all that is to be sent, through all layers.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) async fn send_all(&mut self) -> io::Result<()> {
        while self.has_output() {
            self.send().await?;
        }
        Ok(())
    }

    /// Since when output waits without any of it being taken.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        self.stuck_since
    }

    /// Sends what is to be sent, or else receives, up to `input_max` bytes that nobody has consumed. Nothing is lost when
    /// it is cancelled.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) async fn progress(&mut self, input_max: usize) -> io::Result<Progress> {
        if self.has_output() {
            self.stuck_since.get_or_insert_with(Instant::now);
        }
        let Self {
            reader,
            writer,
            input,
            output,
            sent,
            read_bytes,
            unflushed,
            ..
        } = self;
        let may_receive = output.len() - *sent < OUTPUT_BYTES_MAX && input.len() < input_max;
        let wanted = read_bytes
            .saturating_sub(input.len())
            .max(*READ_BYTES.start());
        if may_receive && input.capacity() - input.len() < wanted / 2 {
            input.reserve(wanted);
        }
        tokio::select! {
            biased;
            sent = send(writer, &output[*sent..]), if !output.is_empty() || *unflushed => {
                let sent = sent?;
                self.sent(sent);
                Ok(Progress::Sent)
            }
            received = reader.read_buf(input), if may_receive => {
                let received = received?;
                Ok(self.received(received))
            }
            else => std::future::pending().await,
        }
    }

    /// Sends some of what is to be sent. Nothing is lost when it is cancelled.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        let sent = send(&mut self.writer, &self.output[self.sent..]).await?;
        self.sent(sent);
        Ok(())
    }

    /// Notes that so many bytes were written, or with 0 that the layers were flushed.
    fn sent(&mut self, count: usize) {
        self.sent += count;
        self.unflushed = self.layered && count > 0;
        self.stuck_since = None;
        if self.sent == self.output.len() {
            self.sent = 0;
            self.output.clear();
            self.output.shrink_to(OUTPUT_KEPT_BYTES);
        }
    }

    fn received(&mut self, count: usize) -> Progress {
        if count >= self.read_bytes / 2 {
            self.read_bytes = (self.read_bytes * 2).min(*READ_BYTES.end());
        }
        if count == 0 {
            Progress::End
        } else {
            Progress::Received
        }
    }

    /// Gives memory back that a quiet connection does not need.
    pub(super) fn release_memory(&mut self) {
        self.read_bytes = *READ_BYTES.start();
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Sends what is left, for a short while, and reads on so that the peer gets to see it rather than a reset.
    pub(super) async fn finish(mut self) {
        let goodbye = async {
            self.writer.write_all(&self.output[self.sent..]).await?;
            self.writer.shutdown().await?;
            let mut discarded = 0;
            while discarded < DISCARD_BYTES_MAX {
                self.input.clear();
                self.input.reserve(*READ_BYTES.start());
                match self.reader.read_buf(&mut self.input).await? {
                    0 => break,
                    count => discarded += count,
                }
            }
            io::Result::Ok(())
        };
        // The peer may be gone; it was told all that could be told.
        let _ = timeout(LINGER, goodbye).await;
    }
}

/// Writes some of `rest`, and returns how many bytes; flushes if there is none.
async fn send(writer: &mut SendHalf, rest: &[u8]) -> io::Result<usize> {
    if rest.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(rest).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("input_bytes", &self.input.len())
            .field("output_bytes", &self.output.len())
            .field("layered", &self.layered)
            .finish_non_exhaustive()
    }
}
