//! TLS as both ends of a connection configure it: files and policies in, a configuration of rustls out.
//!
//! | part | owns |
//! | --- | --- |
//! | [`ClientTls`] | whom a client trusts, and what it shows of itself |
//! | [`ServerTls`], [`ClientAuth`] | what a server shows, and what it wants of clients |
//! | [`Version`] | the names `tls1.0` to `tls1.3` |
//! | [`TlsError`] | which file it was, and what is wrong with it |
//! | [`common_name`] | who a certificate says it is |
//!
//! The library has TLS 1.2 and 1.3 only, with ring for the cryptography. Files are PEM, and are read once.

mod client;
mod common_name;
mod error;
mod pem;
mod server;
#[cfg(test)]
mod tests;
mod unverified;
mod version;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use rustls::{ClientConfig, ServerConfig};

pub use client::ClientTls;
pub use common_name::common_name;
pub use error::{FileKind, TlsError};
pub use server::{ClientAuth, ServerTls};
pub use version::{Version, VersionError};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
