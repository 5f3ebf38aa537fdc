//! One question to one daemon. Connections are kept for the next question to the same daemon.
//!
//! An address is `host:port`, or a URL without a path. An nsqd that serves HTTPS only answers plain HTTP with status 403
//! and `https_port`: the question is then asked again at that port, as NSQ's own tools do. No redirect is followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, InvalidHeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Fault, Lookupd, Nsqd, RequestError, host_port};

/// What NSQ's own tools ask for.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.nsq; version=1.0");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long a connection without a question is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a question may take, and how much may be answered.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the TCP connection.
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

/// Asks daemons over HTTP. Clones share their connections; a question under way ends when it is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool,
    limits: Limits,
    has_tls: bool,
    authorization: Option<HeaderValue>,
}

type Pool = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Client {
    /// A client for plain HTTP.
    pub fn new(limits: Limits) -> Self {
        Self {
            pool: pool(limits.connect_timeout, no_trust()),
            limits,
            has_tls: false,
            authorization: None,
        }
    }

    /// A client that also speaks HTTPS, as `tls` says.
    pub fn with_tls(limits: Limits, tls: Arc<ClientConfig>) -> Self {
        Self {
            pool: pool(limits.connect_timeout, tls),
            has_tls: true,
            ..Self::new(limits)
        }
    }

    /// The same client, which says with each question that it is the bearer of `secret`.
    ///
    /// # Errors
    ///
    /// The secret has bytes that no header may have, such as a newline.
    pub fn bearer(&self, secret: &str) -> Result<Self, InvalidHeaderValue> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {secret}"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            authorization: Some(authorization),
            ..self.clone()
        })
    }

    /// The same client, which waits no longer than this for an answer.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        let mut client = self.clone();
        client.limits.timeout = timeout;
        client
    }

    /// The nsqd whose HTTP API is at `address`.
    pub fn nsqd<'a>(&'a self, address: &'a str) -> Nsqd<'a> {
        Nsqd::new(self, address)
    }

    /// The nsqlookupd whose HTTP API is at `address`.
    pub fn lookupd<'a>(&'a self, address: &'a str) -> Lookupd<'a> {
        Lookupd::new(self, address)
    }

    /// Returns the body that `GET path` (with its query) is answered with.
    pub async fn get(&self, address: &str, path: &str) -> Result<Bytes, RequestError> {
        self.ask(Method::GET, address, path, Payload::default())
            .await
    }

    /// Returns the JSON that `GET path` is answered with; an empty answer is an empty object.
    pub async fn get_json<T>(&self, address: &str, path: &str) -> Result<T, RequestError>
    where
        T: DeserializeOwned,
    {
        let body = self.get(address, path).await?;
        let body = if body.is_empty() { &b"{}"[..] } else { &body };
        serde_json::from_slice(body).map_err(|error| failed(address, path, error.into()))
    }

    /// Returns what `POST path` with this body is answered with.
    pub async fn post(
        &self,
        address: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Bytes, RequestError> {
        let payload = Payload::bytes(body);
        self.ask(Method::POST, address, path, payload).await
    }

    /// Returns what `POST path` with this value as JSON is answered with.
    pub async fn post_json(
        &self,
        address: &str,
        path: &str,
        value: &impl Serialize,
    ) -> Result<Bytes, RequestError> {
        let json = serde_json::to_vec(value);
        let payload = Payload {
            body: json
                .map_err(|error| failed(address, path, error.into()))?
                .into(),
            content_type: Some(JSON),
        };
        self.ask(Method::POST, address, path, payload).await
    }

    /// Returns what `PUT path` with this body is answered with.
    pub async fn put(
        &self,
        address: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Bytes, RequestError> {
        let payload = Payload::bytes(body);
        self.ask(Method::PUT, address, path, payload).await
    }

    async fn ask(
        &self,
        method: Method,
        address: &str,
        path: &str,
        payload: Payload,
    ) -> Result<Bytes, RequestError> {
        let asking = timeout(
            self.limits.timeout,
            self.exchange(&method, address, path, &payload),
        );
        let late = Err(Fault::Late(self.limits.timeout));
        let answer = asking.await.unwrap_or(late);
        answer.map_err(|fault| failed(address, path, fault))
    }

    /// Asks, and asks again over HTTPS if that is demanded.
    async fn exchange(
        &self,
        method: &Method,
        address: &str,
        path: &str,
        payload: &Payload,
    ) -> Result<Bytes, Fault> {
        let uri = uri(address, path)?;
        let (status, body) = self.send(method, &uri, payload).await?;
        let (status, body) = match https(&uri, status, &body) {
            Some(uri) => self.send(method, &uri?, payload).await?,
            None => (status, body),
        };
        if status.is_success() {
            return Ok(body);
        }
        Err(Fault::status(status, &body))
    }

    async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        payload: &Payload,
    ) -> Result<(StatusCode, Bytes), Fault> {
        if uri.scheme_str() == Some("https") && !self.has_tls {
            return Err(Fault::NoTls);
        }
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header(ACCEPT, MEDIA_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(content_type) = &payload.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request
            .body(Full::new(payload.body.clone()))
            .map_err(|_| Fault::Address)?;
        let answer = self.pool.request(request).await;
        let answer =
            answer.map_err(|error| Fault::unanswered(&error, self.limits.connect_timeout))?;
        Ok((answer.status(), read(answer, self.limits.bytes_max).await?))
    }
}

/// What is sent with a question.
#[derive(Default)]
struct Payload {
    body: Bytes,
    content_type: Option<HeaderValue>,
}

impl Payload {
    fn bytes(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            content_type: None,
        }
    }
}

fn pool(connect_timeout: Duration, tls: Arc<ClientConfig>) -> Pool {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .build((tcp, tls).into())
}

/// What stands in for TLS settings where there are none; [`Client::send`] never lets it be used.
fn no_trust() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of TLS 1.2 and 1.3");
    let config = config.with_root_certificates(RootCertStore::empty());
    Arc::new(config.with_no_client_auth())
}

fn uri(address: &str, path: &str) -> Result<Uri, Fault> {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest.trim_end_matches('/')),
        Some(_) => return Err(Fault::Address),
        None => ("http", address),
    };
    let parsed: Result<Uri, _> = format!("{scheme}://{rest}{path}").parse();
    // What is parsed must be the address that was given, and not the start of it.
    let is_whole =
        |uri: &Uri| uri.host() != Some("") && uri.authority().is_some_and(|known| known == rest);
    parsed.ok().filter(is_whole).ok_or(Fault::Address)
}

/// Where to ask again, if the answer says that HTTPS is needed.
fn https(asked: &Uri, status: StatusCode, body: &[u8]) -> Option<Result<Uri, Fault>> {
    #[derive(Deserialize)]
    struct Demand {
        https_port: u16,
    }
    if status != StatusCode::FORBIDDEN || asked.scheme_str() == Some("https") {
        return None;
    }
    let demand: Demand = serde_json::from_slice(body).ok()?;
    let address = host_port(asked.host()?, demand.https_port);
    Some(uri(
        &format!("https://{address}"),
        asked.path_and_query()?.as_str(),
    ))
}

async fn read(answer: Response<Incoming>, bytes_max: usize) -> Result<Bytes, Fault> {
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Fault::TooLarge(bytes_max)
        } else {
            Fault::Http(format!("broken off: {error}"))
        }
    });
    Ok(body?.to_bytes())
}

fn failed(address: &str, path: &str, fault: Fault) -> RequestError {
    RequestError {
        address: address.to_owned(),
        path: path.to_owned(),
        fault,
    }
}
