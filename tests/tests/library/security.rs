//! TLS, compression and secrets under the producer and the consumer: what works, and how each says that it cannot.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use client::connection::{ConnectOptions, ConnectionError, SecretProvider, TlsMode};
use client::consumer::{ConnectPolicy, Consumer, ConsumerBuilder, ConsumerError};
use client::producer::{Producer, PublishError};
use client::reconnect::Reconnect;
use client::wire::{ErrorCode, TopicName};
use tests::authd::{Authd, Reply};
use tests::certificates::Certificates;
use tests::daemon::Nsqd;
use tests::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::block_in_place;
use tokio::time::timeout;

fn start(flags: &[String]) -> Nsqd {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Nsqd::start(&flags)
}

fn topic() -> TopicName {
    TopicName::parse("t").unwrap()
}

fn with_secret(secret: &str) -> ConnectOptions {
    ConnectOptions {
        auth_secret: Some(secret.as_bytes().to_vec()),
        ..ConnectOptions::default()
    }
}

fn producer(address: &str, options: &ConnectOptions) -> Producer {
    let builder = Producer::builder().nsqd(address).options(options.clone());
    builder.publish_timeout(wait::PATIENCE).build().unwrap()
}

fn consumer(address: &str, options: &ConnectOptions) -> ConsumerBuilder {
    let reconnect = Reconnect {
        first: wait::PATIENCE / 1000,
        max: wait::PATIENCE / 100,
    };
    Consumer::builder(topic(), "c".parse().unwrap())
        .nsqd(address)
        .options(options.clone())
        .reconnect(reconnect)
}

/// How a producer and a consumer fail that no nsqd will ever take.
async fn refusals(address: &str, options: &ConnectOptions) -> (Arc<ConnectionError>, PublishError) {
    let policy = ConnectPolicy::RequireAny(wait::PATIENCE);
    let consumer = consumer(address, options).connect_policy(policy);
    let refused = match consumer.start().await {
        Err(ConsumerError::Refused { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    let publish = producer(address, options).publish(&topic(), "a").await;
    (refused, publish.unwrap_err())
}

#[track_caller]
fn cause(error: &PublishError) -> &ConnectionError {
    match error {
        PublishError::NotSent { cause: Some(cause) } => &cause.cause,
        other => panic!("{other:?}"),
    }
}

/// Forwards to this address, and back from there byte by byte; returns where.
async fn trickle(nsqd: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward(stream, nsqd));
        }
    });
    address
}

