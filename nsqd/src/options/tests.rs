use std::ffi::OsString;

use client::daemon::flags::{Exit, parse};
use serde_json::json;

use super::*;

fn flags(words: &[&str]) -> Result<Flags, Exit> {
    let words = ["nsqd"].iter().chain(words);
    parse(&DAEMON, words.map(OsString::from))
}

fn checked(words: &[&str]) -> Result<Options, OptionsError> {
    Options::check(flags(words).unwrap_or_else(|exit| panic!("{words:?}: {}", exit.text)))
}

fn options(words: &[&str]) -> Options {
    checked(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// The flag must be refused with an error that names it and its value, and has `allowed`.
fn refuses(word: &str, allowed: &str) {
    let text = checked(&[word]).expect_err(word).to_string();
    let (flag, value) = word.split_once('=').unwrap();
    for part in [flag, value, allowed] {
        assert!(text.contains(part), "{word}: {text:?} lacks {part:?}");
    }
}

#[test]
fn defaults_are_those_of_the_reference() {
    let options = options(&[]);
    assert_eq!(options.limits(), Limits::default());
    assert_eq!(options.offer(), IdentifyOffer::default());
    assert_eq!(options.tcp_address, "0.0.0.0:4150");
    assert_eq!(options.http_address, "0.0.0.0:4151");
    assert_eq!(options.log_prefix, "[nsqd] ");
    assert_eq!(options.mem_queue_size, 10_000);
    assert_eq!(options.max_bytes_per_file, 100 << 20);
    assert_eq!(options.sync_timeout, Duration::from_secs(2));
    assert_eq!(options.data_path, PathBuf::from("."));
    assert_eq!(options.broadcast_address, options.hostname);
    assert!(options.node_id < 1024);
    assert!(options.deflate && options.snappy);
}

#[test]
fn a_command_line_for_the_reference_is_understood() {
    let options = options(&[
        "-node-id=0x10",
        "--tcp-address=127.0.0.1:0",
        "-http-address",
        "",
        "--broadcast-address=example.com",
        "-data-path=/data",
        "--mem-queue-size=0",
        "--mem-queue-bytes=64MiB",
        "--msg-timeout=30s",
        "--max-channel-consumers=7",
        "--deflate=false",
        "--verbose",
        "--worker-id",
        "--queue-scan-selection-count=5",
        "--tls-required=false",
        "--tls-min-version=tls1.2",
        "--statsd-interval=10s",
        "--topology-zone=z",
        "--log-level=WARN",
    ]);
    assert_eq!(options.node_id, 16);
    assert_eq!(options.http_address, "");
    assert_eq!(options.broadcast_address, "example.com");
    assert_eq!(options.data_path, PathBuf::from("/data"));
    assert_eq!(
        (options.mem_queue_size, options.mem_queue_bytes),
        (0, 64 << 20)
    );
    assert_eq!(options.max_channel_consumers, 7);
    assert!(!options.deflate);
    assert_eq!(options.offer().topology_zone, "z");
    assert_eq!(options.log_level, LogLevel::Warn);
}

#[test]
fn values_out_of_range_are_refused_before_anything_is_opened() {
    for value in ["-1", "1024"] {
        refuses(&format!("--node-id={value}"), "[0,1024)");
    }
    for value in ["0", "10"] {
        refuses(&format!("--max-deflate-level={value}"), "[1,9]");
    }
    refuses("--broadcast-tcp-port=65536", "[0,65535]");
    refuses("--mem-queue-size=-1", "at least 0");
    refuses("--mem-queue-bytes=1000", "at least 1MiB");
    refuses("--max-bytes-per-file=0", "at least 1");
    refuses("--sync-every=0", "at least 1");
    refuses("--sync-timeout=0s", "above 0");
    refuses("--checkpoint-interval=0s", "above 0");
    refuses("--msg-timeout=0s", "above 0");
    refuses("--max-msg-timeout=30s", "at least 1m0s");
    refuses("--max-msg-size=0", "[1,2147483617]");
    refuses("--max-msg-size=2147483618", "[1,2147483617]");
    refuses("--max-body-size=2147483648", "[1,2147483647]");
    refuses("--max-heartbeat-interval=999ms", "at least 1s");
    refuses("--max-rdy-count=0", "at least 1");
    refuses("--max-output-buffer-size=63", "[64,");
    refuses("--min-output-buffer-timeout=0s", "above 0");
    refuses("--max-output-buffer-timeout=24ms", "at least 25ms");
    refuses("--output-buffer-timeout=0s", "above 0");
    refuses("--max-channel-consumers=-1", "at least 0");
    refuses("--max-connections=-1", "at least 0");
    refuses("--max-topics=-1", "at least 0");
    refuses("--max-channels-per-topic=-1", "at least 0");
    refuses("--http-client-connect-timeout=0s", "above 0");
    refuses("--http-client-request-timeout=0s", "above 0");
    for address in [
        "host",
        "host:",
        ":4160",
        "host:0",
        "http://host:4160",
        "/sock",
    ] {
        refuses(&format!("--lookupd-tcp-address={address}"), "host:port");
    }
    let empty = checked(&["--tcp-address="])
        .expect_err("no address")
        .to_string();
    assert!(empty.contains("--tcp-address must be host:port"), "{empty}");
}

#[test]
fn nsqlookupds_are_told_the_ports_that_were_given_or_else_bound() {
    let about = |words: &[&str], tcp, http| {
        let about = options(words).about(tcp, http);
        (about.tcp_port, about.http_port)
    };
    let given = ["--broadcast-tcp-port=5", "--broadcast-http-port=6"];
    assert_eq!(about(&given, Some(1), None), (5, 6));
    assert_eq!(about(&[], Some(1), Some(2)), (1, 2));
    assert_eq!(about(&[], None, None), (0, 0));
    let words = ["--lookupd-tcp-address=a:1", "--lookupd-tcp-address=[::1]:2"];
    assert_eq!(options(&words).lookupd_tcp_addresses, ["a:1", "[::1]:2"]);
    let words = [
        "--broadcast-address=b",
        "--topology-region=r",
        "--topology-zone=z",
    ];
    let about = options(&words).about(None, None);
    let told = (
        about.broadcast_address,
        about.topology_region,
        about.topology_zone,
    );
    assert_eq!(told, ("b".to_owned(), "r".to_owned(), "z".to_owned()));
}

#[test]
fn tls_that_is_asked_for_and_cannot_be_had_ends_the_start() {
    let check = |words: &[&str], expected: &str| {
        let text = checked(words).expect_err(expected).to_string();
        assert_eq!(text, format!("failed to instantiate nsqd - {expected}"));
    };
    let failed = "failed to build TLS config -";
    check(
        &["--tls-cert=a.pem"],
        &format!("{failed} --tls-cert needs --tls-key"),
    );
    check(
        &["--tls-key=a.pem"],
        &format!("{failed} --tls-key needs --tls-cert"),
    );
    let absent =
        "certificate file \"/absent.pem\" cannot be read: No such file or directory (os error 2)";
    let both = ["--tls-cert=/absent.pem", "--tls-key=/absent.pem"];
    check(&both, &format!("{failed} {absent}"));
    for word in [
        "--tls-required",
        "--tls-required=TCP-https",
        "--tls-client-auth-policy=require",
        "--tls-client-auth-policy=require-verify",
    ] {
        check(
            &[word],
            "cannot require TLS client connections without TLS key and cert",
        );
    }
    refuses(
        "--tls-client-auth-policy=verify",
        "require, require-verify or empty",
    );
    assert!(checked(&["--lookupd-tcp-address=", "--tls-required=F"]).is_ok());
    assert!(checked(&["--tls-min-version=TLS1.3"]).is_ok());
}

#[test]
fn values_of_the_wrong_type_end_with_status_2() {
    for word in [
        "--worker-id=5",
        "--tls-min-version=ssl3.0",
        "--auth-http-request-method=GET",
        "--log-level=warning",
        "--max-msg-size=1.5",
        "--msg-timeout=60",
        "--client-timeout=1s",
    ] {
        assert_eq!(flags(&[word]).expect_err(word).status, 2, "{word}");
    }
}

#[test]
fn the_file_uses_the_keys_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nsqd.cfg");
    let toml = r#"
        log_level = "info"
        id = 5
        tcp_address = "127.0.0.1:4150"
        max_msg_size = 1024768
        max_body_size = 5123840
        msg_timeout = "60s"
        max_output_buffer_timeout = "1s"
        sync_timeout = 500
        deflate = true
        tls_min_version = ""
        tls_required = false
        nsqlookupd_tcp_addresses = []
        worker_id = 12
    "#;
    std::fs::write(&path, toml).unwrap();
    let options = options(&["-config", path.to_str().unwrap(), "--node-id=6"]);
    assert_eq!(options.node_id, 6);
    assert_eq!(
        (options.max_msg_size, options.max_body_size),
        (1_024_768, 5_123_840)
    );
    assert_eq!(options.max_output_buffer_timeout, Duration::from_secs(1));
    assert_eq!(options.sync_timeout, Duration::from_millis(500));
}

#[test]
fn config_shows_every_setting_that_the_file_can_have() {
    use clap::CommandFactory as _;

    let options = options(&["--node-id=7", "--data-path=/data", "--mem-queue-bytes=1m"]);
    let json = |key| match options.config_value(key) {
        Some(ConfigValue::Json(value)) => value,
        other => panic!("{key}: {other:?}"),
    };
    assert_eq!(json("id"), json!(7));
    assert_eq!(json("log_level"), json!(2));
    assert_eq!(json("mem_queue_bytes"), json!(1 << 20));
    assert_eq!(json("max_heartbeat_interval"), json!(60_000_000_000_u64));
    assert_eq!(json("nsqlookupd_tcp_addresses"), json!([]));
    assert_eq!(json("tls_min_version"), json!(769));
    assert_eq!(json("snappy"), json!(true));
    assert_eq!(
        options.config_value("data_path"),
        Some(ConfigValue::Text("/data".to_owned()))
    );

    for arg in Flags::command().get_arguments() {
        let flag = arg.get_long().unwrap();
        let special = DAEMON.config_keys.iter().find(|(name, _)| *name == flag);
        let key = match special {
            Some((_, key)) => key.map(str::to_owned),
            None => (flag != "config").then(|| flag.replace('-', "_")),
        };
        // The prefix of statsd is known when the HTTP port is.
        if let Some(key) = key.filter(|key| key != "statsd_prefix") {
            assert!(options.config_value(&key).is_some(), "{key}");
        }
    }
    for key in [
        "config",
        "version",
        "verbose",
        "worker_id",
        "client_timeout",
        "",
    ] {
        assert_eq!(options.config_value(key), None, "{key}");
    }
}

/// Flags that are in the README of the crate, as `--flag`.
fn documented() -> std::collections::BTreeSet<&'static str> {
    let code = include_str!("../../README.md")
        .split('`')
        .skip(1)
        .step_by(2);
    let flags = code.filter_map(|code| code.strip_prefix("--"));
    flags
        .map(|flag| flag.split(['=', ' ', '\n']).next().unwrap_or(flag))
        .collect()
}

