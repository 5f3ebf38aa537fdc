//! The flags that say whom TLS trusts and what it shows: to nsqd, and to daemons that are asked over HTTP.

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
    /// True if something is said of TLS, which is then wanted.
    pub(crate) fn are_given(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.insecure
    }

    /// Puts what is given in place of what `tls` has.
    pub(crate) fn add_to(&self, tls: &mut ClientTls) {
        tls.root_ca_file = self.ca.clone().or(tls.root_ca_file.take());
        tls.cert_file = self.cert.clone().or(tls.cert_file.take());
        tls.key_file = self.key.clone().or(tls.key_file.take());
        tls.insecure_skip_verify |= self.insecure;
    }

    /// What TLS is done with. Without any flag for it, a system without authorities is just one without TLS.
    ///
    /// # Errors
    /// A file that was named cannot be used.
    pub(crate) fn config(&self) -> Result<Option<Arc<ClientConfig>>, Error> {
        let mut tls = ClientTls::default();
        self.add_to(&mut tls);
        match tls.build() {
            Ok(config) => Ok(Some(config)),
            Err(_) if !self.are_given() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
