use clap::Parser;

use super::*;
use crate::daemon::duration::GoDuration;

#[derive(Debug, Parser)]
struct Flags {
    #[arg(long)]
    config: Option<PathBuf>,
    #[arg(long, default_value = "7", value_parser = integer::<u16>)]
    node_id: u16,
    #[arg(long, default_value = "true")]
    deflate: bool,
    #[arg(long)]
    verbose: bool,
    #[arg(long, default_value = "1m")]
    msg_timeout: GoDuration,
    #[arg(long, default_value = "0.0.0.0:4150")]
    tcp_address: String,
    #[arg(long)]
    lookupd_tcp_address: Vec<String>,
    #[arg(long, default_value = "false", num_args = 0..=1, value_parser = ["false", "true", "tcp-https"])]
    tls_required: String,
}

const DAEMON: Daemon = Daemon {
    name: "nsqt",
    config_keys: &[
        ("node-id", Some("id")),
        ("lookupd-tcp-address", Some("nsqlookupd_tcp_addresses")),
        ("verbose", None),
    ],
};

fn parsed(words: &str) -> Result<Flags, Exit> {
    let words = std::iter::once("nsqt").chain(words.split_whitespace());
    parse(&DAEMON, words.map(OsString::from))
}

fn flags(words: &str) -> Flags {
    parsed(words).unwrap_or_else(|exit| panic!("{words}: {}", exit.text))
}

/// The command line must be refused with status 2 and one line that has all of `parts`.
fn refuses(words: &str, parts: &[&str]) {
    let exit = parsed(words).expect_err(words);
    assert_eq!((exit.status, exit.to_stdout), (2, false), "{words}");
    assert!(!exit.text.contains('\n'), "{:?}", exit.text);
    for part in parts {
        assert!(
            exit.text.contains(part),
            "{words}: {:?} lacks {part:?}",
            exit.text
        );
    }
}

/// Parses `words` with a configuration file that holds `toml`.
fn with_file(toml: &str, words: &str) -> Result<Flags, Exit> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nsqt.toml");
    std::fs::write(&path, toml).unwrap();
    parsed(&format!("--config={} {words}", path.display()))
}

/// The file must be refused with status 1 and one fatal line that has all of `parts`.
fn file_refuses(toml: &str, parts: &[&str]) {
    let exit = with_file(toml, "").expect_err(toml);
    assert_eq!((exit.status, exit.to_stdout), (1, false), "{toml}");
    assert!(exit.text.starts_with("[nsqt] "), "{}", exit.text);
    assert!(!exit.text.contains('\n'), "{:?}", exit.text);
    for part in ["FATAL: failed to load config file ", "nsqt.toml - "]
        .iter()
        .chain(parts)
    {
        assert!(
            exit.text.contains(part),
            "{toml}: {:?} lacks {part:?}",
            exit.text
        );
    }
}

#[test]
fn every_way_to_write_a_flag_is_read() {
    for words in [
        "-node-id=12",
        "--node-id=12",
        "-node-id 12",
        "--node-id 12",
        "--node-id 0xc",
    ] {
        assert_eq!(flags(words).node_id, 12, "{words}");
    }
    assert_eq!(flags("").node_id, 7);
    assert_eq!(
        flags("--node-id 1 -node-id 2").node_id,
        2,
        "the last one wins"
    );
    assert_eq!(flags("--tcp-address=").tcp_address, "");
    assert_eq!(flags("--tcp-address=a=b").tcp_address, "a=b");
    assert_eq!(
        flags("--tcp-address -x").tcp_address,
        "-x",
        "the next word is the value"
    );
    assert_eq!(
        flags("--msg-timeout 1m30s").msg_timeout.to_string(),
        "1m30s"
    );
    assert_eq!(flags("--node-id 3 --").node_id, 3);
    let lookupds = flags("-lookupd-tcp-address a:1 --lookupd-tcp-address=b:2").lookupd_tcp_address;
    assert_eq!(lookupds, ["a:1", "b:2"]);
}

#[test]
fn booleans_stand_bare_or_take_a_value_after_equals() {
    assert!(flags("").deflate);
    assert!(flags("--deflate=false --deflate").deflate);
    assert!(!flags("-deflate=F").deflate);
    assert!(!flags("").verbose);
    assert!(flags("--verbose").verbose);
    assert_eq!(flags("--tls-required").tls_required, "true");
    assert_eq!(flags("--tls-required=tcp-https").tls_required, "tcp-https");
    refuses("--deflate=yes", &["--deflate", "\"yes\"", "true", "False"]);
    refuses("--deflate false", &["\"false\"", "--flag=false"]);
}

