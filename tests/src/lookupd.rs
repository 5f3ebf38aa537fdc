//! An nsqlookupd of one's own: the real program, on free ports.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::http::{self, Answer};
use crate::log::Log;
use crate::{binary, wait};

/// A running nsqlookupd. It is killed when this value goes; its log is printed when a test failed by then.
#[derive(Debug)]
pub struct Lookupd {
    process: Child,
    log: Log,
    tcp: SocketAddr,
    http: SocketAddr,
}

impl Lookupd {
    /// Starts nsqlookupd on ports of its own.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts nsqlookupd on ports of its own, with these flags.
    #[track_caller]
    pub fn start_with(flags: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", "127.0.0.1:0", flags)
    }

    #[track_caller]
    fn start_at(tcp: &str, http: &str, flags: &[&str]) -> Self {
        let mut command = Command::new(binary::nsqlookupd());
        command
            .arg(format!("--tcp-address={tcp}"))
            .arg(format!("--http-address={http}"))
            .arg("--broadcast-address=127.0.0.1")
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("nsqlookupd can be started");
        let log = Log::collect(process.stderr.take().expect("stderr is piped"));
        let mut listening = |marker: &str| {
            let address = wait::some(marker, || {
                let ended = process.try_wait().expect("a child can be waited for");
                assert!(ended.is_none(), "nsqlookupd ended early\n{}", log.text());
                log.after(marker)
            });
            address.parse().expect("nsqlookupd listens on TCP")
        };
        let (tcp, http) = (
            listening("TCP: listening on "),
            listening("HTTP: listening on "),
        );
        Self {
            process,
            log,
            tcp,
            http,
        }
    }

    /// Ends it with SIGKILL, as a crash does.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child can be waited for");
    }

    /// Starts it again on the same ports, without flags and knowing nothing; kills it first if it still runs.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        *self = Self::start_at(&self.tcp.to_string(), &self.http.to_string(), &[]);
    }

    /// The flag that makes an nsqd register here.
    pub fn flag(&self) -> String {
        format!("--lookupd-tcp-address={}", self.tcp)
    }

    /// Where nsqds register.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// The HTTP address.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// HTTP GET.
    pub fn get(&self, path: &str) -> Answer {
        http::request(self.http, "GET", path, b"")
    }

    /// HTTP POST that must succeed.
    #[track_caller]
    pub fn act(&self, path: &str) {
        let answer = http::request(self.http, "POST", path, b"");
        assert_eq!(answer.status, 200, "POST {path}: {}", answer.body);
    }

    /// The TCP ports of the nsqds that have a topic, sorted.
    pub fn producers(&self, topic: &str) -> Vec<u64> {
        let found = self.lookup(topic);
        let producers = found["producers"].as_array().into_iter().flatten();
        let mut ports: Vec<_> = producers
            .map(|producer| producer["tcp_port"].as_u64().expect("a port is a number"))
            .collect();
        ports.sort_unstable();
        ports
    }

    /// The channels of a topic, sorted.
    pub fn channels(&self, topic: &str) -> Vec<String> {
        let found = self.lookup(topic);
        let channels = found["channels"].as_array().into_iter().flatten();
        let mut names: Vec<_> = channels
            .map(|name| name.as_str().expect("a name is a text").to_owned())
            .collect();
        names.sort_unstable();
        names
    }

    fn lookup(&self, topic: &str) -> Value {
        let topic = topic.replace('#', "%23");
        self.get(&format!("/lookup?topic={topic}")).json()
    }
}

impl Drop for Lookupd {
    fn drop(&mut self) {
        // It may have ended already, which is what some tests are about.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- log of nsqlookupd\n{}---", self.log.text());
        }
    }
}
