//! A daemon as a process: started so that it dies with the harness, its log in a file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{binary, wait};

/// How long a daemon may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// How long it may take to end.
const STOP_MAX: Duration = Duration::from_secs(20);

/// How to start a daemon.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables besides those of the harness.
    pub environment: Vec<(String, OsString)>,
    /// The network namespace it runs in, if not that of the harness.
    pub namespace: Option<String>,
    /// Where its standard error goes; added to.
    pub log: PathBuf,
}

/// How a start went.
#[derive(Debug)]
pub enum Start {
    /// The daemon listens.
    Listening(Daemon),
    /// It ended before that.
    Ended(ExitStatus),
}

/// A running daemon; it is killed when this value goes.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
    log: PathBuf,
    log_start: usize,
    /// Where it listens for its own protocol.
    pub tcp: SocketAddr,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// How long it took to listen.
    pub started_in: Duration,
}

impl Launch {
    /// Of nsqd, or of one that does this wrong on purpose.
    pub fn new(sabotage: Option<&str>, arguments: Vec<String>, log: PathBuf) -> Self {
        let program = if sabotage.is_some() {
            binary::saboteur()
        } else {
            binary::nsqd()
        };
        let mut launch = Self {
            program: program.to_owned(),
            arguments,
            environment: Vec::new(),
            namespace: None,
            log,
        };
        if let Some(sabotage) = sabotage {
            launch.order(sabotage);
        }
        launch
    }

    /// Has the daemon do this wrong on purpose instead of what it was to do before.
    pub fn order(&mut self, sabotage: &str) {
        let variable = ("NSQD_SABOTAGE".to_owned(), sabotage.into());
        self.environment.push(variable);
    }

    /// Starts the daemon and waits until it listens; the error tells why it does not.
    pub fn start(&self) -> Result<Daemon, String> {
        match self.try_start()? {
            Start::Listening(daemon) => Ok(daemon),
            Start::Ended(status) => Err(format!("it ended at its start with {status}")),
        }
    }

    /// Starts the daemon and waits until it listens or has ended; the error tells why it did neither.
    pub fn try_start(&self) -> Result<Start, String> {
        let start = Instant::now();
        let log_start = log_text(&self.log).len();
        let mut process = self
            .spawn()
            .map_err(|error| format!("can't start it: {error}"))?;
        let addresses = wait::within(START_MAX, || {
            if let Ok(Some(status)) = process.try_wait() {
                return Some(Err(status));
            }
            let text = log_text(&self.log);
            let text = text.get(log_start..)?;
            Some(Ok((
                address(text, "TCP: listening on ")?,
                address(text, "HTTP: listening on ")?,
            )))
        });
        match addresses {
            Some(Ok((tcp, http))) => Ok(Start::Listening(Daemon {
                process,
                log: self.log.clone(),
                log_start,
                tcp,
                http,
                started_in: start.elapsed(),
            })),
            Some(Err(status)) => Ok(Start::Ended(status)),
            None => {
                let _ = process.kill();
                let _ = process.wait();
                Err("it does not listen".to_owned())
            }
        }
    }

    /// Starts the process, and waits for nothing.
    ///
    /// `setpriv` has the kernel kill it when the thread that started it ends. It, `ip` and `env` become the next program in
    /// turn, so that the process is nsqd in the end.
    pub fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(namespace) = &self.namespace {
            command.args(["ip", "netns", "exec", namespace]);
        }
        // A limit on the size of files is to make writes fail, not to kill. The variables are for nsqd alone.
        command.args(["env", "--ignore-signal=XFSZ"]);
        for (name, value) in &self.environment {
            let mut variable = OsString::from(format!("{name}="));
            variable.push(value);
            command.arg(variable);
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        command
            .arg(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
    }
}

impl Daemon {
    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok()?
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // One that has ended needs none.
        let _ = kill_process(self.pid(), signal);
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Sends SIGTERM and waits for the end; tells how long it took, or what was wrong with it.
    pub fn terminate(mut self) -> Result<Duration, String> {
        let start = Instant::now();
        self.signal(Signal::TERM);
        match wait::within(STOP_MAX, || self.process.try_wait().ok().flatten()) {
            Some(status) if status.success() => Ok(start.elapsed()),
            Some(status) => Err(format!("a clean stop ended with {status}")),
            None => Err(format!("it runs {} s after SIGTERM", STOP_MAX.as_secs())),
        }
    }

    /// What it wrote since it was started.
    pub fn log(&self) -> String {
        log_text(&self.log)
            .get(self.log_start..)
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The address behind a marker, once its line is complete.
fn address(text: &str, marker: &str) -> Option<SocketAddr> {
    let line = text
        .split_inclusive('\n')
        .find(|line| line.contains(marker))?;
    let (_, address) = line.strip_suffix('\n')?.split_once(marker)?;
    address.parse().ok()
}
