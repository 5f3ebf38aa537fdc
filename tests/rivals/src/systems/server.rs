//! A server process of one's own: a free port, a temporary folder, and an end in any case.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How long a server may take to listen, or to stop. Reading a large backlog is part of it.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(2);
/// How much of a log is shown when a server fails.
const LOG_LINES: usize = 10;

/// How to start a server.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Where it will listen; it is up when something does.
    pub(crate) address: SocketAddr,
}

/// A running server. It is killed and its folder is removed when this is dropped, however that comes about.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    address: SocketAddr,
    folder: Folder,
}

/// Ends with its owner.
#[derive(Debug)]
struct Process(Child);

/// Where a server keeps its data, and beside it what it prints. Removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Makes one in `parent`, which must be on the disk that is to be measured.
    pub(crate) fn new(parent: &Path) -> Result<Self, Error> {
        let folder = TempDir::new_in(parent)
            .map_err(Error::io(format!("a folder in {}", parent.display())))?;
        fs::create_dir(folder.path().join("data")).map_err(Error::io("a folder for data"))?;
        Ok(Self(folder))
    }

    /// Where the data goes.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }
}

impl Server {
    /// Starts it, and waits until it listens.
    ///
    /// `setpriv` makes the kernel kill it when this program ends without having had a chance to.
    pub(crate) async fn start(launch: Launch, folder: Folder) -> Result<Self, Error> {
        let log = File::create(folder.log()).map_err(Error::io("a file for the log"))?;
        let copy = log.try_clone().map_err(Error::io("a file for the log"))?;
        let program = launch.program.display().to_string();
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&launch.program)
            .args(&launch.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .spawn()
            .map_err(Error::io(format!("setpriv (of util-linux) {program}")))?;
        let mut server = Self {
            process: Process(process),
            address: launch.address,
            folder,
        };
        server.await_listening(&program).await?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, as the kernel knows it.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Asks it to stop (SIGTERM), waits until it has, and hands back its data.
    pub(crate) async fn stop(mut self) -> Result<Folder, Error> {
        kill_process(Pid::from_child(&self.process.0), Signal::TERM)
            .map_err(|errno| Error::io("stop a server")(errno.into()))?;
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended()? {
            if Instant::now() > deadline {
                return Err(self.failed("the server", "does not stop"));
            }
            sleep(POLL).await;
        }
        Ok(self.folder)
    }

    async fn await_listening(&mut self, program: &str) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).await.is_err() {
            if self.has_ended()? {
                return Err(self.failed(program, "ended at once"));
            }
            if Instant::now() > deadline {
                return Err(self.failed(program, "does not listen"));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn has_ended(&mut self) -> Result<bool, Error> {
        let status = self.process.0.try_wait();
        Ok(status.map_err(Error::io("wait for a server"))?.is_some())
    }

    fn failed(&self, program: &str, what: &str) -> Error {
        let log = fs::read_to_string(self.folder.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.len().saturating_sub(LOG_LINES);
        Error::Server {
            program: program.to_owned(),
            what: what.to_owned(),
            log: lines[tail..].join("\n"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of this machine where nothing listens. Another program may take it before it is used; then the start fails.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(Error::io("a free port"))
}

/// Looks a program up in `PATH`, and in `/usr/sbin`, where Debian keeps servers.
pub(crate) fn find(name: &str, remedy: &'static str) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| missing(name, remedy))
}

/// Takes a program that was named by its path.
pub(crate) fn existing(path: &Path, remedy: &'static str) -> Result<PathBuf, Error> {
    let found = path.is_file().then(|| path.to_owned());
    found.ok_or_else(|| missing(path, remedy))
}

fn missing(program: impl Into<PathBuf>, remedy: &'static str) -> Error {
    Error::Missing {
        program: program.into(),
        remedy,
    }
}

/// Connects, with small writes sent at once.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
