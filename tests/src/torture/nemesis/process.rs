//! Faults of the process: killed, stopped, started over itself, out of descriptors.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::torture::checker::Invariant;
use crate::torture::event::{Stop, What};
use crate::torture::world::{GivenUp, World, data_path, files};
use crate::wait;

/// How often a crash loop crashes.
const CRASHES: usize = 10;
/// What they may add to the data path: files of metadata and progress, written anew.
const GROWTH_BYTES_MAX: u64 = 64 << 10;
/// Within this time of its start a nsqd is killed or stopped.
const EARLY_MS_MAX: u64 = 60;
/// How long a stop may take, whenever it is asked for.
const STOP_MAX: Duration = Duration::from_secs(10);

pub(super) fn kill(world: &mut World) -> Result<(), GivenUp> {
    world.kill();
    world.start()
}

pub(super) fn terminate(world: &mut World) -> Result<(), GivenUp> {
    world.terminate();
    world.start()
}

pub(super) fn crash_loop(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    world.kill();
    let before = Left::find(world);
    for _ in 0..CRASHES {
        let mut nsqd = spawn(world)?;
        thread::sleep(Duration::from_millis(random.u64(0..EARLY_MS_MAX)));
        let _ = (nsqd.kill(), nsqd.wait());
        world.record(What::Down { stop: Stop::Killed });
    }
    let after = Left::find(world);
    // Metadata, ids, and a topic's progress are replaced as a whole: each may be new, with its next content beside it.
    let replaced = 2 + usize::from(world.shared.plan.topics);
    if after.temporary > replaced
        || after.files > before.files + replaced
        || after.bytes > before.bytes + GROWTH_BYTES_MAX
    {
        let text = format!("{CRASHES} crashes made {after:?} of {before:?}");
        world.complain(Invariant::Litter, text);
    }
    world.start()
}

/// What lies in the data path.
#[derive(Debug)]
struct Left {
    /// Temporary files.
    temporary: usize,
    /// Others.
    files: usize,
    /// Of all.
    bytes: u64,
}

impl Left {
    fn find(world: &World) -> Self {
        let files = files(&data_path(world.volume().path()));
        let is_temporary = |file: &&PathBuf| file.extension().is_some_and(|it| it == "tmp");
        let temporary = files.iter().filter(is_temporary).count();
        let bytes = files
            .iter()
            .filter_map(|file| Some(fs::metadata(file).ok()?.len()));
        Self {
            temporary,
            files: files.len() - temporary,
            bytes: bytes.sum(),
        }
    }
}

pub(super) fn early_stop(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    world.kill();
    let mut nsqd = spawn(world)?;
    thread::sleep(Duration::from_millis(random.u64(0..EARLY_MS_MAX)));
    let asked = Instant::now();
    let pid = rustix::process::Pid::from_child(&nsqd);
    let _ = rustix::process::kill_process(pid, Signal::TERM);
    let ended = wait::within(STOP_MAX, || nsqd.try_wait().ok().flatten());
    if ended.is_none() {
        let _ = (nsqd.kill(), nsqd.wait());
        let text = format!(
            "a nsqd that starts runs {:?} after SIGTERM",
            asked.elapsed()
        );
        world.complain(Invariant::Liveness, text);
    }
    // Before it can catch the signal, a stop is no cleaner than a kill.
    world.record(What::Down { stop: Stop::Killed });
    world.start()
}

/// Another nsqd must refuse to share the data path, and must not disturb the one that has it.
pub(super) fn intrude(world: &mut World) -> Result<(), GivenUp> {
    let mut intruder = spawn(world)?;
    match wait::within(STOP_MAX, || intruder.try_wait().ok().flatten()) {
        Some(status) if status.code().is_some_and(|code| code != 0) => {}
        ended => {
            let _ = (intruder.kill(), intruder.wait());
            let text = format!("a second nsqd on one data path ended with {ended:?}");
            world.complain(Invariant::Conduct, text);
        }
    }
    Ok(())
}

fn spawn(world: &mut World) -> Result<std::process::Child, GivenUp> {
    let spawned = world.launch.spawn();
    spawned.map_err(|error| world.fail(error))
}

pub(super) fn pause(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    world.nsqd()?.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(random.u64(100..=1_500)));
    world.nsqd()?.signal(Signal::CONT);
    world.progress(50)
}

/// No connection can be accepted and no file opened; those who are connected go on.
pub(super) fn exhaust_descriptors(world: &mut World) -> Result<(), GivenUp> {
    let pid = world.nsqd()?.pid();
    let open = crate::process::open_files(pid.as_raw_nonzero().get().unsigned_abs());
    let few = Rlimit {
        current: Some(open as u64),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(Some(pid), Resource::Nofile, few);
    let before = before.map_err(|error| world.fail(format!("prlimit: {error}")))?;
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        let knock = std::net::TcpStream::connect(world.nsqd()?.tcp);
        thread::sleep(Duration::from_millis(20));
        drop(knock);
    }
    // It may have ended meanwhile, which is noticed anyhow.
    let _ = prlimit(Some(pid), Resource::Nofile, before);
    world.progress(50)
}
