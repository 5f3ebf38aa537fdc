//! An accepted connection, TCP or unix, in plain or in TLS, read and written alike.

use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::descriptors::{Part, part_of};
use crate::{tls::ServerConfig, transport::Transport};

/// A connection from a peer. TCP has no delay: each write is sent at once. A peer that has vanished without a word is
/// found out within 75 s, whether something is sent to it (by `TCP_USER_TIMEOUT`) or not (by keepalive).
#[derive(Debug)]
pub enum Stream {
    /// Over TCP, with the address of the peer.
    Tcp(TcpStream, SocketAddr),
    /// Over a unix socket.
    Unix(UnixStream),
    /// In TLS, over one of the others.
    Tls(Box<TlsStream<Stream>>),
}

impl Stream {
    pub(super) fn tcp(stream: TcpStream, peer: SocketAddr) -> Self {
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE)
            .with_retries(KEEPALIVE_RETRIES);
        let socket = socket2::SockRef::from(&stream);
        // They can fail only on a connection that is gone already, which the first read tells.
        let _ = stream.set_nodelay(true);
        let _ = socket.set_tcp_keepalive(&keepalive);
        let _ = socket.set_tcp_user_timeout(Some(GONE_AFTER));
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Self::Tcp(stream, peer)
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }

    /// Returns the peer as logs and stats show it: `ip:port`, or `@` on a unix socket.
    pub fn peer(&self) -> String {
        match self {
            Self::Tcp(_, peer) => peer.to_string(),
            Self::Unix(_) => "@".to_owned(),
            Self::Tls(stream) => stream.get_ref().0.peer(),
        }
    }

    /// Returns the IP address of the peer; a unix socket has none.
    pub fn peer_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, peer) => Some(peer.ip()),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.get_ref().0.peer_ip(),
        }
    }

    /// Which part of the file descriptors this one is in; asked when it is new.
    pub(super) fn part_of_descriptors(&self) -> Part {
        match self {
            Self::Tcp(stream, _) => part_of(stream),
            Self::Unix(stream) => part_of(stream),
            Self::Tls(stream) => stream.get_ref().0.part_of_descriptors(),
        }
    }

    /// Goes on in TLS, as the server. It has no deadline of its own.
    ///
    /// # Errors
    ///
    /// The peer does not do TLS, or not as `config` wants it.
    pub async fn accept_tls(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        let stream = TlsAcceptor::from(config).accept(self).await?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Takes it apart into what arrives and what is sent.
    pub fn into_transport(self) -> Transport {
        match self {
            Self::Tcp(stream, _) => {
                let (receive, send) = stream.into_split();
                Transport::new(receive, send)
            }
            Self::Unix(stream) => {
                let (receive, send) = stream.into_split();
                Transport::new(receive, send)
            }
            Self::Tls(stream) => {
                let (receive, send) = tokio::io::split(*stream);
                Transport::new(receive, send)
            }
        }
    }
}

/// Hands one poll over to whichever socket there is.
macro_rules! delegate {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp(socket, _) => {
                let $socket = Pin::new(socket);
                $call
            }
            Stream::Unix(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
            Stream::Tls(socket) => {
                let $socket = Pin::new(socket.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, socket => socket.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, socket => socket.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, socket => socket.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, socket => socket.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, socket => socket.poll_shutdown(context))
    }
}

/// The reference's keepalive: probing after 15 s of silence, and every 15 s.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;
/// As long as all probes of keepalive take. It holds too for a peer that is there and lets us send nothing.
const GONE_AFTER: Duration = Duration::from_secs(75);
