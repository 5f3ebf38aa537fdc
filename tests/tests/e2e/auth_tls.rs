//! AUTH and TLS together: what an authorization server is told, and one that wants HTTPS itself.

use std::sync::Arc;

use client::connection::{Address, ConnectOptions, Connection, TlsMode};
use client::tls::{ClientAuth, ServerConfig, ServerTls, Version};
use client::transport::Transport;
use tests::authd::{Authd, Reply};
use tests::certificates::Certificates;
use tests::daemon::Nsqd;
use tests::wire::with_body;
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn the_name_in_a_certificate_is_told_with_the_secret() {
    let certificates = Certificates::new();
    certificates.issue("shop", |_| ());
    let authd = Authd::start(Reply::all());
    let mut flags = certificates.flags("server");
    flags.push("--tls-client-auth-policy=require-verify".to_owned());
    flags.push(authd.flag());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let nsqd = Nsqd::start(&flags);
    let client = certificates.client(Some("shop")).build().unwrap();
    let options = ConnectOptions {
        auth_secret: Some(b"s".to_vec()),
        tls: TlsMode::Require(client.into()),
        ..ConnectOptions::default()
    };
    let address = Address::Tcp(nsqd.tcp().to_string());
    let connection = Connection::connect(&address, &options).await.unwrap();
    assert!(connection.settled().auth_required);
    let request = authd.requests().remove(0);
    let asked = "GET /auth?common_name=shop&remote_ip=127.0.0.1&secret=s&tls=true HTTP/1.1\r\n";
    assert!(request.starts_with(asked), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_server_that_wants_https_is_asked_there() {
    let certificates = Certificates::new();
    let server = Authd::start(Reply::all());
    let port = https(&certificates, server.address()).await;
    let demand = format!(r#"{{"message":"TLS_REQUIRED","https_port":{port}}}"#);
    let plain = Authd::start(Reply::Answer(403, demand));
    let trust = format!(
        "--tls-root-ca-file={}",
        certificates.path("ca.pem").display()
    );
    let answer = |flags: &[&str]| {
        let nsqd = Nsqd::start(flags);
        let mut peer = nsqd.peer();
        peer.send(with_body("AUTH", "s"));
        peer.frame()
    };
    let granted = block_in_place(|| answer(&[&plain.flag(), &trust]));
    assert!(
        format!("{granted:?}").contains("permission_count"),
        "{granted:?}"
    );
    let (first, second) = (plain.requests().remove(0), server.requests().remove(0));
    assert!(first.starts_with("GET /auth?"), "{first}");
    assert_eq!(first.lines().next(), second.lines().next());

    let doubted = block_in_place(|| answer(&[&plain.flag()]));
    assert!(
        format!("{doubted:?}").contains("E_AUTH_FAILED"),
        "{doubted:?}"
    );
    assert_eq!(server.requests().len(), 1, "no secret for a stranger");
}

/// Does TLS for a server that has none; returns the port.
async fn https(certificates: &Certificates, server: String) -> u16 {
    let tls = ServerTls {
        cert_file: certificates.path("server.pem"),
        key_file: certificates.path("server.key"),
        client_auth: ClientAuth::None,
        root_ca_file: None,
        min_version: Version::default(),
    };
    let config = tls.build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward(stream, Arc::clone(&config), server.clone()));
        }
    });
    port
}

async fn forward(stream: TcpStream, config: Arc<ServerConfig>, server: String) {
    let (receive, send) = stream.into_split();
    let handshake = Transport::new(receive, send).accept_tls(config).await;
    let Ok((mut client, _)) = handshake else {
        return;
    };
    let (mut answer, mut question) = TcpStream::connect(server).await.unwrap().into_split();
    let back = async {
        copy(&mut answer, &mut client.send).await.unwrap();
        client.send.shutdown().await.unwrap();
    };
    tokio::select! {
        _ = copy(&mut client.receive, &mut question) => {}
        () = back => {}
    }
}
