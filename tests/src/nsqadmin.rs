//! An nsqadmin of one's own: the real program, on a free port.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::http::{self, Answer};
use crate::log::Log;
use crate::{binary, process, wait};

/// A running nsqadmin. It is killed when this value goes; its log is printed when a test failed by then.
#[derive(Debug)]
pub struct Nsqadmin {
    process: Child,
    log: Log,
    http: SocketAddr,
}

impl Nsqadmin {
    /// Starts nsqadmin on a port of its own; `flags` say above all which cluster it shows.
    #[track_caller]
    pub fn start(flags: &[&str]) -> Self {
        let mut command = Command::new(binary::nsqadmin());
        command
            .arg("--http-address=127.0.0.1:0")
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("nsqadmin can be started");
        let log = Log::collect(process.stderr.take().expect("stderr is piped"));
        let marker = "HTTP: listening on ";
        let address = wait::some(marker, || {
            let ended = process.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "nsqadmin ended early\n{}", log.text());
            log.after(marker)
        });
        let http = address.parse().expect("nsqadmin listens on TCP");
        Self { process, log, http }
    }

    /// The HTTP address.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// HTTP GET.
    pub fn get(&self, path: &str) -> Answer {
        http::request(self.http, "GET", path, b"")
    }

    /// Resident memory in bytes.
    pub fn rss_bytes(&self) -> u64 {
        process::rss_bytes(self.process.id())
    }

    /// What it wrote to its standard error since its start.
    pub fn log(&self) -> String {
        self.log.text()
    }
}

/// The line of a password file that `nsqadmin hash-password` prints.
///
/// # Panics
///
/// If it does not.
#[track_caller]
pub fn password_line(user: &str, role: &str, password: &str) -> String {
    let mut command = Command::new(binary::nsqadmin());
    command
        .args(["hash-password", user, role])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = command.spawn().expect("nsqadmin can be started");
    let mut input = process.stdin.take().expect("stdin is piped");
    input.write_all(password.as_bytes()).expect("it reads");
    drop(input);
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "hash-password failed");
    String::from_utf8(output.stdout).expect("a line is text")
}

impl Drop for Nsqadmin {
    fn drop(&mut self) {
        // It may have ended already, which is what some tests are about.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- log of nsqadmin\n{}---", self.log.text());
        }
    }
}
