//! Takes PUB, DPUB, MPUB and IDENTIFY over the NSQ protocol, answers OK, and throws everything away.
//!
//! It reads, finds the ends of commands and answers in batches as a good server must, and does nothing else: what it costs is
//! the floor for any nsqd under the same load.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"\0\0\0\x06\0\0\0\0OK";
const READ_BYTES: usize = 64 * 1024;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    eprintln!("TCP: listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).await?;
    let mut received = BytesMut::with_capacity(READ_BYTES);
    let mut replies = Vec::new();
    let mut commands = Commands::default();
    loop {
        received.reserve(READ_BYTES);
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
        for _ in 0..commands.take(&mut received) {
            replies.extend_from_slice(OK);
        }
        stream.write_all(&replies).await?;
        replies.clear();
    }
}

/// Where a connection is in its stream of commands.
#[derive(Default)]
struct Commands {
    /// Bytes of a body that are still to come.
    body_left: usize,
}

impl Commands {
    /// Consumes what was received, and tells how many commands with a body are complete by it.
    fn take(&mut self, received: &mut BytesMut) -> usize {
        let mut complete = 0;
        loop {
            if self.body_left > 0 {
                let bytes = self.body_left.min(received.len());
                received.advance(bytes);
                self.body_left -= bytes;
                if self.body_left > 0 {
                    return complete;
                }
                complete += 1;
            }
            let Some(head) = head(received) else {
                return complete;
            };
            received.advance(head.bytes);
            self.body_left = head.body_bytes;
        }
    }
}

/// A command line, with the size of the body behind it.
struct Head {
    bytes: usize,
    body_bytes: usize,
}

/// The next command line and size, once all of it was received.
fn head(received: &[u8]) -> Option<Head> {
    let line = received.iter().position(|byte| *byte == b'\n')?;
    let has_body = [&b"PUB"[..], b"MPUB", b"DPUB", b"IDENTIFY"]
        .iter()
        .any(|name| received[..line].starts_with(name));
    if !has_body {
        return Some(Head {
            bytes: line + 1,
            body_bytes: 0,
        });
    }
    let size = received[line + 1..].first_chunk::<4>()?;
    Some(Head {
        bytes: line + 5,
        body_bytes: u32::from_be_bytes(*size) as usize,
    })
}
