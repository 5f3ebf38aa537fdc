//! Faults of connections and of those at their other end.

use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::torture::proxy::Link;
use crate::torture::world::{GivenUp, World};

/// Two heartbeats of a consumer, after which nsqd gives up on it, and some leeway.
const HALF_OPEN_MAX: Duration = Duration::from_secs(6);

/// A consumer reads nothing. Others get what it held.
pub(super) fn freeze(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    let consumer = random.usize(..);
    let still = Duration::from_millis(random.u64(50..3_000));
    set_frozen(world, consumer, true);
    world.progress(20)?;
    thread::sleep(still);
    set_frozen(world, consumer, false);
    Ok(())
}

fn set_frozen(world: &World, consumer: usize, still: bool) {
    if let Some(load) = &world.load {
        load.freeze(consumer, still);
    }
}

/// Resets some connections after a few more bytes, which ends most of them inside a frame.
pub(super) fn cut(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    for link in some(world, random) {
        link.cut_after(random.u64(0..2_000));
    }
    world.progress(20)
}

pub(super) fn half_open(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    let silent = some(world, random);
    for link in &silent {
        link.silence();
    }
    thread::sleep(HALF_OPEN_MAX.mul_f64(random.f64()));
    for link in silent {
        link.reset();
    }
    world.progress(20)
}

pub(super) fn trickle(world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    let slow = some(world, random);
    for link in &slow {
        link.trickle(true);
    }
    thread::sleep(Duration::from_millis(random.u64(100..1_000)));
    for link in slow {
        link.trickle(false);
    }
    world.progress(20)
}

/// Half of the links, at least one if there is any.
fn some(world: &World, random: &mut Rng) -> Vec<std::sync::Arc<Link>> {
    let mut links = world.proxy.links();
    random.shuffle(&mut links);
    links.truncate(links.len().div_ceil(2));
    links
}
