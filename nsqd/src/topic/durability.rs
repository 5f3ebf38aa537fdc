//! What OK promises, for each topic: the process's default, or a level of its own.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Deserialize, Serialize};

/// Where a message is when its publish is answered with OK. Each level promises what the ones before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// In memory, as in the reference: a clean stop loses nothing.
    Memory = 1,
    /// With the kernel: the end of the process loses nothing.
    Disk = 2,
    /// On stable storage: the end of the machine loses nothing.
    Fsync = 3,
}

/// A text that names no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("allowed are memory, disk and fsync")]
pub struct DurabilityError;

impl Durability {
    /// All levels, the weakest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::Fsync];

    /// Its name in flags, queries and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Fsync => "fsync",
        }
    }

    /// The byte that stands for a topic's own level, or for none, in files.
    pub fn code(own: Option<Self>) -> u8 {
        own.map_or(0, |level| level as u8)
    }

    /// What a byte stands for. One that is not known is from a later version: no level here promises too much.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::Memory),
            2 => Some(Self::Disk),
            _ => Some(Self::Fsync),
        }
    }

    /// Whether OK waits for more than memory.
    pub fn is_durable(self) -> bool {
        self > Self::Memory
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Durability {
    type Err = DurabilityError;

    fn from_str(text: &str) -> Result<Self, DurabilityError> {
        let named = Self::ALL.into_iter().find(|level| level.name() == text);
        named.ok_or(DurabilityError)
    }
}

/// The level that a topic was given for itself, if any; read with each publish.
#[derive(Debug)]
pub(super) struct OwnLevel(AtomicU8);

impl OwnLevel {
    pub(super) fn new(level: Option<Durability>) -> Self {
        Self(AtomicU8::new(Durability::code(level)))
    }

    pub(super) fn read(&self) -> Option<Durability> {
        Durability::from_code(self.0.load(Ordering::Acquire))
    }

    pub(super) fn set(&self, level: Option<Durability>) {
        self.0.store(Durability::code(level), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_nothing_else_is_taken() {
        for level in Durability::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            let json = serde_json::to_string(&level).unwrap();
            assert_eq!(json, format!("\"{level}\""));
            assert_eq!(
                Durability::from_code(Durability::code(Some(level))),
                Some(level)
            );
        }
        assert_eq!(Durability::from_code(Durability::code(None)), None);
        for wrong in ["", "Disk", "default", "replicated", "fsync "] {
            assert_eq!(wrong.parse::<Durability>(), Err(DurabilityError), "{wrong}");
        }
    }
}
