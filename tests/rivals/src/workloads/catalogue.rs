//! The workloads by name.

use crate::systems::{Grouping, Kind};

/// A workload, by the name that is typed and printed.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    /// What it does, to be done.
    pub(crate) shape: Shape,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Publishing to a topic that nobody reads.
    Publish(Load),
    /// Publishing to a topic that keeps the newest messages only.
    PublishEphemeral(Load),
    /// Publishing, while one consumer in each of so many channels receives and finishes all.
    Deliver {
        /// What is published.
        load: Load,
        /// Channels.
        channels: usize,
    },
    /// Publishing at a share of the highest rate, each message at its time, and delivering.
    Latency {
        /// The share.
        percent: u32,
    },
    /// A restart with messages that nobody has read, and reading them.
    Backlog,
    /// So many topics with a channel each, which nobody uses.
    Idle {
        /// Topics.
        topics: usize,
    },
}

/// What is published, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Bytes of a message.
    pub(crate) body_bytes: usize,
    /// Connections.
    pub(crate) producers: usize,
    /// Messages that are sent and confirmed together.
    pub(crate) batch: usize,
    /// Batches of a connection that may be unconfirmed.
    pub(crate) window: usize,
    /// How a batch looks.
    pub(crate) grouping: Grouping,
}

impl Load {
    /// Batches of 200 messages from one producer: 8 of them, or 1 MiB if that is less, unconfirmed.
    pub(crate) const fn batched(body_bytes: usize) -> Self {
        let batch = if body_bytes > 5_000 { 8 } else { 200 };
        Self {
            body_bytes,
            producers: 1,
            batch,
            window: if body_bytes > 5_000 { 2 } else { 8 },
            grouping: Grouping::Command,
        }
    }

    /// One message after the other: each waits for the confirmation of the one before.
    pub(crate) const fn single(producers: usize) -> Self {
        Self {
            body_bytes: 200,
            producers,
            batch: 1,
            window: 1,
            grouping: Grouping::Pipeline,
        }
    }
}

impl Workload {
    /// Whether it says something about this system.
    pub(crate) fn suits(&self, kind: Kind) -> bool {
        match self.shape {
            Shape::Publish(_) => true,
            Shape::PublishEphemeral(_) => kind.speaks_nsq(),
            Shape::Deliver { .. } | Shape::Latency { .. } => kind.delivers(),
            Shape::Backlog => kind.keeps(),
            // What nobody publishes to is the same at each level of durability, and nothing at all in core.
            Shape::Idle { topics } => match kind {
                Kind::NsqdMemory | Kind::Peer | Kind::RedisEverysec => true,
                // More streams than these take minutes, and more files than it may open.
                Kind::Jetstream => topics <= STREAMS_MAX,
                _ => false,
            },
        }
    }

    /// Whether one round is enough: those that take long, and differ little.
    pub(crate) fn once(&self) -> bool {
        matches!(self.shape, Shape::Backlog | Shape::Idle { .. })
    }

    /// Whether system calls for each message tell something.
    pub(crate) fn is_traceable(&self) -> bool {
        matches!(self.shape, Shape::Publish(_) | Shape::Deliver { .. })
    }
}

const fn publish(name: &'static str, about: &'static str, load: Load) -> Workload {
    let shape = Shape::Publish(load);
    Workload { name, about, shape }
}

const fn deliver(name: &'static str, about: &'static str, load: Load, channels: usize) -> Workload {
    let shape = Shape::Deliver { load, channels };
    Workload { name, about, shape }
}

const fn latency(name: &'static str, about: &'static str, percent: u32) -> Workload {
    let shape = Shape::Latency { percent };
    Workload { name, about, shape }
}

const fn idle(name: &'static str, about: &'static str, topics: usize) -> Workload {
    let shape = Shape::Idle { topics };
    Workload { name, about, shape }
}

/// Streams that are made of `JetStream` at most.
const STREAMS_MAX: usize = 1000;

/// 100 producers with small batches.
const MANY: Load = Load {
    producers: 100,
    batch: 20,
    window: 2,
    ..Load::batched(200)
};

