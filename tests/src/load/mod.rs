//! A load generator for the commands that print figures: batches, pipelines, raw bytes.
//!
//! It speaks to anything that speaks NSQ, so two servers can be measured with the same load.

mod consume;
mod discard;
mod publish;
mod registering;

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use consume::consume;
pub use discard::Discard;
pub use publish::{Publishing, publish};
pub use registering::SimulatedNsqd;

use crate::wire::MAGIC;

/// One connection, which reads as much as there is.
struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

impl Connection {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        stream.write_all(MAGIC).await?;
        Ok(Self {
            stream,
            received: BytesMut::with_capacity(256 * 1024),
        })
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next frame, from its type on.
    async fn frame(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(frame) = self.buffered_frame() {
                return Ok(frame);
            }
            self.received.reserve(64 * 1024);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The next frame, if all of it has been received already.
    fn buffered_frame(&mut self) -> Option<Bytes> {
        let size = u32::from_be_bytes(*self.received.first_chunk::<4>()?) as usize;
        if self.received.len() < 4 + size {
            return None;
        }
        Some(self.received.split_to(4 + size).freeze().split_off(4))
    }

    /// Reads until `OK`; answers heartbeats on the way.
    async fn ok(&mut self) -> io::Result<()> {
        loop {
            let frame = self.frame().await?;
            match &frame[4..] {
                b"OK" => return Ok(()),
                b"_heartbeat_" => self.send(b"NOP\n").await?,
                other => {
                    return Err(io::Error::other(
                        String::from_utf8_lossy(other).into_owned(),
                    ));
                }
            }
        }
    }
}
