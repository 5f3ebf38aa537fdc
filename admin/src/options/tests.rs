//! Defaults, the reference's spellings, and what is refused.

use std::ffi::OsString;

use client::daemon::flags::{Exit, parse};

use super::*;

fn flags(words: &[&str]) -> Result<Flags, Exit> {
    let words = ["nsqadmin"].iter().chain(words);
    parse(&DAEMON, words.map(OsString::from))
}

fn check(words: &[&str]) -> Result<Options, OptionsError> {
    Options::check(flags(words).unwrap_or_else(|exit| panic!("{words:?}: {}", exit.text)))
}

const LOOKUPD: &str = "--lookupd-http-address=lk:4161";

#[test]
fn defaults_are_those_of_the_reference() {
    let options = check(&[LOOKUPD]).unwrap();
    assert_eq!(options.http_address, "0.0.0.0:4171");
    assert_eq!(options.base_path, "");
    assert_eq!(options.log_prefix, "[nsqadmin] ");
    assert_eq!(options.log_level, LogLevel::Info);
    assert_eq!(
        options.sources,
        Sources::Lookupds(vec!["lk:4161".to_owned()])
    );
    assert_eq!(options.http_client_connect_timeout, Duration::from_secs(2));
    assert_eq!(options.http_client_request_timeout, Duration::from_secs(5));
    assert_eq!(options.acl_http_header, "x-forwarded-user");
    assert!(options.admin_users.is_empty() && options.trusted_proxies.is_empty());
    assert_eq!(options.notification_http_endpoint, None);
}

#[test]
fn a_command_line_for_the_reference_is_understood() {
    let options = check(&[
        "-nsqd-http-address=a:4151",
        "-nsqd-http-address=[::1]:4151",
        "-nsqd-http-address=a:4151",
        "-base-path=nsq//x/",
        "-acl-http-header=X-User",
        "-admin-user=joe",
        "-allow-config-from-cidr=",
        "-notification-http-endpoint=http://hook:80/nsq?x=1",
        "-statsd-interval=10s",
        "-statsd-prefix=nsq",
        "-verbose",
    ])
    .unwrap();
    let nsqds = ["a:4151", "[::1]:4151"].map(str::to_owned).to_vec();
    assert_eq!(options.sources, Sources::Nsqds(nsqds));
    assert_eq!(options.base_path, "/nsq/x");
    assert_eq!(options.admin_users, ["joe"]);
    assert_eq!(options.acl_http_header, "x-user");
    let endpoint = options.notification_http_endpoint.unwrap();
    assert_eq!(endpoint.path_and_query().unwrap(), "/nsq?x=1");
}

#[test]
fn the_file_has_the_reference_s_keys() {
    let text = "nsqlookupd_http_addresses = [\"lk:4161\"]\nadmin_users = \"a,b\"\n\
        http_client_request_timeout = \"7s\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    let path = std::env::temp_dir().join(format!("admin-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let options = check(&["--config", path.to_str().unwrap()]).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        options.sources,
        Sources::Lookupds(vec!["lk:4161".to_owned()])
    );
    assert_eq!(options.admin_users, ["a", "b"]);
    assert_eq!(options.http_client_request_timeout, Duration::from_secs(7));
    assert_eq!(options.trusted_proxies, ["10.0.0.0/8".parse().unwrap()]);
}

/// The sample of a configuration file, which is shipped.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/nsqadmin.cfg");

