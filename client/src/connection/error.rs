//! How a connection fails.

use std::io;
use std::time::Duration;

use super::address::Address;
use crate::wire::FrameError;

/// No connection came about.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}")]
pub struct ConnectError {
    /// Where it was tried.
    pub address: Address,
    /// What went wrong.
    #[source]
    pub cause: ConnectionError,
}

/// A connection, or the attempt at one, is over.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The system could not connect: nobody listens, no such host, no such socket.
    #[error("{0}")]
    Connect(io::Error),
    /// Connecting and the handshake took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The nsqd refused a command; its own text, which starts with an error code.
    #[error("refused: {0}")]
    Refused(String),
    /// The nsqd wants AUTH, and no secret was given.
    #[error("nsqd wants authorization, but no secret was given")]
    SecretNeeded,
    /// The provider of the secret had none.
    #[error("nsqd wants authorization, but there is no secret: {0}")]
    NoSecret(io::Error),
    /// The nsqd refused a secret of a provider; the next one may be better.
    #[error("the secret was refused: {0}")]
    SecretRefused(String),
    /// TLS is required, and the nsqd does not offer it. Nothing more was sent.
    #[error("TLS is required, and nsqd does not offer it; it needs --tls-cert and --tls-key")]
    TlsNotOffered,
    /// The handshake of TLS failed, as when the nsqd is not who it should be.
    #[error("the handshake of TLS failed: {0}")]
    Tls(io::Error),
    /// The address has no name that a certificate could be for.
    #[error("no certificate is for {0:?}; give the name of the server beside the TLS options")]
    ServerName(String),
    /// Both snappy and deflate were asked for.
    #[error("snappy and deflate cannot be used both; choose one")]
    TwoCompressions,
    /// The nsqd closed the connection between two frames.
    #[error("the connection was closed by nsqd")]
    Closed,
    /// The connection broke, or ended within a frame.
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
    /// What came is not a frame; the stream is out of step.
    #[error("not the protocol of nsqd: {0}")]
    Protocol(FrameError),
    /// An HTTP server answered, or one of HTTPS.
    #[error("this is an HTTP port; nsqd's TCP port is wanted, by default 4150")]
    Http,
    /// A frame that nsqd does not send at this point.
    #[error("nsqd sent {0} at the wrong time")]
    Unexpected(&'static str),
}

impl ConnectionError {
    /// Whether trying again would end the same way until somebody changes something: the nsqd
    /// refused who this is or what it asks for, or the address is not that of an nsqd.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            ConnectionError::Refused(_)
                | ConnectionError::SecretNeeded
                | ConnectionError::TlsNotOffered
                | ConnectionError::ServerName(_)
                | ConnectionError::TwoCompressions
                | ConnectionError::Http
        )
    }

    /// Whether the nsqd showed a certificate of an authority that is not trusted here.
    #[cfg(feature = "tls")]
    pub fn is_untrusted(&self) -> bool {
        use rustls::{CertificateError, Error};
        let ConnectionError::Tls(error) = self else {
            return false;
        };
        let cause = error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<Error>());
        matches!(
            cause,
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer))
        )
    }
}
