//! What is promised: how much of what was acknowledged may be lost, by durability and mishap. The checker reads this table.
//!
//! | | clean stop | kill -9 | power cut |
//! | --- | --- | --- | --- |
//! | memory | nothing | anything | anything |
//! | disk | nothing | nothing | the last `--sync-timeout` |
//! | fsync | nothing | nothing | nothing |
//!
//! A full disk, failing writes, reads and syncs, cut connections, stopped processes and jumping clocks lose nothing at any level. A
//! flipped bit costs a record at the most; the flips have a check of their own.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::event::Stop;

/// When a publish is answered `OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// The messages are in memory.
    Memory,
    /// The kernel has them.
    Disk,
    /// They are on stable storage.
    Fsync,
}

impl Durability {
    /// As the flag of nsqd has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Fsync => "fsync",
        }
    }
}

/// How much a mishap may cost of what was acknowledged before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Not one message.
    Nothing,
    /// What was acknowledged less than the sync window before.
    SyncWindow,
    /// All of it.
    Anything,
}

/// What is promised.
pub fn allowed_loss(durability: Durability, stop: Stop) -> Loss {
    match (durability, stop) {
        (_, Stop::Clean)
        | (Durability::Disk, Stop::Killed)
        | (Durability::Fsync, Stop::Killed | Stop::PowerCut) => Loss::Nothing,
        (Durability::Disk, Stop::PowerCut) => Loss::SyncWindow,
        (Durability::Memory, Stop::Killed | Stop::PowerCut) => Loss::Anything,
    }
}
