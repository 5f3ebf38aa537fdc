//! The connections of nsqds: accepting them, one task for each, with a deadline for what must come soon.
//!
//! | wait | longest | then |
//! | --- | --- | --- |
//! | for the magic | 10 s | closed |
//! | for the rest of a command | 10 s | closed |
//! | for a command, not identified | 60 s | closed |
//! | for a command, identified | no end | left out of answers meanwhile; TCP keepalive finds dead peers |
//! | for replies to be taken | 5 s | closed |

mod conversation;

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf as _, BytesMut};
use client::daemon::listen::{Listener, Refusals, Stream, no_room};
use client::wire::lookup::{CommandDecoder, MAGIC_V1, check_magic, put_error};
use client::wire::{ErrorCode, ErrorReply};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, info, warn};

use crate::directory::Directory;
use conversation::Conversation;

/// Accepts up to `connections_max` connections at a time (0 for any number) until `stopping` says so, and returns when the
/// last one has ended.
pub(crate) async fn serve(
    directory: Arc<Directory>,
    mut listener: Listener,
    connections_max: usize,
    mut stopping: watch::Receiver<bool>,
) {
    let address = listener.local_address();
    info!("TCP: listening on {address}");
    let mut sessions = JoinSet::new();
    let mut refusals = Refusals::default();
    let for_sessions = stopping.clone();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                // The ended ones first: there may be room again.
                while sessions.try_join_next().is_some() {}
                if let Some(reason) = no_room(&stream, sessions.len(), connections_max) {
                    refuse(&directory, &mut refusals, stream, &reason);
                    continue;
                }
                sessions.spawn(run(Arc::clone(&directory), stream, for_sessions.clone()));
            }
            _ = sessions.join_next(), if !sessions.is_empty() => {}
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    info!("TCP: closing {address}");
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

fn refuse(directory: &Directory, refusals: &mut Refusals, stream: Stream, reason: &str) {
    let mut frame = Vec::new();
    put_error(&mut frame, &ErrorReply::new(ErrorCode::Invalid, reason));
    refusals.refuse(stream, frame, reason);
    directory.metrics.refused(ErrorCode::Invalid);
}

/// One connection, from its first byte to its last.
async fn run(directory: Arc<Directory>, stream: Stream, mut stopping: watch::Receiver<bool>) {
    let _open = directory.metrics.connection();
    let peer = stream.peer();
    info!("TCP: new client({peer})");
    let mut session = Session::new(Arc::clone(&directory), stream);
    let end = tokio::select! {
        end = session.run() => end,
        _ = stopping.wait_for(|stopping| *stopping) => End::Stopping,
    };
    // What it registered is gone before it is told that it is over.
    let stream = session.into_stream();
    if let End::Refused(reply) = &end {
        warn!("[{peer}] - {reply}");
        directory.metrics.refused(reply.code);
        say_goodbye(stream, reply).await;
    } else {
        info!(reason = %end, "client({peer}) disconnected");
    }
}

