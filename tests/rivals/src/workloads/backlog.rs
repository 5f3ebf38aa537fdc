//! A backlog that outlives its server: how long the next start takes, and how fast it is read then.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::catalogue::Load;
use super::{TOPIC, channels};
use crate::error::Error;
use crate::measure::{Figures, Meter, Metric, Usage, costs};
use crate::settings::Settings;
use crate::systems::{Consumer, Producer, System};

const LOAD: Load = Load::batched(1024);

/// Publishes, restarts, drains. There are no latencies in it.
pub(super) async fn measure<S: System>(system: S, settings: &Settings) -> Result<Figures, Error> {
    let channels = channels(1);
    system.create(TOPIC, &channels).await?;
    let batches = settings.backlog_bytes / (LOAD.batch * LOAD.body_bytes) as u64;
    publish(system.producer(TOPIC).await?, batches).await?;
    let (system, start) = system.restart().await?;

    let messages = batches * LOAD.batch as u64;
    let meter = Arc::new(Meter::new());
    let before = Usage::of(system.server())?;
    let mut consumer = system.consumer(TOPIC, &channels[0]).await?;
    let mut received = 0;
    while received < messages {
        received += consumer.receive(&mut |_| ()).await? as u64;
    }
    let after = Usage::of(system.server())?;
    let mut figures = costs(system.server(), &meter, messages, &before, &after)?;
    figures.insert(Metric::StartMs, milliseconds(start));
    Ok(figures)
}

async fn publish<P: Producer>(mut producer: P, batches: u64) -> Result<(), Error> {
    let bodies = vec![Bytes::from(vec![b'x'; LOAD.body_bytes]); LOAD.batch];
    let batch = producer.batch(&bodies, LOAD.grouping);
    let window = LOAD.window as u64;
    for sent in 0..batches {
        if sent >= window {
            producer.confirmed().await?;
        }
        producer.send(&batch).await?;
    }
    for _ in 0..window.min(batches) {
        producer.confirmed().await?;
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