#[test]
fn the_sample_file_starts_and_knows_every_setting() {
    let options = check(&["--config", SAMPLE]).unwrap();
    let lookupds = vec!["127.0.0.1:4161".to_owned()];
    assert_eq!(options.sources, Sources::Lookupds(lookupds));
    let text = std::fs::read_to_string(SAMPLE).unwrap();
    let command = <Flags as clap::CommandFactory>::command();
    for flag in command.get_arguments().filter_map(|flag| flag.get_long()) {
        let known = DAEMON.config_keys.iter().find(|(name, _)| *name == flag);
        let key = match known {
            Some((_, key)) => key.map(str::to_owned),
            None => Some(flag.replace('-', "_")),
        };
        // Some are for developers, or only for the command line.
        let is_left_out = ["config", "dev-static-dir", "version", "help"].contains(&flag);
        let is_there = key.is_none_or(|key| text.contains(&format!("{key} = ")));
        assert!(is_there || is_left_out, "{flag}");
    }
    // Each example is one that works, alone beside the addresses.
    for line in text.lines().filter_map(|line| line.strip_prefix("# ")) {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        if ["nsqd_http_addresses", "password_file"].contains(&key) || key.contains("tls") {
            continue;
        }
        let graphite = if key == "proxy_graphite" {
            "graphite_url = \"http://g\"\n"
        } else {
            ""
        };
        let name = format!("admin-sample-{}-{key}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = format!("nsqlookupd_http_addresses = [\"a:1\"]\n{graphite}{key} = {value}\n");
        std::fs::write(&path, file).unwrap();
        let checked = check(&["--config", path.to_str().unwrap()]);
        std::fs::remove_file(&path).unwrap();
        assert!(checked.is_ok(), "{line}: {checked:?}");
    }
}

#[test]
fn exactly_one_kind_of_source_is_needed() {
    assert_eq!(check(&[]).unwrap_err(), OptionsError::NoAddress);
    let both = check(&[LOOKUPD, "--nsqd-http-address=a:1"]).unwrap_err();
    assert_eq!(both, OptionsError::BothKinds);
}

#[test]
fn wrong_values_are_refused_with_what_is_allowed() {
    for (word, allowed) in [
        ("--http-address=", "host:port"),
        ("--base-path=/a b", "letters"),
        ("--base-path=/a/../b", "letters"),
        ("--lookupd-http-address=http://lk:4161", "without http://"),
        ("--lookupd-http-address=lk", "host:port"),
        ("--lookupd-http-address=:4161", "host:port"),
        ("--lookupd-http-address=lk:70000", "host:port"),
        ("--http-client-connect-timeout=0", "above 0"),
        ("--http-client-request-timeout=0s", "above 0"),
        ("--allow-config-from-cidr=10.0.0.0", "range"),
        ("--trusted-proxy=10.0.0.0/99", "range"),
        ("--producer-allow-cidr=10.0.0.0", "range"),
        ("--acl-http-header=a b", "header"),
        ("--graphite-url=graphite", "http://"),
        ("--proxy-graphite=true", "--graphite-url"),
        ("--sample-interval=10ms", "100ms to 1m"),
        ("--sample-interval=2m", "100ms to 1m"),
        ("--session-timeout=0", "above 0"),
        ("--alert-depth=orders", "topic/channel=messages"),
        ("--alert-depth=orders=many", "topic/channel=messages"),
        ("--alert-depth==1", "topic/channel=messages"),
        ("--alert-ignore=a/b/c", "topic/channel"),
        ("--statsd-interval=0", "above 0"),
        ("--notification-http-endpoint=hook", "http://"),
    ] {
        let error = check(&[LOOKUPD, word]).expect_err(word).to_string();
        let (flag, _) = word.split_once('=').unwrap();
        assert!(error.contains(flag) && error.contains(allowed), "{error}");
    }
}

#[test]
fn files_for_tls_are_read_at_the_start() {
    for (words, part) in [
        (
            &["--http-client-tls-cert=c.pem"][..],
            "--http-client-tls-key must be specified with --http-client-tls-cert",
        ),
        (
            &["--http-client-tls-key=k.pem"],
            "--http-client-tls-cert must be specified with --http-client-tls-key",
        ),
        (
            &["--http-client-tls-root-ca-file=/nope/ca.pem"],
            "/nope/ca.pem",
        ),
        (
            &[
                "--http-client-tls-cert=/nope/c",
                "--http-client-tls-key=/nope/k",
            ],
            "/nope/c",
        ),
    ] {
        let words: Vec<&str> = [LOOKUPD].iter().chain(words).copied().collect();
        let error = check(&words).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let options = check(&[LOOKUPD, "--http-client-tls-insecure-skip-verify"]).unwrap();
    assert!(options.tls.is_some());
}

#[test]
fn settings_are_told_without_the_secrets_in_urls() {
    let options = check(&[
        LOOKUPD,
        "--graphite-url=https://user:canary@graphite:81/canary",
        "--notification-http-endpoint=http://hook/canary",
        "--proxy-graphite",
    ])
    .unwrap();
    let text = format!("{:?}", options.config);
    assert!(!text.contains("canary"), "{text}");
    let url = ConfigValue::Text("https://graphite:81".to_owned());
    assert_eq!(options.config["graphite_url"], url);
    assert!(options.graphite.unwrap().is_proxied);
}
