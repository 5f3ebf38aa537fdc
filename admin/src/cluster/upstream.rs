//! One request to one node: a deadline for all of it, a bound on the answer, no redirect followed.
//!
//! Addresses come from flags and from what nsqds say of themselves. Whatever they are, link-local ones are not connected
//! to: that is where clouds keep their credentials.

use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cidr::is_link_local;

/// Asks nodes, a bounded number at a time.
#[derive(Debug)]
pub(crate) struct Upstream {
    connect_timeout: Duration,
    request_timeout: Duration,
    /// One for each request under way, so that neither sockets nor answers in memory grow without end.
    permits: Semaphore,
}

/// A node that did not do what it was asked for.
#[derive(Debug, Error)]
#[error("{address}{path}: {fault}")]
pub(crate) struct UpstreamError {
    /// `host:port`, as it was given or announced.
    address: String,
    path: String,
    fault: Fault,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("not a host and a port")]
    Address,
    #[error("the name of the host cannot be resolved: {0}")]
    Resolve(io::Error),
    #[error("link-local addresses are not connected to")]
    LinkLocal,
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    #[error("the answer is not HTTP, or breaks off: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("answered {status}{}", Told(message))]
    Status { status: StatusCode, message: String },
    #[error("the answer is not what an NSQ of any version says: {0}")]
    Garbage(serde_json::Error),
}

impl UpstreamError {
    /// The status, if the node answered with one that is no success.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self.fault {
            Fault::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// What went wrong, without saying where.
    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl Upstream {
    pub(crate) fn new(connect_timeout: Duration, request_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            request_timeout,
            permits: Semaphore::new(REQUESTS_MAX),
        }
    }

    /// GETs `path` (with its query) from `address`, and reads the JSON that comes back.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        address: &str,
        path: &str,
    ) -> Result<T, UpstreamError> {
        let answer = self.exchange(Method::GET, address, path, Bytes::new());
        let answer = answer.await.and_then(|body| {
            // An empty answer is the reference's way to say "nothing".
            let body = if body.is_empty() { &b"{}"[..] } else { &body };
            serde_json::from_slice(body).map_err(Fault::Garbage)
        });
        answer.map_err(|fault| failed(address, path, fault))
    }

    /// POSTs `body` to `path` (with its query) at `address`; what comes back, but the status, is ignored.
    pub(crate) async fn post(
        &self,
        address: &str,
        path: &str,
        body: Bytes,
    ) -> Result<(), UpstreamError> {
        let answer = self.exchange(Method::POST, address, path, body).await;
        answer
            .map(drop)
            .map_err(|fault| failed(address, path, fault))
    }

    /// The body of an answer with a status of success, all within the request timeout (waiting for a permit apart).
    async fn exchange(
        &self,
        method: Method,
        address: &str,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, Fault> {
        let _permit = self.permits.acquire().await;
        let exchange = async {
            let stream = self.connect(address).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Ends with this function, however it ends.
            let mut driver = JoinSet::new();
            driver.spawn(connection);
            let answer = sender
                .send_request(request(method, address, path, body)?)
                .await?;
            read(answer).await
        };
        let in_time = timeout(self.request_timeout, exchange).await;
        in_time.unwrap_or(Err(Fault::Timeout(self.request_timeout)))
    }

    /// Connects to the first address of the host that answers.
    async fn connect(&self, address: &str) -> Result<TcpStream, Fault> {
        let connect = async {
            let found = tokio::net::lookup_host(address).await;
            let found: Vec<SocketAddr> = found.map_err(Fault::Resolve)?.collect();
            let mut fault = Fault::LinkLocal;
            for address in found.into_iter().filter(|found| !is_link_local(found.ip())) {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => fault = Fault::Connect(error),
                }
            }
            Err(fault)
        };
        let in_time = timeout(self.connect_timeout, connect).await;
        in_time.unwrap_or(Err(Fault::ConnectTimeout(self.connect_timeout)))
    }
}

fn request(
    method: Method,
    address: &str,
    path: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address)
        .header(ACCEPT, "application/vnd.nsq; version=1.0")
        .header(USER_AGENT, concat!("nsqadmin/", env!("CARGO_PKG_VERSION")));
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    // Our paths are escaped: what cannot be sent is an address that a node made up.
    request.body(Full::new(body)).map_err(|_| Fault::Address)
}

async fn read(answer: hyper::Response<Incoming>) -> Result<Bytes, Fault> {
    let status = answer.status();
    let collected = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    let body = collected.await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Fault::TooLarge;
        }
        let error = error.downcast::<hyper::Error>();
        Fault::Http(*error.expect("a body fails by its length or by its connection"))
    })?;
    let body = body.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    Err(Fault::Status {
        status,
        message: message(&body),
    })
}

/// What an error's body says: its `message`, or its start, in one line of printable characters.
fn message(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let told = json.and_then(|json| Some(json.get("message")?.as_str()?.to_owned()));
    let told = told.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let printable = told
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    printable.take(MESSAGE_CHARS_MAX).collect()
}

fn failed(address: &str, path: &str, fault: Fault) -> UpstreamError {
    UpstreamError {
        address: address.to_owned(),
        path: path.to_owned(),
        fault,
    }
}

/// A message after a colon, or nothing.
struct Told<'a>(&'a str);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.0)
    }
}

/// Requests under way at a time, in all.
const REQUESTS_MAX: usize = 64;
/// Room for the statistics of some 30,000 channels.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const MESSAGE_CHARS_MAX: usize = 200;
