//! Messages as they are printed, and which of them have been.

use std::io;

use client::wire::{Message, MessageId, TopicName};
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::base64;

/// How a message is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The body as it is.
    Body,
    /// `topic | body`
    TopicAndBody,
    /// One JSON object.
    Json,
}

/// Messages on their way to `to`, each with a newline after it.
pub(super) struct Output<W> {
    to: W,
    topic: TopicName,
    format: Format,
    buffer: Vec<u8>,
    /// How much of the buffer was taken.
    written: usize,
    /// The messages in the buffer.
    ids: Vec<MessageId>,
}

impl<W: AsyncWrite + Unpin> Output<W> {
    pub(super) fn new(to: W, topic: TopicName, format: Format) -> Output<W> {
        Output {
            to,
            topic,
            format,
            buffer: Vec::new(),
            written: 0,
            ids: Vec::new(),
        }
    }

    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Appends a message.
    pub(super) fn push(&mut self, message: &Message) {
        match self.format {
            Format::Body => self.buffer.extend_from_slice(&message.body),
            Format::TopicAndBody => {
                self.buffer
                    .extend_from_slice(self.topic.as_str().as_bytes());
                self.buffer.extend_from_slice(b" | ");
                self.buffer.extend_from_slice(&message.body);
            }
            Format::Json => self.push_json(message),
        }
        self.buffer.push(b'\n');
        self.ids.push(message.id);
    }

    /// Writes everything. Dropped halfway, the next call goes on where this one stopped.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        while self.written < self.buffer.len() {
            let count = self.to.write(&self.buffer[self.written..]).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.written += count;
        }
        self.to.flush().await?;
        self.buffer.clear();
        self.written = 0;
        Ok(())
    }

    /// The messages pushed since the last call: after [`Output::write`] all of them are written.
    pub(super) fn take_ids(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.ids)
    }

    fn push_json(&mut self, message: &Message) {
        let text = str::from_utf8(&message.body).ok();
        let line = Line {
            topic: &self.topic,
            id: message.id.to_string(),
            timestamp: message.timestamp_ns,
            attempts: message.attempts,
            body: text,
            body_base64: text.is_none().then(|| base64::encode(&message.body)),
        };
        serde_json::to_writer(&mut self.buffer, &line)
            .expect("strings and numbers are always JSON, and a Vec takes them");
    }
}

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a TopicName,
    id: String,
    timestamp: i64,
    attempts: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    async fn check(format: Format, body: &'static [u8], expected: &[u8]) {
        let topic = TopicName::parse("orders").unwrap();
        let mut output = Output::new(Vec::new(), topic, format);
        let message = Message {
            timestamp_ns: 1_700_000_000_000_000_001,
            attempts: 2,
            id: MessageId::from_u64(7),
            body: Bytes::from_static(body),
        };
        output.push(&message);
        output.push(&message);
        output.write().await.unwrap();
        assert_eq!(output.to, expected.repeat(2));
        assert_eq!(output.take_ids(), [message.id; 2]);
        assert!(output.is_empty());
    }

    #[tokio::test]
    async fn bodies_are_printed_byte_for_byte() {
        check(Format::Body, b"a\0\xff", b"a\0\xff\n").await;
        check(Format::TopicAndBody, b"a", b"orders | a\n").await;
    }

    #[tokio::test]
    async fn json_has_the_body_as_text_if_it_is_text() {
        let head = r#"{"topic":"orders","id":"0000000000000007","timestamp":1700000000000000001,"attempts":2,"#;
        let line = |tail: &str| format!("{head}{tail}\n").into_bytes();
        check(
            Format::Json,
            b"say \"hi\"",
            &line(r#""body":"say \"hi\""}"#),
        )
        .await;
        check(Format::Json, b"\xff\0", &line(r#""body_base64":"/wA="}"#)).await;
    }
}
