//! What is done to a system while it is measured.

mod backlog;
mod catalogue;
mod deliver;
mod idle;
mod latency;
mod producing;
mod publish;

use std::path::Path;

pub(crate) use catalogue::{Shape, WORKLOADS, Workload};

use crate::error::Error;
use crate::measure::Figures;
use crate::settings::Settings;
use crate::systems::{
    AppendFsync, Discard, Folder, JetStream, Kind, Level, Nats, Nsqd, Redis, System,
};

/// The topic of each workload; every run has a server of its own.
const TOPIC: &str = "load";

/// Starts a system, does the workload to it, and ends it.
pub(crate) async fn run(
    workload: &Workload,
    kind: Kind,
    program: &Path,
    settings: &Settings,
) -> Result<Figures, Error> {
    let folder = Folder::new(&settings.data)?;
    let shape = workload.shape;
    let nsqd = |level, folder| Nsqd::start(program, level, folder);
    let redis = |sync, folder| Redis::start(program, sync, folder);
    // What keeps the newest keeps as many as memory is for.
    let keep = |level| match shape {
        Shape::PublishEphemeral(_) => Level::Default,
        _ => level,
    };
    match kind {
        Kind::NsqdMemory => {
            measure(nsqd(keep(Level::Memory), folder).await?, shape, settings).await
        }
        Kind::NsqdDisk => measure(nsqd(Level::Disk, folder).await?, shape, settings).await,
        Kind::NsqdFsync => measure(nsqd(Level::Fsync, folder).await?, shape, settings).await,
        Kind::Peer => measure(nsqd(keep(Level::Peer), folder).await?, shape, settings).await,
        Kind::Nats => measure(Nats::start(program, folder).await?, shape, settings).await,
        Kind::Jetstream => measure(JetStream::start(program, folder).await?, shape, settings).await,
        Kind::RedisEverysec => {
            measure(redis(AppendFsync::Everysec, folder).await?, shape, settings).await
        }
        Kind::RedisAlways => {
            measure(redis(AppendFsync::Always, folder).await?, shape, settings).await
        }
        Kind::Discard => measure(Discard::start(program, folder).await?, shape, settings).await,
    }
}

async fn measure<S: System>(
    system: S,
    shape: Shape,
    settings: &Settings,
) -> Result<Figures, Error> {
    match shape {
        Shape::Publish(load) => publish::measure(&system, TOPIC, load, settings).await,
        Shape::PublishEphemeral(load) => {
            let topic = format!("{TOPIC}#ephemeral");
            publish::measure(&system, &topic, load, settings).await
        }
        Shape::Deliver { load, channels } => {
            deliver::measure(&system, TOPIC, load, channels, settings).await
        }
        Shape::Latency { percent } => latency::measure(&system, percent, settings).await,
        Shape::Backlog => backlog::measure(system, settings).await,
        Shape::Idle { topics } => idle::measure(&system, topics, settings).await,
    }
}

/// The names of so many channels.
fn channels(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("c{number}")).collect()
}
