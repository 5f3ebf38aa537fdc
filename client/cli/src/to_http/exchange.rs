//! One request and its answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::http::uri::InvalidUri;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::target::{Header, Statuses, Target};
use crate::error::Error;

type Pool = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How messages are sent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// GET, POST or PUT.
    pub(crate) method: Method,
    /// For POST and PUT.
    pub(crate) content_type: Option<Header>,
    /// Sent with each request; they replace those of the same name.
    pub(crate) headers: Vec<Header>,
    /// Statuses of a message that arrived.
    pub(crate) ok: Statuses,
    /// Statuses of a message that nobody will ever take.
    pub(crate) drop_on: Statuses,
    /// Whether the server may say when to come again.
    pub(crate) retry_after: bool,
    /// For a connection.
    pub(crate) connect_timeout: Duration,
    /// For the whole exchange.
    pub(crate) timeout: Duration,
}

/// Why a message did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server takes it at no time.
    #[error("status {0}, which drops it")]
    Dropped(StatusCode),
    /// Another status than wanted.
    #[error("status {status}")]
    Status {
        /// Which one.
        status: StatusCode,
        /// When to come again, if the server said so.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// More redirects than anybody needs.
    #[error("more than 10 redirects")]
    Redirects,
    /// A redirect or a message that makes no URL.
    #[error("not a URL: {0}")]
    Url(#[from] InvalidUri),
    /// It cannot be written as a request.
    #[error("not a request: {0}")]
    Request(#[from] hyper::http::Error),
    /// No connection, or one that broke.
    #[error("{}", chain(.0))]
    Connection(#[from] legacy::Error),
}

/// Sends messages over kept connections.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pool: Pool,
    settings: Settings,
}

const REDIRECTS_MAX: usize = 10;
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// An answer is read to keep its connection, but not more of it than this.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

impl Exchange {
    pub(super) fn new(settings: Settings) -> Result<Exchange, Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        let tls = client::tls::ClientTls::default().build()?;
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build((tcp, tls).into());
        Ok(Exchange { pool, settings })
    }

    /// Sends a message, and returns once the answer says that it arrived.
    pub(super) async fn send(&self, target: &Target, body: &Bytes) -> Result<(), Failure> {
        let limit = self.settings.timeout;
        let sent = tokio::time::timeout(limit, self.send_on(target, body)).await;
        sent.unwrap_or(Err(Failure::Late(limit)))
    }

    async fn send_on(&self, target: &Target, body: &Bytes) -> Result<(), Failure> {
        let payload = if target.has_place() {
            Bytes::new()
        } else {
            body.clone()
        };
        let mut uri: Uri = target.url(body).parse()?;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.pool.request(self.request(&uri, &payload)?).await?;
            let status = answer.status();
            let headers = answer.headers().clone();
            read(answer).await;
            match self.redirect(&uri, status, &headers)? {
                Some(next) => uri = next,
                None => return self.judge(status, &headers),
            }
        }
        Err(Failure::Redirects)
    }

    fn request(&self, uri: &Uri, payload: &Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let settings = &self.settings;
        let mut request = Request::builder().method(&settings.method).uri(uri);
        if let Some(headers) = request.headers_mut() {
            headers.insert(USER_AGENT, super::user_agent());
            if let Some(Header(_, content_type)) = &settings.content_type {
                headers.insert(CONTENT_TYPE, content_type.clone());
            }
            for Header(name, value) in &settings.headers {
                headers.insert(name, value.clone());
            }
        }
        Ok(request.body(Full::new(payload.clone()))?)
    }

    /// Where to ask again. The method never changes: a POST that becomes a GET loses its message.
    fn redirect(
        &self,
        uri: &Uri,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Uri>, Failure> {
        let keeps_method = matches!(status.as_u16(), 307 | 308);
        let follows = keeps_method || self.settings.method == Method::GET;
        if !status.is_redirection() || !follows || self.settings.ok.contains(status.as_u16()) {
            return Ok(None);
        }
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        location.map(|location| resolve(uri, location)).transpose()
    }

    fn judge(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
        let settings = &self.settings;
        if settings.ok.contains(status.as_u16()) {
            return Ok(());
        }
        if settings.drop_on.contains(status.as_u16()) {
            return Err(Failure::Dropped(status));
        }
        let retry_after = headers.get(RETRY_AFTER).filter(|_| settings.retry_after);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Err(Failure::Status {
            status,
            retry_after: seconds.map(Duration::from_secs),
        })
    }
}

/// Reads what is left of the answer, so that its connection can be used again. What it says does not matter.
async fn read(answer: Response<Incoming>) {
    let _ = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
}

/// What `location` means in an answer from `base`: a URL, or a path on the same server.
fn resolve(base: &Uri, location: &str) -> Result<Uri, Failure> {
    if location.contains("://") {
        return Ok(location.parse()?);
    }
    let server = format!(
        "{}://{}",
        base.scheme_str().unwrap_or("http"),
        base.authority().map_or("", |authority| authority.as_str())
    );
    if let Some(rest) = location.strip_prefix("//") {
        let scheme = base.scheme_str().unwrap_or("http");
        return Ok(format!("{scheme}://{rest}").parse()?);
    }
    if location.starts_with('/') {
        return Ok(format!("{server}{location}").parse()?);
    }
    let path = base.path();
    let folder = &path[..=path.rfind('/').unwrap_or(0)];
    Ok(format!("{server}{folder}{location}").parse()?)
}

/// The error and what caused it.
fn chain(error: &legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_to_where_they_come_from() {
        let check = |location: &str, expected: &str| {
            let base = "http://a:1/x/y?q=1".parse().unwrap();
            assert_eq!(resolve(&base, location).unwrap().to_string(), expected);
        };
        check("https://b/z", "https://b/z");
        check("//b/z", "http://b/z");
        check("/z?r", "http://a:1/z?r");
        check("z", "http://a:1/x/z");
    }
}
