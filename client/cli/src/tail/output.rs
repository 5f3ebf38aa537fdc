//! How a message is printed.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use client::consumer::Message;
use client::wire::{MessageId, TopicName};
use serde::Serialize;

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The body as it is.
    Body,
    /// `topic | body`
    TopicAndBody,
    /// One JSON object.
    Json,
}

/// What is printed of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printable<'a> {
    topic: &'a TopicName,
    id: MessageId,
    timestamp_ns: i64,
    attempts: u16,
    body: &'a [u8],
}

impl<'a> From<&'a Message> for Printable<'a> {
    fn from(message: &'a Message) -> Printable<'a> {
        Printable {
            topic: message.topic(),
            id: message.id(),
            timestamp_ns: message.timestamp_ns(),
            attempts: message.attempts(),
            body: message.body(),
        }
    }
}

impl Printable<'_> {
    /// Appends it to `text`, with a newline after it.
    pub(super) fn append(&self, format: Format, text: &mut Vec<u8>) {
        match format {
            Format::Body => text.extend_from_slice(self.body),
            Format::TopicAndBody => {
                text.extend_from_slice(self.topic.as_str().as_bytes());
                text.extend_from_slice(b" | ");
                text.extend_from_slice(self.body);
            }
            Format::Json => self.append_json(text),
        }
        text.push(b'\n');
    }

    fn append_json(&self, text: &mut Vec<u8>) {
        let body = str::from_utf8(self.body).ok();
        let line = Line {
            topic: self.topic,
            id: self.id.to_string(),
            timestamp: self.timestamp_ns,
            attempts: self.attempts,
            body,
            body_base64: body.is_none().then(|| BASE64_STANDARD.encode(self.body)),
        };
        serde_json::to_writer(text, &line)
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
    use super::*;

    fn check(format: Format, body: &[u8], expected: &[u8]) {
        let topic = TopicName::parse("orders").unwrap();
        let message = Printable {
            topic: &topic,
            id: MessageId::from_u64(7),
            timestamp_ns: 1_700_000_000_000_000_001,
            attempts: 2,
            body,
        };
        let mut text = Vec::new();
        message.append(format, &mut text);
        message.append(format, &mut text);
        assert_eq!(text, expected.repeat(2));
    }

    #[test]
    fn bodies_are_printed_byte_for_byte() {
        check(Format::Body, b"a\0\xff", b"a\0\xff\n");
        check(Format::TopicAndBody, b"a", b"orders | a\n");
    }

    #[test]
    fn json_has_the_body_as_text_if_it_is_text() {
        let head = r#"{"topic":"orders","id":"0000000000000007","timestamp":1700000000000000001,"attempts":2,"#;
        let line = |tail: &str| format!("{head}{tail}\n").into_bytes();
        let text = line(r#""body":"say \"hi\""}"#);
        check(Format::Json, b"say \"hi\"", &text);
        check(Format::Json, b"\xff\0", &line(r#""body_base64":"/wA="}"#));
    }
}
