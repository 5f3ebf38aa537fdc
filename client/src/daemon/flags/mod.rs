//! The command line and the configuration file of a daemon, as the reference reads them.
//!
//! Flags are declared with clap's derive; this module lets them be written the way Go programs take them,
//! so that a command line for the reference starts ours:
//!
//! | form | example |
//! | --- | --- |
//! | value with `=`, or as the next word | `-tcp-address=:4150`, `--tcp-address :4150` |
//! | boolean: bare means true, a value needs `=` | `-deflate`, `--deflate=false` |
//! | repeated | `--lookupd-tcp-address a:4160 --lookupd-tcp-address b:4160` |
//! | given twice although single: the last one wins | `--node-id 1 --node-id 2` |
//!
//! `-h` prints the usage, `-version` the version. Other than the reference, which silently ignores everything
//! after the first word that is no flag, such a word is refused.
//!
//! Priority: command line, then configuration file (`-config`), then default. See [`file`] for the file.

mod arguments;
mod file;
mod values;

use std::{ffi::OsString, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{ArgMatches, Command, parser::ValueSource};

pub use values::{BooleanError, ByteSize, ByteSizeError, IntegerError, boolean, integer};

use super::log::{self, LogLevel};

/// The version of NSQ that the daemons say they are: in `/info`, IDENTIFY, `-version` and user agents.
pub const COMPATIBLE_VERSION: &str = "1.3.0";

/// What differs between the daemons before their flags are known.
#[derive(Clone, Copy, Debug)]
pub struct Daemon {
    /// The name that operators know, `nsqd` say: in `-version`, the usage and fatal log lines.
    pub name: &'static str,
    /// Flags whose key in the configuration file is not their name with `_` for `-`: `("node-id", Some("id"))`.
    /// `None` means that the file cannot set the flag.
    pub config_keys: &'static [(&'static str, Option<&'static str>)],
}

impl Daemon {
    /// Returns what `-version` prints and `/stats` starts with: `nsqd v1.3.0 (built w/rust1.95)`.
    pub fn version(&self) -> String {
        let rust = env!("CARGO_PKG_RUST_VERSION");
        format!("{} v{COMPATIBLE_VERSION} (built w/rust{rust})", self.name)
    }

    /// Returns how a start ends that failed with `text`: one fatal log line on stderr, status 1.
    pub fn fatal(&self, text: &str) -> Exit {
        let line = log::line(&format!("[{}] ", self.name), LogLevel::Fatal, text);
        Exit {
            status: 1,
            text: line,
            to_stdout: false,
        }
    }
}

/// The end of a process that is not going to run: what to print where, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 0 after usage or version, 1 for a start that failed, 2 for a command line that is wrong.
    pub status: u8,
    /// What to print, without a newline at its end.
    pub text: String,
    /// Print to stdout (the version) rather than stderr.
    pub to_stdout: bool,
}

impl Exit {
    /// Prints the text and returns the status for `main` to return.
    pub fn leave(self) -> ExitCode {
        let text = format!("{}\n", self.text);
        // A closed stdout or stderr changes nothing about the status, which still tells.
        let _ = if self.to_stdout {
            std::io::stdout().write_all(text.as_bytes())
        } else {
            std::io::stderr().write_all(text.as_bytes())
        };
        ExitCode::from(self.status)
    }

    fn wrong_command_line(text: String) -> Self {
        Self {
            status: 2,
            text,
            to_stdout: false,
        }
    }
}

/// Reads the flags in `arguments` (the program's name first) and the file that `-config` names, if any.
///
/// `O` declares its flags with `#[arg(long)]`: integers with `value_parser = `[`integer`], durations as
/// [`GoDuration`](super::duration::GoDuration), booleans as `bool` (with a `default_value` unless false), lists as `Vec`.
///
/// # Errors
///
/// The [`Exit`] to leave with: usage, version, a wrong flag or value, or a wrong configuration file.
pub fn parse<O: clap::Parser>(
    daemon: &Daemon,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<O, Exit> {
    let command = go_style(O::command(), daemon);
    let mut given = vec![OsString::from(daemon.name)];
    given.extend(arguments::with_double_dashes(
        &command,
        arguments.into_iter().skip(1),
    )?);

    let on_command_line = matches(&command, &given).map_err(Exit::wrong_command_line)?;
    if on_command_line.get_flag(VERSION) {
        return Err(Exit {
            status: 0,
            text: daemon.version(),
            to_stdout: true,
        });
    }
    let mut all = on_command_line;
    if let Some(path) = config_file(&all) {
        let is_given = |id: &str| all.value_source(id) == Some(ValueSource::CommandLine);
        let from_file = file::as_flags(&command, daemon, &path, is_given)
            .map_err(|error| daemon.fatal(&error.to_string()))?;
        given.extend(from_file);
        all = matches(&command, &given).map_err(Exit::wrong_command_line)?;
    }
    O::from_arg_matches(&all).map_err(|error| Exit::wrong_command_line(one_line(&error)))
}

/// The command with its help and version replaced by ours, booleans which take a value, and the last one wins.
fn go_style(command: Command, daemon: &Daemon) -> Command {
    let version = clap::Arg::new(VERSION)
        .long(VERSION)
        .action(clap::ArgAction::SetTrue)
        .help("Print the version and exit");
    command
        .name(daemon.name)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .arg(version)
        .mut_args(|arg| match arg.get_action() {
            clap::ArgAction::SetTrue => go_boolean(arg),
            clap::ArgAction::Set => arg.allow_hyphen_values(true),
            _ => arg,
        })
}

/// A boolean as Go has it: absent means its default (false unless declared), bare means true.
fn go_boolean(arg: clap::Arg) -> clap::Arg {
    let default = arg.get_default_values().first().cloned();
    arg.action(clap::ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_value(default.unwrap_or_else(|| "false".into()))
        .default_missing_value("true")
        .value_name("BOOL")
        .value_parser(boolean)
}

fn config_file(matches: &ArgMatches) -> Option<PathBuf> {
    matches
        .try_get_one::<PathBuf>("config")
        .ok()
        .flatten()
        .cloned()
}

/// Parses flags that are in clap's form already. The error is one line.
fn matches(command: &Command, arguments: &[OsString]) -> Result<ArgMatches, String> {
    command
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| one_line(&error))
}

/// clap's error as one line: the flag, the value, and what is allowed.
fn one_line(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};

    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let (Some(flag), Some(value)) = (
        context(ContextKind::InvalidArg),
        context(ContextKind::InvalidValue),
    ) else {
        let text = error.to_string();
        return text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
    };
    let flag = flag.split([' ', '=', '[']).next().unwrap_or_default();
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let allowed = context(ContextKind::ValidValue).filter(|values| !values.is_empty());
    let allowed = allowed.map(|values| format!("allowed are {values}"));
    let cause = cause
        .or(allowed)
        .unwrap_or_else(|| "it must not be empty".to_owned());
    format!("invalid value {value:?} for {flag}: {cause}")
}

const VERSION: &str = "version";

#[cfg(test)]
mod tests;
