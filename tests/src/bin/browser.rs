//! Runs a program that drives a browser against nsqadmin over a live cluster.
//!
//! `browser PROGRAM [ARGUMENT…]`: two nsqlookupds, three nsqds and four nsqadmins. The program is told of them by `NSQDS` and
//! `LOOKUPDS` (URLs, commas between them), and by one URL each:
//!
//! | name | nsqadmin |
//! | --- | --- |
//! | `ADMIN` | on which everybody may act |
//! | `READER` | on which nobody may |
//! | `GATED` | below a base path, behind logins: `root` is an admin, `viewer` read-only, the password of both is in `PASSWORD`; it looks ten times a second |
//! | `HOSTILE` | whose only node is for the program to be: it is asked at port `HOSTILE_NSQD` of 127.0.0.1 |
//!
//! While the program runs, messages come and go:
//!
//! | topic / channel | what goes on |
//! | --- | --- |
//! | `orders` / `billing` | a consumer on each node finishes what comes, some only after a requeue |
//! | `orders` / `archive` | nobody is subscribed: it grows |
//! | `clicks` / `paused` | paused |
//! | `strange.names` / `odd_client` | its consumer's names try to be HTML |
#![allow(clippy::print_stdout, reason = "a command that reports what happens")]

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;
use tests::nsqadmin::{self, Nsqadmin};
use tests::wire::{End, Frame, Peer};

/// In front of every path of the nsqadmin that wants a login.
const BASE_PATH: &str = "/nsq/admin";
const PASSWORD: &str = "correct horse battery staple";
/// Between two messages of a node.
const PACE: Duration = Duration::from_millis(10);
/// What a client may say of itself, and must never become part of a page.
const HOSTILE_NAME: &str = r#"<img src=x onerror=alert(1)>"'</script><script>alert(2)</script>"#;

#[derive(Parser)]
#[command(about = "Runs a browser's tests against nsqadmin over a live cluster")]
struct Arguments {
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cluster = Cluster::start();
    let stop = &AtomicBool::new(false);
    let status = thread::scope(|threads| {
        for (number, nsqd) in cluster.nsqds.iter().enumerate() {
            threads.spawn(|| produce(nsqd, stop));
            threads.spawn(move || consume(nsqd.tcp(), number, stop));
        }
        threads.spawn(|| odd_consumer(cluster.nsqds[0].tcp(), stop));
        let status = Command::new(&arguments.program[0])
            .args(&arguments.program[1..])
            .envs(cluster.addresses())
            .status();
        stop.store(true, Ordering::Relaxed);
        status.expect("the program can be started")
    });
    if status.success() {
        return ExitCode::SUCCESS;
    }
    println!("log of nsqadmin:\n{}", cluster.admin.log());
    ExitCode::FAILURE
}

struct Cluster {
    lookupds: Vec<Lookupd>,
    nsqds: Vec<Nsqd>,
    admin: Nsqadmin,
    reader: Nsqadmin,
    gated: Nsqadmin,
    hostile: Nsqadmin,
    /// Where `hostile` looks for its node.
    hostile_port: u16,
    /// Holds the password file of `gated`.
    _folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let lookupds: Vec<_> = (0..2).map(|_| Lookupd::start()).collect();
        let mut flags: Vec<_> = lookupds.iter().map(Lookupd::flag).collect();
        flags.push("--broadcast-address=127.0.0.1".to_owned());
        flags.push("--enable-peek".to_owned());
        flags.push("--e2e-processing-latency-percentile=0.99,0.5".to_owned());
        let nsqds: Vec<_> = (0..3).map(|_| Nsqd::start(&words(&flags))).collect();
        for nsqd in &nsqds {
            prepare(nsqd);
        }
        let flags: Vec<_> = lookupds
            .iter()
            .map(|lookupd| format!("--lookupd-http-address={}", lookupd.http()))
            .collect();
        let admin = Nsqadmin::start(&words(&flags));
        let with = |more: &[String]| Nsqadmin::start(&words(&[&flags[..], more].concat()));
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let hostile_port = free_port();
        Self {
            reader: with(&["--admin-user=somebody-else".to_owned()]),
            gated: with(&[
                format!("--base-path={BASE_PATH}"),
                format!("--password-file={}", passwords(folder.path())),
                "--sample-interval=100ms".to_owned(),
            ]),
            hostile: Nsqadmin::start(&[&format!("--nsqd-http-address=127.0.0.1:{hostile_port}")]),
            hostile_port,
            lookupds,
            nsqds,
            admin,
            _folder: folder,
        }
    }

    fn addresses(&self) -> [(&'static str, String); 8] {
        [
            ("ADMIN", urls([self.admin.http()])),
            ("READER", urls([self.reader.http()])),
            ("GATED", format!("{}{BASE_PATH}", urls([self.gated.http()]))),
            ("PASSWORD", PASSWORD.to_owned()),
            ("HOSTILE", urls([self.hostile.http()])),
            ("HOSTILE_NSQD", self.hostile_port.to_string()),
            ("LOOKUPDS", urls(self.lookupds.iter().map(Lookupd::http))),
            ("NSQDS", urls(self.nsqds.iter().map(Nsqd::http))),
        ]
    }
}

