//! A peer that speaks the NSQ protocol byte by byte, and says wrong things when a test wants it.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wait::PATIENCE;

/// The four bytes every connection starts with.
pub const MAGIC: &[u8] = b"  V2";

/// How soon a message comes that nothing holds back.
const DELIVERY: Duration = Duration::from_millis(60);

/// One frame from nsqd.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// Type 0: `OK`, `CLOSE_WAIT`, `_heartbeat_`, or JSON.
    Response(String),
    /// Type 1: a code and its description.
    Error(String),
    /// Type 2.
    Message(Message),
}

/// A message as it was delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// When nsqd accepted it: nanoseconds since the Unix epoch.
    pub timestamp: i64,
    /// How often its channel handed it out, this time included.
    pub attempts: u16,
    /// 16 lowercase hex digits.
    pub id: String,
    /// What the producer sent.
    pub body: Vec<u8>,
}

impl Message {
    /// The body as text, for messages that a test made from text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("tests that ask for text publish text")
    }
}

/// One connection to an nsqd.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    /// Connects and sends the magic.
    pub fn connect(to: SocketAddr) -> Self {
        let mut peer = Self::silent(to);
        peer.send(MAGIC);
        peer
    }

    /// As [`Peer::connect`], to an nsqd that may be down.
    pub fn try_connect(to: SocketAddr) -> io::Result<Self> {
        let mut peer = Self::try_silent(to)?;
        peer.send(MAGIC);
        Ok(peer)
    }

    /// Connects and sends nothing.
    pub fn silent(to: SocketAddr) -> Self {
        Self::try_silent(to).expect("nsqd listens")
    }

    fn try_silent(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends these bytes as they are. A connection that nsqd has closed is no error here: what nsqd said
    /// before is what the test reads next.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Says that nothing more will be sent; answers can still be read.
    pub fn end_sending(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next frame, heartbeats included; fails when none comes.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        self.frame_within(PATIENCE)
            .unwrap_or_else(|end| panic!("no frame came: {end:?}"))
    }

    /// The next frame if one comes within this time.
    ///
    /// # Errors
    ///
    /// When nsqd closed the connection, or sent nothing.
    #[track_caller]
    pub fn frame_within(&mut self, bound: Duration) -> Result<Frame, End> {
        let deadline = Instant::now() + bound;
        while frame_bytes(&self.received).is_none() {
            self.receive(deadline)?;
        }
        let bytes = frame_bytes(&self.received).expect("looped until a frame is whole");
        let frame = parse(&self.received[4..bytes]);
        self.received.drain(..bytes);
        Ok(frame)
    }

    fn receive(&mut self, deadline: Instant) -> Result<(), End> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(End::Silent);
        }
        self.stream
            .set_read_timeout(Some(left))
            .expect("the bound is not zero");
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.received.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(End::Silent)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(End::Closed),
        }
    }

    /// The next frame that is not a heartbeat. Heartbeats on the way are answered.
    #[track_caller]
    fn frame_of_interest(&mut self) -> Frame {
        loop {
            match self.frame() {
                Frame::Response(text) if text == "_heartbeat_" => self.send("NOP\n"),
                frame => return frame,
            }
        }
    }

    /// The next frame, which must be a response.
    #[track_caller]
    pub fn response(&mut self) -> String {
        match self.frame_of_interest() {
            Frame::Response(text) => text,
            other => panic!("expected a response, got {other:?}"),
        }
    }

    /// The next frame, which must be an error.
    #[track_caller]
    pub fn error(&mut self) -> String {
        match self.frame_of_interest() {
            Frame::Error(text) => text,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// The next frame, which must be a message.
    #[track_caller]
    pub fn message(&mut self) -> Message {
        match self.frame_of_interest() {
            Frame::Message(message) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// The next frames, which must be so many messages.
    #[track_caller]
    pub fn messages(&mut self, count: usize) -> Vec<Message> {
        (0..count).map(|_| self.message()).collect()
    }

    /// So many messages, each finished as it comes.
    #[track_caller]
    pub fn consume(&mut self, count: usize) -> Vec<Message> {
        let consume = |_| {
            let message = self.message();
            self.finish(&message);
            message
        };
        (0..count).map(consume).collect()
    }

    /// Reads `OK`.
    #[track_caller]
    pub fn expect_ok(&mut self) {
        assert_eq!(self.response(), "OK");
    }

    /// Reads the end of the connection; a frame before it is a failure.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        assert_eq!(self.frame_within(PATIENCE), Err(End::Closed));
    }

    /// Fails when a frame comes. Everything sent before has been handled by then: a publish to another topic, which
    /// is answered, proves it. A delivery may follow the answer, so there is a short wait for one.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        self.publish("expect_nothing", ".");
        assert_eq!(self.frame_within(DELIVERY), Err(End::Silent));
    }

    /// IDENTIFY with feature negotiation and these fields besides; the answer as JSON.
    #[track_caller]
    pub fn identify(&mut self, fields: &Value) -> Value {
        let mut body = fields.clone();
        body["feature_negotiation"] = true.into();
        self.send(with_body("IDENTIFY", body.to_string()));
        serde_json::from_str(&self.response()).expect("the answer to a negotiation is JSON")
    }

    /// SUB, which must succeed.
    #[track_caller]
    pub fn subscribe(&mut self, topic: &str, channel: &str) {
        self.send(format!("SUB {topic} {channel}\n"));
        self.expect_ok();
    }

    /// PUB, which must succeed.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, body: impl AsRef<[u8]>) {
        self.send(with_body(&format!("PUB {topic}"), body));
        self.expect_ok();
    }

    /// DPUB, which must succeed.
    #[track_caller]
    pub fn publish_deferred(&mut self, topic: &str, delay_ms: u64, body: impl AsRef<[u8]>) {
        self.send(with_body(&format!("DPUB {topic} {delay_ms}"), body));
        self.expect_ok();
    }

    /// MPUB, which must succeed.
    #[track_caller]
    pub fn publish_many<B: AsRef<[u8]>>(&mut self, topic: &str, bodies: &[B]) {
        self.send(with_body(&format!("MPUB {topic}"), batch(bodies)));
        self.expect_ok();
    }

    /// RDY.
    pub fn ready(&mut self, count: u64) {
        self.send(format!("RDY {count}\n"));
    }

    /// FIN.
    pub fn finish(&mut self, message: &Message) {
        self.send(format!("FIN {}\n", message.id));
    }

    /// FIN for many, in one write.
    pub fn finish_all(&mut self, messages: &[Message]) {
        let mut lines = String::new();
        for message in messages {
            writeln!(lines, "FIN {}", message.id).expect("a String takes everything");
        }
        self.send(lines);
    }

    /// REQ.
    pub fn requeue(&mut self, message: &Message, delay_ms: u64) {
        self.send(format!("REQ {} {delay_ms}\n", message.id));
    }

    /// TOUCH.
    pub fn touch(&mut self, message: &Message) {
        self.send(format!("TOUCH {}\n", message.id));
    }
}

