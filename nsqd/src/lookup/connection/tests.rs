use tokio::net::TcpListener;

use super::*;

const INFO: &[u8] = br#"{"broadcast_address":"b","http_port":4161}"#;

/// An address where each connection is sent `bytes` at once, and closed if they are not all that is to come.
async fn serves(bytes: Vec<u8>, closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = [0; 1024];
        let _ = stream.read(&mut said).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        while !closes && stream.read(&mut said).await.is_ok_and(|count| count > 0) {}
    });
    address
}

fn replies(replies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for reply in replies {
        client::wire::lookup::put_reply(&mut bytes, reply);
    }
    bytes
}

async fn open(address: &str) -> Result<(Connection, LookupdInfo), PeerError> {
    Connection::open(address, &PeerInfo::default()).await
}

/// Opening a connection that is answered with `bytes` must fail, with `expected` in the text.
async fn fails(bytes: &[u8], expected: &str) {
    let address = serves(bytes.to_vec(), true).await;
    let error = open(&address).await.unwrap_err().to_string();
    assert!(error.contains(expected), "{bytes:?}: {error}");
}

#[tokio::test]
async fn it_says_magic_and_identify_with_the_keys_of_the_reference() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let about = PeerInfo {
        broadcast_address: "b".to_owned(),
        hostname: "h".to_owned(),
        http_port: 4151,
        tcp_port: 4150,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    };
    let opening = tokio::spawn(async move { Connection::open(&address, &about).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let body = concat!(
        r#"{"broadcast_address":"b","hostname":"h","http_port":4151,"tcp_port":4150,"#,
        r#""topology_region":"","topology_zone":"","version":"1.3.0"}"#
    );
    let size = u32::try_from(body.len()).unwrap().to_be_bytes();
    let expected = [b"  V1IDENTIFY\n", &size[..], body.as_bytes()].concat();
    let mut said = vec![0; expected.len()];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(
        said.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
    stream.write_all(&replies(&[INFO])).await.unwrap();
    let (_, info) = opening.await.unwrap().unwrap();
    assert_eq!(
        (info.broadcast_address.as_str(), info.http_port),
        ("b", 4161)
    );
}

#[tokio::test]
async fn what_is_no_nsqlookupd_is_told_as_such() {
    fails(
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "is this the TCP port of an nsqlookupd?",
    )
    .await;
    fails(&(-1_i32).to_be_bytes(), "reply size -1 is not allowed").await;
    fails(
        &i32::MAX.to_be_bytes(),
        "reply size 2147483647 is not allowed",
    )
    .await;
    fails(&replies(&[b"hello"]), "IDENTIFY was not answered with JSON").await;
    fails(&replies(&[b"OK"]), "IDENTIFY was not answered with JSON").await;
    fails(&replies(&[b"[1]"]), "IDENTIFY was not answered with JSON").await;
    fails(
        &replies(&[b"E_BAD_BODY IDENTIFY missing fields"]),
        "refused: E_BAD_BODY IDENTIFY missing fields",
    )
    .await;
}

#[tokio::test]
async fn a_reply_that_breaks_off_anywhere_is_the_end() {
    let reply = replies(&[INFO]);
    for cut in 0..reply.len() {
        fails(&reply[..cut], "closed by the peer").await;
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert!(matches!(open(&address).await, Err(PeerError::Io(_))));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_accepts_and_is_silent_is_left_after_a_while() {
    let address = serves(Vec::new(), false).await;
    let error = open(&address).await.unwrap_err();
    assert_eq!(error.to_string(), "no reply within 5 s");
}

#[tokio::test]
async fn every_command_is_answered_or_it_was_not_sent() {
    let steps: Vec<_> = (0..3)
        .map(|n| Step::Register(format!("t{n}").parse().unwrap(), None))
        .collect();
    let all = serves(replies(&[INFO, b"OK", b"OK", b"whatever"]), false).await;
    open(&all).await.unwrap().0.send(&steps).await.unwrap();

    let refused = serves(replies(&[INFO, b"OK", b"E_INVALID no", b"OK"]), false).await;
    let outcome = open(&refused).await.unwrap().0.send(&steps).await;
    assert!(matches!(outcome, Err(PeerError::Refused(_))), "{outcome:?}");

    let cut = serves(replies(&[INFO, b"OK"]), true).await;
    let outcome = open(&cut).await.unwrap().0.send(&steps).await;
    assert!(
        matches!(outcome, Err(PeerError::Closed | PeerError::Io(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn the_end_is_noticed_while_nothing_is_asked() {
    let closing = serves(replies(&[INFO]), true).await;
    let end = open(&closing).await.unwrap().0.end().await;
    assert!(matches!(end, PeerError::Closed), "{end:?}");
    let talking = serves(replies(&[INFO, b"OK"]), false).await;
    let end = open(&talking).await.unwrap().0.end().await;
    assert!(matches!(end, PeerError::Unasked), "{end:?}");
}
