//! Death at a place of nsqd's own code, where a kill from outside would strike once in a million times: between a file's
//! content and its name, between a name and what leads to it.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::admin;
use crate::torture::checker::Invariant;
use crate::torture::world::{GivenUp, World};

/// How long it may take until nsqd comes to where it is to die.
const REACHED_MAX: Duration = Duration::from_secs(30);
/// How often topics come and go meanwhile.
const CHURN_PAUSE: Duration = Duration::from_millis(10);

/// A place in nsqd's code, of those in its `sabotage.rs`, and the how manieth time that it is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    site: &'static str,
    pass: u32,
}

/// A site, and how many of its first passes differ from one another: before something and after it, or for several files.
struct Site {
    name: &'static str,
    passes: u32,
    /// It is passed again and again while nsqd runs.
    recurs: bool,
}

const fn site(name: &'static str, passes: u32, recurs: bool) -> Site {
    Site {
        name,
        passes,
        recurs,
    }
}

const SITES: [Site; 7] = [
    site("recovery", 1, false),
    // `ids.dat` and `nsqd.dat` at the start, and `nsqd.dat` for a new topic.
    site("metadata-rename", 6, true),
    site("segment-roll", 1, true),
    site("segment-unlink", 2, true),
    site("progress-rename", 2, true),
    site("topic-create", 2, true),
    site("topic-delete", 2, true),
];
/// Up to this pass of a site that recurs nsqd dies in runs that choose by chance.
const PASSES_MAX: u64 = 20;

impl Place {
    /// Every place that differs from the others.
    pub fn all() -> impl Iterator<Item = Self> {
        SITES.iter().flat_map(|site| {
            (1..=site.passes).map(|pass| Self {
                site: site.name,
                pass,
            })
        })
    }

    /// The place of this number; numbers beyond them choose a site, and some later pass of it.
    pub fn chosen_by(number: u64) -> Self {
        let first = usize::try_from(number).ok();
        if let Some(place) = first.and_then(|number| Self::all().nth(number)) {
            return place;
        }
        let sites = SITES.len() as u64;
        let site = &SITES[usize::try_from(number % sites).expect("it is less than a dozen")];
        let passes = if site.recurs {
            PASSES_MAX
        } else {
            u64::from(site.passes)
        };
        let pass = number / sites % passes + 1;
        Self {
            site: site.name,
            pass: u32::try_from(pass).expect("it is at most PASSES_MAX"),
        }
    }
}

impl fmt::Display for Place {
    /// As `NSQD_SABOTAGE` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "abort-at:{}:{}", self.site, self.pass)
    }
}

/// Starts a nsqd that is to die at a place, and lets it work until it does.
pub(super) fn abort(world: &mut World, place: Place) -> Result<(), GivenUp> {
    world.kill();
    let mut ended = world.start_ordered(&place.to_string())?;
    let deadline = Instant::now() + REACHED_MAX;
    while ended.is_none() && Instant::now() < deadline {
        // What it is at when nsqd dies has no answer.
        let _ = admin::come_and_go(world, "doomed");
        thread::sleep(CHURN_PAUSE);
        ended = world.bury();
    }
    let signal = ended.and_then(|status| status.signal());
    if signal != Some(Signal::ABORT.as_raw()) {
        let text = format!("a nsqd with {place} ended with {ended:?}");
        world.complain(Invariant::Conduct, text);
        world.kill();
    }
    world.start()?;
    world.progress(20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_number_and_every_number_a_place() {
        let all: Vec<_> = Place::all().collect();
        for (number, place) in (0..).zip(&all) {
            assert_eq!(Place::chosen_by(number), *place);
        }
        for number in [all.len() as u64, 1_000, u64::MAX] {
            let place = Place::chosen_by(number);
            assert!(SITES.iter().any(|site| site.name == place.site), "{place}");
            assert!((1..=20).contains(&place.pass), "{place}");
        }
        assert_eq!(all[0].to_string(), "abort-at:recovery:1");
    }
}
