use client::http::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// An nsqlookupd whose HTTP API answers one request with these bytes, and tells what it was asked.
async fn answers(bytes: impl Into<Vec<u8>>) -> (watch::Receiver<Status>, JoinSet<String>) {
    let bytes = bytes.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        let count = stream.read(&mut asked).await.unwrap();
        // The asker may have gone away before all of it.
        let _ = stream.write_all(&bytes).await;
        String::from_utf8_lossy(&asked[..count]).into_owned()
    });
    (informed(&address), server)
}

fn informed(address: &str) -> watch::Receiver<Status> {
    watch::channel(Status::Informed(Some(address.to_owned()))).1
}

fn patience() -> Patience {
    Patience {
        connect_timeout: Duration::from_secs(5),
        deadline: Instant::now() + Duration::from_secs(5),
    }
}

fn http(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn ask_one(bytes: impl Into<Vec<u8>>) -> Result<Vec<ChannelName>, QuestionError> {
    let (status, _server) = answers(bytes).await;
    ask(&"t".parse().unwrap(), status, patience()).await
}

/// The answer must be of no use, for a reason that has `expected`.
async fn fails(bytes: impl Into<Vec<u8>>, expected: &str) {
    let error = ask_one(bytes).await.unwrap_err();
    let text = format!("{error:?} {error}");
    assert!(text.contains(expected), "{text} has no {expected:?}");
}

#[tokio::test]
async fn the_question_is_that_of_the_reference() {
    let (status, mut server) = answers(http(r#"{"channels":["b","a"]}"#)).await;
    let channels = ask(&"t#ephemeral".parse().unwrap(), status, patience()).await;
    let channels = channels.unwrap();
    let names: Vec<_> = channels.iter().map(ChannelName::as_str).collect();
    assert_eq!(names, ["b", "a"]);
    let asked = server.join_next().await.unwrap().unwrap();
    assert!(
        asked.starts_with("GET /channels?topic=t%23ephemeral HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("accept: application/vnd.nsq; version=1.0\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn answers_come_in_all_forms_of_http() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        10\r\n{\"channels\":[\"a\"\r\n2\r\n]}\r\n0\r\n\r\n";
    assert_eq!(ask_one(chunked).await.unwrap().len(), 1);
    let until_the_end = "HTTP/1.0 200 OK\r\n\r\n{\"channels\":[\"a\"]}";
    assert_eq!(ask_one(until_the_end).await.unwrap().len(), 1);
    assert!(
        ask_one(http(r#"{"channels":null}"#))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn ephemeral_and_impossible_names_are_skipped() {
    let channels = ask_one(http(r#"{"channels":["a","b#ephemeral","c d","","../x"]}"#)).await;
    assert_eq!(channels.unwrap(), ["a".parse().unwrap()]);
}

#[tokio::test]
async fn answers_of_no_use() {
    fails(
        "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
        "status: 500",
    )
    .await;
    fails("what", "Http").await;
    fails("", "Http").await;
    fails("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "Http").await;
    fails(http("channels"), "Json").await;
    fails(http(r#"{"channels":[1]}"#), "Json").await;
    let endless = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &" ".repeat(ANSWER_BYTES_MAX + 1);
    fails(endless, "TooLarge").await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_whatever_hangs() {
    let topic = "t".parse().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let status = informed(&silent.local_addr().unwrap().to_string());
    let outcome = ask(&topic, status, patience()).await;
    let Err(QuestionError::Request(error)) = outcome else {
        panic!("{outcome:?} is no failed request");
    };
    assert!(matches!(error.fault, Fault::Late(_)), "{error}");

    let (_tx, unknown) = watch::channel(Status::Unknown);
    let outcome = ask(&topic, unknown, patience()).await;
    assert!(
        matches!(outcome, Err(QuestionError::NotInformed)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn who_is_lost_or_tells_no_address_is_not_waited_for() {
    for status in [Status::Lost, Status::Informed(None)] {
        let (_tx, status) = watch::channel(status);
        let outcome = ask(&"t".parse().unwrap(), status, patience()).await;
        assert!(
            matches!(outcome, Err(QuestionError::NotInformed)),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn the_answers_of_all_are_put_together() {
    let (one, _one) = answers(http(r#"{"channels":["a","b"]}"#)).await;
    let (two, _two) = answers(http(r#"{"channels":["b","c"]}"#)).await;
    let (bad, _bad) = answers("garbage").await;
    let peers = [("one", one), ("two", two), ("bad", bad)];
    let peers = peers.map(|(name, status)| (name.to_owned(), status)).into();
    let known = known_channels(&"t".parse().unwrap(), peers, patience()).await;
    assert_eq!(
        known,
        ["a", "b", "c"].map(|name| name.parse().unwrap()).into()
    );
}
