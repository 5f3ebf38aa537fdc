//! Faults of what nsqd lives among: nsqlookupds, the way to them, the clock on the wall.

use std::fs;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::torture::checker::Invariant;
use crate::torture::world::{GivenUp, World};

/// How soon after the end of a fault every nsqlookupd knows everything: a retry every 2 s, and leeway.
const INFORMED_MAX: Duration = Duration::from_secs(5);
/// Longer than nsqd waits before it gives up on a nsqlookupd that says nothing.
const PARTITION_MAX: Duration = Duration::from_secs(6);
/// How long the clock stays wrong, at least.
const JUMP: Duration = Duration::from_millis(100);
/// How far the clock jumps, in seconds.
const JUMPS: [i64; 6] = [-3600, 3600, -5, 5, -86_400, 86_400];

/// All nsqlookupds die, some of them again and again; they come back knowing nothing.
pub(super) fn kill_lookupds(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    let topic = format!("meanwhile{}", random.u32(..));
    for _ in 0..random.usize(1..=3) {
        for number in 0..random.usize(1..=2) {
            world.lookupds_mut()?.kill(number);
        }
        world.progress(50)?;
        create(world, &topic)?;
        let revived = world.lookupds_mut()?.revive();
        revived.map_err(|reason| {
            world.give_up(Invariant::Liveness, format!("nsqlookupd: {reason}"))
        })?;
    }
    await_informed(world, &topic)
}

/// Packets between nsqd and nsqlookupd vanish, one way or both.
pub(super) fn partition(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    let ports = world.lookupds_mut()?.ports();
    let (out, back) = *random
        .choice(&[(true, true), (true, false), (false, true)])
        .unwrap_or(&(true, true));
    let namespace = world.namespace()?;
    let cut = namespace.cut(&ports, out, back);
    cut.map_err(|reason| world.fail(reason))?;
    let topic = format!("meanwhile{}", random.u32(..));
    create(world, &topic)?;
    world.progress(100)?;
    thread::sleep(PARTITION_MAX.mul_f64(random.f64()));
    let healed = world.namespace()?.heal();
    healed.map_err(|reason| world.fail(reason))?;
    await_informed(world, &topic)
}

/// Creates a topic of which no nsqlookupd can be told yet.
fn create(world: &mut World, topic: &str) -> Result<(), GivenUp> {
    world.nsqd()?;
    let created = world.act(&format!("/topic/create?topic={topic}"));
    created.map_err(|reason| world.give_up(Invariant::Conduct, reason))
}

fn await_informed(world: &mut World, topic: &str) -> Result<(), GivenUp> {
    if !world.within(INFORMED_MAX, |world| world.is_registered(topic)) {
        let text = format!(
            "a nsqlookupd does not know everything after {} s",
            INFORMED_MAX.as_secs()
        );
        world.complain(Invariant::Registration, text);
    }
    world.progress(20)
}

/// The wall clock jumps, or swings, and is right again.
pub(super) fn turn_clock(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    for _ in 0..random.usize(1..=10) {
        let jump = *random.choice(&JUMPS).unwrap_or(&0);
        set_clock(world, &format!("{jump:+}"))?;
        thread::sleep(JUMP);
        world.progress(30)?;
    }
    set_clock(world, "+0")?;
    world.progress(30)
}

fn set_clock(world: &World, offset: &str) -> Result<(), GivenUp> {
    // Put in its place as a whole: a process that finds the file empty is ended by libfaketime.
    let file = world.clock_file();
    let whole = file.with_extension("new");
    let written = fs::write(&whole, offset).and_then(|()| fs::rename(&whole, &file));
    written.map_err(|error| world.fail(error))
}
