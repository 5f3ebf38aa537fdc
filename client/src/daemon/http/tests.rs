//! The server over real sockets: what a client sees, byte by byte.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::daemon::listen::Listener;

/// A server for one test, with a route for each thing that a handler can do.
struct Server {
    port: u16,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

const BODY_MAX: usize = 100;
const FLOOD_BYTES: usize = 64 << 20;

fn limits() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(80),
        body_timeout: Duration::from_millis(80),
        write_timeout: Duration::from_millis(400),
        idle_timeout: Duration::from_millis(300),
        grace: Duration::from_millis(200),
        ..Limits::default()
    }
}

async fn echo(_: Arc<()>, mut request: Request) -> Result<Response, HttpError> {
    let body = request
        .body(BODY_MAX)
        .await
        .map_err(|error| error.answer("TOO_BIG"))?;
    Ok(Response::text(body))
}

async fn query(_: Arc<()>, request: Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    let topic = query
        .get("topic")
        .ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))?;
    Ok(Response::json(
        &serde_json::json!({ "topic": topic, "peer": request.peer_ip() }),
    ))
}

async fn sleep(_: Arc<()>, request: Request) -> Result<Response, HttpError> {
    let millis = request
        .tail()
        .parse()
        .map_err(|_| HttpError::bad_request("NO_NUMBER"))?;
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(Response::empty())
}

async fn panics(_: Arc<()>, _: Request) -> Result<Response, HttpError> {
    panic!("as the test wants")
}

