//! File descriptors: how many there are, and how many of the last ones are kept for what matters most.
//!
//! ```text
//! 0 ─────────────────────────────┬──────── reserve ────────┬──────────▶ limit
//!   connections, files           │ answers in short, files │ files only
//!                                └─ a quarter, at most 1024; half of it is for files
//! ```
//!
//! The system gives out the lowest number that is free. So the number of a new connection tells how many descriptors
//! there are in use at the least, whoever has them, and nothing needs to be counted.

use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises how many descriptors this process may have to what the system allows it, as the reference does. Where that
/// fails, it has to do with what there is.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Which part of the descriptors a new connection got one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// There are enough.
    Common,
    /// What is kept for those who want to know what is going on.
    Reserve,
    /// What is kept for files.
    Files,
}

/// Returns the part that `socket` is in. The limit is asked for each time, since it can be changed from outside.
pub(super) fn part_of(socket: &impl AsRawFd) -> Part {
    let number = u64::try_from(socket.as_raw_fd()).expect("the descriptor is open");
    part(number, limit())
}

/// Returns how many descriptors this process may have.
pub(super) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn part(number: u64, limit: u64) -> Part {
    let reserve = (limit / 4).min(RESERVE_MAX);
    if number < limit - reserve {
        Part::Common
    } else if number < limit - reserve / 2 {
        Part::Reserve
    } else {
        Part::Files
    }
}

const RESERVE_MAX: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::Part::{Common, Files, Reserve};
    use super::*;

    #[test]
    fn the_last_descriptors_are_kept() {
        for (limit, reserve_from, files_from) in [
            (16, 12, 14),
            (256, 192, 224),
            (1024, 768, 896),
            (20_000, 18_976, 19_488),
            (u64::MAX, u64::MAX - 1024, u64::MAX - 512),
        ] {
            let parts = [
                0,
                reserve_from - 1,
                reserve_from,
                files_from - 1,
                files_from,
            ];
            let expected = [Common, Common, Reserve, Reserve, Files];
            assert_eq!(parts.map(|number| part(number, limit)), expected, "{limit}");
        }
    }
}
