//! `strace` attached from outside: system calls of a process fail or wait, and are written down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// The calls that bring data to stable storage.
pub(super) const SYNCS: &str = "fsync,fdatasync,syncfs";
/// Besides those that are tampered with, the calls that are written down.
const WRITES: &str = "pwrite64,write";

/// An attached tracer.
#[derive(Debug)]
pub(super) struct Tracer {
    process: Child,
    log: PathBuf,
}

impl Tracer {
    /// Tampers with these calls of a process, in the way `strace -e inject` names, from now on.
    pub(super) fn attach(
        pid: Pid,
        calls: &str,
        injection: &str,
        log: &Path,
    ) -> Result<Self, String> {
        let pid = pid.as_raw_nonzero();
        let mut command = Command::new("strace");
        command
            .args(["-f", "-y", "-s", "0", "-p", &pid.to_string(), "-o"])
            .arg(log);
        command.args(["-e", &format!("trace={calls},{WRITES}")]);
        command.args(["-e", &format!("inject={calls}:{injection}")]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command
            .spawn()
            .map_err(|error| format!("strace: {error}"))?;
        let mut tracer = Self {
            process,
            log: log.to_owned(),
        };
        let attached = wait::within(wait::PATIENCE, || {
            let is_over = tracer.process.try_wait().ok()?.is_some();
            (is_over || is_traced(pid.get())).then_some(!is_over)
        });
        if attached == Some(true) {
            Ok(tracer)
        } else {
            Err("strace can't attach".to_owned())
        }
    }

    /// Lets the process go on by itself; tells what it did meanwhile.
    pub(super) fn detach(mut self) -> Calls {
        // Strace detaches when it is interrupted, and only then.
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        let _ = self.process.wait();
        Calls(fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        let _ = self.process.wait();
    }
}

/// Whether every thread has a tracer.
fn is_traced(pid: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let mut statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    statuses.all(|status| !status.contains("TracerPid:\t0\n"))
}

/// What strace wrote down.
#[derive(Debug)]
pub(super) struct Calls(String);

impl Calls {
    /// A file whose sync failed and then succeeded with no write between: the kernel has dropped what it could not write, and
    /// forgotten the error.
    pub(super) fn hidden_failure(&self) -> Option<&str> {
        let mut failed = BTreeSet::new();
        for line in self.0.lines() {
            let Some((call, path, result)) = parse(line) else {
                continue;
            };
            match call {
                "fsync" | "fdatasync" if result.starts_with("-1") => {
                    failed.insert(path);
                }
                "fsync" | "fdatasync" if failed.contains(path) => return Some(path),
                "write" | "pwrite64" => {
                    failed.remove(path);
                }
                _ => {}
            }
        }
        None
    }
}

/// The call, the path of its descriptor, and its result: `1 fdatasync(9</data/f>) = -1 EIO …`.
fn parse(line: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = line.split_once(' ')?;
    let (call, rest) = rest.trim_start().split_once('(')?;
    let (_, rest) = rest.split_once('<')?;
    let (path, rest) = rest.split_once('>')?;
    let (_, result) = rest.rsplit_once("= ")?;
    Some((call, path, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(lines: &str) -> Option<String> {
        Calls(lines.to_owned()).hidden_failure().map(str::to_owned)
    }

    const FAILED: &str = "17 fdatasync(9</d/f>) = -1 EIO (Input/output error) (INJECTED)\n";
    const SYNCED: &str = "18 fdatasync(9</d/f>) = 0\n";
    const WRITTEN: &str = "17 pwrite64(9</d/f>, \"\"..., 80, 64) = 80\n";

    #[test]
    fn a_sync_that_is_only_repeated_hides_its_failure() {
        assert_eq!(hidden(&[FAILED, SYNCED].concat()), Some("/d/f".to_owned()));
    }

    #[test]
    fn a_sync_of_what_was_written_again_is_honest() {
        assert_eq!(hidden(&[FAILED, WRITTEN, SYNCED].concat()), None);
        assert_eq!(hidden(&[SYNCED, FAILED, FAILED].concat()), None);
    }
}
