//! The API over real sockets: each row of the tables of requests and refusals.

mod publish;
mod routes;
mod stats;
mod topics;

use std::ffi::OsString;
use std::sync::OnceLock;

use client::daemon::flags;
use client::daemon::log::{self, LogHandle, LogLevel};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::options::{DAEMON, Options};
use crate::{channel, tcp, topic};

/// A daemon without its workers, for one test.
struct Server {
    node: Arc<Node>,
    http_port: u16,
    tcp_port: u16,
    stopping: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    _directory: TempDir,
}

struct Answer {
    status: u16,
    /// Status line and headers, in lower case.
    head: String,
    body: String,
}

fn log_handle() -> LogHandle {
    static LOG: OnceLock<LogHandle> = OnceLock::new();
    LOG.get_or_init(|| log::init("[test] ", LogLevel::Fatal))
        .clone()
}

async fn start() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let words = [
        "nsqd",
        "--max-msg-size=10",
        "--max-body-size=60",
        "--max-req-timeout=1m",
        "--broadcast-address=b.example",
        "--statsd-prefix=<%s>",
        "--data-path",
        directory.path().to_str().unwrap(),
    ];
    let flags = flags::parse(&DAEMON, words.map(OsString::from)).unwrap();
    let node = Node::open(Options::check(flags).unwrap(), log_handle()).unwrap();
    let http = Listener::bind("127.0.0.1:0").await.unwrap();
    let tcp = Listener::bind("127.0.0.1:0").await.unwrap();
    let (http_port, tcp_port) = (http.local_port().unwrap(), tcp.local_port().unwrap());
    let ports = Ports {
        tcp: None,
        http: Some(http_port),
    };
    let (stopping, stopped) = watch::channel(false);
    let servers = vec![
        tokio::spawn(tcp::serve(Arc::clone(&node), tcp, stopped.clone())),
        tokio::spawn(serve(Arc::clone(&node), http, ports, stopped)),
    ];
    Server {
        node,
        http_port,
        tcp_port,
        stopping,
        servers,
        _directory: directory,
    }
}

impl Server {
    async fn stop(self) {
        self.stopping.send(true).unwrap();
        for server in self.servers {
            server.await.unwrap();
        }
    }

    /// Sends `request` (method and target) with `body` and the header lines `headers`; returns the answer.
    async fn ask_with(&self, request: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http_port))
            .await
            .unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn ask(&self, request: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let length = format!("Content-Length: {}\r\n", body.len());
        self.ask_with(request, &length, body).await
    }

    async fn get(&self, target: &str) -> String {
        let answer = self.ask(&format!("GET {target}"), "").await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        answer.body
    }

    /// Checks the answer: `200 body`, or an error's status and code.
    #[track_caller]
    fn check(
        &self,
        request: &str,
        body: impl AsRef<[u8]>,
        expected: &str,
    ) -> impl Future<Output = ()> {
        let answer = self.ask(request, body);
        let expected = match expected.split_once(' ') {
            Some((status, code)) if status >= "400" => {
                format!("{status} {{\"message\":\"{code}\"}}")
            }
            _ => expected.to_owned(),
        };
        async move {
            let answer = answer.await;
            assert_eq!(
                format!("{} {}", answer.status, answer.body),
                expected,
                "{request}"
            );
            let is_v1 = answer
                .head
                .contains("x-nsq-content-type: nsq; version=1.0\r\n");
            assert!(is_v1, "{request}: {}", answer.head);
        }
    }

    fn topic(&self, name: &str) -> topic::Snapshot {
        self.node.topic(name).unwrap().snapshot()
    }

    fn channel(&self, topic: &str, name: &str) -> channel::Snapshot {
        self.node
            .topic(topic)
            .unwrap()
            .channel(name)
            .unwrap()
            .snapshot()
    }
}
