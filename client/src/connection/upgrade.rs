//! From the answer to IDENTIFY to the layers that it has settled: TLS first, then one compression. Each layer begins with
//! an `OK` inside it.

use bytes::BytesMut;

use super::error::ConnectionError;
use super::options::ConnectOptions;
#[cfg(feature = "tls")]
use super::tls_mode::TlsMode;
use super::{Address, Connection, Reader, Writer};
use crate::transport::Transport;
use crate::wire::OK as OK_RESPONSE;
#[cfg(feature = "compression")]
use crate::{transport::Compression, wire::IdentifyResponse};

impl Connection {
    /// Goes on in what was asked for and granted.
    pub(super) async fn upgrade(
        self,
        address: &Address,
        options: &ConnectOptions,
    ) -> Result<Connection, ConnectionError> {
        #[cfg(feature = "tls")]
        let connection = self.upgrade_tls(address, options).await?;
        #[cfg(not(feature = "tls"))]
        let connection = self;
        #[cfg(feature = "compression")]
        let connection = connection.upgrade_compression(address, options).await?;
        Ok(connection)
    }

    #[cfg(feature = "tls")]
    async fn upgrade_tls(
        self,
        address: &Address,
        options: &ConnectOptions,
    ) -> Result<Connection, ConnectionError> {
        let client = match (&options.tls, self.settled.tls_v1) {
            (TlsMode::Off, false) => return Ok(self),
            (TlsMode::Off, true) => return Err(ConnectionError::Unexpected("a grant of TLS")),
            (TlsMode::Prefer(_), false) => {
                tracing::warn!(%address, "nsqd does not offer TLS, going on without");
                return Ok(self);
            }
            (TlsMode::Require(_), false) => return Err(ConnectionError::TlsNotOffered),
            (TlsMode::Prefer(client) | TlsMode::Require(client), true) => client,
        };
        let server_name = client.server_name(address)?;
        let config = std::sync::Arc::clone(&client.config);
        let upgrade = async |transport: Transport, early: BytesMut| {
            // They would have been said by who knows whom.
            if !early.is_empty() {
                return Err(ConnectionError::Unexpected(
                    "bytes before the handshake of TLS",
                ));
            }
            let upgraded = transport.connect_tls(config, server_name).await;
            upgraded.map_err(ConnectionError::Tls)
        };
        self.layered(options, upgrade).await
    }

    #[cfg(feature = "compression")]
    async fn upgrade_compression(
        self,
        address: &Address,
        options: &ConnectOptions,
    ) -> Result<Connection, ConnectionError> {
        let asked = options.asks_for_compression();
        let Some(compression) = granted(&self.settled) else {
            if asked {
                tracing::info!(%address, "nsqd does not offer this compression, going on without");
            }
            return Ok(self);
        };
        if !asked {
            return Err(ConnectionError::Unexpected("a grant of compression"));
        }
        let upgrade =
            async |transport: Transport, early| Ok(transport.compress(compression, early));
        self.layered(options, upgrade).await
    }

    /// Puts a layer on top, which gets what was received for it already, and awaits the `OK` in it.
    async fn layered(
        self,
        options: &ConnectOptions,
        layer: impl AsyncFnOnce(Transport, BytesMut) -> Result<Transport, ConnectionError>,
    ) -> Result<Connection, ConnectionError> {
        let (receive, early) = self.reader.into_parts();
        let send = self.writer.into_stream();
        let transport = layer(Transport { receive, send }, early).await?;
        let mut connection = Connection {
            reader: Reader::new(transport.receive, options.max_frame_bytes),
            writer: Writer::new(transport.send),
            settled: self.settled,
        };
        if *connection.response().await? == *OK_RESPONSE {
            return Ok(connection);
        }
        Err(ConnectionError::Unexpected("a response other than OK"))
    }
}

/// The level is that of the answer: what the nsqd allows, and not what was hoped for.
#[cfg(feature = "compression")]
fn granted(settled: &IdentifyResponse) -> Option<Compression> {
    let level = settled.deflate_level;
    match (settled.snappy, settled.deflate) {
        (true, _) => Some(Compression::Snappy),
        (false, true) => Some(Compression::Deflate { level }),
        (false, false) => None,
    }
}
