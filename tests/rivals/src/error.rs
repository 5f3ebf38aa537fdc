//! What can go wrong, told to whoever runs the command.

use std::io;
use std::path::PathBuf;

/// Why a measurement could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program that is needed is not there.
    #[error("{program} is not installed: {remedy}")]
    Missing {
        /// What was looked for.
        program: PathBuf,
        /// How to get it.
        remedy: &'static str,
    },
    /// A server ended, or never listened.
    #[error("{program} {what}; its log ends with:\n{log}")]
    Server {
        /// The program that was started.
        program: String,
        /// What it did instead of serving.
        what: String,
        /// The last lines of its output.
        log: String,
    },
    /// A client library, or the server behind it, refused something.
    #[error("{what}: {source}")]
    Client {
        /// What was asked for.
        what: &'static str,
        /// What the library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file or a connection failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// An answer that the protocol does not allow here.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
    /// Nothing was confirmed or received while it was measured.
    #[error("no message went through in the time that is measured")]
    NoMessages,
    /// Something never came.
    #[error("not done after {seconds} s")]
    TooLong {
        /// How long a run may take.
        seconds: u64,
    },
    /// A plot could not be drawn.
    #[error("cannot draw {path}: {reason}")]
    Plot {
        /// The file.
        path: PathBuf,
        /// What the plotting library says.
        reason: String,
    },
}

impl Error {
    /// For `map_err`: what was being done when the system refused.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: what a client library was asked for.
    pub(crate) fn client<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Client {
            what,
            source: source.into(),
        }
    }
}
