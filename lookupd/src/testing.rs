//! What the tests of sessions and of HTTP share: a daemon on free ports, an nsqd by hand, one HTTP request.

use std::ffi::OsString;

use client::daemon::{flags, log};
use client::wire::lookup::{Command, MAGIC_V1, PeerInfo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Daemon, Flags, Options, options::DAEMON};

/// Starts a daemon with these flags on ports of its own. It logs nothing.
pub(crate) async fn start(words: &[&str]) -> Daemon {
    let always = [
        "nsqlookupd",
        "--tcp-address=127.0.0.1:0",
        "--http-address=127.0.0.1:0",
        "--broadcast-address=lk",
        "--log-level=fatal",
    ];
    let words = always.iter().chain(words).map(OsString::from);
    let flags: Flags = flags::parse(&DAEMON, words).unwrap();
    let options = Options::check(flags).unwrap();
    let log = log::init(&options.log_prefix, options.log_level);
    Daemon::start(options, log).await.unwrap()
}

/// A connection to the TCP port.
pub(crate) struct Nsqd(TcpStream);

impl Nsqd {
    /// Connects, and says nothing.
    pub(crate) async fn silent(daemon: &Daemon) -> Self {
        Self(TcpStream::connect(daemon.tcp_address()).await.unwrap())
    }

    /// Connects, and sends the magic.
    pub(crate) async fn connect(daemon: &Daemon) -> Self {
        let mut nsqd = Self::silent(daemon).await;
        nsqd.send(MAGIC_V1).await;
        nsqd
    }

    /// Connects and identifies as the nsqd at `host`, ports 4150 and 4151.
    pub(crate) async fn identified(daemon: &Daemon, host: &str) -> Self {
        let mut nsqd = Self::connect(daemon).await;
        nsqd.send(identify(host)).await;
        let reply = nsqd.reply().await.unwrap();
        assert!(reply.starts_with('{'), "{reply}");
        nsqd
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next reply; `None` once the connection is closed.
    pub(crate) async fn reply(&mut self) -> Option<String> {
        let size = self.0.read_u32().await.ok()?;
        let mut data = vec![0; size as usize];
        self.0.read_exact(&mut data).await.unwrap();
        Some(String::from_utf8(data).unwrap())
    }

    /// Sends a line and returns the reply to it.
    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n")).await;
        self.reply().await.unwrap()
    }

    /// Its address, as the daemon sees it.
    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Sends no more, and still listens.
    pub(crate) async fn finish_sending(&mut self) {
        self.0.shutdown().await.unwrap();
    }
}

/// IDENTIFY as the nsqd at `host` sends it.
pub(crate) fn identify(host: &str) -> Vec<u8> {
    let info = PeerInfo {
        broadcast_address: host.to_owned(),
        hostname: format!("host-{host}"),
        tcp_port: 4150,
        http_port: 4151,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    };
    let mut bytes = Vec::new();
    let body = info.to_json();
    Command::Identify { body: &body }.encode(&mut bytes);
    bytes
}

/// The answer to a request: all of its head, then its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Does one HTTP request on a connection of its own.
pub(crate) async fn request(daemon: &Daemon, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: lk\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(daemon.http_address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// GET, for its body.
pub(crate) async fn get(daemon: &Daemon, path: &str) -> String {
    request(daemon, "GET", path, "").await.body
}
