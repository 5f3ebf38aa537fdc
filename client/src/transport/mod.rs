//! The bytes of a connection in both directions, through the layers that IDENTIFY has settled.
//!
//! ```text
//! frames ⇄ [snappy or deflate] ⇄ [TLS] ⇄ socket
//! ```
//!
//! Both ends of a connection stack the same layers: [`Transport::new`] over a socket, then [`Transport::connect_tls`] or
//! [`Transport::accept_tls`], then [`Transport::compress`]. A layer that is not there costs nothing.
//!
//! What is written may wait in a layer until it is flushed. Writes and flushes can be dropped at any `.await` and begun
//! again. Memory is bounded: a layer takes what it was given in pieces of at most 64 KiB, and decompresses the next piece
//! when the last one was taken from it, whatever a peer has compressed.

#[cfg(feature = "compression")]
mod codec;
#[cfg(feature = "compression")]
mod deflate;
#[cfg(feature = "compression")]
mod receive;
#[cfg(feature = "compression")]
mod send;
#[cfg(feature = "compression")]
mod snappy;
#[cfg(all(test, feature = "compression"))]
mod tests;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(feature = "compression")]
pub use codec::{Compression, DamagedStream};
#[cfg(feature = "tls")]
pub use tls::{Accepted, HandshakeFailed};

/// What arrives. One virtual call per system call is what it costs that layers fit in.
pub type ReceiveHalf = Box<dyn AsyncRead + Send + Unpin>;
/// What is sent, likewise.
pub type SendHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions of a connection.
pub struct Transport {
    /// What arrives.
    pub receive: ReceiveHalf,
    /// What is sent.
    pub send: SendHalf,
}

impl Transport {
    /// The halves of a socket, without layers.
    pub fn new(
        receive: impl AsyncRead + Send + Unpin + 'static,
        send: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Transport {
        Transport {
            receive: Box::new(receive),
            send: Box::new(send),
        }
    }

    /// Compresses from here on, in both directions. `early` is what was received already, and belongs to the
    /// compressed stream.
    #[cfg(feature = "compression")]
    #[must_use]
    pub fn compress(self, compression: Compression, early: bytes::BytesMut) -> Transport {
        let (decoder, encoder) = codec::pair(compression);
        Transport {
            receive: Box::new(receive::Decompressed::new(self.receive, decoder, early)),
            send: Box::new(send::Compressed::new(self.send, encoder)),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}
