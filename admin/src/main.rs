//! The nsqadmin daemon: settings, start, wait, stop; and the command `hash-password`.

use std::process::ExitCode;

use admin::options::DAEMON;
use admin::{Daemon, Flags, Options};
use client::daemon::flags::{self, Exit};
use client::daemon::{log, service};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.leave(),
    }
}

fn run() -> Result<(), Exit> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((command, rest)) = words.split_first()
        && command == "hash-password"
    {
        return Err(hash_password(rest));
    }
    let flags: Flags = flags::parse(&DAEMON, std::env::args_os())?;
    let options = Options::check(flags).map_err(|error| DAEMON.fatal(&error.to_string()))?;
    let log = log::init(&options.log_prefix, options.log_level);
    service::run(&DAEMON, Daemon::start(options, log), async |daemon| {
        daemon.stop().await;
        Ok(())
    })
}

/// The end of a process that only makes a line for the password file.
fn hash_password(words: &[String]) -> Exit {
    match admin::password::line(words, std::io::stdin().lock()) {
        Ok(line) => Exit {
            status: 0,
            text: line,
            to_stdout: true,
        },
        Err(error) => Exit {
            status: 1,
            text: error.to_string(),
            to_stdout: false,
        },
    }
}
