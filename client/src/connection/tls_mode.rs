//! Whether a connection goes on in TLS, and how.

use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::address::Address;
use super::error::ConnectionError;
use crate::tls::ClientConfig;

/// Whether to go on in TLS.
#[derive(Clone, Debug, Default)]
pub enum TlsMode {
    /// TLS is not asked for.
    #[default]
    Off,
    /// With an nsqd that does not offer TLS the connection goes on in plain, with a warning. Whoever sits in between can
    /// make it look like that.
    Prefer(TlsClient),
    /// No TLS, no connection: [`ConnectionError::TlsNotOffered`], before anything but IDENTIFY was sent.
    Require(TlsClient),
}

/// How to do TLS.
#[derive(Clone, Debug)]
pub struct TlsClient {
    /// Whom to trust and what to show, from [`ClientTls::build`](crate::tls::ClientTls::build).
    pub config: Arc<ClientConfig>,
    /// The name that the nsqd's certificate has to be for; `None` for the host that is dialled. A unix socket needs one.
    pub server_name: Option<String>,
}

impl From<Arc<ClientConfig>> for TlsClient {
    fn from(config: Arc<ClientConfig>) -> TlsClient {
        let server_name = None;
        TlsClient {
            config,
            server_name,
        }
    }
}

impl TlsClient {
    pub(super) fn server_name(
        &self,
        address: &Address,
    ) -> Result<ServerName<'static>, ConnectionError> {
        let name = match (&self.server_name, address) {
            (Some(name), _) => name.clone(),
            (None, Address::Tcp(host_and_port)) => host(host_and_port).to_owned(),
            (None, Address::Unix(path)) => {
                return Err(ConnectionError::ServerName(path.display().to_string()));
            }
        };
        ServerName::try_from(name.clone()).map_err(|_| ConnectionError::ServerName(name))
    }
}

/// The host without its port, and an IPv6 address without its brackets.
fn host(host_and_port: &str) -> &str {
    let host = host_and_port
        .rsplit_once(':')
        .map_or(host_and_port, |(host, _)| host);
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
