//! Which systems there are, what each can do, and where its program is.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::server::{existing, find};
use crate::error::Error;

/// A system that can be measured, by the name that is typed and printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// Our nsqd, messages in memory
    NsqdMemory,
    /// Our nsqd, the kernel has a message before OK
    NsqdDisk,
    /// Our nsqd, the disk has a message before OK
    NsqdFsync,
    /// The NSQ daemon of --nsqd
    Peer,
    /// nats-server, core: keeps nothing
    Nats,
    /// nats-server with streams in files and explicit acks
    Jetstream,
    /// redis-server, Streams, appendfsync everysec
    RedisEverysec,
    /// redis-server, Streams, appendfsync always
    RedisAlways,
    /// Answers publishes and throws them away: the floor
    Discard,
}

impl Kind {
    /// Its name, as it is typed.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value().expect("no system is hidden");
        value.get_name().to_owned()
    }

    /// What it is, in a few words.
    pub(crate) fn about(self) -> String {
        let value = self.to_possible_value().expect("no system is hidden");
        value
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// Whether messages can be consumed from it.
    pub(crate) fn delivers(self) -> bool {
        self != Self::Discard
    }

    /// Whether it keeps topics and messages for those who come later.
    pub(crate) fn keeps(self) -> bool {
        !matches!(self, Self::Discard | Self::Nats)
    }

    /// Whether it is an nsqd, ours or another.
    pub(crate) fn is_nsqd(self) -> bool {
        let ours = matches!(self, Self::NsqdMemory | Self::NsqdDisk | Self::NsqdFsync);
        ours || self == Self::Peer
    }

    /// Whether it speaks the protocol of NSQ, and knows topics that keep the newest messages only.
    pub(crate) fn speaks_nsq(self) -> bool {
        self.is_nsqd() || self == Self::Discard
    }
}

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// An NSQ daemon that joins as a peer.
    pub(crate) peer: Option<PathBuf>,
}

impl Programs {
    /// The program of a system.
    ///
    /// # Errors
    /// It is not there; the error tells how to get it.
    pub(crate) fn of(&self, kind: Kind) -> Result<PathBuf, Error> {
        match kind {
            Kind::NsqdMemory | Kind::NsqdDisk | Kind::NsqdFsync => {
                beside("nsqd", "cargo build --release -p nsqd")
            }
            Kind::Discard => beside("discard", "cargo build --release -p tests --bin discard"),
            Kind::Peer => match &self.peer {
                Some(program) => existing(program, "--nsqd wants the path of an NSQ daemon"),
                None => existing(Path::new("peer"), "name an NSQ daemon with --nsqd PATH"),
            },
            Kind::Nats | Kind::Jetstream => find("nats-server", "apt-get install nats-server"),
            Kind::RedisEverysec | Kind::RedisAlways => {
                find("redis-server", "apt-get install redis-server")
            }
        }
    }
}

/// A program of this workspace, which is built into the folder of this one.
fn beside(name: &str, remedy: &'static str) -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::io("find this program"))?;
    existing(&own.with_file_name(name), remedy)
}
