//! The nsqd daemon: settings, start, wait, stop.

use std::pin::pin;
use std::process::ExitCode;

use client::daemon::flags::{self, Exit};
use client::daemon::log::{self, LogHandle};
use client::daemon::{listen, runtime, signals};
use nsqd::options::DAEMON;
use nsqd::{Daemon, Flags, Options};
use tracing::info;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.leave(),
    }
}

fn run() -> Result<(), Exit> {
    let flags: Flags = flags::parse(&DAEMON, std::env::args_os())?;
    let options = Options::check(flags).map_err(|error| DAEMON.fatal(&error.to_string()))?;
    let log = log::init(&options.log_prefix, options.log_level);
    listen::raise_descriptor_limit();
    let runtime = runtime::start().map_err(|error| DAEMON.fatal(&error.to_string()))?;
    let outcome = runtime.block_on(serve(options, log));
    // What had to be done is done; reading a large data directory for a start that is not wanted any more is not waited for.
    runtime.shutdown_background();
    outcome
}

/// Starts, waits for a signal, and stops.
async fn serve(options: Options, log: LogHandle) -> Result<(), Exit> {
    let shutdown = signals::shutdown().map_err(|error| DAEMON.fatal(&error.to_string()))?;
    let mut shutdown = pin!(shutdown);
    let started = tokio::select! {
        started = Daemon::start(options, log) => started,
        () = &mut shutdown => {
            info!("stopped before it had started");
            return Ok(());
        }
    };
    let daemon = started.map_err(|error| DAEMON.fatal(&error.to_string()))?;
    shutdown.await;
    let stopped = daemon.stop().await;
    stopped.map_err(|error| DAEMON.fatal(&error.to_string()))
}
