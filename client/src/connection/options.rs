//! What a client says about itself and asks for.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::ConnectionError;
use super::secret::SecretProvider;
#[cfg(feature = "tls")]
use super::tls_mode::TlsMode;
use crate::wire::IdentifyRequest;

/// How to connect. `Default` suits producers and consumers alike.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Longest time for connecting and the handshake together. Default 5 s.
    pub timeout: Duration,
    /// Where TCP connections leave this host; port 0 is any. Default as the system routes.
    pub local_address: Option<SocketAddr>,
    /// Largest frame accepted in bytes. Default 16 MiB, far above nsqd's `-max-msg-size`.
    pub max_frame_bytes: usize,
    /// What AUTH sends if the nsqd wants it. Default none.
    pub auth_secret: Option<Vec<u8>>,
    /// What is asked for that secret instead, at each connect. Default none.
    pub auth_provider: Option<SecretProvider>,
    /// Whether to go on in TLS. Default [`TlsMode::Off`].
    #[cfg(feature = "tls")]
    pub tls: TlsMode,
    /// The body of IDENTIFY. Default: this host, this library and feature negotiation; all else
    /// as the nsqd has it. With `snappy` or `deflate` the connection is compressed, if the nsqd grants
    /// it; `tls_v1` follows from [`ConnectOptions::tls`].
    pub identify: IdentifyRequest,
}

impl Default for ConnectOptions {
    fn default() -> ConnectOptions {
        let hostname = hostname();
        let short = hostname.split('.').next().unwrap_or_default().to_owned();
        ConnectOptions {
            timeout: Duration::from_secs(5),
            local_address: None,
            max_frame_bytes: 16 * 1024 * 1024,
            auth_secret: None,
            auth_provider: None,
            #[cfg(feature = "tls")]
            tls: TlsMode::Off,
            identify: IdentifyRequest {
                client_id: Some(short),
                hostname: Some(hostname),
                user_agent: Some(concat!("nsq-rust/", env!("CARGO_PKG_VERSION")).to_owned()),
                feature_negotiation: Some(true),
                ..IdentifyRequest::default()
            },
        }
    }
}

impl ConnectOptions {
    /// What is sent as IDENTIFY.
    ///
    /// # Errors
    /// [`ConnectionError::TwoCompressions`].
    pub(super) fn request(&self) -> Result<IdentifyRequest, ConnectionError> {
        let mut request = self.identify.clone();
        if request.snappy == Some(true) && request.deflate == Some(true) {
            return Err(ConnectionError::TwoCompressions);
        }
        if cfg!(not(feature = "compression")) {
            (request.snappy, request.deflate, request.deflate_level) = (None, None, None);
        }
        request.tls_v1 = None;
        #[cfg(feature = "tls")]
        if !matches!(self.tls, TlsMode::Off) {
            request.tls_v1 = Some(true);
        }
        Ok(request)
    }

    #[cfg(feature = "compression")]
    pub(super) fn asks_for_compression(&self) -> bool {
        self.identify.snappy == Some(true) || self.identify.deflate == Some(true)
    }

    /// The secret for an nsqd that wants one.
    pub(super) async fn secret(&self) -> Result<Vec<u8>, ConnectionError> {
        if let Some(provider) = &self.auth_provider {
            return provider.ask().await.map_err(ConnectionError::NoSecret);
        }
        self.auth_secret
            .clone()
            .ok_or(ConnectionError::SecretNeeded)
    }
}

/// Without the secret, which must not get into logs.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("timeout", &self.timeout)
            .field("local_address", &self.local_address)
            .field("max_frame_bytes", &self.max_frame_bytes)
            .field("identify", &self.identify)
            .finish_non_exhaustive()
    }
}

fn hostname() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}
