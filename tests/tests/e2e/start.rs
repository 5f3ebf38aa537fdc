//! Starting and ending: exit statuses, fatal messages, signals, addresses.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tests::daemon::{Nsqd, run_to_end};

#[test]
fn version_goes_to_stdout() {
    for flag in ["-version", "--version", "--version=true"] {
        let ended = run_to_end(&[flag]);
        assert_eq!(ended.status, Some(0));
        let text = ended.stdout;
        assert!(
            text.starts_with("nsqd v") && text.contains(" (built w/"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn help_goes_to_stderr_and_names_the_flags() {
    for flag in ["-h", "--help", "-help"] {
        let ended = run_to_end(&[flag]);
        assert_eq!(ended.status, Some(0), "{flag}");
        for name in [
            "tcp-address",
            "mem-queue-size",
            "mem-queue-bytes",
            "max-rdy-count",
        ] {
            assert!(ended.stderr.contains(name), "{name} in {}", ended.stderr);
        }
    }
}

#[test]
fn wrong_flags_end_with_status_2() {
    let wrong = [
        "--nonsense",
        "--mem-queue-size=many",
        "--msg-timeout=60",
        "--msg-timeout=soon",
        "--deflate=maybe",
        "--log-level=loud",
        "--tls-required=perhaps",
        "--node-id=x",
    ];
    for flag in wrong {
        let ended = run_to_end(&[flag]);
        assert_eq!(ended.status, Some(2), "{flag}: {}", ended.stderr);
        let name = flag.trim_start_matches('-').split('=').next().unwrap();
        assert!(
            ended
                .stderr
                .lines()
                .next()
                .is_some_and(|line| line.contains(name)),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn values_that_cannot_work_are_fatal() {
    let data = TempDir::new().unwrap();
    let path = format!("--data-path={}", data.path().display());
    let check = |flags: &[&str], text: &str| {
        let mut all = vec![
            "--tcp-address=127.0.0.1:0",
            "--http-address=127.0.0.1:0",
            path.as_str(),
        ];
        all.retain(|default| {
            let (name, _) = default.split_once('=').unwrap();
            flags.iter().all(|flag| !flag.starts_with(name))
        });
        all.extend_from_slice(flags);
        let ended = run_to_end(&all);
        assert_eq!(ended.status, Some(1), "{flags:?}: {}", ended.stderr);
        let expected = format!("FATAL: {text}");
        assert!(
            ended.stderr.contains(&expected),
            "{flags:?}: {}",
            ended.stderr
        );
        assert!(ended.stderr.contains("[nsqd] "), "{}", ended.stderr);
    };
    check(
        &["--node-id=1024"],
        "failed to instantiate nsqd - --node-id must be [0,1024)",
    );
    check(
        &["--node-id=-1"],
        "failed to instantiate nsqd - --node-id must be [0,1024)",
    );
    check(
        &["--max-deflate-level=10"],
        "failed to instantiate nsqd - --max-deflate-level must be [1,9]",
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!("failed to instantiate nsqd - listen ({address}) failed - ");
    check(&[&format!("--tcp-address={address}")], &text);
    check(&[&format!("--http-address={address}")], &text);
    let missing = data.path().join("missing.toml");
    let text = format!("failed to load config file {} - ", missing.display());
    check(&[&format!("--config={}", missing.display())], &text);
}

#[test]
fn both_signals_end_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut nsqd = Nsqd::start(&[]);
        nsqd.publish("t", "m");
        nsqd.signal(signal);
        assert_eq!(nsqd.await_exit().code(), Some(0));
        assert!(nsqd.log().contains(" INFO: NSQ: bye"), "{}", nsqd.log());
        nsqd.restart();
        assert_eq!(nsqd.topic("t")["depth"], 1);
    }
}

#[test]
fn hangup_loses_nothing() {
    let mut nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    nsqd.signal(Signal::HUP);
    nsqd.restart();
    assert_eq!(nsqd.topic("t")["depth"], 1);
}

#[test]
fn http_can_be_switched_off() {
    let nsqd = Nsqd::start(&["--http-address="]);
    nsqd.peer().publish("t", "m");
    assert!(!nsqd.log().contains("HTTP: listening"));
}

#[test]
fn an_address_without_a_port_is_a_unix_socket() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nsqd.sock");
    let flag = format!("--tcp-address={}", path.display());
    let mut nsqd = Nsqd::start(&[&flag]);
    // The second round finds the file that a crash has left.
    for _ in 0..2 {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(b"  V2PUB t\n\0\0\0\x01m").unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"\0\0\0\x06\0\0\0\0OK");
        assert_eq!(nsqd.get("/info").json()["tcp_port"], -1);
        nsqd.kill();
        nsqd.restart();
    }
}

#[test]
fn log_lines_have_a_prefix_a_time_and_a_level() {
    let nsqd = Nsqd::start(&["--log-prefix=[me] "]);
    let line = nsqd
        .log()
        .lines()
        .find(|line| line.contains("TCP: listening"))
        .unwrap()
        .to_owned();
    let rest = line
        .strip_prefix("[me] ")
        .unwrap_or_else(|| panic!("{line}"));
    let (time, text) = rest.split_at("2026/11/21 02:46:36.123456".len());
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000/00/00 00:00:00.000000");
    assert!(
        text.starts_with(" INFO: TCP: listening on 127.0.0.1:"),
        "{line}"
    );
}

#[test]
fn the_log_level_hides_the_rest() {
    let nsqd = Nsqd::start(&["--log-level=debug"]);
    drop(nsqd.consumer("t", "c"));
    tests::wait::until("a debug line is there", || nsqd.log().contains(" DEBUG: "));
}
