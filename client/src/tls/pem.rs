//! Reading PEM files, and the system's authorities.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{FileKind, TlsError};

/// The certificates of a file, in their order; at least one.
pub(super) fn certificates(
    kind: FileKind,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(kind, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|error| malformed(kind, path, &error))?;
    if certificates.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::Missing { kind, path });
    }
    Ok(certificates)
}

/// The first private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(FileKind::Key, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| malformed(FileKind::Key, path, &error))
}

/// The authorities of a file, or those of the system if none is named.
pub(super) fn roots(path: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let Some(path) = path else {
        return system_roots();
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(FileKind::RootCa, path)? {
        roots.add(certificate).map_err(|cause| TlsError::Unusable {
            kind: FileKind::RootCa,
            path: path.to_owned(),
            cause,
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One that this library cannot read is no reason to do without the others.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first();
        let why = why.map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(TlsError::NoSystemRoots(why));
    }
    Ok(roots)
}

fn read(kind: FileKind, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Read {
        kind,
        path: path.to_owned(),
        cause,
    })
}

fn malformed(kind: FileKind, path: &Path, error: &PemError) -> TlsError {
    let path = path.to_owned();
    match error {
        PemError::NoItemsFound => TlsError::Missing { kind, path },
        error => TlsError::NotPem {
            kind,
            path,
            reason: error.to_string(),
        },
    }
}
