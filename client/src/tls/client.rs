//! The client's side of TLS.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;

use super::error::{FileKind, TlsError};
use super::unverified::AnyServer;
use super::{Version, pem, provider};

/// How a client does TLS. `Default` trusts the authorities of the system and shows no certificate.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    /// PEM file with the only authorities to be trusted; `None` for those of the system.
    pub root_ca_file: Option<PathBuf>,
    /// PEM file with the certificate to show to servers that ask for one; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key of the certificate.
    pub key_file: Option<PathBuf>,
    /// Believe any certificate, so that whoever sits in between can read and change everything. For trying out.
    pub insecure_skip_verify: bool,
    /// Lowest version to agree to.
    pub min_version: Version,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read or used, half of certificate and key is missing, or there is no authority to trust.
    pub fn build(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.min_version.and_later())
            .expect("ring has cipher suites for both versions");
        let builder = if self.insecure_skip_verify {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        } else {
            builder.with_root_certificates(pem::roots(self.root_ca_file.as_deref())?)
        };
        let (cert, key) = match (&self.cert_file, &self.key_file) {
            (None, None) => return Ok(Arc::new(builder.with_no_client_auth())),
            (Some(cert), Some(key)) => (cert, key),
            (Some(_), None) => return Err(TlsError::Half(FileKind::Key)),
            (None, Some(_)) => return Err(TlsError::Half(FileKind::Certificate)),
        };
        let chain = pem::certificates(FileKind::Certificate, cert)?;
        let config = builder.with_client_auth_cert(chain, pem::key(key)?);
        config.map(Arc::new).map_err(|cause| TlsError::Pair {
            cert: cert.clone(),
            key: key.clone(),
            cause,
        })
    }
}
