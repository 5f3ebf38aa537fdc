//! Why a question has no answer.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use hyper::StatusCode;
use hyper_util::client::legacy;

/// Who did not answer, and why.
#[derive(Debug, thiserror::Error)]
#[error("{address}{path}: {fault}")]
pub struct RequestError {
    /// Who was asked, as the asker calls it.
    pub address: String,
    /// What for, with the query.
    pub path: String,
    /// What happened.
    pub fault: Fault,
}

impl RequestError {
    /// The status, if there was an answer and it was no success.
    pub fn status(&self) -> Option<StatusCode> {
        match self.fault {
            Fault::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// True if what was asked for does not exist there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The address, or the path, can't be written as a request.
    #[error("not an address; wanted is host:port, http://host:port or https://host:port")]
    Address,
    /// No connection: the name is unknown, nobody listens, or TLS was not agreed on.
    #[error("cannot connect: {}", Plain(.0))]
    Connect(io::Error),
    /// No connection in time.
    #[error("no connection within {0:?}")]
    LateConnection(Duration),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// HTTPS is to be used, but the client was given no TLS configuration.
    #[error("HTTPS is wanted there, and no TLS settings were given")]
    NoTls,
    /// Not HTTP, or broken off.
    #[error("not an HTTP answer: {0}")]
    Http(String),
    /// More bytes than is allowed.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// A status that is no success.
    #[error("answered {status}{}", Told(message))]
    Status {
        /// The status.
        status: StatusCode,
        /// The `message` of the JSON body, or else the start of the body.
        message: String,
    },
    /// Not what an NSQ daemon answers.
    #[error("answer not understood: {0}")]
    Json(#[from] serde_json::Error),
}

impl Fault {
    /// What became of a request that got no head of an answer.
    pub(super) fn unanswered(error: &legacy::Error, connect_timeout: Duration) -> Self {
        let mut cause: &(dyn Error + 'static) = error;
        let mut io: Option<&io::Error> = None;
        while let Some(source) = cause.source() {
            io = source.downcast_ref().or(io);
            cause = source;
        }
        if !error.is_connect() {
            return Self::Http(cause.to_string());
        }
        match io {
            Some(io) if io.kind() == io::ErrorKind::TimedOut => {
                Self::LateConnection(connect_timeout)
            }
            io => {
                let kind = io.map_or(io::ErrorKind::Other, io::Error::kind);
                Self::Connect(io::Error::new(kind, cause.to_string()))
            }
        }
    }

    /// A status that is no success, with what the body says: its `message`, or its start, in one line.
    pub(super) fn status(status: StatusCode, body: &[u8]) -> Self {
        let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let told = json.and_then(|json| Some(json.get("message")?.as_str()?.to_owned()));
        let told = told.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let printable = told
            .trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c });
        Self::Status {
            status,
            message: printable.take(MESSAGE_CHARS_MAX).collect(),
        }
    }
}

/// Longest text of an answer that is passed on.
const MESSAGE_CHARS_MAX: usize = 200;

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

/// What the system says, without its number of the error: that tells a reader nothing that the text does not.
struct Plain<'a>(&'a io::Error);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split(" (os error ").next().unwrap_or(&text))
    }
}
