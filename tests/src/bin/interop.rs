//! Runs a client program that nobody here wrote against real daemons, some of which are restarted in the middle.
//!
//! `interop [--discovery|--layers] PROGRAM [ARGUMENT…]`: the program publishes to the nsqds that `NSQD_TCP` and `NSQD_HTTP` list, with commas
//! between them; consumers may know only the nsqlookupds of `NSQLOOKUPD_HTTP`, if it lists any. It prints `RESTART` on a line of
//! its own when it wants the disturbance, and tells by its exit status whether its books are right.
//!
//! | | daemons | disturbance |
//! | --- | --- | --- |
//! | | one nsqd | nsqd is stopped cleanly, and started again on the same ports |
//! | `--layers` | one nsqd with TLS, by an authority whose file `NSQD_CA` names, and AUTH with the secret in `NSQD_SECRET` | none |
//! | `--discovery` | three nsqds, two nsqlookupds | the same, while one nsqlookupd is dead |
#![allow(clippy::print_stdout, reason = "a command that reports what happens")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use tests::authd::{Authd, Reply};
use tests::certificates::Certificates;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;

/// What the client program says to be let in.
const SECRET: &str = "sesame";

#[derive(Parser)]
#[command(about = "Runs a client program against real daemons")]
struct Arguments {
    /// Three nsqds, which consumers find through two nsqlookupds; otherwise one nsqd.
    #[arg(long)]
    discovery: bool,
    /// One nsqd with a certificate and AUTH, for a program that tries TLS and compression.
    #[arg(long, conflicts_with = "discovery")]
    layers: bool,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let certificates = arguments.layers.then(Certificates::new);
    let authd = arguments.layers.then(|| Authd::start(Reply::all()));
    let mut flags: Vec<_> = certificates
        .iter()
        .flat_map(|files| files.flags("server"))
        .collect();
    flags.extend(authd.as_ref().map(Authd::flag));
    let mut daemons = Daemons::start(arguments.discovery, flags);
    let mut command = Command::new(&arguments.program[0]);
    command
        .args(&arguments.program[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    daemons.tell(&mut command);
    if let Some(certificates) = &certificates {
        command.env("NSQD_CA", certificates.path("ca.pem"));
        command.env("NSQD_SECRET", SECRET);
    }
    let mut client = command.spawn().expect("the client program can be started");
    let mut disturbances = 0;
    for line in BufReader::new(client.stdout.take().expect("stdout is piped")).lines() {
        let line = line.expect("the client writes text");
        if line == "RESTART" {
            daemons.disturb();
            disturbances += 1;
        } else {
            println!("{line}");
        }
    }
    let status = client.wait().expect("a child can be waited for");
    if !arguments.layers && status.success() {
        assert_eq!(disturbances, 1, "the client asks for one restart");
    }
    if let Some(authd) = &authd {
        let told = format!("secret={SECRET}&");
        let is_told = |request: &String| request.contains(&told);
        assert!(authd.requests().iter().any(is_told), "the client says AUTH");
    }
    if status.success() {
        return ExitCode::SUCCESS;
    }
    eprintln!("the client failed with {status}");
    for nsqd in &daemons.nsqds {
        eprintln!("log of nsqd {}:\n{}", nsqd.tcp(), nsqd.log());
    }
    ExitCode::FAILURE
}

struct Daemons {
    lookupds: Vec<Lookupd>,
    nsqds: Vec<Nsqd>,
}

impl Daemons {
    /// Starts them; each nsqd gets these flags too.
    fn start(discovery: bool, mut flags: Vec<String>) -> Self {
        let (lookupds, nsqds) = if discovery { (2, 3) } else { (0, 1) };
        let lookupds: Vec<_> = (0..lookupds).map(|_| Lookupd::start()).collect();
        flags.extend(lookupds.iter().map(Lookupd::flag));
        flags.push("--mem-queue-size=1000".to_owned());
        flags.push("--broadcast-address=127.0.0.1".to_owned());
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let nsqds = (0..nsqds).map(|_| Nsqd::start(&flags)).collect();
        Self { lookupds, nsqds }
    }

    /// Tells the client where they are.
    fn tell(&self, client: &mut Command) {
        client
            .env("NSQD_TCP", list(self.nsqds.iter().map(Nsqd::tcp)))
            .env("NSQD_HTTP", list(self.nsqds.iter().map(Nsqd::http)))
            .env(
                "NSQLOOKUPD_HTTP",
                list(self.lookupds.iter().map(Lookupd::http)),
            );
    }

    /// The restart in the middle.
    fn disturb(&mut self) {
        if let Some(lookupd) = self.lookupds.first_mut() {
            lookupd.kill();
        }
        self.nsqds[0].restart_in_place();
        if let Some(lookupd) = self.lookupds.first_mut() {
            lookupd.restart();
        }
    }
}

fn list(addresses: impl Iterator<Item = SocketAddr>) -> String {
    let addresses: Vec<_> = addresses.map(|address| address.to_string()).collect();
    addresses.join(",")
}
