//! TLS on top of a transport, from either side.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, Join};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{ReceiveHalf, SendHalf, Transport};
use crate::tls::common_name;

/// What a server knows after a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// `TLS1.2` or `TLS1.3`.
    pub version: &'static str,
    /// As IANA names it, such as `TLS_AES_128_GCM_SHA256`; `Unknown <number>` for one without a name here.
    pub cipher_suite: String,
    /// The common name in the client's certificate; empty if it showed none, or one without.
    pub common_name: String,
}

/// A handshake that came to nothing. The transport below is still there, for a last word in plain.
#[derive(Debug, thiserror::Error)]
#[error("TLS handshake failed: {cause}")]
pub struct HandshakeFailed {
    /// What went wrong.
    #[source]
    pub cause: io::Error,
    /// What TLS was to be on top of.
    pub transport: Transport,
}

impl Transport {
    /// Does the client's side of a handshake.
    ///
    /// # Errors
    /// The connection broke, the server is not who it should be, or the two have nothing in common.
    pub async fn connect_tls(
        self,
        config: Arc<ClientConfig>,
        server_name: ServerName<'static>,
    ) -> io::Result<Transport> {
        let below = self.below_tls();
        let stream = TlsConnector::from(config).connect(server_name, below);
        Ok(split(stream.await?))
    }

    /// Does the server's side of a handshake. It has no deadline of its own.
    ///
    /// # Errors
    /// As [`HandshakeFailed`] tells.
    pub async fn accept_tls(
        self,
        config: Arc<ServerConfig>,
    ) -> Result<(Transport, Accepted), HandshakeFailed> {
        let below = self.below_tls();
        let accepting = TlsAcceptor::from(config).accept(below).into_fallible();
        let stream = accepting.await.map_err(|(cause, below)| {
            let (receive, send) = below.into_inner();
            let transport = Transport::new(receive, send);
            HandshakeFailed { cause, transport }
        })?;
        let accepted = accepted(stream.get_ref().1);
        Ok((split(stream), accepted))
    }

    /// The library asks for 4 KiB at a time.
    fn below_tls(self) -> Join<BufReader<ReceiveHalf>, SendHalf> {
        let receive = BufReader::with_capacity(RECEIVE_BYTES, self.receive);
        tokio::io::join(receive, self.send)
    }
}

/// What is received at a time: four of the largest records.
const RECEIVE_BYTES: usize = 64 * 1024;

fn split(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Transport {
    let (receive, send) = tokio::io::split(stream);
    Transport::new(receive, send)
}

fn accepted(session: &CommonState) -> Accepted {
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    Accepted {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS1.3",
            _ => "TLS1.2",
        },
        cipher_suite: suite.map(suite_name).unwrap_or_default(),
        common_name: certificate.map(|der| common_name(der)).unwrap_or_default(),
    }
}

/// The registered name: the library's own sets the suites of 1.3 apart.
fn suite_name(suite: rustls::CipherSuite) -> String {
    match suite.as_str() {
        Some(name) => name.replace("TLS13_", "TLS_"),
        None => format!("Unknown {}", u16::from(suite)),
    }
}
