//! Faults of the disk: full, failing, slow, without power.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::{Resource, Rlimit, prlimit};

use super::tracer::{SYNCS, Tracer};
use crate::torture::checker::Invariant;
use crate::torture::promises::Durability;
use crate::torture::volume::Ballast;
use crate::torture::world::{GivenUp, World, data_path, files};

/// How long a fault lasts that nobody need notice.
const WHILE: Duration = Duration::from_millis(500);
/// How soon publishes succeed again when a fault is over.
const RESUME_MAX: Duration = Duration::from_secs(5);
/// How long anything may be that does not depend on a slow disk.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// More than what a file may be at the moment: it can grow by so many bytes.
const ROOM_BYTES: u64 = 1_000;

pub(super) fn fill(world: &mut World) -> Result<(), GivenUp> {
    let filled = world.volume().fill();
    starve(world, filled)
}

/// There is room, and no file can be created.
pub(super) fn use_up_inodes(world: &mut World) -> Result<(), GivenUp> {
    let used_up = world.volume().use_up_inodes();
    starve(world, used_up)
}

/// Waits until nsqd misses what the ballast takes, and gives it back.
fn starve(world: &mut World, ballast: Result<Ballast, String>) -> Result<(), GivenUp> {
    let ballast = ballast.map_err(|reason| world.give_up(Invariant::Conduct, reason))?;
    if let Some(load) = &world.load {
        load.freeze_all(true);
    }
    let declined = world.shared.declined();
    world.within(4 * WHILE, |world| world.shared.declined() > declined + 5);
    if let Some(load) = &world.load {
        load.freeze_all(false);
    }
    thread::sleep(WHILE);
    drop(ballast);
    resume(world)
}

/// Publishes must succeed again by themselves.
fn resume(world: &mut World) -> Result<(), GivenUp> {
    let before = world.shared.acknowledged();
    if !world.within(RESUME_MAX, |world| world.shared.acknowledged() > before) {
        let text = format!(
            "no publish succeeds {} s after a fault of the disk",
            RESUME_MAX.as_secs()
        );
        world.complain(Invariant::Liveness, text);
        world.terminate();
        world.start()?;
    }
    world.progress(20)
}

pub(super) fn cut_power(world: &mut World) -> Result<(), GivenUp> {
    world.cut_power()?;
    world.start()
}

/// The file system makes itself read-only: nothing is answered with OK, until it is mounted again.
pub(super) fn make_read_only(world: &mut World) -> Result<(), GivenUp> {
    let made = world.make_read_only();
    made.map_err(|reason| world.fail(reason))?;
    thread::sleep(WHILE);
    let before = world.shared.acknowledged();
    thread::sleep(WHILE);
    let accepted = world.shared.acknowledged() - before;
    if accepted > 0 {
        let text = format!("{accepted} messages were accepted on a read-only disk");
        world.complain(Invariant::Sync, text);
    }
    if world.is_healthy() {
        world.complain(Invariant::Conduct, "/ping is OK on a read-only disk");
    }
    cut_power(world)
}

/// Some syncs fail, the later ones succeed. What was answered with OK must outlive the power.
pub(super) fn fail_syncs(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    let failures = format!("error=EIO:when=1..{}", random.u32(1..=20));
    let tracer = trace(world, SYNCS, &failures)?;
    world.within(2 * WHILE, |_| false);
    let calls = tracer.detach();
    if let Some(path) = calls.hidden_failure() {
        let text =
            format!("{path}: a sync failed, and a later one succeeded without a write between");
        world.complain(Invariant::Sync, text);
    }
    if world.volume().has_power() {
        world.cut_power()?;
        return world.start();
    }
    if world.shared.plan.durability == Durability::Fsync {
        // Such a topic may refuse everything until it is opened anew.
        world.terminate();
        return world.start();
    }
    resume(world)
}

/// Watches a nsqd from its first file on: no crash here would show that a name was not synced, as file systems of today bring it to the
/// disk with the content; others need not.
pub(super) fn watch_names(world: &mut World) -> Result<(), GivenUp> {
    world.terminate();
    world.start_alone()?;
    let tracer = trace(world, SYNCS, "delay_enter=1")?;
    world.admit();
    world.within(2 * WHILE, |_| false);
    if let Some(path) = tracer.detach().unsynced_name() {
        let text = format!("{path} was created and synced twice, its directory not once");
        world.complain(Invariant::Sync, text);
    }
    world.progress(20)
}

/// A read fails once or twice: nothing may be given up for that.
pub(super) fn fail_reads(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    freeze(world, true);
    world.progress(200)?;
    // What lies in memory needs no reading.
    world.terminate();
    world.start()?;
    let failures = format!("error=EIO:when=1..{}", random.u32(1..=2));
    let tracer = trace(world, "pread64", &failures)?;
    freeze(world, false);
    world.within(2 * WHILE, |_| false);
    tracer.detach();
    world.progress(50)
}

fn freeze(world: &World, still: bool) {
    if let Some(load) = &world.load {
        load.freeze_all(still);
    }
}

/// Publishers that wait for the disk wait; `/ping` and `/stats` don't.
pub(super) fn slow_syncs(world: &mut World) -> Result<(), GivenUp> {
    let tracer = trace(world, SYNCS, "delay_enter=500000")?;
    for path in ["/ping", "/stats?format=json", "/ping"] {
        let asked = std::time::Instant::now();
        let _ = world.get(path);
        if asked.elapsed() > ANSWER_MAX {
            let text = format!("{path} took {:?} on a slow disk", asked.elapsed());
            world.complain(Invariant::Liveness, text);
        }
        thread::sleep(WHILE);
    }
    tracer.detach();
    world.progress(50)
}

fn trace(world: &mut World, calls: &str, injection: &str) -> Result<Tracer, GivenUp> {
    let pid = world.nsqd()?.pid();
    let log = world.directory.join("strace.log");
    let tracer = Tracer::attach(pid, calls, injection, &log);
    tracer.map_err(|reason| world.fail(reason))
}

/// Files may grow a little and no more: a write is cut short, and the next one fails.
pub(super) fn cut_writes_short(world: &mut World) -> Result<(), GivenUp> {
    let pid = world.nsqd()?.pid();
    let room = largest(&data_path(world.volume().path())) + ROOM_BYTES;
    let limit = |current| Rlimit {
        current,
        maximum: None,
    };
    if let Err(error) = prlimit(Some(pid), Resource::Fsize, limit(Some(room))) {
        return Err(world.fail(format!("prlimit: {error}")));
    }
    let declined = world.shared.declined();
    world.within(2 * WHILE, |world| world.shared.declined() > declined + 5);
    // It may have ended meanwhile, which is noticed anyhow.
    let _ = prlimit(Some(pid), Resource::Fsize, limit(None));
    resume(world)
}

fn largest(folder: &Path) -> u64 {
    let sizes = files(folder)
        .into_iter()
        .filter_map(|file| Some(fs::metadata(file).ok()?.len()));
    sizes.max().unwrap_or(0)
}
