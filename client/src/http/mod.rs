//! Asking the daemons over HTTP (feature `http`): one question, one bounded answer, a deadline for each part.
//!
//! [`get`] and [`post`] are the bare question; [`producers`] asks an nsqlookupd which nsqds have a topic.

mod lookup;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use lookup::{Producer, ProducersError, producers};

/// What NSQ's own tools ask for.
const MEDIA_TYPE: &str = "application/vnd.nsq; version=1.0";

/// How long a question may take, and how much may be answered.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection.
    pub connect_timeout: Duration,
    /// For everything, the connection included.
    pub timeout: Duration,
    /// Largest body of an answer in bytes.
    pub bytes_max: usize,
}

impl Default for Limits {
    /// The reference's timeouts (`-http-client-connect-timeout`, `-http-client-request-timeout`), and 1 MiB.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            bytes_max: 1 << 20,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// No connection in time.
    #[error("no connection within {0:?}")]
    LateConnection(Duration),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// What is asked for can't be written as a request.
    #[error("not a path: {0}")]
    Path(#[source] hyper::http::Error),
    /// Not HTTP, or broken off.
    #[error("not an HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    /// More than is allowed.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// Broken off in the middle.
    #[error("answer broken off: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another status than 200.
    #[error("status {0}")]
    Status(StatusCode),
}

/// Returns the body that `GET path` (with its query) is answered with by `address`, `host:port`, if its status is 200.
pub async fn get(address: &str, path: &str, limits: Limits) -> Result<Bytes, RequestError> {
    request(Method::GET, address, path, limits).await
}

/// Returns what `POST path` (with its query, without a body) is answered with, likewise.
pub async fn post(address: &str, path: &str, limits: Limits) -> Result<Bytes, RequestError> {
    request(Method::POST, address, path, limits).await
}

async fn request(
    method: Method,
    address: &str,
    path: &str,
    limits: Limits,
) -> Result<Bytes, RequestError> {
    let asking = timeout(limits.timeout, ask(method, address, path, limits));
    asking
        .await
        .unwrap_or(Err(RequestError::Late(limits.timeout)))
}

async fn ask(
    method: Method,
    address: &str,
    path: &str,
    limits: Limits,
) -> Result<Bytes, RequestError> {
    let connecting = timeout(limits.connect_timeout, TcpStream::connect(address)).await;
    let stream = connecting
        .map_err(|_| RequestError::LateConnection(limits.connect_timeout))?
        .map_err(RequestError::Connect)?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address)
        .header(ACCEPT, MEDIA_TYPE)
        .body(Empty::<Bytes>::new())
        .map_err(RequestError::Path)?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let response = requests.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(RequestError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), limits.bytes_max)
            .collect()
            .await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    RequestError::TooLarge(limits.bytes_max)
                } else {
                    RequestError::Body(error)
                }
            })
    };
    // The connection ends when the answer is there and `requests` is gone. Its own failure is the answer's too.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

#[cfg(test)]
mod tests;
