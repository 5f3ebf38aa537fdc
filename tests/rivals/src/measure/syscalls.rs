//! System calls of a server, counted by strace.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::systems::Server;

/// How long strace may take to attach, and to end.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// strace at work on a server, which it slows down: what is counted meanwhile is for this figure alone.
#[derive(Debug)]
pub(crate) struct Trace {
    strace: Child,
    folder: TempDir,
}

impl Trace {
    /// Attaches to all threads of the server.
    pub(crate) async fn attach(server: &Server) -> Result<Self, Error> {
        let folder = TempDir::new().map_err(Error::io("a folder for strace"))?;
        let said = fs::File::create(folder.path().join("said"));
        let strace = Command::new("strace")
            .args(["--summary-only", "--follow-forks", "--output"])
            .arg(folder.path().join("summary"))
            .arg(format!("--attach={}", server.pid()))
            .stdin(Stdio::null())
            .stderr(said.map_err(Error::io("a file for strace"))?)
            .spawn()
            .map_err(Error::io("strace (apt-get install strace)"))?;
        let trace = Self { strace, folder };
        let deadline = Instant::now() + PATIENCE;
        while !trace.said().contains("attached") {
            if Instant::now() > deadline {
                return Err(Error::Unexpected(format!("of strace: {}", trace.said())));
            }
            sleep(POLL).await;
        }
        Ok(trace)
    }

    /// Detaches, and tells how many calls there were.
    pub(crate) async fn detach(mut self) -> Result<u64, Error> {
        kill_process(Pid::from_child(&self.strace), Signal::INT)
            .map_err(|errno| Error::io("stop strace")(errno.into()))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = self
                .strace
                .try_wait()
                .map_err(Error::io("wait for strace"))?;
            if ended.is_some() {
                break;
            }
            sleep(POLL).await;
        }
        let summary = fs::read_to_string(self.folder.path().join("summary"));
        total(&summary.map_err(Error::io("read what strace counted"))?)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It has ended already if it was detached.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// The calls in the last line of a summary: `100.00  seconds  usecs/call  calls  [errors]  total`.
fn total(summary: &str) -> Result<u64, Error> {
    let line = summary.lines().rfind(|line| line.ends_with("total"));
    let calls = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.ok_or_else(|| Error::Unexpected(format!("of strace: {summary:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_fourth_field() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.000123           4        30         2 read\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.000123           4        30         2 total\n";
        assert_eq!(total(summary).unwrap(), 30);
        assert!(total("").is_err());
    }
}
