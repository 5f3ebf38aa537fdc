//! `strace` attached from outside: system calls of a process fail or wait, and are written down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// The calls that bring data to stable storage.
pub(super) const SYNCS: &str = "fsync,fdatasync,syncfs";
/// Besides those that are tampered with, the calls that are written down.
const WRITES: &str = "pwrite64,openat";

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
        for Call { name, path, result } in self.of_files() {
            match name {
                "fsync" | "fdatasync" if result.starts_with("-1") => {
                    failed.insert(path);
                }
                "fsync" | "fdatasync" if failed.contains(path) => return Some(path),
                "pwrite64" => {
                    failed.remove(path);
                }
                _ => {}
            }
        }
        None
    }

    /// A file that was created and whose content was synced twice, without a sync of the directory that names it: what was
    /// acknowledged after the first of these may be gone with the name.
    pub(super) fn unsynced_name(&self) -> Option<&str> {
        let mut created = BTreeMap::new();
        for Call { name, path, result } in self.calls() {
            let is_done = !result.starts_with("-1");
            match name {
                "openat" if is_done && path.ends_with(SEGMENT) => {
                    created.insert(path, 0);
                }
                "fsync" if is_done => {
                    created.retain(|file, _| Path::new(file).parent() != Some(Path::new(path)));
                }
                "syncfs" if is_done => created.clear(),
                "fdatasync" if is_done => {
                    let count = created.get_mut(path);
                    if let Some(count) = count {
                        *count += 1;
                        if *count == 2 {
                            return Some(path);
                        }
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        self.0.lines().filter_map(parse)
    }

    /// Those on files: a directory is never written to, so that a later sync is all that can be done for it.
    fn of_files(&self) -> impl Iterator<Item = Call<'_>> {
        self.calls()
            .filter(|call| Path::new(call.path).extension().is_some())
    }
}

/// How the names of those files end that take messages in the order of publishing.
const SEGMENT: &str = ".main";

/// One line of strace.
struct Call<'a> {
    name: &'a str,
    path: &'a str,
    result: &'a str,
}

/// `1 fdatasync(9</data/f>) = -1 EIO …`, or `1 openat(AT_FDCWD</>, "/data/f", O_RDWR|O_CREAT, 0600) = 9</data/f>`, where only creations
/// count. Calls that strace shows in two halves are left out.
fn parse(line: &str) -> Option<Call<'_>> {
    let (_, rest) = line.split_once(' ')?;
    let (name, arguments) = rest.trim_start().split_once('(')?;
    let (arguments, result) = arguments.rsplit_once(" = ")?;
    let path = if name == "openat" {
        arguments.contains("O_CREAT").then_some(())?;
        arguments.split('"').nth(1)?
    } else {
        arguments.split_once('<')?.1.split_once('>')?.0
    };
    Some(Call { name, path, result })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(lines: &str) -> Option<String> {
        Calls(lines.to_owned()).hidden_failure().map(str::to_owned)
    }

    const CREATED: &str = "17 openat(AT_FDCWD</>, \"/d/7.main\", O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 9</d/7.main>\n";
    const CONTENT: &str = "17 fdatasync(9</d/7.main>)        = 0\n";
    const NAME: &str = "17 fsync(9</d>) = 0\n";

    #[test]
    fn a_name_is_synced_before_its_content_counts_twice() {
        let unsynced = |lines: &[&str]| Calls(lines.concat()).unsynced_name().is_some();
        assert!(unsynced(&[CREATED, CONTENT, CONTENT]));
        assert!(!unsynced(&[CREATED, CONTENT, NAME, CONTENT]));
        assert!(!unsynced(&[CREATED, NAME, CONTENT, CONTENT]));
        assert!(!unsynced(&[CONTENT, CONTENT]));
    }

    const FAILED: &str = "17 fdatasync(9</d/f.main>) = -1 EIO (Input/output error) (INJECTED)\n";
    const SYNCED: &str = "18 fdatasync(9</d/f.main>) = 0\n";
    const WRITTEN: &str = "17 pwrite64(9</d/f.main>, \"\"..., 80, 64) = 80\n";

    #[test]
    fn a_sync_that_is_only_repeated_hides_its_failure() {
        assert_eq!(
            hidden(&[FAILED, SYNCED].concat()),
            Some("/d/f.main".to_owned())
        );
    }

    #[test]
    fn a_sync_of_what_was_written_again_is_honest() {
        assert_eq!(hidden(&[FAILED, WRITTEN, SYNCED].concat()), None);
        assert_eq!(hidden(&[SYNCED, FAILED, FAILED].concat()), None);
    }
}
