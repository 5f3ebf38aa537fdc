//! A fake nsqd: does what a test tells it, and shows what it was told.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::consumer::{Consumer, ConsumerBuilder};
use crate::wire::{
    Command, CommandDecoder, Decoded, ErrorCode, ErrorReply, HEARTBEAT, IdentifyRequest, Limits,
    MAGIC_V2, MessageId, OK, put_error, put_message, put_response,
};

/// How long a test waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A consumer of `orders/billing` that tells little and answers fast.
pub(super) fn builder() -> ConsumerBuilder {
    Consumer::builder("orders".parse().unwrap(), "billing".parse().unwrap())
}

pub(super) struct Fake {
    listener: TcpListener,
}

impl Fake {
    pub(super) async fn bind() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Fake { listener }
    }

    pub(super) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Waits for a connection, and takes its magic.
    pub(super) async fn accept(&self) -> Peer {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let (mut stream, _) = accepted.expect("nobody connects").unwrap();
        stream.set_nodelay(true).unwrap();
        let mut magic = [0; MAGIC_V2.len()];
        stream.read_exact(&mut magic).await.unwrap();
        assert_eq!(magic, MAGIC_V2);
        let received = Vec::new();
        Peer { stream, received }
    }

    /// Waits for a connection, and lets it subscribe.
    pub(super) async fn subscribed(&self) -> Peer {
        self.subscribed_with(
            r#"{"max_rdy_count":2500,"msg_timeout":60000,"max_msg_timeout":900000}"#,
        )
        .await
    }

    /// As [`Fake::subscribed`], with this answer to IDENTIFY.
    pub(super) async fn subscribed_with(&self, settled: &str) -> Peer {
        let mut peer = self.accept().await;
        peer.identified(settled).await;
        peer.expect("SUB orders billing").await;
        peer.respond(OK).await;
        peer
    }

    /// Whether nobody connects for a while.
    pub(super) async fn is_left_alone(&self, duration: Duration) -> bool {
        timeout(duration, self.listener.accept()).await.is_err()
    }
}

/// The fake's end of a connection.
pub(super) struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    /// Takes IDENTIFY and answers it.
    pub(super) async fn identified(&mut self, settled: &str) -> IdentifyRequest {
        let next = self.next(|command| match command {
            Command::Identify { body } => IdentifyRequest::parse(body).unwrap(),
            other => panic!("{other:?} is not IDENTIFY"),
        });
        let request = next.await.expect("the connection ended before IDENTIFY");
        self.respond(settled.as_bytes()).await;
        request
    }

    /// The next command as text; `None` when the connection ends.
    pub(super) async fn command(&mut self) -> Option<String> {
        self.next(|command| {
            let mut bytes = Vec::new();
            command.encode(&mut bytes);
            String::from_utf8(bytes).unwrap().trim_end().to_owned()
        })
        .await
    }

    async fn next<T>(&mut self, read: impl FnOnce(Command<'_>) -> T) -> Option<T> {
        let mut decoder = CommandDecoder::default();
        loop {
            let outcome = decoder.decode(&self.received, &Limits::default(), |_| Ok(()));
            if let Decoded::Command { command, consumed } = outcome.unwrap() {
                let value = read(command);
                self.received.drain(..consumed);
                return Some(value);
            }
            let reading = self.stream.read_buf(&mut self.received);
            let count = timeout(PATIENCE, reading).await.expect("no command comes");
            if count.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    #[track_caller]
    pub(super) fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let command = self.command().await;
            assert_eq!(command.as_deref(), Some(expected), "at {caller}");
        }
    }

    /// Expects these commands, one after the other.
    pub(super) async fn expect_all<S: AsRef<str>>(&mut self, expected: &[S]) {
        for expected in expected {
            self.expect(expected.as_ref()).await;
        }
    }

    /// Expects nothing for a while.
    pub(super) async fn expect_silence(&mut self, duration: Duration) {
        if let Ok(command) = timeout(duration, self.command()).await {
            panic!("{command:?} instead of silence");
        }
    }

    /// Expects the end of the connection.
    pub(super) async fn expect_end(&mut self) {
        assert_eq!(self.command().await, None);
    }

    /// Hands out a message whose body is its number.
    pub(super) async fn send(&mut self, number: u64) {
        self.send_again(number, 1).await;
    }

    pub(super) async fn send_again(&mut self, number: u64, attempts: u16) {
        let body = number.to_string();
        let mut frame = Vec::new();
        put_message(
            &mut frame,
            1,
            attempts,
            MessageId::from_u64(number),
            body.as_bytes(),
        );
        self.write(&frame).await;
    }

    pub(super) async fn send_all(&mut self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            self.send(number).await;
        }
    }

    pub(super) async fn heartbeat(&mut self) {
        self.respond(HEARTBEAT).await;
    }

    pub(super) async fn respond(&mut self, data: &[u8]) {
        let mut frame = Vec::new();
        put_response(&mut frame, data);
        self.write(&frame).await;
    }

    pub(super) async fn refuse(&mut self, code: ErrorCode, text: &str) {
        let mut frame = Vec::new();
        put_error(&mut frame, &ErrorReply::new(code, text));
        self.write(&frame).await;
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}

/// FIN of a message that [`Peer::send`] handed out.
pub(super) fn fin(number: u64) -> String {
    format!("FIN {number:016x}")
}

/// REQ of one.
pub(super) fn req(number: u64, delay_ms: u64) -> String {
    format!("REQ {number:016x} {delay_ms}")
}

/// TOUCH of one.
pub(super) fn touch(number: u64) -> String {
    format!("TOUCH {number:016x}")
}
