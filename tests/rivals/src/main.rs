//! Measures nsqd side by side with what people would pick instead: NATS, `JetStream`, Redis Streams, or another NSQ daemon.
//!
//! - [`arguments`]: the command line; [`settings`]: how long and how much;
//! - [`systems`]: the servers, behind one trait; [`workloads`]: what is done to them; [`measure`]: what it costs;
//! - [`session`]: the runs in turns; [`results`]: what they found; [`report`]: telling it.
#![allow(clippy::print_stdout, reason = "a command whose purpose is to print")]

mod arguments;
mod error;
mod measure;
mod report;
mod results;
mod session;
mod settings;
mod systems;
mod workloads;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, list};
use crate::error::Error;
use crate::report::machine::Machine;
use crate::report::{goals, json, plots};
use crate::results::Results;
use crate::session::Session;
use crate::settings::Settings;
use crate::systems::{Kind, Programs};

/// As a shell tells that a program was ended by SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        print!("{}", list(Kind::value_variants()));
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rivals: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    allow_many_files()?;
    let out = &arguments.out;
    fs::create_dir_all(out).map_err(Error::io(format!("make {}", out.display())))?;
    let programs = programs(arguments);
    let machine = Machine::look(versioned(&programs));
    println!("{}", machine.line());

    let session = session(arguments, programs)?;
    let runtime = Runtime::new().map_err(Error::io("start the runtime"))?;
    // Servers are children of this thread, which must stay: they die with it.
    let Some(results) = runtime.block_on(until_interrupted(&session))? else {
        eprintln!("interrupted: nothing is reported");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    report(out, &machine, &results)?;
    match results.failures().len() {
        0 => Ok(ExitCode::SUCCESS),
        failed => {
            eprintln!("{failed} runs failed:\n{}", results.failures().join("\n"));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The programs of the systems that are wanted and there. Those that are not there are told.
fn programs(arguments: &Arguments) -> BTreeMap<Kind, PathBuf> {
    let places = Programs {
        peer: arguments.nsqd.clone(),
    };
    let wanted = |kind: &Kind| {
        let wanted_by_default = *kind != Kind::Peer || arguments.nsqd.is_some();
        arguments.only.contains(kind) || (arguments.only.is_empty() && wanted_by_default)
    };
    let kinds = Kind::value_variants().iter().copied().filter(wanted);
    let found = kinds.filter_map(|kind| match places.of(kind) {
        Ok(program) => Some((kind, program)),
        Err(error) => {
            eprintln!("skipped: {}: {error}", kind.name());
            None
        }
    });
    found.collect()
}

/// The programs that know `--version`.
fn versioned(programs: &BTreeMap<Kind, PathBuf>) -> impl Iterator<Item = &Path> {
    let servers = programs.iter().filter(|(kind, _)| **kind != Kind::Discard);
    servers.map(|(_, program)| program.as_path())
}

fn session(arguments: &Arguments, programs: BTreeMap<Kind, PathBuf>) -> Result<Session, Error> {
    let data = arguments.out.canonicalize();
    let data = data.map_err(Error::io(format!("find {}", arguments.out.display())))?;
    let settings = if arguments.quick {
        Settings::quick(data)
    } else {
        Settings::full(data)
    };
    let present: Vec<Kind> = programs.keys().copied().collect();
    Ok(Session {
        tasks: arguments.tasks(&present),
        programs,
        rounds: arguments.rounds(),
        settings: Settings {
            syscalls: arguments.syscalls,
            ..settings
        },
    })
}

/// The results; none when SIGINT or SIGTERM came first. Servers and their folders are gone then.
async fn until_interrupted(session: &Session) -> Result<Option<Results>, Error> {
    let listen = |kind| signal(kind).map_err(Error::io("listen for signals"));
    let mut interrupted = listen(SignalKind::interrupt())?;
    let mut terminated = listen(SignalKind::terminate())?;
    tokio::select! {
        results = session.measure() => Ok(Some(results)),
        _ = interrupted.recv() => Ok(None),
        _ = terminated.recv() => Ok(None),
    }
}

fn report(out: &Path, machine: &Machine, results: &Results) -> Result<(), Error> {
    let goals = goals::lines(results);
    if !goals.is_empty() {
        println!("goals\n{goals}");
    }
    let path = out.join("results.json");
    json::write(&path, machine, results)?;
    plots::draw(out, results)?;
    println!("all runs: {}, plots beside it", path.display());
    Ok(())
}

/// Raises how many files this program and its servers may open, as far as the system allows.
fn allow_many_files() -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|errno| Error::io("raise the limit of open files")(errno.into()))
}
