//! The flags for TLS of commands that ask daemons over HTTP, with the names that connections to nsqd have too.

use std::path::PathBuf;
use std::sync::Arc;

use client::tls::{ClientConfig, ClientTls};

use crate::error::Error;

/// Whom to trust where an address is `https://…`, or a daemon answers that it wants HTTPS.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TlsFlags {
    /// PEM file of the only authorities to trust [default: those of the system]
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    ca: Option<PathBuf>,

    /// PEM file of the certificate to show
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,

    /// PEM file of its key
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,

    /// Believe any certificate
    #[arg(long, help_heading = "TLS")]
    insecure: bool,
}

impl TlsFlags {
    /// What TLS is done with. Without any flag for it, a system without authorities is just one without TLS.
    ///
    /// # Errors
    /// A file that was named cannot be used.
    pub(crate) fn config(&self) -> Result<Option<Arc<ClientConfig>>, Error> {
        let is_asked_for = self.ca.is_some() || self.cert.is_some() || self.insecure;
        let tls = ClientTls {
            root_ca_file: self.ca.clone(),
            cert_file: self.cert.clone(),
            key_file: self.key.clone(),
            insecure_skip_verify: self.insecure,
            ..ClientTls::default()
        };
        match tls.build() {
            Ok(config) => Ok(Some(config)),
            Err(_) if !is_asked_for => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
