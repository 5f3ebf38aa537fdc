//! TLS: which certificate, who needs it, and what of clients.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use client::daemon::flags::boolean;
use client::tls::{ClientAuth, ServerConfig, ServerTls, Version, VersionError};
use thiserror::Error;

use super::{Flags, OptionsError, not_allowed};

/// How connections are protected.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// What TCP connections are upgraded with and HTTPS begins with, if there is a certificate.
    pub config: Option<Arc<ServerConfig>>,
    /// Who needs it.
    pub required: TlsRequired,
    /// The lowest version that was asked for.
    pub min_version: Version,
}

/// Who needs TLS; the numbers are those of `/config/tls_required`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsRequired {
    /// Nobody.
    #[default]
    No = 0,
    /// The TCP protocol; HTTP stays open.
    TcpHttps = 1,
    /// Everybody: HTTP in plain is refused.
    Yes = 2,
}

/// A text that does not say who needs TLS.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("allowed are true, false and tcp-https")]
pub struct TlsRequiredError;

impl FromStr for TlsRequired {
    type Err = TlsRequiredError;

    /// Booleans as Go spells them, and `tcp-https` in letters of either case.
    fn from_str(text: &str) -> Result<Self, TlsRequiredError> {
        match boolean(text) {
            Ok(true) => Ok(Self::Yes),
            Ok(false) => Ok(Self::No),
            Err(_) if text.eq_ignore_ascii_case("tcp-https") => Ok(Self::TcpHttps),
            Err(_) => Err(TlsRequiredError),
        }
    }
}

/// Checks that a text names a version.
pub(super) fn version_name(text: &str) -> Result<String, VersionError> {
    text.parse::<Version>().map(|_| text.to_owned())
}

/// Reads the files, if any are named.
pub(super) fn tls(flags: &Flags) -> Result<Tls, OptionsError> {
    let client_auth = match flags.tls_client_auth_policy.as_str() {
        "" => ClientAuth::None,
        "require" => ClientAuth::Require,
        "require-verify" => ClientAuth::RequireVerify,
        // The reference takes a misspelt policy for none.
        other => {
            let allowed = "require, require-verify or empty";
            return Err(not_allowed("tls-client-auth-policy", other, allowed));
        }
    };
    let required = match flags.tls_required {
        TlsRequired::No if client_auth != ClientAuth::None => TlsRequired::Yes,
        required => required,
    };
    let failed = |cause: String| OptionsError::Tls { cause };
    let (cert, key) = (file(&flags.tls_cert), file(&flags.tls_key));
    let (cert_file, key_file) = match (cert, key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) if required == TlsRequired::No => return Ok(Tls::default()),
        (None, None) => return Err(OptionsError::NoCertificate),
        (Some(_), None) => return Err(failed("--tls-cert needs --tls-key".to_owned())),
        (None, Some(_)) => return Err(failed("--tls-key needs --tls-cert".to_owned())),
    };
    let min_version = min_version(flags);
    let server = ServerTls {
        cert_file,
        key_file,
        client_auth,
        root_ca_file: file(&flags.tls_root_ca_file),
        min_version,
    };
    let config = server.build().map_err(|error| failed(error.to_string()))?;
    Ok(Tls {
        config: Some(config),
        required,
        min_version,
    })
}

/// The lowest version that was asked for.
pub(super) fn min_version(flags: &Flags) -> Version {
    flags
        .tls_min_version
        .parse()
        .expect("checked as it was parsed")
}

fn file(path: &str) -> Option<PathBuf> {
    (!path.is_empty()).then(|| PathBuf::from(path))
}
