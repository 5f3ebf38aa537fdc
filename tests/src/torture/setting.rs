//! What the nsqd of a run is started with, and what it lives among.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::lookupds::Lookupds;
use super::namespace::Namespace;
use super::nemesis::Fault;
use super::plan::{Ground, Plan};
use super::process::Launch;
use super::requirement::FAKETIME;
use super::world::data_path;

/// The file in the directory of a run that tells nsqd how wrong its wall clock is.
pub(super) const CLOCK_FILE: &str = "clock";
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How nsqd is started for this plan.
pub(super) fn launch(plan: &Plan, volume: &Path, log: PathBuf) -> Launch {
    let mut arguments = vec![
        "--broadcast-address=127.0.0.1".to_owned(),
        format!("--data-path={}", data_path(volume).display()),
        format!("--durability={}", plan.durability.name()),
        format!("--mem-queue-size={}", plan.mem_queue_size),
        format!("--msg-timeout={}ms", plan.msg_timeout_ms),
        format!("--sync-timeout={}ms", plan.sync_timeout_ms),
    ];
    if plan.ground != Ground::Folder {
        arguments.push("--max-bytes-per-file=1048576".to_owned());
    }
    let aborts = plan.has(|fault| fault == Fault::Abort);
    if aborts {
        // So that it comes soon to where it is to die.
        arguments.push("--max-bytes-per-file=8192".to_owned());
        arguments.push("--checkpoint-interval=100ms".to_owned());
    }
    arguments.extend(plan.flags.iter().cloned());
    let sabotage = plan.sabotage.as_deref().or(aborts.then_some(""));
    Launch::new(sabotage, arguments, log)
}

/// Makes what nsqd lives among, as far as the faults need it.
pub(super) fn surround(
    plan: &Plan,
    directory: &Path,
    launch: &mut Launch,
) -> Result<(Option<Namespace>, Option<Lookupds>), String> {
    let (mut namespace, mut lookupds) = (None, None);
    let (mut inside, mut outside) = (LOCALHOST, LOCALHOST);
    if plan.has(|fault| fault == Fault::Partition) {
        let made = namespace.insert(Namespace::create()?);
        (inside, outside) = (made.inside, made.outside);
        launch.namespace = Some(made.name().to_owned());
    }
    launch
        .arguments
        .extend(["tcp", "http"].map(|name| format!("--{name}-address={inside}:0")));
    if plan.has(Fault::meets_lookupds) {
        let started = lookupds.insert(Lookupds::start(outside, directory)?);
        launch.arguments.extend(started.flags());
    }
    if plan.has(|fault| fault == Fault::Clock) {
        launch.environment.extend(clock(directory));
    }
    Ok((namespace, lookupds))
}

/// A wall clock that a file turns; timers go on as they are.
fn clock(directory: &Path) -> [(String, OsString); 4] {
    [
        ("LD_PRELOAD", FAKETIME.into()),
        ("FAKETIME_TIMESTAMP_FILE", directory.join(CLOCK_FILE).into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}
