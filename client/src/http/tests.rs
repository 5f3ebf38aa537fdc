use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::wire::{ChannelName, TopicName};

/// Answers one request with these bytes, and then keeps the connection open if `hold`.
async fn server(answer: &'static [u8], hold: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        if hold {
            std::future::pending::<()>().await;
        }
    });
    address
}

/// The head and body of a request, that comes in one piece or, with a body, in two.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    loop {
        let count = stream.read_buf(&mut request).await.unwrap();
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(count > 0, "the request ends early: {text}");
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text.into_owned();
        }
    }
}

/// Answers each connection's requests with 200 and the request itself.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let request = read_request(&mut stream).await;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        request.len()
    );
    stream
        .write_all((head + &request).as_bytes())
        .await
        .unwrap();
    stream.flush().await.unwrap();
}

async fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(stream).await;
    });
    address
}

fn limits() -> Limits {
    Limits {
        timeout: Duration::from_millis(300),
        bytes_max: 100,
        ..Limits::default()
    }
}

async fn check(answer: &'static [u8], hold: bool, expected: &str) {
    let address = server(answer, hold).await;
    let told = match Client::new(limits()).get(&address, "/ping").await {
        Ok(body) => format!("ok {}", body.escape_ascii()),
        Err(error) => error.fault.to_string(),
    };
    assert!(told.starts_with(expected), "{told} instead of {expected}");
}

