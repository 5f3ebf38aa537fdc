//! One connection to an nsqlookupd: it says who this nsqd is, and then one batch of commands at a time.
//!
//! | wait | longest |
//! | --- | --- |
//! | for the address of a name | 5 s |
//! | for the connection | 1 s |
//! | for the replies to a batch | 5 s |

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use client::wire::ErrorReply;
use client::wire::lookup::{
    Command, LookupdInfo, MAGIC_V1, PeerInfo, Reply, ReplyDecoder, ReplyError,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::registrations::Step;

const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Short, so that a healed network is found soon (the reference's dial timeout).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Probes of the kernel tell within seconds that the peer's host was restarted.
const KEEPALIVE: Duration = Duration::from_secs(1);
const KEEPALIVE_PROBES: u32 = 10;
/// Largest reply. What an HTTP server answers looks like a size beyond it.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// Commands sent before their replies are read: their lines and replies fit in the kernel's buffers.
const BATCH_COMMANDS: usize = 256;

/// A connection that has said who this nsqd is.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    output: Vec<u8>,
}

/// Why a connection ended, or could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    /// From the system.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Something took too long.
    #[error("no {what} within {} s", .limit.as_secs())]
    Late {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// The peer closed the connection.
    #[error("closed by the peer")]
    Closed,
    /// Not the protocol of nsqlookupd.
    #[error("{0}; is this the TCP port of an nsqlookupd?")]
    Reply(#[from] ReplyError),
    /// A reply to no command.
    #[error("the peer sent what nobody asked for")]
    Unasked,
    /// The reply to IDENTIFY.
    #[error("IDENTIFY was not answered with JSON; is this the TCP port of an nsqlookupd?")]
    NotIdentified,
    /// A command was refused.
    #[error("refused: {0}")]
    Refused(ErrorReply),
}

impl Connection {
    /// Connects to `address` (`host:port`), and tells it `about` this nsqd; returns what it told about itself.
    pub(super) async fn open(
        address: &str,
        about: &PeerInfo,
    ) -> Result<(Self, LookupdInfo), PeerError> {
        let mut connection = Self {
            stream: connect(address).await?,
            input: BytesMut::new(),
            output: MAGIC_V1.to_vec(),
        };
        let body = about.to_json();
        Command::Identify { body: &body }.encode(&mut connection.output);
        let reply = within("reply", REPLY_TIMEOUT, connection.identify()).await?;
        let Reply::Data(reply) = reply else {
            return Err(PeerError::NotIdentified);
        };
        let info = LookupdInfo::parse(&reply).map_err(|_| PeerError::NotIdentified)?;
        Ok((connection, info))
    }

    async fn identify(&mut self) -> Result<Reply, PeerError> {
        self.write().await?;
        self.reply().await
    }

    /// Sends the steps, in order, and waits until all were accepted.
    pub(super) async fn send(&mut self, steps: &[Step]) -> Result<(), PeerError> {
        for batch in steps.chunks(BATCH_COMMANDS) {
            self.ask(batch.iter().map(Step::command)).await?;
        }
        Ok(())
    }

    /// Says that this nsqd is alive.
    pub(super) async fn ping(&mut self) -> Result<(), PeerError> {
        self.ask([Command::Ping].into_iter()).await
    }

    /// Waits until the peer closes the connection, or breaks the protocol.
    pub(super) async fn end(&mut self) -> PeerError {
        if !self.input.is_empty() {
            return PeerError::Unasked;
        }
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => PeerError::Closed,
            Ok(_) => PeerError::Unasked,
            Err(error) => error.into(),
        }
    }

    async fn ask<'a>(
        &mut self,
        commands: impl ExactSizeIterator<Item = Command<'a>>,
    ) -> Result<(), PeerError> {
        let count = commands.len();
        commands.for_each(|command| command.encode(&mut self.output));
        let replies = async {
            self.write().await?;
            for _ in 0..count {
                self.reply().await?;
            }
            Ok(())
        };
        within("reply", REPLY_TIMEOUT, replies).await
    }

    async fn write(&mut self) -> Result<(), PeerError> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        Ok(())
    }

    /// The next reply that is not a refusal; what it says is of no interest but to IDENTIFY.
    async fn reply(&mut self) -> Result<Reply, PeerError> {
        let decoder = ReplyDecoder::new(REPLY_BYTES_MAX);
        loop {
            match decoder.decode(&mut self.input)? {
                Some(Reply::Error(error)) => return Err(PeerError::Refused(error)),
                Some(reply) => return Ok(reply),
                None => {}
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(PeerError::Closed);
            }
        }
    }
}

async fn connect(address: &str) -> Result<TcpStream, PeerError> {
    let resolving = async { Ok(lookup_host(address).await?) };
    let found: Vec<_> = within("address", RESOLVE_TIMEOUT, resolving)
        .await?
        .collect();
    let connecting = async { Ok(TcpStream::connect(&found[..]).await?) };
    let stream = within("connection", CONNECT_TIMEOUT, connecting).await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

async fn within<T>(
    what: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let done = timeout(limit, work).await;
    done.unwrap_or(Err(PeerError::Late { what, limit }))
}

#[cfg(test)]
mod tests;
