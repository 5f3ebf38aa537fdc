//! An nsqd that does what a test tells it to, one command at a time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{
    Command, CommandDecoder, Decoded, ErrorReply, Limits, MAGIC_V2, put_error, put_response,
};

/// Where connections come in.
#[derive(Debug)]
pub(super) struct Listener(TcpListener);

/// A connection of the producer.
#[derive(Debug)]
pub(super) struct Fake {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Listener {
    pub(super) async fn bind() -> Listener {
        Listener(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Accepts a connection and answers IDENTIFY as nsqds did before there was negotiation.
    pub(super) async fn accept(&self) -> Fake {
        let mut fake = self.accept_silently().await;
        assert_eq!(fake.command().await, "IDENTIFY");
        fake.ok().await;
        fake
    }

    /// Accepts a connection and reads the magic.
    pub(super) async fn accept_silently(&self) -> Fake {
        let (mut stream, _) = self.0.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut magic = [0; 4];
        stream.read_exact(&mut magic).await.unwrap();
        assert_eq!(magic, MAGIC_V2);
        let received = Vec::new();
        Fake { stream, received }
    }
}

impl Fake {
    /// Waits for a command, told as `PUB topic body`, `MPUB topic a,b`, `DPUB topic ms body` or its name.
    pub(super) async fn command(&mut self) -> String {
        self.try_command().await.expect("a command comes")
    }

    /// As `command`; `None` when the producer closed the connection.
    pub(super) async fn try_command(&mut self) -> Option<String> {
        let mut decoder = CommandDecoder::default();
        loop {
            let outcome = decoder.decode(&self.received, &Limits::default(), |_| Ok(()));
            if let Decoded::Command { command, consumed } = outcome.unwrap() {
                let text = tell(&command);
                self.received.drain(..consumed);
                return Some(text);
            }
            if self.stream.read_buf(&mut self.received).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Expects these commands.
    pub(super) async fn expect(&mut self, commands: &[&str]) {
        for command in commands {
            assert_eq!(self.command().await, *command);
        }
    }

    /// Expects these commands, and confirms each.
    pub(super) async fn confirm(&mut self, commands: &[&str]) {
        for command in commands {
            assert_eq!(self.command().await, *command);
            self.ok().await;
        }
    }

    /// Confirms everything until the producer closes the connection; returns what came.
    pub(super) async fn confirm_all(&mut self) -> Vec<String> {
        let mut commands = Vec::new();
        while let Some(command) = self.try_command().await {
            if command != "NOP" {
                self.ok().await;
                commands.push(command);
            }
        }
        commands
    }

    pub(super) async fn ok(&mut self) {
        self.respond(b"OK").await;
    }

    pub(super) async fn respond(&mut self, data: &[u8]) {
        let mut frame = Vec::new();
        put_response(&mut frame, data);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Refuses a command with this text. An nsqd closes the connection then: drop this.
    pub(super) async fn refuse(&mut self, text: &str) {
        let error = ErrorReply::parse(text.as_bytes()).expect("a code of NSQ");
        let mut frame = Vec::new();
        put_error(&mut frame, &error);
        self.stream.write_all(&frame).await.unwrap();
    }
}

fn tell(command: &Command<'_>) -> String {
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    match command {
        Command::Publish { topic, body } => format!("PUB {topic} {}", text(body)),
        Command::PublishDeferred { topic, delay, body } => {
            format!("DPUB {topic} {} {}", delay.as_millis(), text(body))
        }
        Command::PublishMany { topic, batch } => {
            let bodies: Vec<String> = batch.iter().map(text).collect();
            format!("MPUB {topic} {}", bodies.join(","))
        }
        other => other.kind().name().to_owned(),
    }
}
