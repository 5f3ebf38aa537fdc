//! An nsqd of one's own: the real program, on free ports, with its own data path.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::Answer;
use crate::log::Log;
use crate::wire::Peer;
use crate::{binary, http, process, wait};

/// A running nsqd. It is killed when this value goes; its log is printed when a test failed by then.
#[derive(Debug)]
pub struct Nsqd {
    process: Child,
    log: Log,
    data: TempDir,
    flags: Vec<String>,
    /// Where it listens, as it said: an address, or the path of a unix socket.
    tcp: String,
    http: String,
}

impl Nsqd {
    /// Starts nsqd with these flags; ports and data path are its own unless a flag says otherwise.
    #[track_caller]
    pub fn start(flags: &[&str]) -> Self {
        Self::start_in(
            TempDir::new().expect("a temporary folder can be made"),
            flags,
        )
    }

    /// Starts nsqd over a data path that was prepared.
    #[track_caller]
    pub fn start_in(data: TempDir, flags: &[&str]) -> Self {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let program = binary::nsqd();
        let (process, log) = spawn(program, &flags, data.path());
        let (tcp, http) = (String::new(), String::new());
        let mut nsqd = Self {
            process,
            log,
            data,
            flags,
            tcp,
            http,
        };
        nsqd.learn_addresses();
        nsqd
    }

    /// A connection that has sent the magic.
    pub fn peer(&self) -> Peer {
        Peer::connect(self.tcp())
    }

    /// A connection that has sent nothing yet.
    pub fn silent_peer(&self) -> Peer {
        Peer::silent(self.tcp())
    }

    /// A connection that has subscribed, with ready count 0.
    #[track_caller]
    pub fn consumer(&self, topic: &str, channel: &str) -> Peer {
        let mut peer = self.peer();
        peer.subscribe(topic, channel);
        peer
    }

    /// Publishes one message over HTTP.
    #[track_caller]
    pub fn publish(&self, topic: &str, body: impl AsRef<[u8]>) {
        let answer = self.post(&format!("/pub?topic={}", topic.replace('#', "%23")), body);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "OK"),
            "publishing to {topic}"
        );
    }

    /// Does an HTTP POST that must succeed without data, such as `/topic/pause?topic=t`.
    #[track_caller]
    pub fn act(&self, path: &str) {
        let answer = self.post(path, "");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, ""),
            "POST {path}"
        );
    }

    /// HTTP GET.
    pub fn get(&self, path: &str) -> Answer {
        http::request(self.http(), "GET", path, b"")
    }

    /// HTTP POST.
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        http::request(self.http(), "POST", path, body.as_ref())
    }

    /// Everything `/stats?format=json` tells.
    pub fn stats(&self) -> Value {
        self.get("/stats?format=json").json()
    }

    /// The statistics of a topic; null when there is none of that name.
    pub fn topic(&self, topic: &str) -> Value {
        named(&self.stats()["topics"], "topic_name", topic)
    }

    /// The statistics of a channel; null when there is none of that name.
    pub fn channel(&self, topic: &str, channel: &str) -> Value {
        named(&self.topic(topic)["channels"], "channel_name", channel)
    }

    /// Waits until a field of a channel's statistics, such as `depth`, has this value.
    #[track_caller]
    pub fn await_channel(&self, topic: &str, channel: &str, field: &str, value: u64) {
        let mut last = Value::Null;
        let reached = wait::within(wait::PATIENCE, || {
            last = self.channel(topic, channel);
            (last[field] == value).then_some(())
        });
        assert!(
            reached.is_some(),
            "{field} of {topic}:{channel} never became {value}: {last}"
        );
    }

    /// Ends nsqd with SIGKILL, as a crash does.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child can be waited for");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a child can be signalled");
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.await_exit()
    }

    /// Waits for the end, at most [`wait::PATIENCE`].
    #[track_caller]
    pub fn await_exit(&mut self) -> ExitStatus {
        let process = &mut self.process;
        wait::some("nsqd ended", || {
            process.try_wait().expect("a child can be waited for")
        })
    }

    /// Starts again with the same flags and data path, on new ports; stops cleanly first if it still runs.
    #[track_caller]
    pub fn restart(&mut self) {
        self.respawn(&self.flags.clone());
    }

    /// As [`Nsqd::restart`], but on the same ports, so that clients can find it again.
    #[track_caller]
    pub fn restart_in_place(&mut self) {
        let addresses = [
            format!("--tcp-address={}", self.tcp),
            format!("--http-address={}", self.http),
        ];
        let is_own = |flag: &str| {
            ["--tcp-address=", "--http-address="]
                .iter()
                .any(|name| flag.starts_with(name))
        };
        let others = self.flags.iter().filter(|flag| !is_own(flag)).cloned();
        let flags: Vec<String> = others.chain(addresses).collect();
        self.respawn(&flags);
    }

    #[track_caller]
    fn respawn(&mut self, flags: &[String]) {
        if self
            .process
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
        {
            let status = self.terminate();
            assert!(
                status.success(),
                "a clean stop ended with {status}\n{}",
                self.log.text()
            );
        }
        (self.process, self.log) = spawn(binary::nsqd(), flags, self.data.path());
        self.learn_addresses();
    }

    /// The TCP address.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
            .parse()
            .expect("nsqd listens on TCP, not on a unix socket")
    }

    /// The HTTP address.
    pub fn http(&self) -> SocketAddr {
        self.http
            .parse()
            .expect("nsqd listens on TCP, not on a unix socket")
    }

    /// The HTTPS address, once it is told; for that a certificate is needed.
    #[track_caller]
    pub fn https(&self) -> SocketAddr {
        let address = wait::some("HTTPS is listened on", || {
            self.log.after("HTTPS: listening on ")
        });
        address.parse().expect("nsqd listens on TCP")
    }

    /// The data path.
    pub fn data_path(&self) -> &Path {
        self.data.path()
    }

    /// Ends nsqd (SIGKILL) and keeps its data path.
    pub fn into_data(mut self) -> TempDir {
        self.kill();
        let empty = TempDir::new().expect("a temporary folder can be made");
        std::mem::replace(&mut self.data, empty)
    }

    /// What it wrote to its standard error since its start.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Resident memory in bytes.
    pub fn rss_bytes(&self) -> u64 {
        process::rss_bytes(self.process.id())
    }

    /// The most memory that was resident since its start, in bytes.
    pub fn peak_rss_bytes(&self) -> u64 {
        process::peak_rss_bytes(self.process.id())
    }

    /// Processor time used since its start.
    pub fn cpu_time(&self) -> Duration {
        process::cpu_time(self.process.id())
    }

    /// How many TCP clients it counts as connected.
    pub fn connections(&self) -> u64 {
        let metrics = self.get("/metrics").body;
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("nsqd_connections "));
        let count = count.expect("the metric is there");
        count.parse().expect("it is a number")
    }

    /// How many file descriptors it has open.
    pub fn open_files(&self) -> usize {
        process::open_files(self.process.id())
    }

    /// Lowers how many file descriptors it may have.
    pub fn limit_files(&self, limit: u64) {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(limit),
            maximum,
        };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("a child can be limited");
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    #[track_caller]
    fn learn_addresses(&mut self) {
        self.tcp = self.listening("TCP: listening on ");
        let without_http = self.flags.iter().any(|flag| flag == "--http-address=");
        self.http = if without_http {
            String::new()
        } else {
            self.listening("HTTP: listening on ")
        };
    }

    #[track_caller]
    fn listening(&mut self, marker: &str) -> String {
        wait::some(marker, || {
            let ended = self.process.try_wait().expect("a child can be waited for");
            assert!(
                ended.is_none(),
                "nsqd ended early: {ended:?}\n{}",
                self.log.text()
            );
            self.log.after(marker)
        })
    }
}

