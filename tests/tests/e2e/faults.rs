//! Faults from outside that take a tool: a network that is cut, a disk that is slow, a lack of threads or of memory. Without the tool they
//! are skipped, unless `TORTURE_REQUIRE` names it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tests::daemon::Nsqd;
use tests::wire::{Frame, Peer, with_body};
use tests::{binary, wait};

/// After so long a peer that has vanished is given up: 75 s, and leeway.
const VANISHED_MAX: Duration = Duration::from_secs(100);

/// Whether `name` can be tried here, for which these programs and root are needed.
#[track_caller]
fn can_try(name: &str, programs: &[&str]) -> bool {
    let is_there = |program: &&str| {
        let found = Command::new("which").arg(program).output();
        found.is_ok_and(|found| found.status.success())
    };
    can_try_with(name, programs.iter().find(|program| !is_there(program)))
}

/// Whether `name` can be tried here, for which root is needed, and what is `lacking`.
#[track_caller]
fn can_try_with(name: &str, lacking: Option<&&str>) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && lacking.is_none() {
        return true;
    }
    let required = std::env::var("TORTURE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|required| required == name);
    assert!(
        !is_required,
        "{name} is required: root {is_root}, lacking {lacking:?}"
    );
    eprintln!("SKIPPED {name}: root {is_root}, lacking {lacking:?}");
    false
}

#[test]
fn peers_whose_network_is_cut_are_given_up_and_lose_their_messages_to_others() {
    if !can_try("netns", &["unshare", "ip", "nft"]) {
        return;
    }
    // Rules are for a whole network; so this runs again in one of its own.
    let inner = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "faults::in_a_network_that_is_cut"])
        .env("NSQD_BIN", binary::nsqd())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inner.stdout);
    assert!(inner.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "cuts the network that it runs in; the test above starts it in one of its own"]
fn in_a_network_that_is_cut() {
    const CONSUMERS: usize = 50;
    const PRODUCERS: usize = 10;
    run("ip", &["link", "set", "lo", "up"]);
    let nsqd = Nsqd::start(&["--tcp-address=127.0.0.2:0"]);
    let connect = |_| {
        let mut consumer = nsqd.peer();
        consumer.identify(&json!({ "heartbeat_interval": 1000 }));
        consumer.subscribe("t", "c");
        consumer.ready(1);
        consumer
    };
    let consumers: Vec<Peer> = (0..CONSUMERS).map(connect).collect();
    let producers: Vec<Peer> = (0..PRODUCERS).map(|_| without_heartbeats(&nsqd)).collect();
    for _ in 0..CONSUMERS {
        nsqd.publish("t", "m");
    }
    nsqd.await_channel("t", "c", "in_flight_count", CONSUMERS as u64);
    run(
        "nft",
        &["add table ip cut; \
           add chain ip cut in { type filter hook input priority 0 ; }; \
           add rule ip cut in ip saddr 127.0.0.2 drop; \
           add rule ip cut in ip daddr 127.0.0.2 drop"],
    );
    let cut = Instant::now();
    nsqd.await_channel("t", "c", "client_count", 0);
    let channel = nsqd.channel("t", "c");
    assert_eq!(channel["in_flight_count"], 0, "{channel}");
    assert_eq!(channel["depth"], CONSUMERS, "{channel}");
    drop(consumers);
    // Of those without heartbeats only the kernel can tell that they are gone: it asks after 60 s, and is patient for 15.
    wait::until("the consumers are given up", || {
        nsqd.connections() == PRODUCERS as u64
    });
    let noticed = wait::within(VANISHED_MAX, || (nsqd.connections() == 0).then_some(()));
    assert!(noticed.is_some(), "{} are left", nsqd.connections());
    assert!(cut.elapsed() > Duration::from_mins(1));
    drop(producers);
}

/// A connection that is not asked whether it is alive.
fn without_heartbeats(nsqd: &Nsqd) -> Peer {
    let mut peer = nsqd.peer();
    peer.identify(&json!({ "heartbeat_interval": -1 }));
    peer
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}

#[test]
fn a_slow_disk_holds_up_nobody_but_those_who_wait_for_it() {
    if !can_try("strace", &["strace"]) {
        return;
    }
    let nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=safe&durability=fsync");
    let mut consumer = nsqd.consumer("quick", "c");
    consumer.ready(10);
    let mut waiting = nsqd.peer();
    waiting.identify(&json!({ "heartbeat_interval": 1000 }));
    let slow = SlowDisk::under(&nsqd);
    waiting.send(with_body("PUB safe", "m"));
    // All of this is done before the disk has answered once.
    for _ in 0..10 {
        nsqd.publish("quick", "m");
        consumer.consume(1);
    }
    nsqd.await_channel("quick", "c", "in_flight_count", 0);
    assert_eq!(nsqd.get("/ping").body, "OK");
    let heartbeat = Frame::Response("_heartbeat_".to_owned());
    assert_eq!(waiting.frame(), heartbeat, "heartbeats go on");
    waiting.send("NOP\n");
    drop(slow);
    waiting.expect_ok();
}

