//! nsqd, ours or another one: its own bytes, so that no client library is measured.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use client::wire::{
    BODY_AT, Command, FRAME_HEADER_BYTES, HEARTBEAT, ID_AT, MAGIC_V2, NameRef, OK, put_publish_many,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Folder, Launch, Server, connect, free_address};
use super::{Grouping, MAX_IN_FLIGHT};
use crate::error::Error;

const RESPONSE: u32 = 0;
const MESSAGE: u32 = 2;
/// Bytes of a frame's type, which its size counts.
const TYPE_BYTES: usize = 4;
const READ_BYTES: usize = 256 * 1024;

/// What an nsqd has done with a message before it answers OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// It is in memory, and goes to disk when there are ten million others.
    Memory,
    /// It is in memory, and goes to disk when there are ten thousand others, as by default.
    Default,
    /// The kernel has it.
    Disk,
    /// The disk has it.
    Fsync,
    /// As another nsqd does it that is told to keep a million messages in memory.
    Peer,
}

impl Level {
    fn flag(self) -> &'static str {
        match self {
            Self::Memory => "--mem-queue-size=10000000",
            Self::Default => "--mem-queue-size=10000",
            Self::Disk => "--durability=disk",
            Self::Fsync => "--durability=fsync",
            // A Go nsqd reserves a slot for each in every channel.
            Self::Peer => "--mem-queue-size=1000000",
        }
    }
}

/// A running nsqd.
#[derive(Debug)]
pub(crate) struct Nsqd {
    server: Server,
    program: PathBuf,
    level: Level,
}

impl Nsqd {
    /// Starts the program over an empty folder.
    pub(crate) async fn start(program: &Path, level: Level, folder: Folder) -> Result<Self, Error> {
        let address = free_address()?;
        let arguments = vec![
            format!("--tcp-address={address}"),
            "--http-address=127.0.0.1:0".to_owned(),
            format!("--data-path={}", folder.data().display()),
            level.flag().to_owned(),
        ];
        let launch = Launch {
            program: program.to_owned(),
            arguments,
            address,
        };
        Ok(Self {
            server: Server::start(launch, folder).await?,
            program: program.to_owned(),
            level,
        })
    }
}

impl super::System for Nsqd {
    type Producer = Producer;
    type Consumer = Consumer;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn restart(self) -> Result<(Self, Duration), Error> {
        let folder = self.server.stop().await?;
        let start = Instant::now();
        let system = Self::start(&self.program, self.level, folder).await?;
        Ok((system, start.elapsed()))
    }

    async fn create(&self, topic: &str, channels: &[String]) -> Result<(), Error> {
        for channel in channels {
            let mut connection = Connection::open(self.server.address()).await?;
            connection.subscribe(topic, channel).await?;
            while connection.next_ok()?.is_none() {
                connection.fill().await?;
            }
        }
        Ok(())
    }

    async fn producer(&self, topic: &str) -> Result<Producer, Error> {
        Producer::connect(self.server.address(), topic).await
    }

    async fn consumer(&self, topic: &str, channel: &str) -> Result<Consumer, Error> {
        let mut connection = Connection::open(self.server.address()).await?;
        connection.subscribe(topic, channel).await?;
        let ready = format!("RDY {MAX_IN_FLIGHT}\n");
        connection.send(ready.as_bytes()).await?;
        Ok(Consumer {
            connection,
            answers: Vec::new(),
        })
    }
}

/// A connection that publishes.
#[derive(Debug)]
pub(crate) struct Producer {
    connection: Connection,
    topic: String,
    /// The answers that are still to come to each batch, the oldest first.
    unanswered: VecDeque<usize>,
}

impl Producer {
    /// Connects to whatever answers publishes.
    pub(super) async fn connect(to: SocketAddr, topic: &str) -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::open(to).await?,
            topic: topic.to_owned(),
            unanswered: VecDeque::new(),
        })
    }
}

/// Commands as they go over the wire, and how many answers they get.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    answers: usize,
}

impl super::Producer for Producer {
    type Batch = Batch;

    fn batch(&self, bodies: &[Bytes], grouping: Grouping) -> Batch {
        let topic = NameRef::parse(self.topic.as_bytes()).expect("workloads name topics well");
        let mut bytes = Vec::new();
        if grouping == Grouping::Command && bodies.len() > 1 {
            put_publish_many(&mut bytes, topic, bodies.iter().map(|body| &body[..]));
            return Batch { bytes, answers: 1 };
        }
        for body in bodies {
            Command::Publish { topic, body }.encode(&mut bytes);
        }
        Batch {
            bytes,
            answers: bodies.len(),
        }
    }

    async fn send(&mut self, batch: &Batch) -> Result<(), Error> {
        self.unanswered.push_back(batch.answers);
        self.connection.send(&batch.bytes).await
    }

    async fn confirmed(&mut self) -> Result<(), Error> {
        loop {
            while let Some(left) = self.unanswered.front_mut() {
                if *left == 0 {
                    self.unanswered.pop_front();
                    return Ok(());
                }
                if self.connection.next_ok()?.is_none() {
                    break;
                }
                *left -= 1;
            }
            self.connection.fill().await?;
        }
    }
}

