//! Snappy and deflate: what is granted, byte by byte, and what a peer must not do with them.

use client::connection::{Address, ConnectOptions, Connection, ConnectionError};
use client::wire::{Command, Frame, NameRef};
use serde_json::json;
use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::with_body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The frame that answers an upgrade, as the reference sends it in a new snappy stream.
const OK_IN_SNAPPY: &[u8] = b"\xff\x06\0\0sNaPpY\x01\x0e\0\0\x26\x98\x2b\xcf\0\0\0\x06\0\0\0\0OK";

fn options(compression: &str) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.identify.snappy = Some(compression == "snappy");
    options.identify.deflate = Some(compression == "deflate");
    options
}

async fn connect(nsqd: &Nsqd, options: &ConnectOptions) -> Result<Connection, ConnectionError> {
    let connected = Connection::connect(&Address::Tcp(nsqd.tcp().to_string()), options).await;
    connected.map_err(|error| error.cause)
}

/// Asks for snappy byte by byte, and reads up to the `OK` in it.
async fn in_snappy(nsqd: &Nsqd) -> TcpStream {
    let mut stream = TcpStream::connect(nsqd.tcp()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let wish = json!({"feature_negotiation": true, "snappy": true}).to_string();
    for byte in [b"  V2".to_vec(), with_body("IDENTIFY", wish)].concat() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let size = stream.read_u32().await.unwrap();
    let mut answer = vec![0; size as usize];
    stream.read_exact(&mut answer).await.unwrap();
    let mut confirmed = vec![0; OK_IN_SNAPPY.len()];
    stream.read_exact(&mut confirmed).await.unwrap();
    assert_eq!(confirmed, OK_IN_SNAPPY);
    stream
}

/// Waits until nsqd closes, without an error frame, and has said why.
async fn ends(nsqd: &Nsqd, mut stream: TcpStream, why: &str) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"", "no error frame");
    wait::until(why, || nsqd.log().contains(why));
}

#[tokio::test]
async fn messages_of_all_sizes_go_both_ways() {
    let nsqd = Nsqd::start(&[]);
    let (topic, channel) = (
        NameRef::parse(b"orders").unwrap(),
        NameRef::parse(b"kitchen").unwrap(),
    );
    for compression in ["snappy", "deflate"] {
        let mut producer = connect(&nsqd, &options(compression)).await.unwrap();
        let mut consumer = connect(&nsqd, &options(compression)).await.unwrap();
        consumer.subscribe(topic, channel).await.unwrap();
        consumer.writer().write(&Command::Ready { count: 10 });
        for size in [1, 100, 65_535, 65_536, 200_000, 1_048_576] {
            let body: Vec<u8> = (0..251).cycle().take(size).collect();
            let publish = Command::Publish { topic, body: &body };
            producer.request(&publish).await.unwrap();
            let Frame::Message(message) = consumer.next_frame().await.unwrap() else {
                panic!("not a message");
            };
            assert!(message.body == body, "{compression} {size}");
            consumer.writer().write(&Command::Finish { id: message.id });
            consumer.writer().flush().await.unwrap();
        }
        let stats = nsqd.get("/stats?format=json").json();
        assert_eq!(stats["producers"][0][compression], true);
    }
}

#[tokio::test]
async fn two_compressions_are_refused_on_both_sides() {
    let nsqd = Nsqd::start(&[]);
    let mut both = options("snappy");
    both.identify.deflate = Some(true);
    let refused = connect(&nsqd, &both).await.unwrap_err();
    assert!(
        matches!(refused, ConnectionError::TwoCompressions),
        "{refused:?}"
    );
    let wish = json!({"feature_negotiation": true, "snappy": true, "deflate": true});
    let mut peer = nsqd.peer();
    peer.send(with_body("IDENTIFY", wish.to_string()));
    let expected = "E_IDENTIFY_FAILED cannot enable both deflate and snappy compression";
    assert_eq!(peer.error(), expected);
}

#[tokio::test]
async fn what_is_not_offered_is_done_without() {
    let nsqd = Nsqd::start(&["--snappy=false", "--deflate=false"]);
    for compression in ["snappy", "deflate"] {
        let connection = connect(&nsqd, &options(compression)).await.unwrap();
        assert!(!connection.settled().snappy && !connection.settled().deflate);
    }
    let capped = Nsqd::start(&["--max-deflate-level=3"]);
    let mut wanted = options("deflate");
    wanted.identify.deflate_level = Some(9);
    let connection = connect(&capped, &wanted).await.unwrap();
    assert_eq!(connection.settled().deflate_level, 3);
}

#[tokio::test]
async fn a_damaged_stream_ends_the_connection_and_the_log_says_why() {
    let nsqd = Nsqd::start(&[]);
    for (bytes, why) in [
        (&b"NOP\n"[..], "does not start with its identifier"),
        (
            b"\xff\x06\0\0sNaPpY\x02\0\0\0",
            "a snappy chunk has type 0x02",
        ),
        (
            b"\xff\x06\0\0sNaPpY\x01\x08\0\0\0\0\0\0NOP\n",
            "a snappy chunk has checksum",
        ),
        // A quarter of a gigabyte, it says.
        (
            b"\xff\x06\0\0sNaPpY\0\x09\0\0\0\0\0\0\x80\x80\x80\x80\x01",
            "268435456 bytes",
        ),
    ] {
        let mut stream = in_snappy(&nsqd).await;
        stream.write_all(bytes).await.unwrap();
        ends(&nsqd, stream, why).await;
    }
    let mut stream = in_snappy(&nsqd).await;
    stream.write_all(&OK_IN_SNAPPY[..20]).await.unwrap();
    stream.shutdown().await.unwrap();
    ends(&nsqd, stream, "the snappy stream ends too early").await;
    nsqd.peer().publish("t", "others go on");
}

/// Bytes that say "a body of 1 GiB", and then zeros without end: refused at the limit of the command.
#[tokio::test]
async fn a_bomb_is_stopped_by_the_limits_of_what_it_holds() {
    let nsqd = Nsqd::start(&[]);
    let before = nsqd.rss_bytes();
    let mut connection = connect(&nsqd, &options("deflate")).await.unwrap();
    let writer = connection.writer();
    writer.write_encoded(b"PUB t\n\x40\0\0\0");
    writer.write_encoded(&vec![0; 64 << 20]);
    // It may be closed while we write.
    let _ = writer.flush().await;
    let refused = "E_BAD_MESSAGE PUB message too big 1073741824 > 1048576";
    match connection.next_frame().await {
        Ok(Frame::Error(error)) => assert_eq!(error.to_string(), refused),
        Ok(other) => panic!("{other:?}"),
        // The refusal may be lost in a reset, as more was on its way.
        Err(_) => {}
    }
    let grown = nsqd.rss_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
}