impl Drop for Nsqd {
    fn drop(&mut self) {
        // It may have ended already, which is what some tests are about.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- log of nsqd {:?}\n{}---", self.flags, self.log.text());
        }
    }
}

/// How a run of nsqd ended which was not meant to serve.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; none when it was ended by a signal.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs nsqd with exactly these flags until it ends by itself.
#[track_caller]
pub fn run_to_end(flags: &[&str]) -> Ended {
    let mut command = Command::new(binary::nsqd());
    command
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().expect("nsqd can be started");
    let stdout = Log::collect(process.stdout.take().expect("stdout is piped"));
    let stderr = Log::collect(process.stderr.take().expect("stderr is piped"));
    let status = wait::within(wait::PATIENCE, || {
        process.try_wait().expect("a child can be waited for")
    });
    if status.is_none() {
        process.kill().expect("a child can be killed");
        panic!("nsqd {flags:?} went on running\n{}", stderr.text());
    }
    Ended {
        status: status.and_then(|status| status.code()),
        stdout: stdout.to_end(),
        stderr: stderr.to_end(),
    }
}

/// Starts nsqd over a data path and ends it with SIGKILL as soon as the data path looks so, whatever it is at by then.
#[track_caller]
pub fn kill_once(data: TempDir, flags: &[&str], looks_so: impl Fn(&Path) -> bool) -> TempDir {
    let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
    let (mut process, log) = spawn(binary::nsqd(), &flags, data.path());
    let start = Instant::now();
    while !looks_so(data.path()) {
        assert!(
            start.elapsed() < wait::PATIENCE,
            "it never looked so\n{}",
            log.text()
        );
    }
    process.kill().expect("a child can be killed");
    process.wait().expect("a child can be waited for");
    data
}

/// Starts nsqd over a data path, and sends it SIGTERM after a while, whatever it is at by then; returns how it ended, and how
/// long that took.
#[track_caller]
pub fn stop_after(data: &Path, flags: &[&str], after: Duration) -> (ExitStatus, Duration) {
    let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
    let (mut process, log) = spawn(binary::nsqd(), &flags, data);
    thread::sleep(after);
    let start = Instant::now();
    kill_process(Pid::from_child(&process), Signal::TERM).expect("a child can be signalled");
    let status = wait::within(wait::PATIENCE, || {
        process.try_wait().expect("a child can be waited for")
    });
    if status.is_none() {
        process.kill().expect("a child can be killed");
    }
    let status = status.unwrap_or_else(|| panic!("nsqd did not stop\n{}", log.text()));
    (status, start.elapsed())
}

fn spawn(program: &Path, flags: &[String], data: &Path) -> (Child, Log) {
    let mut command = Command::new(program);
    let data = format!("--data-path={}", data.display());
    for default in [
        "--tcp-address=127.0.0.1:0",
        "--http-address=127.0.0.1:0",
        &data,
    ] {
        let (name, _) = default.split_once('=').expect("defaults have values");
        if !flags.iter().any(|flag| flag.starts_with(name)) {
            command.arg(default);
        }
    }
    command
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn().expect("nsqd can be started");
    let log = Log::collect(process.stderr.take().expect("stderr is piped"));
    (process, log)
}

fn named(list: &Value, key: &str, name: &str) -> Value {
    let entries = list.as_array().into_iter().flatten();
    entries
        .into_iter()
        .find(|entry| entry[key] == name)
        .cloned()
        .unwrap_or_default()
}
