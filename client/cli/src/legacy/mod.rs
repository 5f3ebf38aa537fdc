//! The old tools by their names: `nsq_tail`, `to_nsq`, `nsq_to_file`, `nsq_to_http`, `nsq_to_nsq` and `nsq_stat`.
//!
//! A program that is called by one of these names (a symlink, say) is that tool, and so is `nsq legacy TOOL`. Flags are
//! Go's, with the names and defaults of the reference; behind them stands the code of the new commands.
//!
//! | exit status | |
//! | --- | --- |
//! | 0 | done, `-version`, `-h` (whose text goes to stderr) |
//! | 1 | what the flags say together is refused, or it failed; one line says why |
//! | 2 | an unknown flag, a missing or a wrong value |

mod consuming;
mod nsq_stat;
mod nsq_tail;
mod nsq_to_file;
mod nsq_to_http;
mod nsq_to_nsq;
mod to_nsq;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use clap::ValueEnum as _;
use client::connection::Address;
use client::daemon::flags::{self, COMPATIBLE_VERSION, Daemon, Exit};
use client::wire::TopicName;

use self::consuming::Consuming;
use crate::error::Error;

/// A program of the reference that this one can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tool {
    /// Print messages
    #[value(name = "nsq_tail")]
    NsqTail,
    /// Write messages to files
    #[value(name = "nsq_to_file")]
    NsqToFile,
    /// Send messages to HTTP servers
    #[value(name = "nsq_to_http")]
    NsqToHttp,
    /// Publish messages to other nsqds
    #[value(name = "nsq_to_nsq")]
    NsqToNsq,
    /// Print the figures of a channel
    #[value(name = "nsq_stat")]
    NsqStat,
    /// Publish stdin
    #[value(name = "to_nsq")]
    ToNsq,
}

/// Be one of the old tools, with its own flags
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  nsq legacy nsq_tail -nsqd-tcp-address=127.0.0.1:4150 -topic orders
  ln -s nsq nsq_tail                 the same program under the old name"
)]
pub(crate) struct Arguments {
    /// Which tool
    tool: Tool,

    /// Its flags, in Go's syntax; -h lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAG"
    )]
    words: Vec<OsString>,
}

/// One of the old tools: its flags, and what they make it do.
trait OldTool: clap::Parser {
    /// Whether there is a `-version`.
    const HAS_VERSION: bool = true;
    /// Whether words behind the flags are ignored; else they are refused.
    const TAKES_WORDS: bool = true;

    /// Does it. An error ends the program with status 1.
    fn run(self) -> impl Future<Output = Result<(), Error>>;
}

/// The tool that a program called `program` is, if any.
pub(crate) fn tool_named(program: &OsString) -> Option<Tool> {
    let name = Path::new(program).file_name()?.to_str()?;
    Tool::from_str(name, false).ok()
}

/// Runs the tool that was asked for with `nsq legacy`.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    run_tool(arguments.tool, arguments.words)
}

/// Runs a tool with the flags in `words`, and returns its exit status.
pub(crate) fn run_tool(tool: Tool, words: Vec<OsString>) -> ExitCode {
    match tool {
        Tool::NsqTail => run_as::<nsq_tail::Flags>("nsq_tail", words),
        Tool::NsqToFile => run_as::<nsq_to_file::Flags>("nsq_to_file", words),
        Tool::NsqToHttp => run_as::<nsq_to_http::Flags>("nsq_to_http", words),
        Tool::NsqToNsq => run_as::<nsq_to_nsq::Flags>("nsq_to_nsq", words),
        Tool::NsqStat => run_as::<nsq_stat::Flags>("nsq_stat", words),
        Tool::ToNsq => run_as::<to_nsq::Flags>("to_nsq", words),
    }
}

fn run_as<T: OldTool>(name: &'static str, words: Vec<OsString>) -> ExitCode {
    let flags = match parse::<T>(name, words) {
        Ok(flags) => flags,
        Err(exit) => return exit.leave(),
    };
    match crate::in_runtime(flags.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", error.explain());
            ExitCode::FAILURE
        }
    }
}

/// Reads the flags. What stands behind the first word that is none is ignored by most, as ever.
fn parse<T: OldTool>(name: &'static str, words: Vec<OsString>) -> Result<T, Exit> {
    let tool = Daemon {
        name,
        config_keys: &[],
    };
    let (flags, rest) = words::split(&T::command(), words);
    if let (false, Some(word)) = (T::TAKES_WORDS, rest.first()) {
        return Err(Exit {
            status: 1,
            text: format!(
                "{name}: unexpected word {:?}; {name} -h lists the flags",
                word.to_string_lossy()
            ),
            to_stdout: false,
        });
    }
    let given = std::iter::once(OsString::from(name)).chain(flags);
    flags::parse(&tool, given).map_err(|exit| match (exit.to_stdout, T::HAS_VERSION) {
        (true, true) => Exit {
            text: format!("{name} v{COMPATIBLE_VERSION}"),
            ..exit
        },
        (true, false) => Exit {
            status: 2,
            text: format!("unknown flag --version; {name} -h lists the flags"),
            to_stdout: false,
        },
        (false, _) => exit,
    })
}

/// A name that must be there.
fn required<N: FromStr<Err: fmt::Display>>(flag: &str, value: &str) -> Result<N, Error> {
    if value.is_empty() {
        return Err(Error::Usage(format!("--{flag} required")));
    }
    parsed(flag, value)
}

/// Names as they were given, one per flag.
fn names(flag: &str, values: &[String]) -> Result<Vec<TopicName>, Error> {
    values.iter().map(|value| parsed(flag, value)).collect()
}

/// Whether the oddities of the old tools are wanted, too: `NSQ_COMPAT=1`.
fn is_compatible() -> bool {
    std::env::var_os("NSQ_COMPAT").is_some_and(|value| value == "1")
}

/// Addresses as they were given, one per flag.
fn addresses(flag: &str, values: &[String]) -> Result<Vec<Address>, Error> {
    values.iter().map(|value| parsed(flag, value)).collect()
}

fn parsed<V: FromStr<Err: fmt::Display>>(flag: &str, value: &str) -> Result<V, Error> {
    let parsed = value.parse();
    parsed.map_err(|rule| Error::Usage(format!("--{flag} {value:?}: {rule}")))
}

#[cfg(test)]
mod tests;