/// A connection that has subscribed.
#[derive(Debug)]
pub(crate) struct Consumer {
    connection: Connection,
    answers: Vec<u8>,
}

impl super::Consumer for Consumer {
    async fn receive(&mut self, see: &mut (impl FnMut(&[u8]) + Send)) -> Result<usize, Error> {
        loop {
            let count = self.take_frames(see)?;
            if !self.answers.is_empty() {
                self.connection.send(&self.answers).await?;
                self.answers.clear();
            }
            if count > 0 {
                return Ok(count);
            }
            self.connection.fill().await?;
        }
    }
}

impl Consumer {
    /// Shows all messages that have been received, and prepares what to answer.
    fn take_frames(&mut self, see: &mut impl FnMut(&[u8])) -> Result<usize, Error> {
        let mut count = 0;
        let mut rest = &self.connection.received[..];
        while let Some((frame, after)) = split(rest)? {
            match frame {
                Frame::Message { id, body } => {
                    see(body);
                    self.answers.extend_from_slice(b"FIN ");
                    self.answers.extend_from_slice(id);
                    self.answers.push(b'\n');
                    count += 1;
                }
                Frame::Heartbeat => self.answers.extend_from_slice(b"NOP\n"),
                Frame::Ok => {}
            }
            rest = after;
        }
        let taken = self.connection.received.len() - rest.len();
        self.connection.received.advance(taken);
        Ok(count)
    }
}

/// A socket, and what came from it and is not looked at yet.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

impl Connection {
    async fn open(to: SocketAddr) -> Result<Self, Error> {
        let stream = connect(to).await.map_err(Error::io("connect to nsqd"))?;
        let mut connection = Self {
            stream,
            received: BytesMut::new(),
        };
        connection.send(&MAGIC_V2).await?;
        Ok(connection)
    }

    async fn subscribe(&mut self, topic: &str, channel: &str) -> Result<(), Error> {
        self.send(format!("SUB {topic} {channel}\n").as_bytes())
            .await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let sent = self.stream.write_all(bytes).await;
        sent.map_err(Error::io("send to nsqd"))
    }

    /// Waits until more has come.
    async fn fill(&mut self) -> Result<(), Error> {
        self.received.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.received).await;
        match read.map_err(Error::io("receive from nsqd"))? {
            0 => Err(Error::Unexpected("nsqd closed the connection".to_owned())),
            _ => Ok(()),
        }
    }

    /// Takes the next `OK`, if it is here. A heartbeat before it gets no answer: a run ends before nsqd would mind.
    fn next_ok(&mut self) -> Result<Option<()>, Error> {
        while let Some((frame, after)) = split(&self.received)? {
            let is_ok = matches!(frame, Frame::Ok);
            let taken = self.received.len() - after.len();
            self.received.advance(taken);
            if is_ok {
                return Ok(Some(()));
            }
        }
        Ok(None)
    }
}

/// What a load generator needs to know of a frame.
#[derive(Debug, PartialEq, Eq)]
enum Frame<'a> {
    Ok,
    Heartbeat,
    Message { id: &'a [u8], body: &'a [u8] },
}

/// The first frame and what is behind it, once all of it has come.
fn split(received: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, Error> {
    let Some((size, typed)) = received.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let bytes = FRAME_HEADER_BYTES - TYPE_BYTES + u32::from_be_bytes(*size) as usize;
    let (Some(kind), Some((frame, after))) =
        (typed.first_chunk::<4>(), received.split_at_checked(bytes))
    else {
        return Ok(None);
    };
    let data = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
    let frame = match u32::from_be_bytes(*kind) {
        MESSAGE if frame.len() >= BODY_AT => Frame::Message {
            id: &frame[ID_AT..BODY_AT],
            body: &frame[BODY_AT..],
        },
        RESPONSE if data == OK => Frame::Ok,
        RESPONSE if data == HEARTBEAT => Frame::Heartbeat,
        _ => return Err(Error::Unexpected(data.escape_ascii().to_string())),
    };
    Ok(Some((frame, after)))
}

#[cfg(test)]
mod tests {
    use client::wire::{ErrorCode, ErrorReply, MessageId, put_error, put_message, put_response};

    use super::*;

    #[test]
    fn frames_are_split_once_they_are_complete() {
        let mut bytes = Vec::new();
        put_message(&mut bytes, 1, 1, MessageId::from_u64(7), b"body");
        let message = bytes.len();
        put_response(&mut bytes, OK);
        for cut in 0..message {
            assert!(split(&bytes[..cut]).unwrap().is_none(), "cut at {cut}");
        }
        let (frame, after) = split(&bytes).unwrap().unwrap();
        let (id, body): (&[u8], &[u8]) = (b"0000000000000007", b"body");
        assert_eq!(frame, Frame::Message { id, body });
        assert_eq!(split(after).unwrap().unwrap().0, Frame::Ok);
    }

    #[test]
    fn a_refusal_is_an_error() {
        let mut bytes = Vec::new();
        put_error(&mut bytes, &ErrorReply::new(ErrorCode::Invalid, "no"));
        let error = split(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "unexpected answer: E_INVALID no");
    }
}
