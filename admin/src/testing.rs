//! What tests share: settings, a daemon on a free port, nodes that answer by a table, one HTTP request.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::daemon::{flags, log};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::options::DAEMON;
use crate::{Daemon, Flags, Options};

/// The settings of this command line, after one for a port of its own; with a nsqlookupd unless there is a source.
pub(crate) fn options(words: &[&str]) -> Options {
    let always = [
        "nsqadmin",
        "--http-address=127.0.0.1:0",
        "--log-level=fatal",
        "--http-client-request-timeout=300ms",
        // One look at the start, and then none to be mixed up with what is asked.
        "--sample-interval=1m",
    ];
    let has_source = words.iter().any(|word| word.contains("d-http-address"));
    let source = (!has_source).then_some("--lookupd-http-address=127.0.0.1:1");
    let is_given = |word: &&&str| {
        let (name, _) = word.split_once('=').unwrap();
        words.iter().any(|given| given.starts_with(name))
    };
    let always = always
        .iter()
        .filter(|word| **word == "nsqadmin" || !is_given(word));
    let words = always.chain(&source).chain(words).map(OsString::from);
    let flags: Flags = flags::parse(&DAEMON, words).unwrap();
    Options::check(flags).unwrap()
}

/// Starts a daemon, and waits until it has looked at the cluster. It logs nothing.
pub(crate) async fn start(words: &[&str]) -> Daemon {
    let options = options(words);
    let metrics = format!("{}/metrics", options.base_path);
    let log = log::init(&options.log_prefix, options.log_level);
    let daemon = Daemon::start(options, log).await.unwrap();
    while request(&daemon, "GET", &metrics, "")
        .await
        .body
        .contains("samples_total 0\n")
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    daemon
}

/// What a node does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// This status and this body.
    Status(u16, String),
    /// These bytes, which may be no HTTP at all.
    Raw(Vec<u8>),
    /// Nothing, for ever.
    Silence,
    /// A body without an end.
    Endless,
}

/// An nsqd or nsqlookupd: answers by the longest prefix of the path in its table, 404 for others, and writes down what it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) port: u16,
    replies: Arc<Mutex<Vec<(String, Reply)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            port: listener.local_addr().unwrap().port(),
            replies: Arc::default(),
            asked: Arc::default(),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                tokio::spawn(async move { fake.converse(stream).await });
            }
        });
        fake
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on answers paths that start with `prefix` with 200 and `body`.
    pub(crate) fn says(&self, prefix: &str, body: impl Into<String>) {
        self.does(prefix, Reply::Status(200, body.into()));
    }

    pub(crate) fn does(&self, prefix: &str, reply: Reply) {
        let mut replies = self.replies.lock().unwrap();
        replies.retain(|(known, _)| known != prefix);
        replies.push((prefix.to_owned(), reply));
        replies.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    /// The requests so far, as `METHOD path`; forgets them.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Waits for the first request whose text has `part`; its head and body.
    pub(crate) async fn was_asked(&self, part: &str) -> String {
        for _ in 0..400 {
            let found = self
                .asked
                .lock()
                .unwrap()
                .iter()
                .find(|asked| asked.contains(part))
                .cloned();
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{part} was never asked");
    }

    async fn converse(self, mut stream: TcpStream) {
        let mut buffer = vec![0; 16 << 10];
        let length = stream.read(&mut buffer).await.unwrap_or(0);
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let mut words = request.split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        self.asked
            .lock()
            .unwrap()
            .push(format!("{method} {path} {body}").trim_end().to_owned());
        let replies = self.replies.lock().unwrap().clone();
        let reply = replies
            .into_iter()
            .find(|(prefix, _)| path.starts_with(prefix));
        let not_found = Reply::Status(404, r#"{"message":"NOT_FOUND"}"#.to_owned());
        let bytes = match reply.map_or(not_found, |(_, reply)| reply) {
            Reply::Status(status, body) => {
                let length = body.len();
                format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nLocation: http://127.0.0.1:1/\r\n\r\n{body}").into_bytes()
            }
            Reply::Raw(bytes) => bytes,
            Reply::Silence => return std::future::pending().await,
            Reply::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while stream.write_all(&[b' '; 8 << 10]).await.is_ok() {}
                return;
            }
        };
        let _ = stream.write_all(&bytes).await;
    }
}

/// The answer to a request: all of its head, then its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Does one HTTP request on a connection of its own, with these lines in its head.
pub(crate) async fn request_with(
    daemon: &Daemon,
    method: &str,
    path: &str,
    lines: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(daemon.http_address()).await.unwrap();
    // It may be refused before all of it is read; the answer is what counts.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Does one HTTP request as a script does.
pub(crate) async fn request(daemon: &Daemon, method: &str, path: &str, body: &str) -> Answer {
    request_with(daemon, method, path, "Host: 127.0.0.1\r\n", body).await
}
