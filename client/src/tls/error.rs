//! What is wrong with a TLS configuration.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A TLS configuration that cannot be used. Each text names the file at fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{kind} file {path:?} cannot be read: {cause}")]
    Read {
        /// What it should hold.
        kind: FileKind,
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A file that is damaged, or not PEM.
    #[error("{kind} file {path:?} is not valid PEM: {reason}")]
    NotPem {
        /// What it should hold.
        kind: FileKind,
        /// Which file.
        path: PathBuf,
        /// Where it stopped making sense.
        reason: String,
    },
    /// A PEM file without the block that was looked for.
    #[error("{kind} file {path:?} holds none; wanted is a PEM block {}", .kind.block())]
    Missing {
        /// What it should hold.
        kind: FileKind,
        /// Which file.
        path: PathBuf,
    },
    /// What is in the file cannot be used.
    #[error("{kind} file {path:?} is of no use: {cause}")]
    Unusable {
        /// What it holds.
        kind: FileKind,
        /// Which file.
        path: PathBuf,
        /// What the TLS library said.
        #[source]
        cause: rustls::Error,
    },
    /// A certificate and a key that do not belong together, or are of a kind that is not supported.
    #[error("certificate file {cert:?} and key file {key:?} do not go together: {cause}")]
    Pair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// What the TLS library said.
        #[source]
        cause: rustls::Error,
    },
    /// A certificate without its key, or the other way round.
    #[error("a certificate and its key are needed together; the {0} file is missing")]
    Half(FileKind),
    /// No authorities were named, and the system has none.
    #[error("the system has no certificate authorities; name a file of them{0}")]
    NoSystemRoots(String),
    /// The authorities are no base to verify clients on.
    #[error("clients cannot be verified: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// What a PEM file is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A certificate, maybe with others up to its authority.
    Certificate,
    /// The private key of a certificate.
    Key,
    /// Certificates of authorities.
    RootCa,
}

impl FileKind {
    fn block(self) -> &'static str {
        match self {
            FileKind::Certificate | FileKind::RootCa => "BEGIN CERTIFICATE",
            FileKind::Key => "BEGIN PRIVATE KEY (or RSA or EC PRIVATE KEY)",
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Certificate => "certificate",
            FileKind::Key => "key",
            FileKind::RootCa => "root CA",
        })
    }
}
