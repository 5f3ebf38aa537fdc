//! One connection to an nsqd: connect, handshake, then frames in and commands out.
//!
//! ```text
//! connect ─▶ magic ─▶ IDENTIFY ─▶ [TLS] ─▶ [snappy, deflate] ─▶ [AUTH] ─▶ Connection ── split ──▶ Reader   frames
//!            └─────────────────── within `timeout` ──────────────────┘                     └──▶ Writer   commands
//! ```
//!
//! Nothing in here retries, counts or remembers messages: it is the base on which producers and
//! consumers stand.
//!
//! **Heartbeats.** [`Connection::next_frame`] answers them itself and never returns one. After
//! [`Connection::split`] the owner of the halves does: [`is_heartbeat`] frames want any command
//! within the interval, [`Command::Nop`] if there is nothing else to say.
//!
//! **Cancellation.** Every future of the halves may be dropped at any `.await`: what was received,
//! and what was not yet sent, stays in their buffers. They fit in a `select!`.

mod address;
mod error;
mod options;
mod reader;
mod secret;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls_mode;
#[cfg(any(feature = "tls", feature = "compression"))]
mod upgrade;
mod writer;

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};

use crate::transport::Transport;
use crate::wire::{
    Command, Frame, HEARTBEAT, IdentifyResponse, Limits, MAGIC_V2, NameRef, OK as OK_RESPONSE,
};

pub use address::{Address, AddressError};
pub use error::{ConnectError, ConnectionError};
pub use options::ConnectOptions;
pub use reader::Reader;
pub use secret::SecretProvider;
#[cfg(feature = "tls")]
pub use tls_mode::{TlsClient, TlsMode};
pub use writer::Writer;

/// A connection that has said who it is.
#[derive(Debug)]
pub struct Connection {
    reader: Reader,
    writer: Writer,
    settled: IdentifyResponse,
}

impl Connection {
    /// Connects, and settles with the nsqd what holds for this connection.
    ///
    /// # Errors
    /// Nobody listens, the handshake was refused, or all of it took longer than
    /// [`ConnectOptions::timeout`].
    pub async fn connect(
        address: &Address,
        options: &ConnectOptions,
    ) -> Result<Connection, ConnectError> {
        tokio::time::timeout(options.timeout, handshake(address, options))
            .await
            .unwrap_or(Err(ConnectionError::TimedOut(options.timeout)))
            .map_err(|cause| ConnectError {
                address: address.clone(),
                cause,
            })
    }

    /// What the nsqd answered to IDENTIFY. One that knows no negotiation gives the defaults.
    pub fn settled(&self) -> &IdentifyResponse {
        &self.settled
    }

    /// Waits for the next frame that is not a heartbeat; those are answered. What was written and
    /// not flushed is sent before waiting, so the answers to all frames of a read leave together.
    ///
    /// # Errors
    /// As [`Reader::next_frame`] and [`Writer::flush`].
    pub async fn next_frame(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            match self.reader.received_frame()? {
                Some(frame) if is_heartbeat(&frame) => self.writer.write(&Command::Nop),
                Some(frame) => return Ok(frame),
                None => {
                    self.writer.flush().await?;
                    self.reader.receive().await?;
                }
            }
        }
    }

    /// Sends a command and waits for its response. Only for commands which have one, and while no
    /// messages are to be expected.
    ///
    /// # Errors
    /// [`ConnectionError::Refused`] with the nsqd's text, or the connection is lost.
    pub async fn request(&mut self, command: &Command<'_>) -> Result<Bytes, ConnectionError> {
        self.writer.write(command);
        self.response().await
    }

    async fn response(&mut self) -> Result<Bytes, ConnectionError> {
        loop {
            match self.next_frame().await? {
                Frame::Response(data) => return Ok(data),
                Frame::Error(error) => return Err(ConnectionError::Refused(error.to_string())),
                Frame::UnknownError(text) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(ConnectionError::Refused(text));
                }
                Frame::Message(_) => return Err(ConnectionError::Unexpected("a message")),
                Frame::Unknown { .. } => {}
            }
        }
    }

    /// Becomes a consumer. Messages come once [`Command::Ready`] was sent.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub async fn subscribe(
        &mut self,
        topic: NameRef<'_>,
        channel: NameRef<'_>,
    ) -> Result<(), ConnectionError> {
        let response = self.request(&Command::Subscribe { topic, channel }).await?;
        if *response == *OK_RESPONSE {
            Ok(())
        } else {
            Err(ConnectionError::Unexpected("a response other than OK"))
        }
    }

    /// The half that sends.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// The halves, to be used at the same time. Heartbeats are then the caller's.
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

/// Whether the frame asks for a sign of life.
pub fn is_heartbeat(frame: &Frame) -> bool {
    matches!(frame, Frame::Response(data) if **data == *HEARTBEAT)
}

async fn handshake(
    address: &Address,
    options: &ConnectOptions,
) -> Result<Connection, ConnectionError> {
    let body = options.request()?.to_json();
    let transport = open(address, options.local_address)
        .await
        .map_err(ConnectionError::Connect)?;
    let mut connection = Connection {
        reader: Reader::new(transport.receive, options.max_frame_bytes),
        writer: Writer::new(transport.send),
        settled: IdentifyResponse::default(),
    };
    connection.writer.write_encoded(&MAGIC_V2);
    let response = connection
        .request(&Command::Identify { body: &body })
        .await?;
    connection.settled = settled(&response)?;
    #[cfg(any(feature = "tls", feature = "compression"))]
    let mut connection = connection.upgrade(address, options).await?;
    if connection.settled.auth_required {
        let secret = options.secret().await?;
        let authorized = connection.request(&Command::Auth { secret: &secret }).await;
        authorized.map_err(|error| match error {
            ConnectionError::Refused(text) if options.auth_provider.is_some() => {
                ConnectionError::SecretRefused(text)
            }
            error => error,
        })?;
    }
    Ok(connection)
}

fn settled(response: &[u8]) -> Result<IdentifyResponse, ConnectionError> {
    if response == OK_RESPONSE {
        return Ok(IdentifyResponse {
            max_rdy_count: Limits::default().max_rdy_count,
            ..IdentifyResponse::default()
        });
    }
    serde_json::from_slice(response)
        .map_err(|_| ConnectionError::Unexpected("an answer to IDENTIFY that is not its JSON"))
}

async fn open(address: &Address, local: Option<SocketAddr>) -> io::Result<Transport> {
    match address {
        Address::Tcp(host_and_port) => {
            let stream = match local {
                None => TcpStream::connect(host_and_port.as_str()).await?,
                Some(local) => connect_from(local, host_and_port).await?,
            };
            stream.set_nodelay(true)?;
            let (receive, send) = stream.into_split();
            Ok(Transport::new(receive, send))
        }
        Address::Unix(path) => {
            let (receive, send) = UnixStream::connect(path).await?.into_split();
            Ok(Transport::new(receive, send))
        }
    }
}

/// Connects from an address of this host to the first of the peer's that takes it.
async fn connect_from(local: SocketAddr, peer: &str) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for peer in lookup_host(peer).await? {
        let socket = match peer {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        let connected = match socket.bind(local) {
            Ok(()) => socket.connect(peer).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