#[test]
fn a_wrong_command_line_names_flag_value_and_what_is_allowed() {
    refuses(
        "--node-id 5x",
        &["--node-id", "\"5x\"", "not a whole number"],
    );
    refuses("--node-id -1", &["--node-id", "\"-1\"", "0 to 65535"]);
    refuses("--msg-timeout 5", &["--msg-timeout", "\"5\"", "unit"]);
    refuses(
        "--tls-required=maybe",
        &["--tls-required", "\"maybe\"", "tcp-https"],
    );
    refuses("--config=", &["--config", "must not be empty"]);
    refuses("--no-such=1", &["--no-such", "nsqt -h"]);
    refuses("--node-id", &["--node-id", "needs a value"]);
    refuses("-- more", &["\"more\""]);
    refuses("stray", &["\"stray\""]);
}

#[test]
fn help_and_version_end_with_status_0() {
    for words in ["-h", "-help", "--help", "--node-id 1 --help"] {
        let exit = parsed(words).expect_err(words);
        assert_eq!((exit.status, exit.to_stdout), (0, false), "{words}");
        assert!(exit.text.contains("--lookupd-tcp-address"), "{}", exit.text);
    }
    for words in ["-version", "--version", "--version=true"] {
        let exit = parsed(words).expect_err(words);
        assert_eq!((exit.status, exit.to_stdout), (0, true), "{words}");
        assert_eq!(exit.text, "nsqt v1.3.0 (built w/rust1.95)");
    }
    assert_eq!(flags("--version=false").node_id, 7);
}

#[test]
fn the_file_stands_between_command_line_and_default() {
    let toml =
        "id = 3\ntcp_address = ':1'\nnsqlookupd_tcp_addresses = ['a:1', 'b:2']\nunknown = {}";
    let from_file = with_file(toml, "").unwrap();
    assert_eq!(
        (from_file.node_id, from_file.tcp_address.as_str()),
        (3, ":1")
    );
    assert_eq!(from_file.lookupd_tcp_address, ["a:1", "b:2"]);
    assert!(from_file.config.is_some());

    let both = with_file(toml, "--node-id 4 --lookupd-tcp-address c:3").unwrap();
    assert_eq!((both.node_id, both.tcp_address.as_str()), (4, ":1"));
    assert_eq!(
        both.lookupd_tcp_address,
        ["c:3"],
        "a list is replaced, not extended"
    );
}

#[test]
fn toml_types_are_coerced_as_documented() {
    let file = |toml| with_file(toml, "").unwrap();
    assert_eq!(file("id = '12'").node_id, 12);
    assert_eq!(file("msg_timeout = 1500").msg_timeout.to_string(), "1.5s");
    assert_eq!(file("msg_timeout = '2m'").msg_timeout.to_string(), "2m0s");
    assert!(!file("deflate = false").deflate);
    assert!(!file("deflate = 'f'").deflate);
    assert_eq!(file("tls_required = true").tls_required, "true");
    assert_eq!(file("tls_required = 'tcp-https'").tls_required, "tcp-https");
    let lookupds = |toml| file(toml).lookupd_tcp_address;
    assert_eq!(
        lookupds("nsqlookupd_tcp_addresses = 'a:1, b:2'"),
        ["a:1", "b:2"]
    );
    assert!(lookupds("nsqlookupd_tcp_addresses = ''").is_empty());
    assert!(lookupds("nsqlookupd_tcp_addresses = []").is_empty());
    assert!(
        !file("verbose = true").verbose,
        "the file has no key for it"
    );
}

#[test]
fn a_wrong_file_names_itself_the_key_and_what_is_allowed() {
    file_refuses("id = 1.5", &["id", "1.5", "not a whole number"]);
    file_refuses("id = 70000", &["id", "70000", "0 to 65535"]);
    file_refuses("id = [1]", &["id", "the array given", "a single value"]);
    file_refuses("deflate = 0", &["deflate", "0", "true or false"]);
    file_refuses("msg_timeout = 1.5", &["msg_timeout", "1.5", "milliseconds"]);
    file_refuses("msg_timeout = -5", &["msg_timeout", "-5ms", "negative"]);
    file_refuses("tcp_address = 4150", &["tcp_address", "4150", "a string"]);
    file_refuses(
        "nsqlookupd_tcp_addresses = [1]",
        &["nsqlookupd_tcp_addresses", "a string"],
    );
    file_refuses(
        "nsqlookupd_tcp_addresses = 1",
        &["nsqlookupd_tcp_addresses", "an array"],
    );
    file_refuses("id = 1\nid =", &["not TOML", "line 2"]);

    let exit = parsed("-config /no/such/file").expect_err("no such file");
    assert!(
        exit.text
            .contains("failed to load config file /no/such/file - No such file"),
        "{}",
        exit.text
    );
}