#[test]
fn every_flag_is_documented_and_nothing_else() {
    let command = <Flags as clap::CommandFactory>::command();
    let mut exists: std::collections::BTreeSet<_> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    exists.extend(["version", "help"]);
    let mut documented = documented();
    documented.insert("help");
    assert_eq!(documented, exists);
}

#[test]
fn the_references_sample_configuration_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nsqd.cfg");
    let sample = r#"
        verbose = false
        tcp_address = "0.0.0.0:4150"
        http_address = "0.0.0.0:4151"
        nsqlookupd_tcp_addresses = ["127.0.0.1:4160"]
        http_client_connect_timeout = "2s"
        http_client_request_timeout = "5s"
        mem_queue_size = 10000
        max_bytes_per_file = 104857600
        sync_every = 2500
        sync_timeout = "2s"
        msg_timeout = "60s"
        max_msg_timeout = "15m"
        max_msg_size = 1024768
        max_req_timeout = "1h"
        max_body_size = 5123840
        max_heartbeat_interval = "60s"
        max_rdy_count = 2500
        max_output_buffer_size = 65536
        max_output_buffer_timeout = "1s"
        statsd_prefix = "nsq.%s"
        statsd_interval = "60s"
        statsd_mem_stats = true
        e2e_processing_latency_percentiles = [1.0, 0.99, 0.95]
        e2e_processing_latency_window_time = "10m"
        deflate = true
        max_deflate_level = 6
        snappy = true
    "#;
    std::fs::write(&file, sample).unwrap();
    let options = options(&["--config", file.to_str().unwrap()]);
    assert_eq!(options.max_msg_size, 1_024_768);
    assert_eq!(options.max_output_buffer_timeout, Duration::from_secs(1));
    assert_eq!(options.lookupd_tcp_addresses, ["127.0.0.1:4160"]);
    assert_eq!(options.latency.unwrap().quantiles, [1.0, 0.99, 0.95]);
}

