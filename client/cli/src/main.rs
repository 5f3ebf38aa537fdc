//! The `nsq` command: one file or folder per subcommand.
//!
//! Payload goes to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 wrong usage.

mod bench;
mod bridge;
mod cluster;
mod confirm;
mod demo;
mod dev;
mod error;
mod figures;
mod hosts;
mod legacy;
mod link;
mod manage;
mod nodes;
mod publish;
mod refusal;
mod sink;
mod stat;
mod stdout;
mod survey;
mod table;
mod tail;
mod targets;
mod tls;
mod to_file;
mod to_http;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::error::Error;

/// Publish, tail and benchmark NSQ, or run a whole cluster in one process.
#[derive(Debug, Parser)]
#[command(name = "nsq", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pub(publish::Arguments),
    Tail(tail::Arguments),
    ToFile(to_file::Arguments),
    ToHttp(to_http::Arguments),
    Bridge(bridge::Arguments),
    Bench(bench::Arguments),
    Dev(dev::Arguments),
    Demo(demo::Arguments),
    Legacy(legacy::Arguments),
    Stat(stat::Arguments),
    Top(top::Arguments),
    Topic(manage::TopicArguments),
    Channel(manage::ChannelArguments),
    Nodes(nodes::ListArguments),
    Node(nodes::Arguments),
    /// Print a script that completes this command's words in a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if let Some(tool) = words.next().as_ref().and_then(legacy::tool_named) {
        return legacy::run_tool(tool, words.collect());
    }
    let done = match Arguments::parse().command {
        Command::Legacy(arguments) => return legacy::run(arguments),
        command => in_runtime(run(command)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nsq: {}", error.explain());
            ExitCode::from(error.status())
        }
    }
}

async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Pub(arguments) => publish::run(arguments).await,
        Command::Tail(arguments) => tail::run(arguments).await,
        Command::ToFile(arguments) => to_file::run(arguments).await,
        Command::ToHttp(arguments) => to_http::run(arguments).await,
        Command::Bridge(arguments) => bridge::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Stat(arguments) => stat::run(arguments).await,
        Command::Top(arguments) => top::run(arguments).await,
        Command::Topic(arguments) => manage::run_topic(arguments).await,
        Command::Channel(arguments) => manage::run_channel(arguments).await,
        Command::Nodes(arguments) => nodes::list(arguments).await,
        Command::Node(arguments) => nodes::run(arguments).await,
        Command::Completions { shell } => completions(shell),
        Command::Legacy(_) => unreachable!("has a status of its own, and has left in main"),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "nsq", &mut script);
    stdout::print(&String::from_utf8_lossy(&script))
}

fn in_runtime(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().map_err(Error::Runtime)?;
    let result = runtime.block_on(work);
    // A thread may sit in a read of a terminal or a write to a pipe; nobody needs it any more.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_named_with_its_rule() {
        let check = |line: &str, rule: &str| {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(rule), "{error}");
        };
        check(
            "nsq tail a:b",
            "byte 1 of the name is ':'; allowed are letters, digits",
        );
        check("nsq tail orders #ephemeral", "the name is empty");
        check(
            "nsq pub orders --nsqd-tcp-address host",
            "\"host\" is no address",
        );
        check("nsq pub orders --defer 5", "a duration needs a unit");
        check("nsq pub orders --batch 0", "1..=1000000");
        check("nsq tail orders -n 0", "0 is not in 1..");
        check("nsq bench both", "[possible values: pub, sub, pubsub]");
    }

    #[test]
    fn publishing_without_flags_is_the_default() {
        let line = Arguments::try_parse_from(["nsq", "pub", "orders"]).unwrap();
        let Command::Pub(arguments) = line.command else {
            panic!("pub is pub");
        };
        let defaults = format!("{:?}", publish::Options::default());
        assert!(format!("{arguments:?}").contains(&defaults));
    }
}
