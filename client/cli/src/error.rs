//! Why a command failed, in one line for the person at the keyboard.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use client::connection::{Address, ConnectError, ConnectionError};
use client::consumer::ConsumerError;
use client::http::{Fault, RequestError};
use client::producer::BuildError;
use client::tls::TlsError;
use client::wire::ChannelName;

use crate::figures;
use crate::refusal::Refusal;
use crate::to_file::FileError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection came about.
    #[error(transparent)]
    Connect(#[from] Arc<ConnectError>),
    /// A connection ended before the work was done.
    #[error("{address}: {cause}")]
    Connection {
        /// Which nsqd.
        address: Address,
        /// What happened.
        cause: ConnectionError,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {path}: {cause}")]
    Input {
        /// What was to be read.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A line is no message that nsqd would take.
    #[error(
        "line {line} has more than {max} bytes, the largest message allowed; \
         if nsqd takes larger ones, say so with --max-msg-size"
    )]
    LineTooLong {
        /// Counted from 1.
        line: u64,
        /// Largest length.
        max: usize,
    },
    /// Not everything was published.
    #[error("{lines} not published: {cause}; confirmed: {}", figures::messages(*confirmed))]
    Unpublished {
        /// Which lines, and what is known of them.
        lines: String,
        /// What happened.
        cause: String,
        /// Messages that nsqd has taken.
        confirmed: u64,
        /// What nsqd has against this client, if it is that.
        refusal: Option<Refusal>,
    },
    /// A producer cannot be.
    #[error(transparent)]
    Producer(#[from] BuildError),
    /// Not all messages that were to be printed are done.
    #[error("{} printed, but not finished: nsqd hands them out again", figures::messages(*.0))]
    Unfinished(u64),
    /// A daemon of `nsq dev` does not start, or cannot end cleanly.
    #[error("{daemon}: {cause}")]
    Daemon {
        /// Which one.
        daemon: &'static str,
        /// What it says.
        cause: String,
    },
    /// An nsqlookupd did not answer, or does not know.
    #[error("nsqlookupd {address}: {cause}")]
    Lookup {
        /// Where it was asked.
        address: String,
        /// What happened.
        cause: String,
    },
    /// No place for the data of `nsq dev`.
    #[error("cannot create the data directory {}: {cause}", path.display())]
    DataDirectory {
        /// Where, or above what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is nothing to show.
    #[error("none of {0} is in the current directory; name a text file")]
    NoFile(String),
    /// A channel did not receive what was published.
    #[error("channel {channel} received {received} of {expected} lines")]
    Incomplete {
        /// Which channel.
        channel: ChannelName,
        /// Lines that arrived as they were published.
        received: usize,
        /// Lines in the file.
        expected: usize,
    },
    /// Stdout takes no more.
    #[error("cannot write to stdout: {0}")]
    Output(io::Error),
    /// Consuming ended by itself, or did not begin.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
    /// A file of `nsq to-file` cannot be written.
    #[error("cannot write {0}")]
    File(#[from] FileError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What the arguments say together is impossible.
    #[error("{0}")]
    Usage(String),
    /// It would do harm that was not asked for.
    #[error("{0}")]
    Refused(String),
    /// None of the daemons that were asked has answered.
    #[error("{}", failures(.0))]
    Unanswered(Vec<RequestError>),
    /// One daemon did not do what it was asked for.
    #[error("{}: {}", .0.address, .0.fault)]
    Request(#[from] RequestError),
    /// There is no such topic, channel or setting.
    #[error("{0}")]
    NotFound(String),
    /// Some daemons did it, some did not.
    #[error("{0}")]
    Partial(String),
    /// Threads or signals are not to be had.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

impl Error {
    /// The exit status of a command that fails so.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Partial(_) => 3,
            Error::NotFound(_) => 5,
            Error::Connect(error) if is_refusal(&error.cause) => 7,
            Error::Connection { cause, .. } if is_refusal(cause) => 7,
            Error::Consumer(ConsumerError::Refused { .. })
            | Error::Unpublished {
                refusal: Some(_), ..
            } => 7,
            Error::Connect(_)
            | Error::Lookup { .. }
            | Error::Unanswered(_)
            | Error::Consumer(ConsumerError::NotConnected { .. }) => 6,
            Error::Request(error) => of_request(error),
            Error::Refused(_) => 8,
            _ => 1,
        }
    }

    /// The whole chain of causes in one line, with a hint if there is one.
    pub(crate) fn explain(&self) -> String {
        format!("{}{}", chain(self), self.hint())
    }

    fn hint(&self) -> &'static str {
        match self {
            Error::Connect(error) => hint(&error.cause),
            Error::Connection { cause, .. } => hint(cause),
            Error::Consumer(ConsumerError::NotConnected { cause, .. }) => {
                cause.as_deref().map_or("", hint)
            }
            Error::Consumer(ConsumerError::Refused { cause, .. }) => hint(cause),
            Error::Unpublished {
                refusal: Some(refusal),
                ..
            } => refusal.hint(),
            Error::Daemon { cause, .. } if cause.contains("Address already in use") => {
                "; `nsq dev --help` lists the flags that choose other ports"
            }
            _ => "",
        }
    }
}

/// What to do about an nsqd that is not there, or not for this client.
fn hint(cause: &ConnectionError) -> &'static str {
    match cause {
        ConnectionError::SecretNeeded => Refusal::Secret.hint(),
        ConnectionError::Refused(text) => Refusal::in_text(text).map_or("", Refusal::hint),
        cause if is_absence(cause) => "; is nsqd running? `nsq dev` starts one",
        cause if cause.is_untrusted() => "; --ca names the file of an authority to trust",
        _ => "",
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Error {
        Error::Connect(Arc::new(error))
    }
}

/// An error and all that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        // Some errors tell their cause themselves.
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        source = cause.source();
    }
    // The system's number of an error tells a reader nothing that its text does not.
    if let (Some(at), true) = (text.rfind(" (os error "), text.ends_with(')')) {
        text.truncate(at);
    }
    text
}

