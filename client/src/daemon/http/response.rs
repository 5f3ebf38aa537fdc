//! What is answered, in the form that NSQ's tools expect ("V1" responses).
//!
//! | answer | body | content type |
//! | --- | --- | --- |
//! | text | raw bytes | `text/plain; charset=utf-8` |
//! | nothing | empty | none |
//! | data | compact JSON | `application/json; charset=utf-8` |
//! | error | `{"message":"CODE"}` | the same |
//!
//! All carry `X-Nsq-Content-Type: nsq; version=1.0`, without which the Go client takes JSON for something older;
//! only [`Response::plain`] does not.

use std::io;

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::mpsc;

use super::body::Body;

/// An answer: complete in memory, or a stream that others go on writing to.
#[derive(Debug)]
pub struct Response(pub(super) hyper::Response<Body>);

impl Response {
    /// Returns 200 with text or bytes: the `OK` of `/pub`, the value of `/config/log_level`.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::v1(body.into(), Some(TEXT))
    }

    /// Returns 200 with an empty body.
    pub fn empty() -> Self {
        Self::v1(Bytes::new(), None)
    }

    /// Returns 200 with `data` as compact JSON; `<`, `>` and `&` in strings are written as `\u003c` and so on.
    ///
    /// # Panics
    ///
    /// `data` cannot be JSON: a map whose keys are no strings, or a `Serialize` of its own that fails.
    pub fn json(data: &impl Serialize) -> Self {
        let mut body = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut body, EscapedForHtml);
        data.serialize(&mut serializer)
            .expect("API types have string keys and cannot fail");
        Self::v1(body.into(), Some(JSON))
    }

    /// Returns an error: `status` with `{"message":"CODE"}`.
    pub fn error(status: StatusCode, code: &str) -> Self {
        Self::json(&serde_json::json!({ "message": code })).with_status(status)
    }

    /// Returns 200 with text and without NSQ's own header, as `/ping` answers.
    pub fn plain(text: &str) -> Self {
        let mut response = Self::text(text.to_owned());
        response.0.headers_mut().remove(NSQ_CONTENT_TYPE);
        response
    }

    /// Returns 200 with whatever comes out of `parts`, as soon as it does, until its senders are gone; then the
    /// connection is closed. The client that does not read is cut off when nothing could be written to it for
    /// [`Limits::idle_timeout`](super::Limits::idle_timeout); so send something now and then.
    pub fn stream(parts: mpsc::Receiver<Bytes>, content_type: HeaderValue) -> Self {
        let response = hyper::Response::new(Body::Stream(parts));
        Self(response)
            .with_header(CONTENT_TYPE, content_type)
            .with_header(CONNECTION, HeaderValue::from_static("close"))
    }

    /// True if the answer has no end of its own.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.0.body(), Body::Stream(_))
    }

    /// Replaces the status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    /// Sets a header, in place of one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    fn v1(body: Bytes, content_type: Option<HeaderValue>) -> Self {
        let mut response = hyper::Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(
            NSQ_CONTENT_TYPE,
            HeaderValue::from_static("nsq; version=1.0"),
        );
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        Self(response)
    }
}

/// A request that is refused: its status, and the code that tools look at.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{status}: {code}")]
pub struct HttpError {
    /// The status, 4xx or 5xx.
    pub status: StatusCode,
    /// The `message` of the body, in capitals: `TOPIC_NOT_FOUND`.
    pub code: &'static str,
}

impl HttpError {
    /// 500 `INTERNAL_ERROR`: our fault.
    pub const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR");

    /// Returns an error with any status.
    pub const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code }
    }

    /// Returns a 400: the request is wrong.
    pub const fn bad_request(code: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code)
    }

    /// Returns a 404: what the request names does not exist.
    pub const fn not_found(code: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code)
    }
}

impl From<HttpError> for Response {
    fn from(error: HttpError) -> Self {
        Self::error(error.status, error.code)
    }
}

/// JSON as Go writes it: harmless when a browser takes it for HTML.
struct EscapedForHtml;

impl serde_json::ser::Formatter for EscapedForHtml {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let is_special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some(at) = rest.find(is_special) {
            let (before, special) = rest.split_at(at);
            let character = special.chars().next().expect("found above");
            write!(writer, "{before}\\u{:04x}", u32::from(character))?;
            rest = &special[character.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// The reference's mark of an answer without the envelope of its early versions.
const NSQ_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-nsq-content-type");
