//! The time in which a run is measured: warm up, look, wait, look again.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Figures, Meter, Metric, Trace, Usage, resident_bytes};
use crate::error::Error;
use crate::settings::Settings;
use crate::systems::Server;

/// The producers and consumers of a run. They go on until this is dropped; one that ends has failed.
pub(crate) type Tasks = JoinSet<Result<(), Error>>;

/// How often it is looked whether enough has been measured.
const LOOK: Duration = Duration::from_millis(5);

/// Lets the tasks run, and takes the figures of the server: for as long as the settings say, or for so many messages.
pub(crate) async fn window(
    server: &Server,
    meter: &Meter,
    tasks: &mut Tasks,
    messages_max: u64,
    settings: &Settings,
) -> Result<Figures, Error> {
    run_for(tasks, settings.warm_up).await?;
    let trace = if settings.syscalls {
        Some(Trace::attach(server).await?)
    } else {
        None
    };
    meter.begin();
    let before = Usage::of(server)?;
    let end = before.at + settings.window;
    while Instant::now() < end && meter.messages() < messages_max {
        run_for(tasks, LOOK).await?;
    }
    let after = Usage::of(server)?;
    let messages = meter.end();
    let mut figures = costs(server, meter, messages, &before, &after)?;
    if let Some(trace) = trace {
        let calls = trace.detach().await?;
        figures.insert(Metric::Syscalls, per(calls, messages));
    }
    Ok(figures)
}

async fn run_for(tasks: &mut Tasks, time: Duration) -> Result<(), Error> {
    tokio::select! {
        () = sleep(time) => Ok(()),
        Some(ended) = tasks.join_next() => ended.expect("producers and consumers do not panic"),
    }
}

/// What so many messages cost between two looks.
pub(crate) fn costs(
    server: &Server,
    meter: &Meter,
    messages: u64,
    before: &Usage,
    after: &Usage,
) -> Result<Figures, Error> {
    if messages == 0 {
        return Err(Error::NoMessages);
    }
    let microseconds =
        |earlier: Duration, later: Duration| later.saturating_sub(earlier).as_micros();
    let each_us = |earlier, later| {
        let used = u64::try_from(microseconds(earlier, later)).unwrap_or(u64::MAX);
        per(used, messages)
    };
    let rate = 1e6 / each_us(Duration::ZERO, after.at - before.at);
    let written = after.written_bytes.saturating_sub(before.written_bytes);
    let peak = per(resident_bytes(server, "VmHWM:")?, 1);
    let mut figures = Figures::from([
        (Metric::MessagesPerSecond, rate),
        (
            Metric::ServerCpuUs,
            each_us(before.server_cpu, after.server_cpu),
        ),
        (Metric::LoadCpuUs, each_us(before.load_cpu, after.load_cpu)),
        (Metric::ResidentBytes, peak),
        (Metric::WrittenBytes, per(written, messages)),
    ]);
    let quantiles = [
        (Metric::P50Us, 0.5),
        (Metric::P99Us, 0.99),
        (Metric::P999Us, 0.999),
    ];
    for (metric, share) in quantiles {
        if let Some(latency) = meter.quantile_us(share) {
            figures.insert(metric, latency);
        }
    }
    Ok(figures)
}

/// The share of one message.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read with three digits"
)]
fn per(whole: u64, messages: u64) -> f64 {
    whole as f64 / messages as f64
}