/// Whether nobody listens there.
fn is_absence(error: &ConnectionError) -> bool {
    let ConnectionError::Connect(cause) = error else {
        return false;
    };
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
    )
}

/// Whether nsqd wants nothing of who connects.
fn is_refusal(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::Refused(_)
            | ConnectionError::SecretNeeded
            | ConnectionError::SecretRefused(_)
    )
}

/// The exit status of a question without an answer.
fn of_request(error: &RequestError) -> u8 {
    match error.status().map(|status| status.as_u16()) {
        None => 6,
        Some(401 | 403) => 7,
        Some(404) => 5,
        Some(_) => 1,
    }
}

/// Who did not answer and why, with what to do if nobody is there.
fn failures(errors: &[RequestError]) -> String {
    let texts = errors
        .iter()
        .map(|error| format!("{}: {}", error.address, error.fault));
    let texts: Vec<String> = texts.collect();
    let hint = if errors.iter().all(is_refused) {
        "; is it running? --lookupd-http-address and --nsqd-http-address name others"
    } else {
        ""
    };
    texts.join("; ") + hint
}

fn is_refused(error: &RequestError) -> bool {
    matches!(&error.fault, Fault::Connect(cause) if cause.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use client::tls::FileKind;

    use super::*;

    #[test]
    fn nobody_there_is_told_with_what_to_do() {
        let refused = RequestError {
            address: "127.0.0.1:4161".to_owned(),
            path: "/nodes".to_owned(),
            fault: Fault::Connect(io::Error::from_raw_os_error(111)),
        };
        let error = Error::Unanswered(vec![refused]);
        assert_eq!(
            error.explain(),
            "127.0.0.1:4161: cannot connect: Connection refused; is it running? \
             --lookupd-http-address and --nsqd-http-address name others"
        );
        assert_eq!(error.status(), 6);
    }

    #[test]
    fn a_refused_connection_is_one_line_with_a_hint() {
        let error = Error::from(ConnectError {
            address: "127.0.0.1:4150".parse().unwrap(),
            cause: ConnectionError::Connect(io::Error::from_raw_os_error(111)),
        });
        assert_eq!(
            error.explain(),
            "cannot connect to 127.0.0.1:4150: Connection refused; \
             is nsqd running? `nsq dev` starts one"
        );
    }

    #[test]
    fn what_nsqd_has_against_a_client_is_told_with_the_remedy() {
        let refused = |text: &str| {
            Error::from(ConnectError {
                address: "a:4150".parse().unwrap(),
                cause: ConnectionError::Refused(text.to_owned()),
            })
        };
        let error = refused("E_INVALID cannot SUB in current state (TLS required)");
        assert!(error.explain().ends_with("(TLS required); --tls speaks it"));
        assert_eq!(error.status(), 7);
        let error = refused("E_AUTH_FIRST AUTH required before PUB");
        assert!(error.explain().ends_with("the file of a secret"));
        let error = refused("E_BAD_TOPIC no");
        assert!(error.explain().ends_with("refused: E_BAD_TOPIC no"));
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let error = Error::from(TlsError::Read {
            kind: FileKind::RootCa,
            path: "/none".into(),
            cause: io::Error::from_raw_os_error(2),
        });
        assert_eq!(
            error.explain(),
            "root CA file \"/none\" cannot be read: No such file or directory"
        );
    }

    #[test]
    fn causes_follow_what_they_caused() {
        let error = Error::from(ConnectError {
            address: "/run/nsqd.sock".parse().unwrap(),
            cause: ConnectionError::Http,
        });
        assert_eq!(
            error.explain(),
            "cannot connect to /run/nsqd.sock: \
             this is an HTTP port; nsqd's TCP port is wanted, by default 4150"
        );
    }
}
