//! Topics that nobody uses.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;

use super::channels;
use crate::error::Error;
use crate::measure::{Figures, Metric, Usage, resident_bytes};
use crate::settings::Settings;
use crate::systems::System;

/// Topics that are made at once.
const CONCURRENCY: usize = 32;
/// For the server to finish what making them has begun.
const SETTLING: Duration = Duration::from_secs(1);

/// Memory, and processor time while nothing happens.
pub(super) async fn measure<S: System>(
    system: &S,
    topics: usize,
    settings: &Settings,
) -> Result<Figures, Error> {
    let channels = channels(1);
    stream::iter(0..topics)
        .map(|number| {
            let channels = &channels;
            async move { system.create(&format!("t{number}"), channels).await }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await?;
    sleep(SETTLING).await;
    let before = Usage::of(system.server())?;
    sleep(settings.watch).await;
    let after = Usage::of(system.server())?;
    let used = after.server_cpu.saturating_sub(before.server_cpu);
    let share = used.as_secs_f64() / (after.at - before.at).as_secs_f64();
    Ok(Figures::from([
        (Metric::IdleCpuPercent, share * 100.0),
        (Metric::ResidentBytes, resident(system)?),
    ]))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read with three digits"
)]
fn resident<S: System>(system: &S) -> Result<f64, Error> {
    Ok(resident_bytes(system.server(), "VmRSS:")? as f64)
}