/// The path of a password file with two users.
fn passwords(folder: &Path) -> String {
    let line = |user, role| nsqadmin::password_line(user, role, PASSWORD);
    let lines = line("root", "admin") + &line("viewer", "read-only");
    let path = folder.join("passwords");
    fs::write(&path, lines).expect("a file can be written");
    path.display().to_string()
}

/// A port that nobody listens at now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let address = listener.local_addr().expect("it listens");
    address.port()
}

/// What stands before anybody comes.
fn prepare(nsqd: &Nsqd) {
    for channel in ["billing", "archive"] {
        create(nsqd, "orders", channel);
    }
    create(nsqd, "clicks", "paused");
    nsqd.act("/channel/pause?topic=clicks&channel=paused");
    for number in 0..50 {
        nsqd.publish("clicks", format!("click {number}"));
    }
}

fn create(nsqd: &Nsqd, topic: &str, channel: &str) {
    nsqd.act(&format!("/topic/create?topic={topic}"));
    nsqd.act(&format!("/channel/create?topic={topic}&channel={channel}"));
}

fn produce(nsqd: &Nsqd, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let order =
            format!(r#"{{"order": {number}, "items": ["coffee", "cake"], "note": "<b>hot</b>"}}"#);
        nsqd.publish("orders", order);
        thread::sleep(PACE);
    }
}

/// Finishes what comes; every fiftieth message is requeued the first time.
fn consume(nsqd: SocketAddr, number: usize, stop: &AtomicBool) {
    let mut peer = introduced(nsqd, &format!("worker-{number}"), "billing-service/2.4.1");
    peer.subscribe("orders", "billing");
    peer.send("RDY 20\n");
    let mut count = 0_u64;
    answer_all(&mut peer, stop, |peer, id, attempts| {
        count += 1;
        if attempts == 1 && count.is_multiple_of(50) {
            peer.send(format!("REQ {id} 100\n"));
        } else {
            peer.send(format!("FIN {id}\n"));
        }
    });
}

fn odd_consumer(nsqd: SocketAddr, stop: &AtomicBool) {
    let mut peer = introduced(nsqd, HOSTILE_NAME, HOSTILE_NAME);
    peer.subscribe("strange.names", "odd_client");
    peer.send("RDY 1\n");
    answer_all(&mut peer, stop, |peer, id, _| {
        peer.send(format!("FIN {id}\n"));
    });
}

fn introduced(nsqd: SocketAddr, name: &str, program: &str) -> Peer {
    let mut peer = Peer::connect(nsqd);
    peer.identify(&serde_json::json!({
        "client_id": name, "hostname": name, "user_agent": program, "feature_negotiation": true
    }));
    peer
}

fn answer_all(peer: &mut Peer, stop: &AtomicBool, mut answer: impl FnMut(&mut Peer, &str, u16)) {
    while !stop.load(Ordering::Relaxed) {
        match peer.frame_within(Duration::from_millis(200)) {
            Ok(Frame::Message(message)) => answer(peer, &message.id, message.attempts),
            Ok(Frame::Response(text)) if text == "_heartbeat_" => peer.send("NOP\n"),
            // A test may delete the channel under its consumer.
            Err(End::Closed) => return,
            Ok(_) | Err(End::Silent) => {}
        }
    }
}

fn words(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

fn urls(addresses: impl IntoIterator<Item = SocketAddr>) -> String {
    let urls: Vec<_> = addresses
        .into_iter()
        .map(|address| format!("http://{address}"))
        .collect();
    urls.join(",")
}
