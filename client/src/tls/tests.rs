use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// A certificate that signs itself, and its key, in files.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Files {
        let files = Files {
            directory: tempfile::tempdir().unwrap(),
        };
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        files.write("cert.pem", &certificate.pem());
        files.write("key.pem", &key.serialize_pem());
        files.write("other.pem", &KeyPair::generate().unwrap().serialize_pem());
        files.write("garbage.pem", "nothing of the kind");
        files.write("torn.pem", &certificate.pem()[..100]);
        files.write("bad.pem", &certificate.pem().replace('M', "!"));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn server(&self) -> ServerTls {
        ServerTls {
            cert_file: self.path("cert.pem"),
            key_file: self.path("key.pem"),
            client_auth: ClientAuth::None,
            root_ca_file: None,
            min_version: Version::default(),
        }
    }

    fn client(&self) -> ClientTls {
        ClientTls {
            root_ca_file: Some(self.path("cert.pem")),
            ..ClientTls::default()
        }
    }

    fn named_client(&self) -> ClientTls {
        ClientTls {
            cert_file: Some(self.path("cert.pem")),
            key_file: Some(self.path("key.pem")),
            ..self.client()
        }
    }
}

/// Whether the two come to terms, and in which version.
async fn negotiated(server: &ServerTls, client: &ClientTls) -> Option<rustls::ProtocolVersion> {
    let acceptor = TlsAcceptor::from(server.build().unwrap());
    let connector = TlsConnector::from(client.build().unwrap());
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = "localhost".try_into().unwrap();
    let (accepted, connected) = tokio::join!(acceptor.accept(far), connector.connect(name, near));
    let version = accepted.ok()?.get_ref().1.protocol_version();
    connected.ok().and(version)
}

#[tokio::test]
async fn the_lowest_version_and_the_policy_of_either_side_hold() {
    let files = Files::new();
    let (server, client) = (files.server(), files.client());
    let newest = Some(rustls::ProtocolVersion::TLSv1_3);
    assert_eq!(negotiated(&server, &client).await, newest);

    let strict = ServerTls {
        client_auth: ClientAuth::Require,
        ..server.clone()
    };
    assert_eq!(negotiated(&strict, &client).await, None);
    assert_eq!(negotiated(&strict, &files.named_client()).await, newest);

    let other = Files::new();
    let stranger = ClientTls {
        root_ca_file: client.root_ca_file.clone(),
        ..other.named_client()
    };
    assert_eq!(negotiated(&strict, &stranger).await, newest);
    let verifying = ServerTls {
        client_auth: ClientAuth::RequireVerify,
        root_ca_file: client.root_ca_file.clone(),
        ..server.clone()
    };
    assert_eq!(negotiated(&verifying, &stranger).await, None);
    assert_eq!(negotiated(&verifying, &files.named_client()).await, newest);

    assert_eq!(negotiated(&server, &other.client()).await, None);
    let careless = ClientTls {
        insecure_skip_verify: true,
        ..other.client()
    };
    assert_eq!(negotiated(&server, &careless).await, newest);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let files = Files::new();
    let check = |name: &str, kind: &str, expected: &str| {
        let path = files.path(name);
        let error = match kind {
            "certificate" => ServerTls {
                cert_file: path.clone(),
                ..files.server()
            }
            .build()
            .unwrap_err(),
            "key" => ServerTls {
                key_file: path.clone(),
                ..files.server()
            }
            .build()
            .unwrap_err(),
            _ => ClientTls {
                root_ca_file: Some(path.clone()),
                ..ClientTls::default()
            }
            .build()
            .unwrap_err(),
        };
        let start = format!("{kind} file {path:?} {expected}");
        assert!(error.to_string().starts_with(&start), "{error} / {start}");
    };
    check(
        "absent.pem",
        "certificate",
        "cannot be read: No such file or directory",
    );
    check("absent.pem", "key", "cannot be read: ");
    check(
        "garbage.pem",
        "certificate",
        "holds none; wanted is a PEM block BEGIN CERTIFICATE",
    );
    check(
        "cert.pem",
        "key",
        "holds none; wanted is a PEM block BEGIN PRIVATE KEY",
    );
    check("key.pem", "root CA", "holds none");
    check("torn.pem", "certificate", "is not valid PEM: ");
    check("bad.pem", "root CA", "is not valid PEM: ");
}

#[test]
fn a_certificate_needs_its_own_key() {
    let files = Files::new();
    let error = ServerTls {
        key_file: files.path("other.pem"),
        ..files.server()
    }
    .build()
    .unwrap_err();
    let names = |path: &Path| format!("{path:?}");
    let text = error.to_string();
    assert!(text.contains(&names(&files.path("cert.pem"))), "{text}");
    assert!(text.contains(&names(&files.path("other.pem"))), "{text}");
    assert!(text.contains("do not go together"), "{text}");

    let half = ClientTls {
        cert_file: Some(files.path("cert.pem")),
        ..files.client()
    };
    let missing = "a certificate and its key are needed together; the key file is missing";
    assert_eq!(half.build().unwrap_err().to_string(), missing);
}

#[test]
fn versions_have_names_and_numbers() {
    let numbers = ["tls1.0", "TLS1.1", "tls1.2", "Tls1.3"]
        .map(|name| name.parse::<Version>().unwrap().number());
    assert_eq!(numbers, [769, 770, 771, 772]);
    assert_eq!("".parse::<Version>().unwrap(), Version::Tls10);
    assert_eq!(Version::Tls10.effective(), Version::Tls12);
    assert_eq!(Version::Tls13.effective().to_string(), "tls1.3");
    let error = "ssl3.0".parse::<Version>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"ssl3.0\" is no version of TLS; allowed are tls1.0, tls1.1, tls1.2 and tls1.3"
    );
}

fn certificate(names: &[(DnType, &str)]) -> Arc<[u8]> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, name) in names {
        params.distinguished_name.push(kind.clone(), *name);
    }
    let key = KeyPair::generate().unwrap();
    Arc::from(params.self_signed(&key).unwrap().der().as_ref())
}

#[test]
fn the_common_name_is_found_among_others() {
    let check = |names: &[(DnType, &str)], expected: &str| {
        assert_eq!(common_name(&certificate(names)), expected);
    };
    check(&[(DnType::CommonName, "billing")], "billing");
    let long = "n".repeat(300);
    let several = [
        (DnType::CountryName, "NO"),
        (DnType::OrganizationName, &long),
        (DnType::CommonName, "bøker"),
    ];
    check(&several, "bøker");
    check(&[(DnType::CountryName, "NO")], "");
    check(&[], "");
}

proptest! {
    #[test]
    fn damaged_certificates_have_no_panic(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        let mut bytes = certificate(&[(DnType::CommonName, "billing")]).to_vec();
        if let Some(target) = bytes.get_mut(at) {
            *target = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        common_name(&bytes);
    }
}
