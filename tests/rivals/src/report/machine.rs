//! Where it was measured: figures of different machines are not to be compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::Serialize;

/// The machine and the programs.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// Processors that this program may use.
    pub(crate) cores: usize,
    /// Memory, as the kernel tells it.
    pub(crate) memory: String,
    /// The kernel's version.
    pub(crate) kernel: String,
    /// What each program says about its version.
    pub(crate) programs: BTreeMap<String, String>,
}

impl Machine {
    /// This one, with these programs.
    pub(crate) fn look<'a>(programs: impl Iterator<Item = &'a Path>) -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: value("/proc/cpuinfo", "model name"),
            cores: thread::available_parallelism().map_or(1, Into::into),
            memory: value("/proc/meminfo", "MemTotal"),
            kernel: kernel.trim().to_owned(),
            programs: programs.filter_map(version).collect(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self {
            processor,
            cores,
            memory,
            kernel,
            programs,
        } = self;
        let programs: Vec<&str> = programs.values().map(String::as_str).collect();
        let programs = programs.join(" · ");
        format!("{processor}, {cores} cores, {memory}, Linux {kernel}\n{programs}\n")
    }
}

/// What stands behind the first key of this name; nothing if the kernel does not tell.
fn value(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// The first line of `PROGRAM --version`; none for a program that does not know it.
fn version(program: &Path) -> Option<(String, String)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next().filter(|_| output.status.success())?;
    Some((program.display().to_string(), line.trim().to_owned()))
}
