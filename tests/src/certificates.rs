//! An authority of one's own, and what it has signed, in files.

use std::path::PathBuf;

use client::tls::ClientTls;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

/// An authority, with a certificate for a server on `localhost` and 127.0.0.1.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// A new authority, which nobody knows yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("keys can be made");
        let root = params.self_signed(&key).expect("the parameters are valid");
        let folder = TempDir::new().expect("a temporary folder can be made");
        let issuer = Issuer::new(params, key);
        let certificates = Self { folder, issuer };
        certificates.write("ca.pem", &root.pem());
        certificates.issue("server", |_| ());
        certificates
    }

    /// Signs a certificate, for both ends of a connection and for this machine unless `change` says otherwise. The name
    /// is its common name, and that of the files `<name>.pem` and `<name>.key`.
    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(hosts).expect("the hosts are valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().expect("keys can be made");
        let signed = params.signed_by(&key, &self.issuer);
        let signed = signed.expect("the parameters are valid");
        self.write(&format!("{name}.pem"), &signed.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// For [`Certificates::issue`]: a certificate whose time is over.
    pub fn expired(params: &mut CertificateParams) {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }

    /// The path of a file.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Flags that give nsqd this certificate, and a port for HTTPS.
    pub fn flags(&self, name: &str) -> Vec<String> {
        let path = |file: String| self.path(&file).display().to_string();
        vec![
            format!("--tls-cert={}", path(format!("{name}.pem"))),
            format!("--tls-key={}", path(format!("{name}.key"))),
            format!("--tls-root-ca-file={}", path("ca.pem".to_owned())),
            "--https-address=127.0.0.1:0".to_owned(),
        ]
    }

    /// A client that trusts this authority, and shows the certificate of this name, if any.
    pub fn client(&self, name: Option<&str>) -> ClientTls {
        let file = |kind: &str| name.map(|name| self.path(&format!("{name}.{kind}")));
        ClientTls {
            root_ca_file: Some(self.path("ca.pem")),
            cert_file: file("pem"),
            key_file: file("key"),
            ..ClientTls::default()
        }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).expect("a temporary file can be written");
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
