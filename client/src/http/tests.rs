use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::wire::TopicName;

/// Answers one request with these bytes, and then keeps the connection open if `hold`.
async fn server(answer: &'static [u8], hold: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let count = stream.read(&mut request).await.unwrap();
        assert!(
            request[..count].starts_with(b"GET /"),
            "{}",
            request[..count].escape_ascii()
        );
        stream.write_all(answer).await.unwrap();
        if hold {
            std::future::pending::<()>().await;
        }
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
    let told = match get(&address, "/ping", limits()).await {
        Ok(body) => format!("ok {}", body.escape_ascii()),
        Err(error) => error.to_string(),
    };
    assert!(told.starts_with(expected), "{told} instead of {expected}");
}

#[tokio::test]
async fn an_answer_is_its_body_or_the_reason_why_not() {
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
        true,
        "ok OK",
    )
    .await;
    check(
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        true,
        "status 500",
    )
    .await;
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
        true,
        "no answer within 300ms",
    )
    .await;
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nOK",
        false,
        "answer broken off",
    )
    .await;
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
    let error = get(&address, "/ping", limits()).await.unwrap_err();
    assert!(matches!(error, RequestError::Connect(_)), "{error}");
}

#[tokio::test]
async fn producers_of_a_topic_and_of_an_unknown_one() {
    let topic = TopicName::parse("t").unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\
        {\"channels\":[],\"producers\":[{\"broadcast_address\":\"::1\",\"tcp_port\":4150,\"http_port\":1,\"version\":\"\"}]}";
    let address = server(answer, true).await;
    let found = producers(&address, &topic, limits()).await.unwrap();
    assert_eq!(found[0].tcp_address().to_string(), "[::1]:4150");
    let unknown = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
    let address = server(unknown, true).await;
    assert_eq!(producers(&address, &topic, limits()).await.unwrap(), []);
}
