//! The plan of a run: everything that is chosen, expanded from one number before anything starts.

use std::fmt;

use clap::ValueEnum;
use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::checker::Terms;
use super::nemesis::Fault;
use super::promises::Durability;

/// What nsqd's data path lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// A folder of the machine's own file system.
    Folder,
    /// A tmpfs of [`TMPFS_BYTES`], which can be filled.
    Tmpfs,
    /// An ext4 in a file, whose power can be cut.
    Ext4,
    /// An XFS in a file, likewise.
    Xfs,
}

/// The size of [`Ground::Tmpfs`].
pub const TMPFS_BYTES: u64 = 64 << 20;

/// A write of no more than this is not cut short by a signal.
const PAGE_BYTES: usize = 4096;
/// Longer than a run takes.
const LONG_TIMEOUT_MS: u64 = 60_000;
/// For each cycle of a run without faults.
const QUIET_ACKNOWLEDGEMENTS: u64 = 1_000;

/// What is asked for; the rest is chosen by the seed.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Makes all choices.
    pub seed: u64,
    /// When publishes are answered.
    pub durability: Durability,
    /// Which faults there may be; none: a quiet run.
    pub faults: Vec<Fault>,
    /// How many faults there are; of a quiet run, how many thousand acknowledgements.
    pub cycles: usize,
    /// Further flags for nsqd.
    pub flags: Vec<String>,
}

/// A fault, and when it comes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Step {
    /// After so many acknowledgements since the last fault was healed.
    pub acknowledgements: u64,
    /// What happens.
    pub fault: Fault,
    /// Makes the choices that this fault has.
    pub seed: u64,
}

/// All choices of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Made all choices, and is in each body.
    pub seed: u64,
    /// When publishes are answered.
    pub durability: Durability,
    /// What the data path lies on.
    pub ground: Ground,
    /// How many topics.
    pub topics: u16,
    /// Channels of each topic.
    pub channels: u16,
    /// Producers in all; they take the topics in turns.
    pub producers: u16,
    /// Consumers of each channel.
    pub consumers: u16,
    /// Their ready count.
    pub ready: u32,
    /// `--msg-timeout`.
    pub msg_timeout_ms: u64,
    /// `--sync-timeout`.
    pub sync_timeout_ms: u64,
    /// `--mem-queue-size`.
    pub mem_queue_size: u64,
    /// The largest body.
    pub body_bytes_max: usize,
    /// Longest pause of a producer between two publishes.
    pub pause_us_max: u64,
    /// How many of 100 publishes are deferred.
    pub deferred_percent: u8,
    /// How many of 100 deliveries are answered with REQ.
    pub requeued_percent: u8,
    /// How many of 100 deliveries are not answered at all.
    pub forgotten_percent: u8,
    /// Further flags for nsqd.
    pub flags: Vec<String>,
    /// What nsqd does wrong on purpose, as `NSQD_SABOTAGE` names it.
    pub sabotage: Option<String>,
    /// How many acknowledgements there are besides those between faults.
    pub acknowledgements: u64,
    /// The faults, in order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Makes all choices.
    pub fn new(wishes: &Wishes) -> Self {
        let mut random = Rng::with_seed(wishes.seed);
        let is_quiet = wishes.faults.is_empty();
        let topics = random.u16(1..=2);
        let steps = (0..wishes.cycles).filter_map(|_| {
            Some(Step {
                acknowledgements: random.u64(20..600),
                fault: *random.choice(&wishes.faults)?,
                seed: random.u64(..),
            })
        });
        let steps = steps.collect();
        let mut plan = Self {
            seed: wishes.seed,
            durability: wishes.durability,
            ground: ground(&wishes.faults, &mut random),
            topics,
            channels: random.u16(1..=2),
            producers: topics * if is_quiet { 1 } else { random.u16(1..=2) },
            consumers: if is_quiet { 1 } else { random.u16(1..=3) },
            ready: random.u32(1..=60),
            msg_timeout_ms: if random.bool() {
                5_000
            } else {
                LONG_TIMEOUT_MS
            },
            sync_timeout_ms: random.u64(100..=2_000),
            mem_queue_size: 0,
            body_bytes_max: choose(&mut random, &[100, 1_000, 20_000]),
            pause_us_max: random.u64(100..=2_000),
            deferred_percent: if is_quiet { 0 } else { random.u8(0..=20) },
            requeued_percent: if is_quiet { 0 } else { random.u8(0..=10) },
            forgotten_percent: 0,
            flags: wishes.flags.clone(),
            sabotage: None,
            acknowledgements: if is_quiet {
                QUIET_ACKNOWLEDGEMENTS * wishes.cycles as u64
            } else {
                50
            },
            steps,
        };
        // Last, so that the seeds of old runs make the other choices as they did.
        plan.mem_queue_size = choose(&mut random, &[10, 1_000, 10_000]);
        // Each of these ends only after the time-out of what was forgotten last.
        let forgets = random.u8(0..4) == 0 && plan.msg_timeout_ms < LONG_TIMEOUT_MS;
        plan.forgotten_percent = u8::from(forgets && !is_quiet);
        if plan.has(|fault| fault == Fault::Abort) {
            // Files are small then, and often begin with a message whose write is cut short if it is larger than a page:
            // nsqd sets such a file aside.
            plan.body_bytes_max = plan.body_bytes_max.min(1_000);
        }
        plan
    }

    /// Whether one of the faults is of this sort.
    pub fn has(&self, sort: impl Fn(Fault) -> bool) -> bool {
        self.steps.iter().any(|step| sort(step.fault))
    }

    /// What the checker must know.
    pub fn terms(&self) -> Terms {
        const MILLISECOND: u64 = 1_000_000;
        /// A sync that is due may wait for the processor, and for the disk.
        const LEEWAY_MS: u64 = 1_500;
        Terms {
            durability: self.durability,
            channels: self.channels,
            msg_timeout: self.msg_timeout_ms * MILLISECOND,
            sync_window: (self.sync_timeout_ms + LEEWAY_MS) * MILLISECOND,
            small_batch: u32::try_from(PAGE_BYTES / self.body_bytes_max).unwrap_or(0),
            ordered: self.is_quiet(),
        }
    }

    /// Whether nothing is hurt.
    pub fn is_quiet(&self) -> bool {
        self.steps.is_empty()
    }
}

fn choose<T: Copy>(random: &mut Rng, values: &[T]) -> T {
    *random.choice(values).expect("there are some")
}

/// What these faults need under the data path.
fn ground(faults: &[Fault], random: &mut Rng) -> Ground {
    let any = |needs: fn(Fault) -> bool| faults.iter().any(|fault| needs(*fault));
    let journaled = if random.bool() {
        Ground::Ext4
    } else {
        Ground::Xfs
    };
    if any(Fault::needs_ext4) {
        Ground::Ext4
    } else if any(Fault::cuts_power) {
        journaled
    } else if any(Fault::fills) {
        Ground::Tmpfs
    } else {
        Ground::Folder
    }
}

impl fmt::Display for Plan {
    /// As JSON, which is what a history begins with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