/// Why a connection has ended.
#[derive(Debug, Error)]
enum End {
    #[error("closed by the peer")]
    Closed,
    #[error("{0}")]
    Refused(ErrorReply),
    #[error("{0}")]
    Lost(#[from] io::Error),
    #[error("{0} did not come in time")]
    Late(&'static str),
    #[error("stopping")]
    Stopping,
}

impl From<ErrorReply> for End {
    fn from(reply: ErrorReply) -> Self {
        Self::Refused(reply)
    }
}

/// One connection: its socket, its buffers, and the conversation over it.
#[derive(Debug)]
struct Session {
    stream: Stream,
    /// Received, and not consumed.
    input: BytesMut,
    /// To be sent.
    output: Vec<u8>,
    decoder: CommandDecoder,
    conversation: Conversation,
    /// Since when the next command is waited for, or the rest of it if its start is here.
    waiting_since: Instant,
}

impl Session {
    fn new(directory: Arc<Directory>, stream: Stream) -> Self {
        let conversation = Conversation::new(directory, stream.peer());
        Self {
            stream,
            input: BytesMut::new(),
            output: Vec::new(),
            decoder: CommandDecoder::default(),
            conversation,
            waiting_since: Instant::now(),
        }
    }

    /// Ends the conversation.
    fn into_stream(self) -> Stream {
        self.stream
    }

    async fn run(&mut self) -> End {
        let Err(end) = self.converse().await;
        end
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, End> {
        self.handshake().await?;
        loop {
            self.receive().await?;
            let answered = self.answer();
            // What was answered before an error is sent before the error.
            self.send().await?;
            answered?;
        }
    }

    async fn handshake(&mut self) -> Result<(), End> {
        let mut magic = [0; MAGIC_V1.len()];
        let read = timeout(MAGIC_TIMEOUT, self.stream.read_exact(&mut magic)).await;
        match read.map_err(|_| End::Late("the protocol magic"))? {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(End::Closed),
            read => read?,
        };
        debug!(
            "CLIENT({}): desired protocol magic '{}'",
            self.stream.peer(),
            magic.escape_ascii()
        );
        Ok(check_magic(magic)?)
    }

    /// Answers every command that is all there.
    fn answer(&mut self) -> Result<(), ErrorReply> {
        let mut consumed = 0;
        while let Some((command, bytes)) = self.decoder.decode(&self.input[consumed..])? {
            self.conversation.answer(&command, &mut self.output)?;
            consumed += bytes;
        }
        self.input.advance(consumed);
        if consumed > 0 {
            self.waiting_since = Instant::now();
        }
        Ok(())
    }

    /// Waits for bytes; memory is taken as they arrive, whatever a command has announced.
    async fn receive(&mut self) -> Result<(), End> {
        let at_rest = self.input.is_empty();
        if at_rest && self.input.capacity() > READ_BYTES {
            self.input = BytesMut::new();
        }
        self.input.reserve(READ_BYTES_MIN);
        let limit = self.patience(at_rest);
        let read = self.stream.read_buf(&mut self.input);
        let received = match limit {
            Some((limit, what)) => timeout_at(self.waiting_since + limit, read)
                .await
                .map_err(|_| End::Late(what))?,
            None => read.await,
        };
        if received? == 0 {
            let broken_off = self.decoder.truncated(&self.input);
            return Err(broken_off.map_or(End::Closed, End::Refused));
        }
        if at_rest {
            self.waiting_since = Instant::now();
        }
        Ok(())
    }

    /// How long may be waited, and for what.
    fn patience(&self, at_rest: bool) -> Option<(Duration, &'static str)> {
        if !at_rest {
            Some((COMMAND_TIMEOUT, "the rest of a command"))
        } else if !self.conversation.is_identified() {
            Some((IDENTIFY_TIMEOUT, "IDENTIFY"))
        } else {
            None
        }
    }

    async fn send(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let sent = timeout(SEND_TIMEOUT, self.stream.write_all(&self.output)).await;
        sent.map_err(|_| End::Late("room for replies"))??;
        self.output.clear();
        self.output.shrink_to(READ_BYTES);
        Ok(())
    }
}

/// Sends a last error, and reads on for a moment so that the peer gets to see it rather than a reset.
async fn say_goodbye(mut stream: Stream, error: &ErrorReply) {
    let mut frame = Vec::new();
    put_error(&mut frame, error);
    let goodbye = async {
        stream.write_all(&frame).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(DISCARD_BYTES_MAX);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // The peer may be gone; it was told all that could be told.
    let _ = timeout(LINGER, goodbye).await;
}

const MAGIC_TIMEOUT: Duration = Duration::from_secs(10);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
const IDENTIFY_TIMEOUT: Duration = Duration::from_mins(1);
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a peer that was refused may take to read why, and to stop sending.
const LINGER: Duration = Duration::from_millis(250);
/// How much of what such a peer still sends is thrown away.
const DISCARD_BYTES_MAX: u64 = 1 << 20;
/// What there is room for in every read, and what is kept between commands.
const READ_BYTES_MIN: usize = 1024;
const READ_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;