/// Two parts some time apart; then, if the path says so, more than any socket takes.
async fn stream(_: Arc<()>, request: Request) -> Result<Response, HttpError> {
    let (parts_tx, parts_rx) = tokio::sync::mpsc::channel(1);
    let is_flood = request.uri().query() == Some("flood");
    tokio::spawn(async move {
        parts_tx.send("one;".into()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        parts_tx.send("two".into()).await.unwrap();
        while is_flood && parts_tx.send(vec![0; 1 << 20].into()).await.is_ok() {}
    });
    Ok(Response::stream(
        parts_rx,
        "text/event-stream".parse().unwrap(),
    ))
}

async fn start_with(limits: Limits) -> Server {
    let router = Router::new()
        .get("/ping", |_, _| async { Ok(Response::plain("OK")) })
        .post("/echo", echo)
        .get("/query", query)
        .get("/sleep/*", sleep)
        .route(Method::PUT, "/sleep/*", sleep)
        .get("/panic", panics)
        .get("/stream", stream)
        .get("/flood", |_, _| async {
            Ok(Response::text(vec![0; FLOOD_BYTES]))
        })
        .with_header(
            hyper::header::REFERRER_POLICY,
            "no-referrer".parse().unwrap(),
        );
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_port().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let task = tokio::spawn(serve(listener, router, Arc::new(()), limits, shutdown));
    Server { port, stop, task }
}

async fn start() -> Server {
    start_with(limits()).await
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends `request` on a connection of its own and returns all that comes back until the server closes.
    async fn send(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// Sends a request without a body.
    async fn ask(&self, method: &str, target: &str, headers: &str) -> String {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n{headers}\r\n"
        );
        self.send(head.as_bytes()).await
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes));
    read.await.expect("the server did not close").unwrap();
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn check(response: &str, status: &str, parts: &[&str]) {
    let first = response.lines().next().unwrap_or_default();
    assert!(
        first.starts_with(&format!("HTTP/1.1 {status}")),
        "{status}: {response:?}"
    );
    for part in parts {
        assert!(response.contains(part), "lacks {part:?}: {response}");
    }
}

#[tokio::test]
async fn answers_have_the_headers_that_tools_expect() {
    let server = start().await;
    let ping = server.ask("GET", "/ping", "").await;
    check(
        &ping,
        "200",
        &["Content-Type: text/plain; charset=utf-8\r\n", "\r\n\r\nOK"],
    );
    assert!(!ping.contains("X-Nsq-Content-Type"), "{ping}");

    let json = server
        .ask("GET", "/query?topic=%3Ca%26b%3E&topic=second", "")
        .await;
    check(
        &json,
        "200",
        &[
            "Content-Type: application/json; charset=utf-8\r\n",
            "X-Nsq-Content-Type: nsq; version=1.0\r\n",
            r#"{"peer":"127.0.0.1","topic":"\u003ca\u0026b\u003e"}"#,
        ],
    );
    let empty = server.ask("GET", "/sleep/0", "").await;
    check(
        &empty,
        "200",
        &[
            "Content-Length: 0\r\n",
            "X-Nsq-Content-Type: nsq; version=1.0\r\n",
        ],
    );
    assert!(!empty.contains("\r\nContent-Type"), "{empty}");

    let missing = server.ask("GET", "/query", "").await;
    check(&missing, "400", &[r#"{"message":"MISSING_ARG_TOPIC"}"#]);
    for bad in ["/query?topic=%zz", "/query?a;b"] {
        check(
            &server.ask("GET", bad, "").await,
            "400",
            &[r#"{"message":"INVALID_REQUEST"}"#],
        );
    }
}

#[tokio::test]
async fn paths_and_methods_without_a_handler_are_told_apart() {
    let server = start().await;
    let not_allowed = r#"{"message":"METHOD_NOT_ALLOWED"}"#;
    check(
        &server.ask("POST", "/ping", "").await,
        "405",
        &["Allow: GET, OPTIONS\r\n", not_allowed],
    );
    check(
        &server.ask("HEAD", "/ping", "").await,
        "405",
        &["Allow: GET, OPTIONS\r\n"],
    );
    check(
        &server.ask("GET", "/echo", "").await,
        "405",
        &["Allow: OPTIONS, POST\r\n"],
    );
    check(
        &server.ask("POST", "/sleep/1", "").await,
        "405",
        &["Allow: GET, OPTIONS, PUT\r\n"],
    );
    check(
        &server.ask("OPTIONS", "/echo", "").await,
        "200",
        &["Allow: OPTIONS, POST\r\n"],
    );
    check(
        &server.ask("GET", "/nothing", "").await,
        "404",
        &[r#"{"message":"NOT_FOUND"}"#],
    );
    check(
        &server.ask("GET", "/PING/?a=b", "").await,
        "301",
        &["Location: /ping?a=b\r\n"],
    );
    check(
        &server.ask("POST", "/echo/", "").await,
        "307",
        &["Location: /echo\r\n"],
    );
}

#[tokio::test]
async fn a_panic_is_answered_and_the_server_goes_on() {
    let server = start().await;
    let panic = server.ask("GET", "/panic", "").await;
    check(&panic, "500", &[r#"{"message":"INTERNAL_ERROR"}"#]);
    check(&server.ask("GET", "/ping", "").await, "200", &[]);
}

#[tokio::test]
async fn every_answer_has_the_common_headers() {
    let server = start().await;
    for (method, path, headers) in [
        ("GET", "/ping", ""),
        ("GET", "/nothing", ""),
        ("GET", "/panic", ""),
        ("PUT", "/ping", ""),
        ("POST", "/echo", "Origin: http://evil\r\n"),
    ] {
        let answer = server.ask(method, path, headers).await;
        assert!(
            answer.contains("Referrer-Policy: no-referrer\r\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_stream_outlives_the_idle_timeout_while_it_is_read() {
    let server = start_with(Limits {
        idle_timeout: Duration::from_millis(600),
        ..limits()
    })
    .await;
    let answer = server.ask("GET", "/stream", "").await;
    check(
        &answer,
        "200",
        &["one;", "two", "Content-Type: text/event-stream"],
    );

    let mut stream = server.connect().await;
    let request = b"GET /stream?flood HTTP/1.1\r\nHost: h\r\n\r\n";
    stream.write_all(request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut answer = Vec::new();
    // Cut off in the middle, with as much in the sockets as they take.
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "a client that does not read is waited for");
}

#[tokio::test]
async fn changes_from_another_site_are_refused() {
    let server = start().await;
    for header in ["Sec-Fetch-Site: cross-site\r\n", "Origin: http://evil\r\n"] {
        let refused = server.ask("POST", "/echo", header).await;
        check(&refused, "403", &[r#"{"message":"CROSS_SITE"}"#]);
        check(&server.ask("GET", "/ping", header).await, "200", &[]);
    }
    check(
        &server.ask("POST", "/echo", "Origin: http://h:1\r\n").await,
        "200",
        &[],
    );
}

#[tokio::test]
async fn bodies_are_limited_announced_or_not() {
    let server = start().await;
    let head = "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
    let plain = |body: &str| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = |body: &str, size: usize| {
        let chunks = body.as_bytes().chunks(size);
        let chunks = chunks.map(|chunk| {
            format!(
                "{:x}\r\n{}\r\n",
                chunk.len(),
                str::from_utf8(chunk).unwrap()
            )
        });
        let chunks: String = chunks.collect();
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    let (fits, long) = ("x".repeat(BODY_MAX), "x".repeat(BODY_MAX + 1));
    for request in [plain(&fits), chunked(&fits, 7), chunked(&fits, 200)] {
        check(
            &server.send(request.as_bytes()).await,
            "200",
            &[&format!("\r\n\r\n{fits}")],
        );
    }
    for request in [plain(&long), chunked(&long, 7), chunked(&long, 200)] {
        check(
            &server.send(request.as_bytes()).await,
            "413",
            &[r#"{"message":"TOO_BIG"}"#],
        );
    }

    let announced = format!("{head}Content-Length: 1000000\r\n\r\n");
    check(&server.send(announced.as_bytes()).await, "413", &[]);
    let refused_late = plain(&"x".repeat(900_000));
    check(
        &server.send(refused_late.as_bytes()).await,
        "413",
        &[r#"{"message":"TOO_BIG"}"#],
    );
}

#[tokio::test]
async fn a_slow_head_and_an_idle_connection_are_closed_in_their_own_time() {
    let server = start().await;
    let start = Instant::now();
    assert_eq!(server.send(b"").await, "", "silent from the start");
    assert!(start.elapsed() >= Duration::from_millis(80));

    let start = Instant::now();
    let mut stream = server.connect().await;
    for byte in b"GET /ping" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut rest = Vec::new();
    // Closed with our last bytes unread, the connection may also be reset.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(
        rest.is_empty() && start.elapsed() < Duration::from_secs(2),
        "trickled head"
    );

    let start = Instant::now();
    let kept_alive = server.send(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n").await;
    check(&kept_alive, "200", &["OK"]);
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "idle connections have longer"
    );
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let server = start().await;
    let head = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf";
    check(
        &server.send(head).await,
        "408",
        &[r#"{"message":"REQUEST_TIMEOUT"}"#],
    );
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let server = start_with(Limits {
        idle_timeout: Duration::from_mins(1),
        ..limits()
    })
    .await;
    let mut deaf = server.connect().await;
    // More than any socket takes.
    let request = b"GET /flood HTTP/1.1\r\nHost: h\r\n\r\n";
    deaf.write_all(request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), deaf.read_to_end(&mut answer)).await;
    assert!(
        read.is_ok() && answer.len() < FLOOD_BYTES,
        "it was waited for"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start().await;
    let post = |body: &str| {
        let length = body.len();
        format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let mut requests: String = ["one", "two", "three"].map(post).concat();
    requests += "GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answers = server.send(requests.as_bytes()).await;
    let bodies = answers
        .split("\r\n\r\n")
        .skip(1)
        .map(|rest| rest.split("HTTP/1.1").next().unwrap());
    assert_eq!(bodies.collect::<Vec<_>>(), ["one", "two", "three", "OK"]);
}

#[tokio::test]
async fn malformed_and_oversized_heads_are_refused() {
    let server = start().await;
    let long_uri = format!(
        "GET /{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "a".repeat(9000)
    );
    let long_head = format!(
        "GET /ping HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "a".repeat(17_000)
    );
    let many = format!(
        "GET /ping HTTP/1.1\r\nHost: h\r\n{}\r\n",
        "X: y\r\n".repeat(65)
    );
    for (request, status) in [
        (long_uri.as_str(), "414"),
        (long_head.as_str(), "431"),
        (many.as_str(), "431"),
        ("GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        (
            "GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
            "400",
        ),
        ("garbage\r\n\r\n", "400"),
        (
            "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "400",
        ),
    ] {
        check(&server.send(request.as_bytes()).await, status, &[]);
    }
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_lets_requests_finish() {
    let server = start().await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut fresh = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /sleep/100 HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;

    let start = Instant::now();
    server.stop.send(()).unwrap();
    check(&read_to_end(&mut idle).await, "200", &["OK"]);
    assert_eq!(read_to_end(&mut fresh).await, "");
    assert!(
        start.elapsed() < Duration::from_millis(50),
        "idle ones are closed at once"
    );
    check(&read_to_end(&mut busy).await, "200", &[]);
    server.task.await.unwrap();
    assert!(
        TcpStream::connect(("127.0.0.1", server.port))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn shutdown_waits_for_no_longer_than_the_grace() {
    let server = start().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /sleep/60000 HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    server.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(2), server.task).await;
    ended.expect("the server did not end").unwrap();
    assert_eq!(read_to_end(&mut busy).await, "");
}

#[tokio::test]
async fn connections_above_the_limit_are_served_in_brief_or_wait_their_turn() {
    let server = start_with(Limits {
        connections: 1,
        reserve: 1,
        header_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(20),
        ..limits()
    })
    .await;
    let _first = server.connect().await;
    let ping = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n";
    let extra = server.send(ping).await;
    check(&extra, "200", &["OK", "Connection: close"]);

    let extra = server.connect().await;
    let mut second = server.connect().await;
    second
        .write_all(b"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(30), second.peek(&mut byte)).await;
    assert!(early.is_err(), "answered above the limit");
    drop(extra);
    check(&read_to_end(&mut second).await, "200", &["OK"]);
}