/// Makes each sync of an nsqd take 5 s more, until it is dropped.
struct SlowDisk(std::process::Child);

impl SlowDisk {
    fn under(nsqd: &Nsqd) -> Self {
        let mut strace = Command::new("strace")
            .args(["-f", "-e", "trace=fsync,fdatasync,syncfs"])
            .args(["-e", "inject=fsync,fdatasync,syncfs:delay_enter=5000000"])
            .args(["-p", &nsqd.id().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(strace.stderr.take().unwrap());
        let mut line = String::new();
        wait::until("strace is attached", || {
            line.clear();
            said.read_line(&mut line).unwrap();
            line.contains("attached")
        });
        // What it goes on to say has to be read by somebody.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self(strace)
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // Interrupted, it lets the process go on; killed, it might not.
        let _ = kill_process(Pid::from_child(&self.0), Signal::INT);
        let _ = self.0.wait();
    }
}

#[test]
fn too_few_threads_are_a_clear_error() {
    if !can_try("setpriv", &["setpriv", "prlimit"]) {
        return;
    }
    // The limit is for a user, and not for root; so the program and its data are where anybody gets at them.
    let data = TempDir::new().unwrap();
    let program = data.path().join("nsqd");
    fs::copy(binary::nsqd(), &program).unwrap();
    fs::set_permissions(data.path(), Permissions::from_mode(0o777)).unwrap();
    let ended = Command::new("setpriv")
        .args(["--reuid=61234", "--regid=61234", "--clear-groups"])
        .args(["prlimit", "--nproc=2"])
        .arg(program)
        .args(["--tcp-address=127.0.0.1:0", "--http-address="])
        .arg(format!("--data-path={}", data.path().display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains(" threads can't be started - "), "{said}");
}

#[test]
fn with_little_memory_a_backlog_goes_to_disk_and_nobody_is_killed() {
    const LIMIT_BYTES: u64 = 256 << 20;
    const MESSAGES: usize = 400;
    if !can_try_with("cgroup", MemoryGroup::lacking()) {
        return;
    }
    let group = MemoryGroup::create(LIMIT_BYTES);
    let nsqd = Nsqd::start(&["--mem-queue-bytes=64m"]);
    group.take_in(&nsqd);
    let idle: Vec<Peer> = (0..300)
        .map(|number| nsqd.consumer("t", &format!("c{}", number % 3)))
        .collect();
    let body = vec![b'x'; 1 << 20];
    let mut producer = nsqd.peer();
    for _ in 0..MESSAGES {
        producer.publish("t", &body);
    }
    let mut consumer = nsqd.consumer("t", "c0");
    consumer.ready(20);
    consumer.consume(MESSAGES);
    assert_eq!(group.kills(), 0);
    let peak = nsqd.peak_rss_bytes();
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
    drop(idle);
}

/// A cgroup, version 1, that limits memory; removed when it is dropped, which must be after its processes have ended.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    const ALL: &str = "/sys/fs/cgroup/memory";

    /// What there must be and is not.
    fn lacking() -> Option<&'static &'static str> {
        let limit = PathBuf::from(Self::ALL).join("memory.limit_in_bytes");
        (!limit.exists()).then_some(&Self::ALL)
    }

    fn create(limit_bytes: u64) -> Self {
        let group = PathBuf::from(Self::ALL).join(format!("nsqd-test-{}", std::process::id()));
        fs::create_dir(&group).unwrap();
        fs::write(group.join("memory.limit_in_bytes"), limit_bytes.to_string()).unwrap();
        Self(group)
    }

    fn take_in(&self, nsqd: &Nsqd) {
        fs::write(self.0.join("cgroup.procs"), nsqd.id().to_string()).unwrap();
    }

    /// How many processes the kernel has killed for lack of memory.
    fn kills(&self) -> u64 {
        let told = fs::read_to_string(self.0.join("memory.oom_control")).unwrap();
        let kills = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.unwrap().parse().unwrap()
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // What is left goes with the machine.
        let _ = fs::remove_dir(&self.0);
    }
}
