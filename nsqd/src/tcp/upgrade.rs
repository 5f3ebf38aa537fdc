//! From the answer to IDENTIFY to the layers that it has granted: TLS, then one compression. Each layer begins with an
//! `OK` inside it.
//!
//! The client waits for each `OK`, so nothing may have arrived before the first handshake: whoever sits in between could
//! have put it there, to be taken for something that was said in TLS.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use client::tls::ServerConfig;
use client::transport::{Compression, DamagedStream};
use client::wire::{ErrorCode, ErrorReply, OK, Settings, put_response};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::session::{End, Session};

/// How long the client may take for all layers together.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);

impl Session {
    /// Goes on in what `settings` grant, after the answer that waits in the output.
    pub(super) async fn upgrade(&mut self, settings: &Settings) -> Result<(), End> {
        if !has_upgrade(settings) {
            return Ok(());
        }
        timeout(UPGRADE_TIMEOUT, self.put_layers(settings))
            .await
            .unwrap_or(Err(End::UpgradeTooSlow))
    }

    async fn put_layers(&mut self, settings: &Settings) -> Result<(), End> {
        self.connection.send_all().await.map_err(End::broken)?;
        let config = self.node.options().tls.config.clone();
        if let Some(config) = config.filter(|_| settings.tls_v1) {
            self.put_tls(config).await?;
        }
        if let Some(compression) = compression(settings) {
            let transport = self.connection.take_transport();
            let transport = transport.compress(compression, BytesMut::new());
            self.connection.set_transport(transport, true);
            self.confirm().await?;
        }
        Ok(())
    }

    async fn put_tls(&mut self, config: Arc<ServerConfig>) -> Result<(), End> {
        let transport = self.connection.take_transport();
        match transport.accept_tls(config).await {
            Ok((transport, accepted)) => {
                self.connection.set_transport(transport, true);
                debug!(
                    version = accepted.version,
                    cipher_suite = accepted.cipher_suite,
                    "in TLS"
                );
                self.registered.connected.set_tls(accepted);
                self.needs_tls = false;
                self.confirm().await
            }
            Err(failed) => {
                // The one who has to be told may not have been able to read any TLS: the last word is in plain.
                self.connection.set_transport(failed.transport, false);
                warn!(error = %failed.cause, "TLS handshake failed");
                Err(upgrade_failed(&failed.cause.to_string()))
            }
        }
    }

    /// The first word in a new layer.
    async fn confirm(&mut self) -> Result<(), End> {
        put_response(&mut self.connection.output, OK);
        self.connection.send_all().await.map_err(End::broken)
    }
}

/// Whether anything is granted that changes the transport.
pub(super) fn has_upgrade(settings: &Settings) -> bool {
    settings.tls_v1 || compression(settings).is_some()
}

/// The answer to an upgrade that did not come about.
pub(super) fn upgrade_failed(cause: &str) -> End {
    let text = format!("IDENTIFY failed {cause}");
    End::Refused(ErrorReply::new(ErrorCode::IdentifyFailed, text))
}

impl End {
    /// The end that an error of the transport means: the peer has gone, or what it sends makes no sense.
    pub(super) fn broken(error: io::Error) -> End {
        let is_damage = error.kind() == io::ErrorKind::InvalidData
            || error
                .get_ref()
                .is_some_and(<dyn Error + Send + Sync>::is::<DamagedStream>);
        if is_damage {
            return End::Damaged(error);
        }
        End::Gone
    }
}

fn compression(settings: &Settings) -> Option<Compression> {
    if settings.snappy {
        return Some(Compression::Snappy);
    }
    let level = settings.deflate_level;
    settings.deflate.then_some(Compression::Deflate { level })
}
