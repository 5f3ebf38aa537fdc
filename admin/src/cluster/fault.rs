//! A node that did not do what it was asked for: what happened, and what is probably the matter.

use std::time::Duration;
use std::{fmt, io, net::IpAddr};

use hyper::StatusCode;
use thiserror::Error;

use super::upstream::ANSWER_BYTES_MAX;

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
    #[error("its address is in no --producer-allow-cidr")]
    NotAllowed,
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
    Status {
        status: StatusCode,
        message: String,
        /// Where the node would have it, if it only speaks TLS.
        https_port: Option<u16>,
    },
    #[error("PEEK_DISABLED: the node runs without --enable-peek")]
    PeekDisabled,
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    #[error("the node wants TLS, and there are no authorities to trust")]
    NoTls,
    #[error("the answer is not what an NSQ of any version says: {0}")]
    Garbage(serde_json::Error),
}

impl UpstreamError {
    pub(super) fn new(address: &str, path: &str, fault: Fault) -> Self {
        Self {
            address: address.to_owned(),
            path: path.to_owned(),
            fault,
        }
    }

    /// The status, if the node answered with one that is no success.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self.fault {
            Fault::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// True if the request cannot have arrived: it may be sent to another node.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(
            self.fault,
            Fault::Address
                | Fault::Resolve(_)
                | Fault::LinkLocal
                | Fault::NotAllowed
                | Fault::Connect(_)
                | Fault::ConnectTimeout(_)
                | Fault::Tls(_)
                | Fault::NoTls
        )
    }

    /// The same, where peek was asked for: a node that does not know the path does not allow it.
    pub(super) fn of_peek(mut self) -> Self {
        let is_unknown = matches!(&self.fault, Fault::Status { status: StatusCode::NOT_FOUND, message, .. } if message == "NOT_FOUND");
        if is_unknown {
            self.fault = Fault::PeekDisabled;
        }
        self
    }

    /// What went wrong, without saying where.
    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The same for people.
    pub(crate) fn report(&self) -> Report {
        Report {
            who: self.address.clone(),
            what: self.fault.to_string(),
            cause: self.cause(),
            raw: self.to_string(),
        }
    }

    /// What is probably the matter; empty if the fault says it all.
    fn cause(&self) -> &'static str {
        match &self.fault {
            Fault::Connect(_) | Fault::ConnectTimeout(_) if is_loopback(&self.address) => {
                "The address is one of nsqadmin's own host. A node that runs elsewhere has to announce another: its --broadcast-address."
            }
            Fault::Connect(_) => {
                "Nothing listens there: it has been stopped, or announces a wrong address or port."
            }
            Fault::ConnectTimeout(_) => "Its host is away, or a firewall lies between.",
            Fault::Address | Fault::Resolve(_) => {
                "nsqadmin's host does not know this name: make it known, or have the node announce another (--broadcast-address)."
            }
            Fault::LinkLocal => {
                "Nodes announce what they like, and services of a cloud live at such addresses."
            }
            Fault::NotAllowed => "If it is one of yours, allow its range.",
            Fault::Timeout(_) => {
                "It is overloaded, or has much to tell: --http-client-request-timeout gives it longer."
            }
            Fault::Http(_) | Fault::Garbage(_) => {
                "Something else than NSQ may listen there, or the port is not that for HTTP."
            }
            Fault::TooLarge => {
                "It has more topics and channels, or more clients, than can be shown."
            }
            Fault::Tls(_) | Fault::NoTls => {
                "Tell nsqadmin whom to trust, and what to show: --http-client-tls-root-ca-file, --http-client-tls-cert."
            }
            Fault::Status { .. } | Fault::PeekDisabled => "",
        }
    }
}

/// What went wrong, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// `host:port`; empty where it is nobody's in particular.
    pub(crate) who: String,
    pub(crate) what: String,
    /// What is probably the matter; may be empty.
    pub(crate) cause: &'static str,
    /// All of it, as the API tells it.
    pub(crate) raw: String,
}

/// True if `host:port` leads whoever asks to themselves.
pub(crate) fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_oneself_is_named_as_the_cause() {
        let refused = || Fault::Connect(io::ErrorKind::ConnectionRefused.into());
        for (address, part) in [
            ("127.0.0.1:4151", "--broadcast-address"),
            ("[::1]:4151", "--broadcast-address"),
            ("localhost:4151", "--broadcast-address"),
            ("10.0.0.1:4151", "Nothing listens there"),
        ] {
            let report = UpstreamError::new(address, "/stats", refused()).report();
            assert!(report.cause.contains(part), "{report:?}");
            assert!(
                report.raw.starts_with(&format!("{address}/stats: ")),
                "{report:?}"
            );
        }
        let slow = Fault::Timeout(Duration::from_secs(5));
        let report = UpstreamError::new("127.0.0.1:1", "/", slow).report();
        assert!(report.cause.contains("overloaded"), "{report:?}");
    }
}