#[tokio::test]
async fn an_answer_is_its_body_or_the_reason_why_not() {
    let good: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
    check(good, true, "ok OK").await;
    let bare: &[u8] = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    check(bare, true, "answered 500 Internal Server Error").await;
    let told: &[u8] =
        b"HTTP/1.1 404 No\r\nContent-Length: 29\r\n\r\n{\"message\":\"TOPIC_NOT_FOUND\"}";
    check(told, true, "answered 404 Not Found: TOPIC_NOT_FOUND").await;
    let text: &[u8] = b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nNOK - bad";
    check(text, true, "answered 500 Internal Server Error: NOK - bad").await;
    let slow: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
    check(slow, true, "no answer within 300ms").await;
    let short: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nOK";
    check(short, false, "not an HTTP answer: broken off").await;
    check(b"\0\0\0\x04garbage\r\n\r\n", true, "not an HTTP answer").await;
    check(b"", true, "no answer within 300ms").await;
    let long: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n\
        0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789!";
    check(long, true, "an answer of more than 100 bytes").await;
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::new(limits()).get(&address, "/ping").await;
    let error = error.unwrap_err();
    let expected = format!("{address}/ping: cannot connect: Connection refused");
    assert_eq!(error.to_string(), expected);
    let Fault::Connect(cause) = &error.fault else {
        panic!("{error:?} is a failed connection");
    };
    assert_eq!(cause.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn what_is_no_address_is_refused_before_anything_is_sent() {
    for address in ["", "a b:4151", "http://", ":4151", "ftp://host:1"] {
        let error = Client::new(limits()).get(address, "/ping").await;
        let fault = error.unwrap_err().fault;
        assert!(matches!(fault, Fault::Address), "{address}: {fault}");
    }
    let client = Client::new(limits());
    let error = client.get("https://127.0.0.1:1", "/ping").await;
    assert!(matches!(error.unwrap_err().fault, Fault::NoTls));
}

#[tokio::test]
async fn a_question_carries_its_method_its_headers_and_its_body() {
    let client = Client::new(Limits::default()).bearer("hunter2").unwrap();
    let address = echo_server().await;
    let value = serde_json::json!({"topic": "a"});
    let url = format!("http://{address}/");
    let told = client.post_json(&url, "/auth?x=1", &value).await.unwrap();
    let told = String::from_utf8(told.to_vec()).unwrap();
    let (first, rest) = told.split_once("\r\n").unwrap();
    assert_eq!(first, "POST /auth?x=1 HTTP/1.1");
    for line in [
        "accept: application/vnd.nsq; version=1.0\r\n",
        "authorization: Bearer hunter2\r\n",
        "content-type: application/json\r\n",
        &format!("host: {address}\r\n"),
    ] {
        assert!(rest.contains(line), "{line} is not in {rest}");
    }
    assert!(rest.ends_with("\r\n\r\n{\"topic\":\"a\"}"), "{rest}");
    assert!(
        !format!("{client:?}").contains("hunter2"),
        "secrets are not shown"
    );
    assert!(client.bearer("a\nb").is_err());

    let address = echo_server().await;
    let told = client.put(&address, "/config/log_level", "warn").await;
    let told = told.unwrap();
    assert!(told.starts_with(b"PUT /config/log_level HTTP/1.1\r\n"));
    assert!(told.ends_with(b"\r\n\r\nwarn"));
}

#[tokio::test]
async fn a_demand_for_https_is_followed_once() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let https_port = secure.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = secure.accept().await.unwrap();
        echo(acceptor.accept(stream).await.unwrap()).await;
    });

    let demand = format!("{{\"message\":\"TLS_REQUIRED\",\"https_port\":{https_port}}}");
    let demand = format!(
        "HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{demand}",
        demand.len()
    );
    let demand: &'static [u8] = demand.leak().as_bytes();
    let address = server(demand, true).await;
    let error = Client::new(Limits::default()).get(&address, "/stats").await;
    assert!(matches!(error.unwrap_err().fault, Fault::NoTls));

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let trusting = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = server(demand, true).await;
    let client = Client::with_tls(Limits::default(), Arc::new(trusting));
    let told = client.post(&address, "/topic/pause?topic=t", "").await;
    assert!(
        told.unwrap()
            .starts_with(b"POST /topic/pause?topic=t HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn producers_of_a_topic_and_of_an_unknown_one() {
    let topic = TopicName::parse("t").unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 97\r\n\r\n\
        {\"channels\":null,\"producers\":[{\"broadcast_address\":\"::1\",\"tcp_port\":4150,\"http_port\":-1,\"x\":\"\"}]}";
    let client = Client::new(limits());
    let address = server(answer, true).await;
    let found = client.lookupd(&address).producers(&topic).await.unwrap();
    assert_eq!(found[0].tcp_address().to_string(), "[::1]:4150");
    assert_eq!(found[0].http_address(), "[::1]:0");
    let unknown = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
    let address = server(unknown, true).await;
    let found = client.lookupd(&address).lookup(&topic).await.unwrap();
    assert_eq!(found, None);
}

#[test]
fn paths_name_what_is_to_be_done_with_names_escaped() {
    let mut action = Action {
        verb: Verb::Pause,
        topic: TopicName::parse("a_b.c-d#ephemeral").unwrap(),
        channel: None,
    };
    assert_eq!(action.path(), "/topic/pause?topic=a_b.c-d%23ephemeral");
    action.verb = Verb::Empty;
    action.channel = Some(ChannelName::parse("c").unwrap());
    let expected = "/channel/empty?topic=a_b.c-d%23ephemeral&channel=c";
    assert_eq!(action.path(), expected);
    let node = query::path("/x", &[("a", None), ("node", Some("[::1]:4151 &"))]);
    assert_eq!(node, "/x?node=%5B::1%5D:4151%20%26");
}

#[test]
fn statistics_of_any_version_are_read() {
    let old = r#"{"topics":[{"topic_name":"a","depth":3,"channels":[{"channel_name":"c","clients":null,
        "e2e_processing_latency":{"count":0,"percentiles":null}}],"e2e_processing_latency":null}],"producers":null}"#;
    let stats: Stats = serde_json::from_str(old).unwrap();
    assert_eq!(stats.topics[0].depth, 3);
    assert_eq!(stats.topics[0].channels[0].channel_name, "c");
    assert!(stats.topics[0].channels[0].clients.is_empty());
    let none: Stats = serde_json::from_str(r#"{"topics":null}"#).unwrap();
    assert!(none.topics.is_empty());
    let latency = r#"{"count":1,"percentiles":[null,{"quantile":0.99,"value":897316}]}"#;
    let latency: Latency = serde_json::from_str(latency).unwrap();
    let expected = Percentile {
        quantile: 0.99,
        value: 897_316.0,
    };
    assert_eq!(latency.percentiles, [expected]);
}
