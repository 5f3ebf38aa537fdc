//! Flags in all their spellings, and the configuration file.

use std::fs;

use tempfile::TempDir;
use tests::daemon::{Nsqd, run_to_end};

/// Starts with a flag and expects an option to have a value.
#[track_caller]
fn flag(flags: &[&str], option: &str, expected: &str) {
    let nsqd = Nsqd::start(flags);
    assert_eq!(
        nsqd.get(&format!("/config/{option}")).body,
        expected,
        "{flags:?}"
    );
}

/// Starts with a configuration file and expects an option to have a value.
#[track_caller]
fn file(toml: &str, option: &str, expected: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nsqd.toml");
    fs::write(&path, toml).unwrap();
    flag(&[&format!("--config={}", path.display())], option, expected);
}

/// Starts with a configuration file and expects that it does not start, saying `text`.
#[track_caller]
fn refused(toml: &str, text: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nsqd.toml");
    fs::write(&path, toml).unwrap();
    let ended = run_to_end(&[
        &format!("--config={}", path.display()),
        &format!("--data-path={}", folder.path().display()),
        "--tcp-address=127.0.0.1:0",
        "--http-address=127.0.0.1:0",
    ]);
    assert_eq!(ended.status, Some(1), "{toml}: {}", ended.stderr);
    assert!(ended.stderr.contains(text), "{toml}: {}", ended.stderr);
}

#[test]
fn flags_may_be_written_in_every_way_of_the_reference() {
    flag(&["-mem-queue-size=5"], "mem_queue_size", "5");
    flag(&["--mem-queue-size=5"], "mem_queue_size", "5");
    flag(&["-mem-queue-size", "5"], "mem_queue_size", "5");
    flag(&["--mem-queue-size", "5"], "mem_queue_size", "5");
    flag(
        &["--mem-queue-size=1", "--mem-queue-size=2"],
        "mem_queue_size",
        "2",
    );
    flag(&["--mem-queue-size=0x10"], "mem_queue_size", "16");
    flag(&["--mem-queue-size=1_000"], "mem_queue_size", "1000");
}

#[test]
fn booleans_and_durations() {
    flag(&["--snappy=false"], "snappy", "false");
    flag(&["--snappy=F"], "snappy", "false");
    flag(&["-deflate"], "deflate", "true");
    flag(&["--msg-timeout=1m30s"], "msg_timeout", "90000000000");
    flag(&["--msg-timeout=1.5s"], "msg_timeout", "1500000000");
    flag(
        &["--max-req-timeout=2h"],
        "max_req_timeout",
        "7200000000000",
    );
    flag(&["--log-level=DEBUG"], "log_level", "1");
}

#[test]
fn the_file_sets_options_and_flags_win() {
    file("mem_queue_size = 7", "mem_queue_size", "7");
    file("mem_queue_size = \"7\"", "mem_queue_size", "7");
    file("msg_timeout = \"90s\"", "msg_timeout", "90000000000");
    file("msg_timeout = 1500", "msg_timeout", "1500000000");
    file("snappy = false", "snappy", "false");
    file("snappy = \"false\"", "snappy", "false");
    file(
        "broadcast_address = \"host-1\"",
        "broadcast_address",
        "host-1",
    );
    file("id = 5", "id", "5");
    file("log_level = \"debug\"", "log_level", "1");
    file("unknown_key = 1\nmem_queue_size = 7", "mem_queue_size", "7");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nsqd.toml");
    fs::write(&path, "mem_queue_size = 7\nmax_rdy_count = 9").unwrap();
    let config = format!("--config={}", path.display());
    let nsqd = Nsqd::start(&[&config, "--mem-queue-size=8"]);
    assert_eq!(nsqd.get("/config/mem_queue_size").body, "8");
    assert_eq!(nsqd.get("/config/max_rdy_count").body, "9");
}

#[test]
fn a_wrong_file_stops_the_start() {
    refused("mem_queue_size = ", "failed to load config file ");
    refused("mem_queue_size = 1.5", "mem_queue_size");
    refused("mem_queue_size = \"many\"", "mem_queue_size");
    refused("msg_timeout = 1.5", "msg_timeout");
    refused("tls_required = \"perhaps\"", "perhaps");
    refused("log_level = \"loud\"", "loud");
}

#[test]
fn a_file_with_all_common_keys_loads() {
    let toml = r#"
verbose = false
max_heartbeat_interval = "60s"
mem_queue_size = 10000
max_bytes_per_file = 104857600
sync_every = 2500
sync_timeout = "2s"
msg_timeout = "60s"
max_msg_timeout = "15m"
max_msg_size = 1024768
max_req_timeout = "1h"
max_body_size = 5123840
max_rdy_count = 2500
max_output_buffer_size = 65536
max_output_buffer_timeout = "1s"
statsd_prefix = "nsq.%s"
statsd_interval = "60s"
statsd_mem_stats = true
tls_min_version = ""
deflate = true
max_deflate_level = 6
snappy = true
"#;
    file(toml, "max_msg_size", "1024768");
    file(toml, "max_output_buffer_timeout", "1000000000");
}
