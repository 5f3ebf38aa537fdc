//! What a fault needs of the machine: where it is missing, runs with it are skipped aloud, or fail where they must not be.

use std::process::{Command, Stdio};

use super::nemesis::Fault;

/// The variable that names, with commas between them, the requirements that must be met here.
pub const MUST: &str = "TORTURE_REQUIRE";

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Mounting file systems, and the programs that make them and cut their power.
    Mount,
    /// Tracing a process.
    Strace,
    /// Network namespaces, and a packet filter.
    Netns,
    /// A wall clock of one's own.
    Faketime,
}

/// Where Debian keeps the library of faketime.
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

impl Requirement {
    fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Strace => "strace",
            Self::Netns => "netns",
            Self::Faketime => "faketime",
        }
    }

    /// What is missing; none if nothing is.
    fn missing(self) -> Option<String> {
        let programs: &[&str] = match self {
            Self::Mount => &["mount", "umount", "mkfs.ext4", "mkfs.xfs", "xfs_io"],
            Self::Strace => &["strace"],
            Self::Netns => &["ip", "nft"],
            Self::Faketime => &[],
        };
        let needs_root = self != Self::Faketime;
        if needs_root && !rustix::process::geteuid().is_root() {
            return Some("it needs root".to_owned());
        }
        if self == Self::Faketime && !std::path::Path::new(FAKETIME).exists() {
            return Some(format!("there is no {FAKETIME}"));
        }
        let lacking = programs.iter().find(|program| !is_program(program));
        lacking.map(|program| format!("there is no {program}"))
    }
}

/// What this machine is good for.
#[derive(Debug, Default)]
pub struct Usable {
    /// Those of the faults that can be tried.
    pub faults: Vec<Fault>,
    /// A line for each of the others.
    pub skipped: Vec<String>,
}

/// Which of these faults this machine is good for.
///
/// # Errors
///
/// The first one that is missing although [`MUST`] names it.
pub fn usable(faults: &[Fault]) -> Result<Usable, String> {
    let must = std::env::var(MUST).unwrap_or_default();
    let Usable {
        faults: mut usable,
        mut skipped,
    } = Usable::default();
    for fault in faults {
        let requirement = fault.requirement();
        match requirement.and_then(|it| Some((it, it.missing()?))) {
            None => usable.push(*fault),
            Some((it, reason)) if must.split(',').any(|name| name == it.name()) => {
                return Err(format!(
                    "{fault:?} can't be tried, which {MUST} demands: {reason}"
                ));
            }
            Some((_, reason)) => skipped.push(format!("SKIPPED {fault:?}: {reason}")),
        }
    }
    Ok(Usable {
        faults: usable,
        skipped,
    })
}

fn is_program(name: &str) -> bool {
    let found = Command::new("which")
        .arg(name)
        .stdout(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}
