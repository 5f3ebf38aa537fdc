//! Runs a client program that nobody here wrote against a real nsqd, which is restarted in the middle.
//!
//! `interop PROGRAM [ARGUMENT…]`: the program finds nsqd through `NSQD_TCP` and `NSQD_HTTP`, prints `RESTART` on a line of its
//! own when it wants nsqd to be stopped cleanly and started again on the same ports, and tells by its exit status whether
//! its books are right.
#![allow(clippy::print_stdout, reason = "a command that reports what happens")]

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use tests::daemon::Nsqd;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: interop PROGRAM [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let mut nsqd = Nsqd::start(&["--mem-queue-size=1000"]);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
        .env("NSQD_TCP", nsqd.tcp().to_string())
        .env("NSQD_HTTP", nsqd.http().to_string());
    let mut client = command.spawn().expect("the client program can be started");
    let mut restarts = 0;
    for line in BufReader::new(client.stdout.take().expect("stdout is piped")).lines() {
        let line = line.expect("the client writes text");
        if line == "RESTART" {
            nsqd.restart_in_place();
            restarts += 1;
        } else {
            println!("{line}");
        }
    }
    let status = client.wait().expect("a child can be waited for");
    if !status.success() {
        eprintln!(
            "the client failed with {status}; log of nsqd:\n{}",
            nsqd.log()
        );
    }
    assert_eq!(restarts, 1, "the client asks for one restart");
    if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
