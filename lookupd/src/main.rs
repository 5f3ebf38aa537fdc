//! The nsqlookupd daemon: settings, start, wait, stop.

use std::process::ExitCode;

use client::daemon::flags::{self, Exit};
use client::daemon::{listen, log, runtime, signals};
use lookupd::options::DAEMON;
use lookupd::{Daemon, Flags, Options};

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
    runtime.block_on(async {
        let shutdown = signals::shutdown().map_err(|error| DAEMON.fatal(&error.to_string()))?;
        let daemon = Daemon::start(options, log)
            .await
            .map_err(|error| DAEMON.fatal(&error.to_string()))?;
        shutdown.await;
        daemon.stop().await;
        Ok(())
    })
}