#[test]
fn without_a_queue_in_memory_the_level_is_disk() {
    for (words, level) in [
        (&[][..], Durability::Memory),
        (&["--mem-queue-size=0"], Durability::Disk),
        (&["--durability=fsync"], Durability::Fsync),
        (
            &["--durability=disk", "--mem-queue-size=0"],
            Durability::Disk,
        ),
    ] {
        let options = options(words);
        assert_eq!(options.durability, level, "{words:?}");
        let told = ConfigValue::Text(level.to_string());
        assert_eq!(options.config_value("durability"), Some(told));
    }
    let error = checked(&["--durability=memory", "--mem-queue-size=0"]).unwrap_err();
    let expected = "--durability must be disk or fsync with --mem-queue-size=0, not memory";
    assert!(error.to_string().ends_with(expected), "{error}");
    let error = flags(&["--durability=replicated"]).unwrap_err().text;
    assert!(
        error.contains("replicated") && error.contains("memory, disk and fsync"),
        "{error}"
    );
}

#[test]
fn percentiles_are_above_0_and_at_most_1() {
    for value in ["0", "1.1", "-1", "NaN"] {
        refuses(
            &format!("--e2e-processing-latency-percentile={value}"),
            "at most 1",
        );
    }
}

#[test]
fn what_runs_only_when_asked_for_is_off_by_default() {
    let off = options(&["--auth-http-address=", "--statsd-address="]);
    assert!(off.auth.is_none() && off.statsd.is_none() && off.latency.is_none());
    assert!(!off.topology_aware && !off.offer().auth_required);

    let on = options(&[
        "--auth-http-address=a:80",
        "--auth-http-address=https://b/c",
        "--auth-http-request-method=post",
        "--statsd-address=s:8125",
        "--e2e-processing-latency-percentile=0.5,1.0",
        "--enable-experiment=unknown",
        "--enable-experiment=topology-aware-consumption",
    ]);
    assert!(on.topology_aware && on.offer().auth_required);
    let auth = on.auth.unwrap();
    assert_eq!(auth.addresses, ["a:80", "https://b/c"]);
    assert!(auth.post && !auth.anchor_patterns);
    let statsd = on.statsd.unwrap();
    assert_eq!(
        (statsd.address.as_str(), statsd.packet_bytes),
        ("s:8125", 508)
    );
    assert!(statsd.memory && !statsd.exclude_ephemeral);
    assert_eq!(on.latency.unwrap().quantiles, [1.0, 0.5]);
}

#[test]
fn what_runs_only_when_asked_for_is_checked_always() {
    refuses("--auth-http-address=nowhere", "host:port or a URL");
    refuses("--auth-http-address=ftp://a/b", "host:port or a URL");
    refuses("--statsd-address=s", "host:port");
    refuses("--statsd-interval=0s", "above 0");
    refuses("--statsd-udp-packet-size=0", "[1,65507]");
    refuses("--statsd-udp-packet-size=65508", "[1,65507]");
    refuses("--e2e-processing-latency-window-time=0s", "above 0");
}
