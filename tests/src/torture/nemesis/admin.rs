//! What administrators do at the worst moment.

use fastrand::Rng;

use crate::torture::checker::Invariant;
use crate::torture::event::What;
use crate::torture::world::{GivenUp, World};

/// Pauses a channel, maybe over a restart, and resumes it.
pub(super) fn hold(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    let topic = random.u16(0..world.shared.plan.topics);
    let channel = random.u16(0..world.shared.plan.channels);
    let place = format!("topic=t{topic}&channel=c{channel}");
    must(world, &format!("/channel/pause?{place}"))?;
    world.record(What::Paused { topic, channel });
    world.progress(50)?;
    if random.bool() {
        world.terminate();
        world.start()?;
        world.progress(20)?;
    }
    world.record(What::Resuming { topic, channel });
    must(world, &format!("/channel/unpause?{place}"))
}

/// Topics of no importance come, are filled, paused, emptied, and go.
pub(super) fn churn(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    for round in 0..random.u16(5..20) {
        world.nsqd()?;
        if let Err(reason) = come_and_go(world, &format!("churn{}", round % 3)) {
            world.complain(Invariant::Conduct, reason);
        }
    }
    Ok(())
}

/// The life of a topic.
///
/// # Errors
///
/// Says which step of it failed.
pub(super) fn come_and_go(world: &World, topic: &str) -> Result<(), String> {
    world.act(&format!("/topic/create?topic={topic}"))?;
    world.act(&format!("/channel/create?topic={topic}&channel=c"))?;
    world.post(&format!("/mpub?topic={topic}"), b"a\nb\nc\n")?;
    world.act(&format!("/topic/pause?topic={topic}"))?;
    world.act(&format!("/topic/unpause?topic={topic}"))?;
    world.act(&format!("/channel/empty?topic={topic}&channel=c"))?;
    world.act(&format!("/topic/empty?topic={topic}"))?;
    world.act(&format!("/channel/delete?topic={topic}&channel=c"))?;
    world.act(&format!("/topic/delete?topic={topic}"))
}

fn must(world: &mut World, path: &str) -> Result<(), GivenUp> {
    world.nsqd()?;
    if let Err(reason) = world.act(path) {
        world.complain(Invariant::Conduct, reason);
    }
    Ok(())
}
