//! The server's side of TLS.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::error::{FileKind, TlsError};
use super::unverified::AnyClient;
use super::{Version, pem, provider};

/// How a server does TLS.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// PEM file with the certificate, followed by those between it and its authority.
    pub cert_file: PathBuf,
    /// PEM file with the key of the certificate.
    pub key_file: PathBuf,
    /// What clients have to show.
    pub client_auth: ClientAuth,
    /// PEM file with the authorities that clients are verified by; `None` for those of the system.
    pub root_ca_file: Option<PathBuf>,
    /// Lowest version to agree to.
    pub min_version: Version,
}

/// Which certificate a client needs (nsqd `-tls-client-auth-policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    #[default]
    None,
    /// `require`: one whose key it has, whoever signed it.
    Require,
    /// `require-verify`: one that an authority has signed for a client, and that is valid now.
    RequireVerify,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read or used, or there is no authority to verify clients by.
    pub fn build(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = pem::certificates(FileKind::Certificate, &self.cert_file)?;
        let key = pem::key(&self.key_file)?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.min_version.and_later())
            .expect("ring has cipher suites for both versions")
            .with_client_cert_verifier(self.client_verifier()?)
            .with_single_cert(chain, key);
        config.map(Arc::new).map_err(|cause| TlsError::Pair {
            cert: self.cert_file.clone(),
            key: self.key_file.clone(),
            cause,
        })
    }

    fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        Ok(match self.client_auth {
            ClientAuth::None => WebPkiClientVerifier::no_client_auth(),
            ClientAuth::Require => Arc::new(AnyClient(provider())),
            ClientAuth::RequireVerify => {
                let roots = Arc::new(pem::roots(self.root_ca_file.as_deref())?);
                WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?
            }
        })
    }
}
