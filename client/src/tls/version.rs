//! Versions of TLS by the names that flags and options have for them.

use std::fmt;
use std::str::FromStr;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// A lowest version of TLS, as the reference names it (nsqd `-tls-min-version`). The two oldest are accepted so that
/// configurations go on working; they mean [`Version::Tls12`], since nothing here speaks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `tls1.0`, the reference's default: 1.2 here.
    #[default]
    Tls10,
    /// `tls1.1`: 1.2 here.
    Tls11,
    /// `tls1.2`.
    Tls12,
    /// `tls1.3`.
    Tls13,
}

/// A text that names no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of TLS; allowed are tls1.0, tls1.1, tls1.2 and tls1.3")]
pub struct VersionError(String);

impl Version {
    /// The version really used as the lowest: at least 1.2.
    #[must_use]
    pub fn effective(self) -> Version {
        self.max(Version::Tls12)
    }

    /// Its number on the wire, 769 for 1.0 to 772 for 1.3 (RFC 8446, 4.2.1).
    pub fn number(self) -> u16 {
        match self {
            Version::Tls10 => 769,
            Version::Tls11 => 770,
            Version::Tls12 => 771,
            Version::Tls13 => 772,
        }
    }

    /// The versions that may be negotiated.
    pub(super) fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Version::Tls13 => &ONLY_1_3,
            _ => &BOTH,
        }
    }
}

static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

impl FromStr for Version {
    type Err = VersionError;

    /// Letters of either case; the empty text is the default.
    fn from_str(text: &str) -> Result<Version, VersionError> {
        match text.to_ascii_lowercase().as_str() {
            "" | "tls1.0" => Ok(Version::Tls10),
            "tls1.1" => Ok(Version::Tls11),
            "tls1.2" => Ok(Version::Tls12),
            "tls1.3" => Ok(Version::Tls13),
            _ => Err(VersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Tls10 => "tls1.0",
            Version::Tls11 => "tls1.1",
            Version::Tls12 => "tls1.2",
            Version::Tls13 => "tls1.3",
        })
    }
}
