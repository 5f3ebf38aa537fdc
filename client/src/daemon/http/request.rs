//! What was asked: path, query and body, each checked as it is asked for.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    body::{Body as _, Incoming},
    http::request::Parts,
};
use thiserror::Error;

use super::HttpError;

/// A request whose head is complete; the body is read on demand.
#[derive(Debug)]
pub struct Request {
    head: Parts,
    body: Incoming,
    body_timeout: Duration,
    peer: Arc<Peer>,
    tail: String,
}

/// Who is at the other end of the connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) text: String,
    pub(super) ip: Option<IpAddr>,
}

impl Request {
    pub(super) fn new(
        request: hyper::Request<Incoming>,
        peer: Arc<Peer>,
        body_timeout: Duration,
    ) -> Self {
        let (head, body) = request.into_parts();
        Self {
            head,
            body,
            body_timeout,
            peer,
            tail: String::new(),
        }
    }

    pub(super) fn set_tail(&mut self, tail: String) {
        self.tail = tail;
    }

    /// Returns the method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// Returns path and query as they were sent.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Returns what follows the prefix of a route such as `/config/*`, undecoded; empty for other routes.
    pub fn tail(&self) -> &str {
        &self.tail
    }

    /// Returns the peer as logs show it: `ip:port`, or `@` on a unix socket.
    pub fn peer(&self) -> &str {
        &self.peer.text
    }

    /// Returns the IP address of the peer; a unix socket has none.
    pub fn peer_ip(&self) -> Option<IpAddr> {
        self.peer.ip
    }

    /// Returns the arguments of the query.
    ///
    /// # Errors
    ///
    /// 400 `INVALID_REQUEST`: a bad `%` escape, or a `;`.
    pub fn query(&self) -> Result<Query, HttpError> {
        Query::parse(self.head.uri.query().unwrap_or_default())
            .ok_or(HttpError::bad_request("INVALID_REQUEST"))
    }

    /// Returns the length of the body as announced; a chunked body announces none.
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Reads the body, of at most `limit` bytes. Memory is taken as bytes arrive, not as they are announced.
    ///
    /// # Errors
    ///
    /// The body is longer (known before reading it, if its length is announced), is not complete within
    /// [`Limits::body_timeout`](super::Limits::body_timeout), or cannot be read.
    pub async fn body(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        if self
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(BodyError::TooLarge { limit });
        }
        let timeout = self.body_timeout;
        let read = tokio::time::timeout(timeout, read_body(&mut self.body, limit));
        read.await.unwrap_or(Err(BodyError::TimedOut { timeout }))
    }
}

async fn read_body(body: &mut Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers carry nothing that we use.
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if data.len() > limit - collected.len() {
            return Err(BodyError::TooLarge { limit });
        }
        if collected.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

/// Why there is no body.
#[derive(Debug, Error)]
pub enum BodyError {
    /// Longer than the handler allows.
    #[error("body is longer than the {limit} bytes allowed")]
    TooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
    /// Not complete in time.
    #[error("body did not arrive within {timeout:?}")]
    TimedOut {
        /// The time allowed.
        timeout: Duration,
    },
    /// The connection broke, or the chunks are malformed.
    #[error("body cannot be read")]
    Unreadable(#[from] hyper::Error),
}

impl BodyError {
    /// Returns the answer: 413 with `too_large` as its code, 408 `REQUEST_TIMEOUT`, or 500 `INTERNAL_ERROR`.
    pub fn answer(&self, too_large: &'static str) -> HttpError {
        match self {
            Self::TooLarge { .. } => HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, too_large),
            Self::TimedOut { .. } => HttpError::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            Self::Unreadable(_) => HttpError::INTERNAL,
        }
    }
}

/// The arguments of a query, decoded. Of a repeated name the first value counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Returns the value of `name`; an argument without a value (`?topic`, `?topic=`) is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(known, _)| known == name);
        first.map(|(_, value)| value.as_str())
    }

    /// Returns the decoded arguments, or `None` where the reference refuses the query: for a bad `%` escape, or a `;`.
    pub fn parse(query: &str) -> Option<Self> {
        let escapes = query.split('%').skip(1);
        let is_escape =
            |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
        if query.contains(';') || !escapes.into_iter().all(is_escape) {
            return None;
        }
        let pairs = form_urlencoded::parse(query.as_bytes());
        Some(Self(
            pairs
                .map(|(name, value)| (owned(name), owned(value)))
                .collect(),
        ))
    }
}

fn owned(text: Cow<'_, str>) -> String {
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_arguments_are_decoded_and_the_first_wins() {
        let query = Query::parse("topic=a%20b+c&empty=&bare&topic=second&n%3D=1").unwrap();
        assert_eq!(query.get("topic"), Some("a b c"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("bare"), Some(""));
        assert_eq!(query.get("n="), Some("1"));
        assert_eq!(query.get("absent"), None);
        assert_eq!(Query::parse("").unwrap(), Query::default());
    }

    #[test]
    fn bad_escapes_and_semicolons_are_refused() {
        for query in ["a=%", "a=%2", "a=%zz", "%=", "a=1;b=2", "a=%2&b", "a=%é"] {
            assert_eq!(Query::parse(query), None, "{query}");
        }
    }
}
