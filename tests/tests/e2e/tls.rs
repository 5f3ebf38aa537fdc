//! TLS: upgraded TCP connections, HTTPS, who may connect, and what is refused.

use client::connection::{
    Address, ConnectOptions, Connection, ConnectionError, TlsClient, TlsMode,
};
use client::tls::ClientTls;
use client::transport::Transport;
use client::wire::{Command, Frame, NameRef};
use serde_json::{Value, json};
use tests::certificates::Certificates;
use tests::daemon::{Nsqd, run_to_end};
use tests::http;
use tests::wire::{batch, with_body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn start(certificates: &Certificates, flags: &[&str]) -> Nsqd {
    let tls = certificates.flags("server");
    let flags: Vec<&str> = flags
        .iter()
        .copied()
        .chain(tls.iter().map(String::as_str))
        .collect();
    Nsqd::start(&flags)
}

fn require(client: &ClientTls) -> ConnectOptions {
    ConnectOptions {
        tls: TlsMode::Require(client.build().unwrap().into()),
        ..ConnectOptions::default()
    }
}

async fn connect(nsqd: &Nsqd, options: &ConnectOptions) -> Result<Connection, ConnectionError> {
    let connected = Connection::connect(&Address::Tcp(nsqd.tcp().to_string()), options).await;
    connected.map_err(|error| error.cause)
}

async fn publish(connection: &mut Connection, body: &[u8]) -> Result<(), ConnectionError> {
    let topic = NameRef::parse(b"orders").unwrap();
    let publish = Command::Publish { topic, body };
    connection.request(&publish).await.map(drop)
}

/// Publishes a message and gets it back, over one connection.
async fn works(mut connection: Connection) {
    let (topic, channel) = (
        NameRef::parse(b"orders").unwrap(),
        NameRef::parse(b"kitchen").unwrap(),
    );
    publish(&mut connection, b"one coffee").await.unwrap();
    connection.subscribe(topic, channel).await.unwrap();
    connection.writer().write(&Command::Ready { count: 1 });
    match connection.next_frame().await.unwrap() {
        Frame::Message(message) => assert_eq!(message.body, "one coffee"),
        other => panic!("{other:?} is not the message"),
    }
}

#[tokio::test]
async fn a_connection_goes_on_in_tls_and_stats_tell_so() {
    let certificates = Certificates::new();
    let nsqd = start(&certificates, &[]);
    let options = require(&certificates.client(None));
    let mut producer = connect(&nsqd, &options).await.unwrap();
    publish(&mut producer, b"x").await.unwrap();

    let stats = nsqd.get("/stats?format=json").json();
    let client = &stats["producers"][0];
    let told = |key: &str| client[key].clone();
    assert_eq!(told("tls"), true);
    assert_eq!(told("tls_version"), "TLS1.3");
    assert!(
        told("tls_cipher_suite")
            .as_str()
            .unwrap()
            .starts_with("TLS_")
    );
    assert_eq!(told("tls_negotiated_protocol_is_mutual"), true);

    for compression in [None, Some("snappy"), Some("deflate")] {
        let mut options = options.clone();
        options.identify.snappy = Some(compression == Some("snappy"));
        options.identify.deflate = Some(compression == Some("deflate"));
        nsqd.post("/topic/create?topic=orders", "");
        nsqd.act("/topic/empty?topic=orders");
        let connection = connect(&nsqd, &options).await.unwrap();
        assert_eq!(connection.settled().snappy, compression == Some("snappy"));
        assert_eq!(connection.settled().deflate, compression == Some("deflate"));
        nsqd.post("/channel/create?topic=orders&channel=kitchen", "");
        nsqd.act("/channel/empty?topic=orders&channel=kitchen");
        works(connection).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_right_one_is_left() {
    let certificates = Certificates::new();
    let nsqd = start(&certificates, &[]);
    let strangers = Certificates::new();
    let refused = connect(&nsqd, &require(&strangers.client(None))).await;
    assert!(
        matches!(refused, Err(ConnectionError::Tls(_))),
        "{refused:?}"
    );

    let misnamed = ConnectOptions {
        tls: TlsMode::Require(TlsClient {
            config: certificates.client(None).build().unwrap(),
            server_name: Some("elsewhere.example".to_owned()),
        }),
        ..ConnectOptions::default()
    };
    let refused = connect(&nsqd, &misnamed).await;
    assert!(
        matches!(refused, Err(ConnectionError::Tls(_))),
        "{refused:?}"
    );

    certificates.issue("old", Certificates::expired);
    let flags = certificates.flags("old");
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let old = Nsqd::start(&flags);
    let refused = connect(&old, &require(&certificates.client(None))).await;
    assert!(
        matches!(refused, Err(ConnectionError::Tls(_))),
        "{refused:?}"
    );

    // Whoever did not look gets in, and others were not disturbed by any of it.
    let careless = ClientTls {
        insecure_skip_verify: true,
        ..ClientTls::default()
    };
    works(connect(&old, &require(&careless)).await.unwrap()).await;
}

#[tokio::test]
async fn policies_for_certificates_of_clients_hold() {
    let certificates = Certificates::new();
    certificates.issue("billing", |_| ());
    certificates.issue("old", Certificates::expired);
    let strangers = Certificates::new();
    strangers.issue("stranger", |_| ());
    let stranger = ClientTls {
        root_ca_file: Some(certificates.path("ca.pem")),
        ..strangers.client(Some("stranger"))
    };
    let clients = [
        certificates.client(None),
        stranger,
        certificates.client(Some("old")),
        certificates.client(Some("billing")),
    ];
    for (policy, accepted) in [
        ("require", [false, true, true, true]),
        ("require-verify", [false, false, false, true]),
    ] {
        let nsqd = start(
            &certificates,
            &[&format!("--tls-client-auth-policy={policy}")],
        );
        for (client, accepted) in clients.iter().zip(accepted) {
            // In TLS 1.3 a client learns of it at its first read.
            let connected = connect(&nsqd, &require(client)).await;
            assert_eq!(connected.is_ok(), accepted, "{policy}: {client:?}");
        }
        let mut peer = nsqd.peer();
        peer.send("NOP\n");
        let required = "E_INVALID cannot NOP in current state (TLS required)";
        assert_eq!(peer.error(), required, "a policy makes TLS required");
    }
}

#[tokio::test]
async fn without_tls_on_the_other_side_a_client_goes_on_only_if_it_may() {
    let nsqd = Nsqd::start(&[]);
    let certificates = Certificates::new();
    let required = require(&certificates.client(None));
    let refused = connect(&nsqd, &required).await.unwrap_err();
    assert!(
        matches!(refused, ConnectionError::TlsNotOffered),
        "{refused:?}"
    );
    assert!(refused.is_permanent());

    let TlsMode::Require(client) = required.tls else {
        unreachable!("it was built so");
    };
    let preferred = ConnectOptions {
        tls: TlsMode::Prefer(client),
        ..ConnectOptions::default()
    };
    works(connect(&nsqd, &preferred).await.unwrap()).await;
}

#[test]
fn with_tls_required_nothing_else_is_done_in_plain() {
    let certificates = Certificates::new();
    for required in ["true", "tcp-https"] {
        let nsqd = start(&certificates, &[&format!("--tls-required={required}")]);
        for (name, bytes) in [
            ("SUB", b"SUB t c\n".to_vec()),
            ("PUB", with_body("PUB t", "m")),
            ("MPUB", with_body("MPUB t", batch(&["m"]))),
            ("DPUB", with_body("DPUB t 1", "m")),
            ("AUTH", with_body("AUTH", "s")),
            ("RDY", b"RDY 1\n".to_vec()),
            ("FIN", b"FIN 0123456789abcdef\n".to_vec()),
            ("REQ", b"REQ 0123456789abcdef 0\n".to_vec()),
            ("TOUCH", b"TOUCH 0123456789abcdef\n".to_vec()),
            ("CLS", b"CLS\n".to_vec()),
            ("NOP", b"NOP\n".to_vec()),
        ] {
            let mut peer = nsqd.peer();
            assert_eq!(peer.identify(&json!({}))["tls_v1"], false);
            peer.send(bytes);
            let expected = format!("E_INVALID cannot {name} in current state (TLS required)");
            assert_eq!(peer.error(), expected);
            peer.expect_closed();
        }
    }
}

#[tokio::test]
async fn https_answers_and_plain_http_is_closed_when_tls_is_required() {
    let certificates = Certificates::new();
    let config = certificates.client(None).build().unwrap();
    for (flag, number, open) in [
        ("--tls-required=true", 2, false),
        ("--tls-required=tcp-https", 1, true),
        ("--tls-required=false", 0, true),
    ] {
        let nsqd = start(&certificates, &[flag]);
        let https = nsqd.https();
        let get = async |path: &str| {
            let (receive, send) = TcpStream::connect(https).await.unwrap().into_split();
            let name = "localhost".try_into().unwrap();
            let transport = Transport::new(receive, send);
            let mut transport = transport.connect_tls(config.clone(), name).await.unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nHost: nsqd\r\nConnection: close\r\n\r\n");
            transport.send.write_all(head.as_bytes()).await.unwrap();
            transport.send.flush().await.unwrap();
            let mut answer = String::new();
            // How the server says goodbye is not what is tried here.
            let _ = transport.receive.read_to_string(&mut answer).await;
            answer
        };
        assert!(get("/ping").await.ends_with("\r\n\r\nOK"));
        let option = get("/config/tls_required").await;
        assert!(option.ends_with(&format!("\r\n\r\n{number}")), "{option}");

        for path in ["/ping", "/stats", "/nothing"] {
            let answer = http::request(nsqd.http(), "GET", path, b"");
            assert_eq!(answer.status != 403, open, "{flag} {path}");
            if open {
                continue;
            }
            let port = https.port();
            let expected = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {port}}}"#);
            assert_eq!(answer.body, expected);
            let kind = "application/json; charset=utf-8";
            assert_eq!(answer.header("Content-Type"), Some(kind));
            assert_eq!(
                answer.header("X-Nsq-Content-Type"),
                Some("nsq; version=1.0")
            );
        }
    }
}

/// Asks for TLS, with these bytes right behind.
fn identify_and(more: &[u8]) -> Vec<u8> {
    let wish = json!({"feature_negotiation": true, "tls_v1": true}).to_string();
    [&with_body("IDENTIFY", wish), more].concat()
}

#[tokio::test]
async fn what_comes_before_the_handshake_is_never_executed() {
    let certificates = Certificates::new();
    let nsqd = start(&certificates, &[]);
    let injected = with_body("PUB injected", "m");

    let mut peer = nsqd.peer();
    peer.send(identify_and(&injected));
    let refused = "E_IDENTIFY_FAILED IDENTIFY failed as bytes came before the upgrade";
    assert_eq!(peer.error(), refused);
    peer.expect_closed();

    // A segment of its own, for the handshake to stumble over: an alert of TLS comes, then the last word in plain.
    let mut stream = TcpStream::connect(nsqd.tcp()).await.unwrap();
    let asked = [b"  V2", identify_and(b"").as_slice()].concat();
    stream.write_all(&asked).await.unwrap();
    let size = stream.read_u32().await.unwrap();
    stream
        .read_exact(&mut vec![0; size as usize])
        .await
        .unwrap();
    stream.write_all(&injected).await.unwrap();
    let mut rest = Vec::new();
    // Its end may be a reset.
    let _ = stream.read_to_end(&mut rest).await;
    let told = String::from_utf8_lossy(&rest);
    assert!(
        told.contains("E_IDENTIFY_FAILED IDENTIFY failed "),
        "{told:?}"
    );
    assert!(nsqd.topic("injected").is_null());
}

#[test]
fn a_handshake_that_fails_or_never_ends_disturbs_nobody() {
    let certificates = Certificates::new();
    let nsqd = start(&certificates, &["--tls-required=false"]);
    let mut silent: Vec<_> = (0..20).map(|_| nsqd.peer()).collect();
    for peer in &mut silent {
        peer.send(identify_and(b""));
        let answer: Value = serde_json::from_str(&peer.response()).unwrap();
        assert_eq!(answer["tls_v1"], true);
    }
    nsqd.peer().publish("t", "others go on");
    for peer in &mut silent {
        // Five seconds, then the end.
        peer.expect_closed();
    }
}

#[test]
fn tls_that_cannot_be_had_ends_the_start_and_names_the_file() {
    let certificates = Certificates::new();
    certificates.issue("other", |_| ());
    let cert = format!("--tls-cert={}", certificates.path("server.pem").display());
    let key = format!("--tls-key={}", certificates.path("other.key").display());
    let ended = run_to_end(&[&cert, &key]);
    assert_eq!(ended.status, Some(1));
    let expected =
        "FATAL: failed to instantiate nsqd - failed to build TLS config - certificate file";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    assert!(ended.stderr.contains("other.key"), "{}", ended.stderr);
}