/// Single messages, sent 200 at a time.
const PIPELINED: Load = Load {
    grouping: Grouping::Pipeline,
    ..Load::batched(200)
};

/// All of them, in the order in which they run.
pub(crate) const WORKLOADS: &[Workload] = &[
    publish(
        "publish",
        "publish 200 B in batches of 200",
        Load::batched(200),
    ),
    publish(
        "publish-100b",
        "publish 100 B in batches of 200",
        Load::batched(100),
    ),
    publish(
        "publish-1k",
        "publish 1 KB in batches of 200",
        Load::batched(1024),
    ),
    publish(
        "publish-64k",
        "publish 64 KB in batches of 8",
        Load::batched(64 * 1024),
    ),
    publish(
        "publish-pipelined",
        "publish 200 B one by one, 200 in a write",
        PIPELINED,
    ),
    publish(
        "publish-single",
        "publish 200 B, each after the answer to the one before",
        Load::single(1),
    ),
    publish(
        "publish-100-producers",
        "100 producers with batches of 20 × 200 B",
        MANY,
    ),
    publish(
        "publish-single-100-producers",
        "100 producers, each as in publish-single",
        Load::single(100),
    ),
    Workload {
        name: "publish-ephemeral",
        about: "as publish, to a topic that keeps the newest only",
        shape: Shape::PublishEphemeral(Load::batched(200)),
    },
    deliver(
        "deliver",
        "publish 200 B in batches of 200, consume, finish",
        Load::batched(200),
        1,
    ),
    deliver("deliver-100b", "the same with 100 B", Load::batched(100), 1),
    deliver("deliver-1k", "the same with 1 KB", Load::batched(1024), 1),
    deliver(
        "deliver-64k",
        "the same with 64 KB in batches of 8",
        Load::batched(64 * 1024),
        1,
    ),
    deliver(
        "deliver-single",
        "publish 200 B one after the other, consume, finish",
        Load::single(1),
        1,
    ),
    deliver(
        "deliver-100-producers",
        "100 producers with batches of 20 × 200 B, consume, finish",
        MANY,
        1,
    ),
    deliver(
        "fanout-1",
        "publish 200 B in batches of 200 to 1 channel, consume, finish",
        Load::batched(200),
        1,
    ),
    deliver(
        "fanout-10",
        "the same to 10 channels; figures are for each delivery",
        Load::batched(200),
        10,
    ),
    deliver(
        "fanout-100",
        "the same to 100 channels",
        Load::batched(200),
        100,
    ),
    latency(
        "latency-10",
        "due time to delivery at 10 % of the highest rate",
        10,
    ),
    latency("latency-50", "the same at 50 %", 50),
    latency("latency-90", "the same at 90 %", 90),
    Workload {
        name: "backlog",
        about: "restart with a backlog of 1 KB messages (start), then drain it",
        shape: Shape::Backlog,
    },
    idle(
        "idle-1000",
        "1,000 topics with a channel that nobody uses",
        1000,
    ),
    idle(
        "idle-10000",
        "10,000 topics with a channel that nobody uses",
        10_000,
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_batches_fit_into_a_command() {
        let names: HashSet<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        for workload in WORKLOADS {
            let (Shape::Publish(load) | Shape::Deliver { load, .. }) = workload.shape else {
                continue;
            };
            // The largest payload of nats-server is 1 MiB, the largest body of an MPUB 5 MiB.
            let bytes = load.batch * load.body_bytes;
            assert!(bytes <= 1 << 20, "{}: {bytes} bytes", workload.name);
        }
    }

    #[test]
    fn what_keeps_nothing_has_neither_backlog_nor_idle_topics() {
        let of = |name| {
            WORKLOADS
                .iter()
                .find(|workload| workload.name == name)
                .unwrap()
        };
        assert!(of("publish").suits(Kind::Discard));
        assert!(!of("deliver").suits(Kind::Discard));
        assert!(!of("backlog").suits(Kind::Nats));
        assert!(!of("idle-1000").suits(Kind::Nats));
        assert!(of("idle-1000").suits(Kind::Jetstream));
        assert!(!of("idle-10000").suits(Kind::Jetstream));
        assert!(!of("publish-ephemeral").suits(Kind::RedisAlways));
    }
}
