//! Publishing, delivering and finishing at once.

use std::sync::Arc;

use super::catalogue::Load;
use super::channels;
use super::producing::{OnTheWay, produce};
use crate::error::Error;
use crate::measure::{Figures, Meter, Tasks, window};
use crate::settings::Settings;
use crate::systems::{Consumer, System};

/// Counts deliveries that were finished; latencies are those of publishing.
pub(super) async fn measure<S: System>(
    system: &S,
    topic: &str,
    load: Load,
    channel_count: usize,
    settings: &Settings,
) -> Result<Figures, Error> {
    let channels = channels(channel_count);
    system.create(topic, &channels).await?;
    let meter = Arc::new(Meter::new());
    let on_the_way = Arc::new(OnTheWay::new(load, channel_count));
    let mut tasks = Tasks::new();
    for channel in &channels {
        let consumer = system.consumer(topic, channel).await?;
        tasks.spawn(consume(
            consumer,
            Arc::clone(&meter),
            Arc::clone(&on_the_way),
        ));
    }
    for _ in 0..load.producers {
        let producer = system.producer(topic).await?;
        let on_the_way = Some(Arc::clone(&on_the_way));
        tasks.spawn(produce(producer, load, Arc::clone(&meter), on_the_way));
    }
    let messages_max = settings.bytes_max / load.body_bytes as u64 * channel_count as u64;
    window(system.server(), &meter, &mut tasks, messages_max, settings).await
}

/// Receives and finishes without end.
async fn consume<C: Consumer>(
    mut consumer: C,
    meter: Arc<Meter>,
    on_the_way: Arc<OnTheWay>,
) -> Result<(), Error> {
    loop {
        let count = consumer.receive(&mut |_| ()).await?;
        meter.count(count);
        on_the_way.leave(count);
    }
}