async fn forward(client: TcpStream, nsqd: SocketAddr) {
    client.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let nsqd = TcpStream::connect(nsqd).await.unwrap();
    let (mut from_nsqd, mut to_nsqd) = nsqd.into_split();
    let back = async {
        while let Ok(byte) = from_nsqd.read_u8().await {
            if to_client.write_u8(byte).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_nsqd) => {}
        () = back => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layer_works_when_bytes_come_one_by_one() {
    let certificates = Certificates::new();
    let authd = Authd::start(Reply::all());
    let nsqd = start(&[certificates.flags("server"), vec![authd.flag()]].concat());
    let address = trickle(nsqd.tcp()).await;
    let mut options = with_secret("s");
    options.tls = TlsMode::Require(certificates.client(None).build().unwrap().into());
    options.identify.snappy = Some(true);

    let producer = producer(&address, &options);
    for body in ["one", "two", "three"] {
        producer.publish(&topic(), body).await.unwrap();
    }
    let mut consumer = consumer(&address, &options).start().await.unwrap();
    for body in ["one", "two", "three"] {
        let message = timeout(wait::PATIENCE, consumer.recv()).await.unwrap();
        let message = message.unwrap();
        assert_eq!(message.body(), body);
        message.finish().unwrap();
    }
    let client = block_in_place(|| nsqd.channel("t", "c")["clients"][0].clone());
    for layer in ["tls", "snappy", "authed"] {
        assert_eq!(client[layer], true, "{layer}: {client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_required_and_not_offered_ends_both_and_preferred_goes_on() {
    let nsqd = Nsqd::start(&[]);
    let address = nsqd.tcp().to_string();
    let certificates = Certificates::new();
    let client = certificates.client(None);
    let tls = |mode: fn(_) -> TlsMode| ConnectOptions {
        tls: mode(client.build().unwrap().into()),
        ..ConnectOptions::default()
    };
    let (refused, unsent) = refusals(&address, &tls(TlsMode::Require)).await;
    for cause in [&*refused, cause(&unsent)] {
        assert!(matches!(cause, ConnectionError::TlsNotOffered), "{cause:?}");
    }
    assert!(block_in_place(|| nsqd.topic("t")).is_null());

    let preferred = tls(TlsMode::Prefer);
    let producer = producer(&address, &preferred);
    producer.publish(&topic(), "in plain").await.unwrap();
    let mut consumer = consumer(&address, &preferred).start().await.unwrap();
    let message = timeout(wait::PATIENCE, consumer.recv()).await.unwrap();
    message.unwrap().finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_port_is_named_as_such() {
    let certificates = Certificates::new();
    let nsqd = start(&certificates.flags("server"));
    let address = block_in_place(|| nsqd.https()).to_string();
    let (refused, unsent) = refusals(&address, &ConnectOptions::default()).await;
    for cause in [&*refused, cause(&unsent)] {
        assert!(cause.to_string().contains("HTTP port"), "{cause:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_refused_ends_both_with_the_words_of_nsqd() {
    let authd = Authd::start(Reply::Answer(403, String::new()));
    let nsqd = start(&[authd.flag()]);
    let address = nsqd.tcp().to_string();
    let (refused, unsent) = refusals(&address, &with_secret("wrong")).await;
    for cause in [&*refused, cause(&unsent)] {
        let ConnectionError::Refused(text) = cause else {
            panic!("{cause:?}");
        };
        assert_eq!(text, "E_AUTH_FAILED AUTH failed");
    }
    let mut consumer = consumer(&address, &with_secret("wrong"))
        .start()
        .await
        .unwrap();
    let ended = timeout(wait::PATIENCE, consumer.recv()).await.unwrap();
    assert!(ended.is_none());
    let control = consumer.control();
    control.drain(wait::PATIENCE).await;
    let reason = control.closed_reason().unwrap();
    assert_eq!(reason.code(), Some(ErrorCode::AuthFailed));
}

/// The server says no until the secret is the new one, which the provider has from some moment on.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_asked_until_its_secret_is_good_and_at_each_reconnect() {
    let authd = Authd::start(Reply::Answer(403, String::new()));
    let mut nsqd = start(&[authd.flag()]);
    let secret = Arc::new(Mutex::new("old".to_owned()));
    let current = Arc::clone(&secret);
    let provider = SecretProvider::new(move || {
        let secret = current.lock().unwrap().clone().into_bytes();
        std::future::ready(Ok(secret))
    });
    let options = ConnectOptions {
        auth_provider: Some(provider),
        ..ConnectOptions::default()
    };
    let address = nsqd.tcp().to_string();
    let mut consumer = consumer(&address, &options).start().await.unwrap();
    let has_asked = |secret: &str| {
        let secret = format!("secret={secret}&");
        let requests = authd.requests();
        requests
            .iter()
            .filter(|request| request.contains(&secret))
            .count()
    };
    block_in_place(|| wait::until("it was refused twice", || has_asked("old") >= 2));
    "new".clone_into(&mut secret.lock().unwrap());
    authd.set(Reply::all());
    block_in_place(|| {
        wait::until("the new secret is told", || has_asked("new") >= 1);
        "newest".clone_into(&mut secret.lock().unwrap());
        nsqd.restart_in_place();
        wait::until("the newest secret is told", || has_asked("newest") >= 1);
        nsqd.publish("t", "there");
    });
    let message = timeout(wait::PATIENCE, consumer.recv()).await.unwrap();
    assert_eq!(message.unwrap().body(), "there");
}
