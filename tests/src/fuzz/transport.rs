//! Compressed connections: what arrives in them, and what is sent through them.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use client::transport::{Compression, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Cuts;

/// More than this is not read out of a stream: what it takes in memory does not depend on how much there is.
const PLAIN_BYTES_MAX: usize = 1 << 18;

/// Any stream is read without harm, and to the same end however it is cut; what is written comes back.
pub fn transport(data: &[u8]) {
    let Some((mut cuts, data)) = Cuts::of(data) else {
        return;
    };
    let compression = match cuts.next() % 3 {
        0 => Compression::Snappy,
        level => Compression::Deflate {
            level: u32::try_from(level * 4).expect("it is 4 or 8"),
        },
    };
    let (whole, end) = receive(data, usize::MAX, compression);
    let (pieces, pieces_end) = receive(data, cuts.next(), compression);
    assert!(pieces.starts_with(&whole) || whole.starts_with(&pieces));
    // Of a stream that is damaged, or too long, how far it was read depends on the cuts: a piece is handed out whole.
    if end.is_none() && whole.len() < PLAIN_BYTES_MAX {
        assert_eq!((pieces, pieces_end), (whole, None));
    } else {
        assert!(pieces_end.is_some() || pieces.len() >= PLAIN_BYTES_MAX);
    }
    let sent = send(data, cuts.clone(), compression);
    assert_eq!(
        receive(&sent, cuts.next(), compression),
        (data.to_vec(), None)
    );
}

/// Reads a stream that arrives in pieces of this length; returns what was in it, and why it ended if not well.
fn receive(
    data: &[u8],
    piece: usize,
    compression: Compression,
) -> (Vec<u8>, Option<io::ErrorKind>) {
    let arriving = Arriving {
        data: data.to_vec(),
        at: 0,
        piece,
    };
    let transport = Transport::new(arriving, tokio::io::sink());
    let mut transport = transport.compress(compression, BytesMut::new());
    let mut plain = Vec::new();
    let mut room = [0; 4096];
    while plain.len() < PLAIN_BYTES_MAX {
        match now(transport.receive.read(&mut room)) {
            Ok(0) => break,
            Ok(count) => plain.extend_from_slice(&room[..count]),
            Err(error) => return (plain, Some(error.kind())),
        }
    }
    (plain, None)
}

/// Writes `data` in pieces, with a flush behind some.
fn send(data: &[u8], mut cuts: Cuts, compression: Compression) -> Vec<u8> {
    let sent = Sent::default();
    let transport = Transport::new(tokio::io::empty(), sent.clone());
    let mut transport = transport.compress(compression, BytesMut::new());
    for piece in cuts.clone().pieces(data.len()) {
        now(transport.send.write_all(&data[piece])).expect("memory takes all");
        if cuts.next().is_multiple_of(2) {
            now(transport.send.flush()).expect("memory takes all");
        }
    }
    now(transport.send.flush()).expect("memory takes all");
    std::mem::take(&mut *sent.0.lock().expect("nobody has panicked with it"))
}

/// What comes of a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("there is nothing to wait for"),
    }
}

struct Arriving {
    data: Vec<u8>,
    at: usize,
    piece: usize,
}

impl AsyncRead for Arriving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.data[self.at..];
        let count = rest.len().min(self.piece).min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Sent {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut sent = self.0.lock().expect("nobody has panicked with it");
        sent.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
