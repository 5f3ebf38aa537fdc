//! Publishing as fast as it is confirmed.

use std::sync::Arc;

use super::catalogue::Load;
use super::producing::produce;
use crate::error::Error;
use crate::measure::{Figures, Meter, Tasks, window};
use crate::settings::Settings;
use crate::systems::System;

/// Counts what is confirmed.
pub(super) async fn measure<S: System>(
    system: &S,
    topic: &str,
    load: Load,
    settings: &Settings,
) -> Result<Figures, Error> {
    system.create(topic, &[]).await?;
    let meter = Arc::new(Meter::new());
    let mut tasks = Tasks::new();
    for _ in 0..load.producers {
        let producer = system.producer(topic).await?;
        tasks.spawn(produce(producer, load, Arc::clone(&meter), None));
    }
    let messages_max = settings.bytes_max / load.body_bytes as u64;
    window(system.server(), &meter, &mut tasks, messages_max, settings).await
}
