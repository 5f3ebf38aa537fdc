//! The nsqd daemon: settings, start, wait, stop.

use std::process::ExitCode;

use client::daemon::flags::{self, Exit};
use client::daemon::{log, service};
use nsqd::options::DAEMON;
use nsqd::{Daemon, Flags, Options};

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
    service::run(&DAEMON, Daemon::start(options, log), Daemon::stop)
}
