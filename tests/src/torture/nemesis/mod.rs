//! What is done to the daemons: each fault begins, lasts while the load goes on, and is healed before the next one.

pub mod abort;
mod admin;
mod disk;
mod network;
mod process;
mod snapshot;
mod surroundings;
mod tracer;

use clap::ValueEnum;
use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::plan::Step;
use super::requirement::Requirement;
use super::world::{GivenUp, World};
use abort::Place;

/// Something that can go wrong.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL to nsqd, and a start.
    Kill,
    /// SIGTERM to nsqd, and a start.
    Terminate,
    /// nsqd dies at a place of its own code, where files are half changed, and is started.
    Abort,
    /// Ten kills while nsqd starts.
    CrashLoop,
    /// SIGTERM at any moment of a start, which must end it soon all the same.
    EarlyStop,
    /// A second nsqd on the same data path.
    Intruder,
    /// SIGSTOP to nsqd for a while.
    Pause,
    /// A consumer stands still with messages in flight.
    Freeze,
    /// A connection is reset after a number of bytes, in the middle of a frame.
    Cut,
    /// Nothing passes on a connection, and nobody is told.
    HalfOpen,
    /// What nsqd sends on a connection arrives slowly.
    Trickle,
    /// The disk is full.
    Full,
    /// No file can be created: the names that a file system has room for are used up.
    Inodes,
    /// The file system makes itself read-only.
    ReadOnly,
    /// Syncs fail with EIO.
    SyncError,
    /// None: the names of new files are synced with what is in them.
    Names,
    /// A read of a file fails with EIO.
    ReadError,
    /// A sync takes half a second.
    SlowSync,
    /// Files may not grow any more: writes are cut short.
    ShortWrite,
    /// No file descriptors are left.
    Descriptors,
    /// The machine loses its power.
    PowerCut,
    /// What a power cut would leave is copied and judged.
    Snapshot,
    /// The nsqlookupds die and come back.
    Lookupd,
    /// Packets between nsqd and the nsqlookupds vanish.
    Partition,
    /// The wall clock jumps.
    Clock,
    /// Channels are paused for a while.
    Hold,
    /// Other topics and channels come, are filled, emptied, paused and deleted.
    Churn,
}

impl Fault {
    /// As the command line has it.
    pub fn name(self) -> String {
        let value = self.to_possible_value().expect("none is hidden");
        value.get_name().to_owned()
    }

    /// Whether it needs a volume whose power can be cut.
    pub fn cuts_power(self) -> bool {
        matches!(self, Self::PowerCut | Self::Snapshot)
    }

    /// Whether it needs a volume with an ext4.
    pub fn needs_ext4(self) -> bool {
        matches!(self, Self::Inodes | Self::ReadOnly)
    }

    /// Whether it needs a volume that can be filled.
    pub fn fills(self) -> bool {
        self == Self::Full
    }

    /// Whether it needs nsqlookupds.
    pub fn meets_lookupds(self) -> bool {
        matches!(self, Self::Lookupd | Self::Partition)
    }

    /// What it needs of the machine.
    pub fn requirement(self) -> Option<Requirement> {
        match self {
            Self::PowerCut | Self::Snapshot | Self::Full | Self::Inodes | Self::ReadOnly => {
                Some(Requirement::Mount)
            }
            Self::SyncError | Self::Names | Self::ReadError | Self::SlowSync => {
                Some(Requirement::Strace)
            }
            Self::Partition => Some(Requirement::Netns),
            Self::Clock => Some(Requirement::Faketime),
            _ => None,
        }
    }
}

/// Does what a step says, and heals it.
pub fn inject(step: Step, world: &mut World) -> Result<(), GivenUp> {
    let mut random = Rng::with_seed(step.seed);
    world.begin(step.fault);
    let done = act(step, world, &mut random);
    world.heal(step.fault);
    done
}

fn act(step: Step, world: &mut World, random: &mut Rng) -> Result<(), GivenUp> {
    match step.fault {
        Fault::Abort => abort::abort(world, Place::chosen_by(step.seed)),
        Fault::Kill => process::kill(world),
        Fault::Terminate => process::terminate(world),
        Fault::CrashLoop => process::crash_loop(world, random),
        Fault::EarlyStop => process::early_stop(world, random),
        Fault::Intruder => process::intrude(world),
        Fault::Pause => process::pause(world, random),
        Fault::Descriptors => process::exhaust_descriptors(world),
        Fault::Freeze => network::freeze(world, random),
        Fault::Cut => network::cut(world, random),
        Fault::HalfOpen => network::half_open(world, random),
        Fault::Trickle => network::trickle(world, random),
        Fault::Full => disk::fill(world),
        Fault::Inodes => disk::use_up_inodes(world),
        Fault::ReadOnly => disk::make_read_only(world),
        Fault::SyncError => disk::fail_syncs(world, random),
        Fault::Names => disk::watch_names(world),
        Fault::ReadError => disk::fail_reads(world, random),
        Fault::SlowSync => disk::slow_syncs(world),
        Fault::ShortWrite => disk::cut_writes_short(world),
        Fault::PowerCut => disk::cut_power(world),
        Fault::Snapshot => snapshot::take(world),
        Fault::Lookupd => surroundings::kill_lookupds(world, random),
        Fault::Partition => surroundings::partition(world, random),
        Fault::Clock => surroundings::turn_clock(world, random),
        Fault::Hold => admin::hold(world, random),
        Fault::Churn => admin::churn(world, random),
    }
}