/// Why there was no frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// nsqd closed the connection.
    Closed,
    /// Nothing came in the time allowed.
    Silent,
}

/// A command line, and the body behind its length.
pub fn with_body(line: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_bytes(), b"\n", &sized(body)].concat()
}

/// The body of an MPUB: a count, then each message behind its length.
pub fn batch<B: AsRef<[u8]>>(bodies: &[B]) -> Vec<u8> {
    let mut bytes = length(bodies.len()).to_vec();
    for body in bodies {
        bytes.extend(sized(body));
    }
    bytes
}

/// Bytes behind their length.
pub fn sized(body: impl AsRef<[u8]>) -> Vec<u8> {
    [&length(body.as_ref().len()), body.as_ref()].concat()
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count)
        .expect("tests send less than 4 GiB")
        .to_be_bytes()
}

/// How many bytes the first frame takes, once all of it is there.
fn frame_bytes(received: &[u8]) -> Option<usize> {
    let size = received.first_chunk::<4>()?;
    let bytes = 4 + u32::from_be_bytes(*size) as usize;
    (received.len() >= bytes).then_some(bytes)
}

/// Parses what follows the size of a frame.
#[track_caller]
fn parse(frame: &[u8]) -> Frame {
    let (kind, data) = frame.split_first_chunk::<4>().expect("a frame has a type");
    match u32::from_be_bytes(*kind) {
        0 => Frame::Response(String::from_utf8_lossy(data).into_owned()),
        1 => Frame::Error(String::from_utf8_lossy(data).into_owned()),
        2 => Frame::Message(parse_message(data)),
        other => panic!("unknown frame type {other}"),
    }
}

#[track_caller]
fn parse_message(data: &[u8]) -> Message {
    let (timestamp, rest) = data
        .split_first_chunk::<8>()
        .expect("a message has a timestamp");
    let (attempts, rest) = rest
        .split_first_chunk::<2>()
        .expect("a message has attempts");
    let (id, body) = rest.split_first_chunk::<16>().expect("a message has an id");
    Message {
        timestamp: i64::from_be_bytes(*timestamp),
        attempts: u16::from_be_bytes(*attempts),
        id: String::from_utf8(id.to_vec()).expect("an id is ASCII"),
        body: body.to_vec(),
    }
}
