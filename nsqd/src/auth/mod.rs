//! Who may do what: an authorization server is asked over HTTP.
//!
//! - [`Question`]: who a client is, and how that is put to a server;
//! - [`Grant`]: what the answer allows until when, checked and compiled;
//! - [`Auth`]: asks one server after the other until one gives a valid answer.
//!
//! Secrets are in questions only, and those are never logged. A doubt of any kind grants nothing.

mod grant;
mod pattern;
mod question;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use client::http::{Client, Fault, Limits};
use client::tls::{ClientTls, TlsError};
use hyper::StatusCode;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::warn;

pub use grant::{Grant, GrantError, Permission};
pub use pattern::Patterns;
pub use question::{Question, Secret};

/// Largest answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, or a whole URL (`--auth-http-address`). Not empty.
    pub addresses: Vec<String>,
    /// The question is the body of a POST, rather than the query of a GET (`--auth-http-request-method`).
    pub post: bool,
    /// Patterns are for whole names (`--auth-anchor-patterns`).
    pub anchor_patterns: bool,
    /// Longest time for a connection (`--http-client-connect-timeout`).
    pub connect_timeout: Duration,
    /// Longest time for one server's answer (`--http-client-request-timeout`).
    pub request_timeout: Duration,
    /// Whom to trust over HTTPS (`--tls-root-ca-file`, `--tls-min-version`).
    pub tls: ClientTls,
}

/// Why nothing is granted. Each server's reason has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A server says that the client is not known or allowed (status 401 or 403).
    Denied,
    /// No server gave a valid answer.
    Unanswered,
}

/// Asks authorization servers.
#[derive(Debug)]
pub struct Auth {
    settings: Settings,
    client: Client,
    patterns: Arc<Patterns>,
    /// Questions under way: who asks the same joins in.
    asking: Mutex<HashMap<Question, Weak<OnceCell<Answer>>>>,
}

type Answer = Result<Arc<Grant>, Refused>;

impl Auth {
    /// Asks as `settings` say.
    ///
    /// # Errors
    /// A server is to be asked over HTTPS, and there is nobody to be trusted.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let limits = Limits {
            connect_timeout: settings.connect_timeout,
            timeout: settings.request_timeout,
            bytes_max: ANSWER_BYTES_MAX,
        };
        let mut addresses = settings.addresses.iter();
        let needs_tls = addresses.any(|address| address.starts_with("https://"));
        let client = match settings.tls.build() {
            Ok(tls) => Client::with_tls(limits, tls),
            Err(error) if needs_tls || settings.tls.root_ca_file.is_some() => return Err(error),
            Err(_) => Client::new(limits),
        };
        Ok(Self {
            client,
            patterns: Arc::new(Patterns::new(settings.anchor_patterns)),
            settings,
            asking: Mutex::default(),
        })
    }

    /// Asks what a client may do. Those who ask the same at the same time share the answer. It takes the request timeout
    /// at the most, for each server.
    ///
    /// # Errors
    /// No server has granted anything.
    pub async fn ask(&self, question: &Question) -> Answer {
        let shared = {
            let mut asking = self.asking.lock();
            asking.retain(|_, shared| shared.strong_count() > 0);
            let under_way = asking.get(question).and_then(Weak::upgrade);
            let shared = under_way.unwrap_or_default();
            asking.insert(question.clone(), Arc::downgrade(&shared));
            shared
        };
        let answer = shared.get_or_init(|| self.ask_servers(question));
        answer.await.clone()
    }

    /// Asks one server after the other, beginning anywhere, until one grants something.
    async fn ask_servers(&self, question: &Question) -> Answer {
        let addresses = &self.settings.addresses;
        let first = fastrand::usize(..addresses.len());
        let mut refused = Refused::Unanswered;
        for address in addresses[first..].iter().chain(&addresses[..first]) {
            match self.ask_server(address, question).await {
                Ok(grant) => return Ok(Arc::new(grant)),
                Err(error) => {
                    warn!(server = shown(address), %error, "authorization server grants nothing");
                    if error.is_denial() {
                        refused = Refused::Denied;
                    }
                }
            }
        }
        Err(refused)
    }

    async fn ask_server(&self, address: &str, question: &Question) -> Result<Grant, ServerError> {
        let body = question.put(&self.client, address, self.settings.post);
        let body = body.await?;
        let (patterns, now) = (Arc::clone(&self.patterns), Instant::now());
        let parsing = tokio::task::spawn_blocking(move || Grant::parse(&body, &patterns, now));
        Ok(parsing.await.expect("parsing does not panic")?)
    }
}

/// Why one server grants nothing, in words that have nothing of the question in them.
#[derive(Debug, thiserror::Error)]
enum ServerError {
    /// An answer with a status of failure. What else it says may be what it was asked.
    #[error("status {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Fault(Fault),
    #[error(transparent)]
    Grant(#[from] GrantError),
}

impl ServerError {
    fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        )
    }
}

impl From<Fault> for ServerError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Status { status, .. } => Self::Status(status),
            other => Self::Fault(other),
        }
    }
}

/// An address without its query, which may have a secret of its own.
fn shown(address: &str) -> &str {
    address.split('?').next().unwrap_or(address)
}
