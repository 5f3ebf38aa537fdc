//! One request to one node: a deadline for all of it, a bound on the answer, no redirect followed.
//!
//! A node that wants TLS says so: 403 with an `https_port`. The request is then repeated there.
//!
//! Addresses come from flags and from what nsqds say of themselves. Whatever they are, link-local ones are not connected
//! to: that is where clouds keep their credentials. Nodes that were only announced may be held to ranges of addresses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri, body::Incoming};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::fault::{Fault, UpstreamError};
use super::model::host_port;
use crate::cidr::{Cidr, is_link_local};
use crate::options::Options;

/// Asks nodes, a bounded number at a time. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    connect_timeout: Duration,
    request_timeout: Duration,
    /// One for each request under way, so that neither sockets nor answers in memory grow without end.
    permits: Arc<Semaphore>,
    tls: Option<Arc<ClientConfig>>,
    /// Nothing else is connected to; empty for everything.
    ranges: Arc<[Cidr]>,
}

/// What is sent, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) is_https: bool,
    /// `host:port`.
    pub(crate) address: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) authorization: Option<HeaderValue>,
}

/// What came back, with a status of success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

impl Upstream {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            connect_timeout: options.http_client_connect_timeout,
            request_timeout: options.http_client_request_timeout,
            permits: Arc::new(Semaphore::new(REQUESTS_MAX)),
            tls: options.tls.clone(),
            ranges: Arc::default(),
        }
    }

    /// As [`Upstream::new`], for what is asked over and over: no longer than `timeout`, no more than `requests_max` at a time.
    pub(crate) fn hurried(options: &Options, timeout: Duration, requests_max: usize) -> Self {
        Self {
            connect_timeout: options.http_client_connect_timeout.min(timeout),
            request_timeout: options.http_client_request_timeout.min(timeout),
            permits: Arc::new(Semaphore::new(requests_max)),
            tls: options.tls.clone(),
            ranges: Arc::default(),
        }
    }

    /// The same, but nothing outside of these ranges is connected to, if there are any.
    pub(crate) fn only_to(&self, ranges: &Arc<[Cidr]>) -> Self {
        Self {
            ranges: Arc::clone(ranges),
            ..self.clone()
        }
    }

    /// GETs `path` (with its query) from `address`, and reads the JSON that comes back.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        address: &str,
        path: &str,
    ) -> Result<T, UpstreamError> {
        let answer = self
            .ask(Question::new(Method::GET, address, path, Bytes::new()))
            .await?;
        // An empty answer is the reference's way to say "nothing".
        let body = if answer.body.is_empty() {
            &b"{}"[..]
        } else {
            &answer.body
        };
        serde_json::from_slice(body)
            .map_err(|error| UpstreamError::new(address, path, Fault::Garbage(error)))
    }

    /// POSTs `body` to `path` (with its query) at `address`; what comes back, but the status, is ignored.
    pub(crate) async fn post(
        &self,
        address: &str,
        path: &str,
        body: Bytes,
    ) -> Result<(), UpstreamError> {
        self.ask(Question::new(Method::POST, address, path, body))
            .await
            .map(drop)
    }

    /// The answer to `question`, if its status is one of success.
    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, UpstreamError> {
        let mut answer = self.exchange(&question).await;
        if let Err(Fault::Status {
            https_port: Some(port),
            ..
        }) = answer
            && !question.is_https
        {
            let (host, _) = question.address.rsplit_once(':').unwrap_or_default();
            let address = host_port(host.trim_matches(['[', ']']), port);
            let question = Question {
                is_https: true,
                address,
                ..question.clone()
            };
            answer = self.exchange(&question).await;
        }
        answer.map_err(|fault| UpstreamError::new(&question.address, &question.path, fault))
    }

    /// All within the request timeout, waiting for a permit apart.
    async fn exchange(&self, question: &Question) -> Result<Answer, Fault> {
        let _permit = self.permits.acquire().await;
        let exchange = async {
            let stream = self.connect(&question.address).await?;
            if question.is_https {
                let stream = self.secure(stream, &question.address).await?;
                return talk(stream, question).await;
            }
            talk(stream, question).await
        };
        let in_time = timeout(self.request_timeout, exchange).await;
        in_time.unwrap_or(Err(Fault::Timeout(self.request_timeout)))
    }

    async fn secure(
        &self,
        stream: TcpStream,
        address: &str,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, Fault> {
        let config = self.tls.clone().ok_or(Fault::NoTls)?;
        let (host, _) = address.rsplit_once(':').ok_or(Fault::Address)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| Fault::Address)?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(Fault::Tls)
    }

    /// Connects to the first address of the host that answers.
    async fn connect(&self, address: &str) -> Result<TcpStream, Fault> {
        let connect = async {
            let mut fault = Fault::LinkLocal;
            for address in self.resolve(address).await? {
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

    /// The addresses of `host:port` that may be connected to, at least one.
    pub(super) async fn resolve(&self, address: &str) -> Result<Vec<SocketAddr>, Fault> {
        let found = tokio::net::lookup_host(address).await;
        let (mut allowed, mut fault) = (Vec::new(), Fault::LinkLocal);
        for address in found.map_err(Fault::Resolve)? {
            match self.check(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(refusal) => fault = refusal,
            }
        }
        if allowed.is_empty() {
            return Err(fault);
        }
        Ok(allowed)
    }

    /// Whether this address may be connected to.
    fn check(&self, address: IpAddr) -> Result<(), Fault> {
        if is_link_local(address) {
            return Err(Fault::LinkLocal);
        }
        let is_allowed =
            self.ranges.is_empty() || self.ranges.iter().any(|range| range.contains(address));
        is_allowed.then_some(()).ok_or(Fault::NotAllowed)
    }
}

impl Question {
    /// One over plain HTTP.
    pub(crate) fn new(method: Method, address: &str, path: &str, body: Bytes) -> Self {
        Self {
            method,
            is_https: false,
            address: address.to_owned(),
            path: path.to_owned(),
            body,
            authorization: None,
        }
    }

    /// One to where a URL points, its path included. A user and a password in it are sent as HTTP has it.
    pub(crate) fn to_url(method: Method, url: &Uri) -> Self {
        let is_https = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let address = format!("{}:{port}", url.host().unwrap_or_default());
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let credentials = authority.rsplit_once('@').map(|(credentials, _)| {
            let credentials = percent_decode_str(credentials).collect::<Vec<u8>>();
            let basic = format!("Basic {}", BASE64_STANDARD.encode(&credentials));
            HeaderValue::try_from(basic).expect("base64 is letters and digits")
        });
        Self {
            is_https,
            authorization: credentials,
            ..Self::new(method, &address, path, Bytes::new())
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header(HOST, &self.address)
            .header(ACCEPT, "application/vnd.nsq; version=1.0")
            .header(USER_AGENT, concat!("nsqadmin/", env!("CARGO_PKG_VERSION")));
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        // Our paths are escaped: what cannot be sent is an address that a node made up.
        request
            .body(Full::new(self.body.clone()))
            .map_err(|_| Fault::Address)
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    question: &Question,
) -> Result<Answer, Fault> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with this function, however it ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(question.request()?).await?;
    read(answer).await
}

async fn read(mut answer: hyper::Response<Incoming>) -> Result<Answer, Fault> {
    let status = answer.status();
    let content_type = answer.headers_mut().remove(CONTENT_TYPE);
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
        return Ok(Answer { content_type, body });
    }
    Err(Fault::Status {
        status,
        message: message(&body),
        https_port: https_port(status, &body),
    })
}

/// Where to ask again, if the node only speaks TLS.
fn https_port(status: StatusCode, body: &[u8]) -> Option<u16> {
    #[derive(Deserialize)]
    struct TlsRequired {
        https_port: u16,
    }
    let told: Option<TlsRequired> = serde_json::from_slice(body).ok();
    told.filter(|told| status == StatusCode::FORBIDDEN && told.https_port != 0)
        .map(|told| told.https_port)
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

/// Requests under way at a time, in all.
const REQUESTS_MAX: usize = 64;
/// Room for the statistics of some 30,000 channels.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;
const MESSAGE_CHARS_MAX: usize = 200;
